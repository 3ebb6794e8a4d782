"""From what was found and told of files to what is shown: the catalogue, what there is to be
derived, and how many there are of which kind.
Law: what has not changed is the very object of before."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from service.artefacts.metadata import ArtefactSource
from service.library.catalogue import Catalogue
from service.library.scan import File, Key, Known, Result
from service.library.titles import video_title
from service.models import Metadata, ProbeState, Video
from service.playability.findings import findings
from service.probing.prober import ProbeProblem
from service.protocol.media_types import media_type
from service.storage.base import Entry


class Shown(NamedTuple):
    """The library of one moment."""

    catalogue: Catalogue
    sources: Mapping[str, ArtefactSource]
    """By path."""
    codes: Mapping[str, tuple[str, ...]]
    """By path: what there is to be said of how a video plays."""
    states: Counter[ProbeState]
    """Videos by how far probing has come."""
    findings: Counter[str]
    """Videos by what there is to be said of them."""


NOTHING = Shown(Catalogue(), {}, {}, Counter(), Counter())


def show(files: Iterable[File], known: Mapping[Key, Known], before: Shown, block: int) -> Shown:
    """Put together what is known now. `block` is that of Settings, in bytes. For a thread."""
    videos, sources, codes = [], {}, {}
    for entry, companions in files:
        told = known.get((entry.path, entry.revision))
        video = _video(entry, told.result if told else None, before.catalogue.get(entry.path))
        source = before.sources.get(video.path)
        if source is None or source.video is not video or source.companions != companions:
            source = ArtefactSource.of(video, companions)
            codes[video.path] = _codes(video, block)
        else:
            codes[video.path] = before.codes[video.path]
        videos.append(video)
        sources[video.path] = source
    return Shown(
        Catalogue(videos, before.catalogue),
        sources,
        codes,
        Counter(video.state for video in videos),
        Counter(code for some in codes.values() for code in some),
    )


def _codes(video: Video, block: int) -> tuple[str, ...]:
    found = findings(video.path, video.metadata or video.problem, block)
    return tuple({finding.code: None for finding in found})


def _video(entry: Entry, result: Result | None, before: Video | None) -> Video:
    """Describe a file: by the very object of `before`, where nothing has changed."""
    metadata = result if isinstance(result, Metadata) else None
    problem = result.reason if isinstance(result, ProbeProblem) else None
    if (
        before is not None
        and (before.revision, before.modified) == (entry.revision, entry.modified)
        and before.metadata is metadata
        and before.problem == problem
    ):
        return before
    state = (
        ProbeState.PENDING
        if result is None
        else ProbeState.FAILED
        if problem
        else ProbeState.PROBED
    )
    return Video(
        path=entry.path,
        title=video_title(entry.path, metadata.title if metadata else None),
        content_type=media_type(entry.path) or "application/octet-stream",
        size=entry.size,
        revision=entry.revision,
        modified=entry.modified,
        state=state,
        problem=problem,
        metadata=metadata,
    )
