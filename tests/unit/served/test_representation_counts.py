"""The counts for the metrics look at every video once, and again only at those of which something
may be made."""

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import pytest
from support.catalogues import catalogue_of
from support.videos import make_video

from service.artefacts.metadata import ArtefactKind, RemuxMetadata
from service.artefacts.source import ArtefactSource
from service.artefacts.status import NONE, ArtefactState, ArtefactStatus
from service.catalogue.catalogue import Catalogue
from service.catalogue.selections import made, plain_forms
from service.metrics import Metrics
from service.models import Metadata, Stream, Video
from service.served import representations
from service.served.representations import RepresentationCounts

if TYPE_CHECKING:
    from service.scheduling.scheduler import ArtefactScheduler

PICTURES = Stream(kind="video", codec="h264", width=320, height=180)


def video(path: str, container: str, *, fast_start: bool = False) -> Video:
    metadata = Metadata(
        container=container,
        duration=1.0,
        bit_rate=None,
        fast_start=fast_start,
        streams=(PICTURES,),
    )
    return make_video(path, metadata)


class Statuses:
    """A scheduler that has made what `ready` names."""

    def __init__(self) -> None:
        self.ready: set[str] = set()
        self.asked: set[str] = set()

    def status_of(self, source: ArtefactSource, kind: ArtefactKind) -> ArtefactStatus:
        path = source.video.path
        self.asked.add(path)
        if path in self.ready and kind is ArtefactKind.REMUX:
            return ArtefactStatus(ArtefactState.READY, metadata=RemuxMetadata())
        return NONE


def test_only_videos_of_which_something_may_be_made_are_looked_at_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(representations, "_MAX_AGE", 0.0)
    videos = [
        video("a.mp4", "mov,mp4"),
        video("b.mp4", "mov,mp4", fast_start=True),
        video("c.mkv", "matroska,webm"),
    ]
    library = [catalogue_of(videos)]
    scheduler, metrics = Statuses(), Metrics()
    RepresentationCounts(lambda: forms(library[-1]), cast("ArtefactScheduler", scheduler), metrics)

    def counts() -> dict[str, float]:
        samples: Any = next(iter(metrics.representations.collect())).samples
        return {sample.labels["kind"]: sample.value for sample in samples if sample.value}

    assert counts() == {"file": 2, "fast_start": 1}
    scheduler.ready.add("c.mkv")
    assert counts() == {"file": 1, "fast_start": 1, "remuxed": 1}
    assert scheduler.asked == {"c.mkv"}
    library.append(catalogue_of(videos[:2]))
    assert counts() == {"file": 1, "fast_start": 1}


def forms(catalogue: Catalogue) -> tuple[Counter[str], Mapping[int, ArtefactSource]]:
    """Return what the library says of its latest catalogue."""
    return plain_forms(catalogue), made(catalogue, {})
