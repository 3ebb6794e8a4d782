"""Counts the findings of the library for the metrics.

To judge 100,000 videos takes seconds, so they are listed before.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import chain

from service.models import Video
from service.playability.findings import CODES, Judge


class FindingCounts:
    """The number of videos by finding. Only videos that have changed are judged again."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._videos: Sequence[Video] = ()
        self._codes: list[tuple[str, ...]] = []
        """Of each video, in the same order."""
        self._known: dict[tuple[str, ...], tuple[str, ...]] = {}
        """One object for all equal codes."""

    def count(self, videos: Sequence[Video]) -> dict[str, int]:
        """Return the numbers of these videos by code. Blocks."""
        before = dict(zip(map(id, self._videos), self._codes, strict=True))
        codes = [before.get(id(video)) for video in videos]
        self._codes = [
            self._judged(video) if known is None else known
            for video, known in zip(videos, codes, strict=True)
        ]
        self._videos = videos  # and keep these, so that no other video gets their identities
        counts = Counter(chain.from_iterable(self._codes))
        return {code: counts[code] for code in CODES}

    def _judged(self, video: Video) -> tuple[str, ...]:
        found = self._judge(video.path, video.metadata or video.problem)
        codes = tuple({finding.code: None for finding in found})
        return self._known.setdefault(codes, codes)
