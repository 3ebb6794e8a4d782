"""Counts the findings of the library for the metrics.

To judge 100,000 videos takes seconds, so they are listed before.
"""

from collections import Counter
from collections.abc import Iterable

from service.models import Video
from service.playability.findings import CODES, Judge


class FindingCounts:
    """The number of videos by finding. Only videos that have changed are judged again."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._codes: dict[str, tuple[Video, tuple[str, ...]]] = {}
        """Of each video, by its path."""
        self._known: dict[tuple[str, ...], tuple[str, ...]] = {}
        """One object for all equal codes."""

    def count(self, videos: Iterable[Video]) -> dict[str, int]:
        """Return the numbers of these videos by code. Blocks."""
        before, self._codes = self._codes, {}
        for video in videos:
            judged = before.get(video.path)
            if judged is None or judged[0] is not video:
                judged = video, self._judged(video)
            self._codes[video.path] = judged
        counts = Counter(code for _, codes in self._codes.values() for code in codes)
        return {code: counts[code] for code in CODES}

    def _judged(self, video: Video) -> tuple[str, ...]:
        found = self._judge(video.path, video.metadata or video.problem)
        codes = tuple({finding.code: None for finding in found})
        return self._known.setdefault(codes, codes)
