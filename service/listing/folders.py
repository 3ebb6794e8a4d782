"""The folders of a library that contain videos, themselves or further below.

A folder is named by its path; the root is "".
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter

from service.listing.collation import natural_sort_key
from service.listing.paths import parent
from service.listing.titles import folder_title


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that contains videos."""

    path: str
    """Relative to the library's root, with / between folders."""
    title: str
    videos: int
    """Number of videos in it and in all folders below."""
    name: str
    """The sort key of the title."""


class Folders:
    """All folders, found by path."""

    def __init__(self, direct: Mapping[str, int], previous: "Folders | None" = None) -> None:
        """Build them from the number of videos directly in each folder, by path."""
        counts: dict[str, int] = {"": 0, **direct}
        for folder in direct:
            above = folder
            while above and (above := parent(above)) not in counts:
                counts[above] = 0
        subfolders: defaultdict[str, list[Folder]] = defaultdict(list)
        self._all: dict[str, Folder] = {}
        # Longer paths come first, so that a folder's subfolders are counted before it.
        for path in sorted(counts, key=len, reverse=True):
            cached = previous.get(path) if previous else None
            title = cached.title if cached else folder_title(path)
            name = cached.name if cached else natural_sort_key(title)
            new = self._all[path] = Folder(path, title, counts[path], name)
            if path:
                counts[parent(path)] += new.videos
                subfolders[parent(path)].append(new)
        order = attrgetter("name", "path")
        self._subfolders = {
            path: tuple(sorted(folders, key=order)) for path, folders in subfolders.items()
        }

    @property
    def counts(self) -> dict[str, int]:
        """The number of videos in each folder and below, by path."""
        return {path: folder.videos for path, folder in self._all.items()}

    def get(self, path: str) -> Folder | None:
        """Return a folder by its path."""
        return self._all.get(path)

    def subfolders(self, path: str) -> tuple[Folder, ...]:
        """Return the folders directly in this one, in natural order."""
        return self._subfolders.get(path, ())
