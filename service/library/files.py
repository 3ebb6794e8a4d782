"""The media files of a folder with their sidecars, and its picture."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from service.naming.episode_words import names_episode
from service.naming.season_folders import season_folder
from service.naming.sidecars import NO_SIDECARS, SidecarMatcher, Sidecars
from service.protocol.media_types import media_type
from service.storage.base import Entry


class File(NamedTuple):
    """A media file and its sidecars."""

    entry: Entry
    sidecars: Sidecars = NO_SIDECARS


class FolderFiles(NamedTuple):
    """The media files directly in a folder, and the picture of the folder."""

    files: tuple[File, ...] = ()
    image: Entry | None = None
    """Also of a folder that contains only folders."""


def match_files(folder: str, entries: Iterable[Entry]) -> FolderFiles:
    """Return each media file of a folder with its sidecars, and the folder's picture."""
    media: dict[str, Entry] = {}
    others: dict[str, Entry] = {}
    for entry in entries:
        name = entry.path.rpartition("/")[2]
        (others if media_type(name) is None else media)[name] = entry
    if not others:
        return FolderFiles(tuple(map(File, media.values())))
    of_one_film = _is_of_one_film(folder, list(media))
    matcher = SidecarMatcher([*others, *media], of_one_film=of_one_film)
    files = (File(entry, _match_sidecars(matcher, name, others)) for name, entry in media.items())
    return FolderFiles(tuple(files), others[matcher.folder_image] if matcher.folder_image else None)


def _is_of_one_film(folder: str, videos: list[str]) -> bool:
    """Return whether a folder is that of a film: it has a single video, which is no episode."""
    is_season = season_folder(folder.rpartition("/")[2]) is not None
    return len(videos) == 1 and not is_season and not names_episode(videos[0])


def _match_sidecars(matcher: SidecarMatcher, name: str, others: Mapping[str, Entry]) -> Sidecars:
    names = matcher.match(name)
    if not (names.image or names.still or names.chapters or names.captions):
        return NO_SIDECARS
    return Sidecars(
        others[names.image] if names.image else None,
        others[names.chapters] if names.chapters else None,
        tuple(others[caption] for caption in names.captions),
        others[names.still] if names.still else None,
    )
