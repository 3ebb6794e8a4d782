"""Builds the immutable snapshot of the library from files and probe results.

What has not changed is the same object as before.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from heapq import nlargest
from itertools import chain
from typing import NamedTuple

from service.artefacts.source import ArtefactSource
from service.library.catalogue import Catalogue
from service.library.files import FolderFiles
from service.library.scan import Key, ProbeRecord, Result
from service.library.titles import video_title
from service.listing.recognition import is_media
from service.models import Metadata, ProbeState, Video
from service.probing.prober import ProbeFailure
from service.protocol.media_types import media_type
from service.storage.base import Entry

MAX_RECENT = 100
"""Videos from which the home page chooses those in "Recently added"."""


class LibrarySnapshot(NamedTuple):
    """The library at one moment."""

    catalogue: Catalogue
    sources: Mapping[str, ArtefactSource]
    """By path: of videos, and of the pictures of folders."""
    states: Counter[ProbeState]
    """Number of videos by state."""
    folder_images: Mapping[str, str]
    """The path of a folder's picture, by the folder's path."""
    recent: tuple[Video, ...]
    """The videos that were added last, the latest first."""
    created: int
    """Number of videos that are not the objects of the previous snapshot."""


EMPTY_SNAPSHOT = LibrarySnapshot(Catalogue(), {}, Counter(), {}, (), 0)


def build_snapshot(
    folders: Mapping[str, FolderFiles],
    probe_records: Mapping[Key, ProbeRecord],
    previous: LibrarySnapshot,
) -> LibrarySnapshot:
    """Return a snapshot of these files, by folder, and results. Blocks."""
    videos, sources, created = [], {}, 0
    for entry, sidecars in chain.from_iterable(found.files for found in folders.values()):
        record = probe_records.get((entry.path, entry.revision))
        result = record.result if record else None
        if not is_media(entry.path, result):
            continue
        known = previous.catalogue.get(entry.path)
        video = _video(entry, result, known)
        created += video is not known
        source = previous.sources.get(video.path)
        if source is None or source.video is not video or source.sidecars != sidecars:
            source = ArtefactSource.of(video, sidecars)
        videos.append(video)
        sources[video.path] = source
    catalogue = Catalogue(videos, previous.catalogue)
    images = {
        folder: found.image
        for folder, found in folders.items()
        if folder and found.image and catalogue.folders.get(folder) is not None
    }
    for image in images.values():
        source = previous.sources.get(image.path)
        if source is None or source.sidecars.image != image:
            source = ArtefactSource.of_folder_image(image)
        sources[image.path] = source
    return LibrarySnapshot(
        catalogue,
        sources,
        Counter(video.state for video in videos),
        {folder: image.path for folder, image in images.items()},
        recently_added(folders.values(), catalogue),
        created,
    )


def recently_added(folders: Iterable[FolderFiles], catalogue: Catalogue) -> tuple[Video, ...]:
    """Return the videos whose files appeared last, the latest first.

    A file that is copied into the folder with its old modification time is new nevertheless.
    """
    latest = nlargest(
        MAX_RECENT,
        ((file.entry.changed_at, file.entry.path) for found in folders for file in found.files),
    )
    videos = (catalogue.get(path) for _, path in latest)
    return tuple(video for video in videos if video is not None)


def _video(entry: Entry, result: Result | None, previous: Video | None) -> Video:
    """Describe a file; return `previous` if nothing has changed."""
    metadata = result if isinstance(result, Metadata) else None
    problem = result.reason if isinstance(result, ProbeFailure) else None
    if (
        previous is not None
        and (previous.revision, previous.modified) == (entry.revision, entry.modified)
        and previous.metadata is metadata
        and previous.problem == problem
    ):
        return previous
    state = (
        ProbeState.PENDING
        if result is None
        else ProbeState.FAILED
        if problem
        else ProbeState.PROBED
    )
    return Video(
        path=entry.path,
        title=(
            video_title(entry.path, metadata.title, metadata.parsed_name)
            if metadata
            else video_title(entry.path, None)
        ),
        content_type=media_type(entry.path) or "application/octet-stream",
        size=entry.size,
        revision=entry.revision,
        modified=entry.modified,
        state=state,
        problem=problem,
        metadata=metadata,
    )
