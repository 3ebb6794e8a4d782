"""The immutable snapshot of the library that is published after a scan or some probes."""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from service.artefacts.source import ArtefactSource
from service.catalogue.catalogue import Catalogue
from service.catalogue.selections import made, plain_forms, recent
from service.library.known import KnownLibrary
from service.library.results import Key, ProbeRecord
from service.library.scan import Scan
from service.library.sources import LibrarySources
from service.models import ProbeState, Video

MAX_RECENT = 100
"""Videos from which the home page chooses those in "Recently added"."""


class LibrarySnapshot(NamedTuple):
    """The library at one moment."""

    catalogue: Catalogue
    sources: LibrarySources
    """Of videos, and of the pictures of folders."""
    states: Counter[ProbeState]
    """Number of videos by state."""
    folder_images: Mapping[str, str]
    """The path of a folder's picture, by the folder's path."""
    recent: tuple[Video, ...]
    """The videos that were added last, the latest first."""
    plain: Counter[str]
    """Number of videos of which nothing is made, by their form."""
    made: Mapping[int, ArtefactSource]
    """Videos of which something may be made, by number."""


EMPTY_SNAPSHOT = LibrarySnapshot(
    Catalogue(), LibrarySources(Catalogue(), {}), Counter(), {}, (), Counter(), {}
)


def build_snapshot(
    known: KnownLibrary,
    scan: Scan | None,
    records: Mapping[Key, ProbeRecord],
    previous: LibrarySnapshot,
) -> LibrarySnapshot:
    """Return a snapshot of what is known after a scan and these results. Blocks.

    Raises sqlite3.Error.
    """
    known.update(scan, records)
    catalogue = known.writer.catalogue
    images = {
        folder: image
        for folder, image in known.images.items()
        if folder and catalogue.folders.get(folder) is not None
    }
    states: Counter[ProbeState] = Counter()
    for (state, _), count in catalogue.arrangement.counts.items():
        states[ProbeState(state)] += count
    return LibrarySnapshot(
        catalogue,
        LibrarySources(catalogue, {image.path: image for image in images.values()}),
        states,
        {folder: image.path for folder, image in images.items()},
        recent(catalogue, MAX_RECENT),
        plain_forms(catalogue),
        made(catalogue, previous.made),
    )
