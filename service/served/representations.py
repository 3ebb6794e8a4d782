"""What players get of a video: the file, or an MP4 that is made of it."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, get_args

from service.artefacts.metadata import ArtefactKind, CopyMetadata, RemuxMetadata, SoundMetadata
from service.artefacts.status import NONE, ArtefactState, ArtefactStatus
from service.browsers.browser_support import has_header, is_mp4
from service.metrics import Metrics
from service.models import Video
from service.scheduling.scheduler import ArtefactScheduler

Representation = Literal["file", "fast_start", "remuxed", "with_sound", "copied"]

# Seconds for which the counts are valid: one scrape asks for each kind.
_MAX_AGE = 1.0


def copy_status(scheduler: ArtefactScheduler, video: Video) -> ArtefactStatus:
    """Return the status of the copy of a film; none as long as a header may make an MP4 of it, or
    sound may be made for it.

    An MP4 is copied for its sound only: not if `REELAY_SOUND` is off.
    """
    sound = scheduler.status(video.path, ArtefactKind.SOUND)
    if sound.state not in {ArtefactState.NONE, ArtefactState.FAILED}:
        return NONE
    if sound == NONE and video.metadata and is_mp4(video.metadata):
        return NONE
    if video.metadata and has_header(video.metadata):
        remux = scheduler.status(video.path, ArtefactKind.REMUX).remux
        if remux is None or remux.declined is None:
            return NONE
    return scheduler.status(video.path, ArtefactKind.COPIED)


def made_for(scheduler: ArtefactScheduler, video: Video) -> RemuxMetadata | None:
    """Return what is made of a video for players; None if they get the file."""
    statuses = (
        copy_status(scheduler, video),
        scheduler.status(video.path, ArtefactKind.SOUND),
        scheduler.status(video.path, ArtefactKind.REMUX),
    )
    ready = (status.remux for status in statuses if status.state is ArtefactState.READY)
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
        videos: Callable[[], Sequence[Video]],
        scheduler: ArtefactScheduler,
        metrics: Metrics,
    ) -> None:
        """Count what `videos` returns: the same object as long as they are the same."""
        self._videos = videos
        self._scheduler = scheduler
        self._counted: Sequence[Video] = ()
        self._plain: Counter[Representation] = Counter()
        """Of videos of which nothing is made."""
        self._others: list[Video] = []
        self._counts: Counter[Representation] = Counter()
        self._counted_at = -_MAX_AGE
        for kind in get_args(Representation):
            metrics.representations.labels(kind).set_function(partial(self._count, kind))

    def _count(self, kind: Representation) -> int:
        now = time.monotonic()
        if now - self._counted_at >= _MAX_AGE:
            self._counted_at = now
            self._divide(self._videos())
            others = (representation(one, made_for(self._scheduler, one)) for one in self._others)
            self._counts = self._plain + Counter(others)
        return self._counts[kind]

    def _divide(self, videos: Sequence[Video]) -> None:
        """Count the videos of which nothing is made once, as they may be 100,000."""
        if videos is self._counted:
            return
        self._counted, self._plain, self._others = videos, Counter(), []
        for video in videos:
            source = self._scheduler.source(video.path)
            if source is not None and (source.remux or source.sound or source.copied):
                self._others.append(video)
            else:
                self._plain[representation(video, None)] += 1
