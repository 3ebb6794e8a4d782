"""The media files of a listing with their sidecars, and the pictures of folders."""

from collections import defaultdict
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


class Files(NamedTuple):
    """The media files of a listing, and the pictures of its folders."""

    by_path: dict[str, File]
    folder_images: dict[str, Entry]
    """By the path of the folder, also of folders that contain only folders."""


NO_FILES = Files({}, {})


def match_files(entries: Iterable[Entry]) -> Files:
    """Return each media file with its sidecars, and the picture of each folder that has one."""
    media: dict[str, list[tuple[str, Entry]]] = defaultdict(list)
    others: dict[str, dict[str, Entry]] = defaultdict(dict)
    for entry in entries:
        folder, _, name = entry.path.rpartition("/")
        if media_type(name) is None:
            others[folder][name] = entry
        else:
            media[folder].append((name, entry))
    files = Files({}, {})
    for folder, members in media.items():
        if folder not in others:
            files.by_path.update((entry.path, File(entry)) for _, entry in members)
    for folder, beside in others.items():
        names = [name for name, _ in media[folder]]
        of_one_film = _is_of_one_film(folder, names)
        matcher = SidecarMatcher([*beside, *names], of_one_film=of_one_film)
        if matcher.folder_image:
            files.folder_images[folder] = beside[matcher.folder_image]
        for name, entry in media[folder]:
            files.by_path[entry.path] = File(entry, _match_sidecars(matcher, name, beside))
    return files


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
