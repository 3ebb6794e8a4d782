"""What players get of a video: the file, or an MP4 that is made of it."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal, Protocol, get_args

from service.artefacts.metadata import ArtefactKind, CopyMetadata, RemuxMetadata, SoundMetadata
from service.artefacts.source import ArtefactSource
from service.artefacts.status import NONE, ArtefactState, ArtefactStatus
from service.browsers.browser_support import has_header, is_mp4
from service.metrics import Metrics
from service.models import Video
from service.scheduling.scheduler import ArtefactScheduler

Representation = Literal["file", "fast_start", "remuxed", "with_sound", "copied"]

# Seconds for which the counts are valid: one scrape asks for each kind.
_MAX_AGE = 1.0


class StatusOf(Protocol):
    """Returns the status of an artefact of a video; `sound` is as in a `Job`."""

    def __call__(self, kind: ArtefactKind, sound: int = 0, /) -> ArtefactStatus: ...


def copy_status(status: StatusOf, video: Video) -> ArtefactStatus:
    """Return the status of the copy of a film; none as long as a header may make an MP4 of it, or
    sound may be made for it.

    An MP4 is copied for its sound only: not if `REELAY_SOUND` is off.
    """
    sound = status(ArtefactKind.SOUND)
    if sound.state not in {ArtefactState.NONE, ArtefactState.FAILED}:
        return NONE
    if sound == NONE and video.metadata and is_mp4(video.metadata):
        return NONE
    if video.metadata and has_header(video.metadata):
        remux = status(ArtefactKind.REMUX).remux
        if remux is None or remux.declined is None:
            return NONE
    return status(ArtefactKind.COPIED)


def made_for(status: StatusOf, video: Video) -> RemuxMetadata | None:
    """Return what is made of a video for players; None if they get the file."""
    statuses = (
        copy_status(status, video),
        status(ArtefactKind.SOUND),
        status(ArtefactKind.REMUX),
    )
    ready = (one.remux for one in statuses if one.state is ArtefactState.READY)
    return next(ready, None)


def representation(video: Video, made: RemuxMetadata | None) -> Representation:
    """Return what players get of a video. `made` is what `made_for` returns."""
    match made:
        case CopyMetadata():
            return "copied"
        case SoundMetadata():
            return "with_sound"
        case RemuxMetadata():
            return "remuxed"
    return "fast_start" if video.metadata and video.metadata.fast_start else "file"


class RepresentationCounts:
    """How many videos are in each representation."""

    def __init__(
        self,
        forms: Callable[[], tuple[Mapping[str, int], Mapping[int, ArtefactSource]]],
        scheduler: ArtefactScheduler,
        metrics: Metrics,
    ) -> None:
        """Count what `forms` returns: the number of videos of which nothing is made, by their
        representation, and the other ones.
        """
        self._forms = forms
        self._scheduler = scheduler
        self._counts: Counter[str] = Counter()
        self._counted_at = -_MAX_AGE
        for kind in get_args(Representation):
            metrics.representations.labels(kind).set_function(partial(self._count, kind))

    def _count(self, kind: Representation) -> int:
        now = time.monotonic()
        if now - self._counted_at >= _MAX_AGE:
            self._counted_at = now
            plain, others = self._forms()
            self._counts = Counter(plain)
            self._counts.update(map(self._representation, others.values()))
        return self._counts[kind]

    def _representation(self, source: ArtefactSource) -> Representation:
        status = partial(self._scheduler.status_of, source)
        return representation(source.video, made_for(status, source.video))
