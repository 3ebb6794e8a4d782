"""Which folders are albums, and which have clips of a camera."""

from array import array
from collections.abc import Mapping

from service.catalogue.arrangement import Kind
from service.database.reader import Videos, View
from service.listing.folder_kinds import Album, TrackFacts

_FACTS = "SELECT path, disc, track, artist, year, is_named, is_clip FROM video WHERE id = ?"


class FolderKinds:
    """The kinds of folders. An album is read when it is looked at."""

    def __init__(
        self,
        kinds: Mapping[str, Kind],
        numbers: "array[int]",
        ranges: Mapping[str, tuple[int, int]],
        view: View | None,
    ) -> None:
        """`ranges` are those of the videos of each folder in `numbers`."""
        self._kinds = kinds
        self._numbers = numbers
        self._ranges = ranges
        self._view = view
        self._albums: dict[str, Album] = {}

    def album(self, folder: str) -> Album | None:
        """Return the album that a folder is."""
        if self._kinds.get(folder) != "album" or self._view is None:
            return None
        if folder not in self._albums:
            start, end = self._ranges[folder]
            self._albums[folder] = _read_album(self._view, self._numbers[start:end])
        return self._albums[folder]

    def is_clips(self, folder: str) -> bool:
        """Return whether a folder has clips of a camera."""
        return self._kinds.get(folder) == "clips"


def _read_album(view: View, numbers: "array[int]") -> Album:
    tracks = []
    for number in numbers:
        ((path, *facts),) = view.rows.select(_FACTS, number)
        tracks.append((number, path, TrackFacts._make(facts)))
    tracks.sort(key=lambda one: (one[2].disc, one[2].track, one[1]))
    facts_of = [facts for _, _, facts in tracks]
    artists, years = {one.artist for one in facts_of}, {one.year for one in facts_of}
    return Album(
        Videos(view, array("I", [number for number, _, _ in tracks])),
        artists.pop() if len(artists) == 1 else None,
        years.pop() if len(years) == 1 else None,
        has_discs=len({one.disc for one in facts_of}) > 1,
    )
