"""The page itself: `/operators`, which the edge shows on the operators' port."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass

from quart import Response, render_template

from service.items.video_items import VideoItems
from service.library.library import Library
from service.operators.charts import HEIGHT, MINUTES, WIDTH, charts
from service.operators.history import INTERVAL, History, total_of
from service.operators.members import Member, Members
from service.operators.rows import edge_row, replica_row, work_rows

_UNPLAYABLE_INTERVAL = 60.0  # seconds between two searches
_MAX_UNPLAYABLE = 100  # videos that are listed
_AT_A_TIME = 50  # videos that are examined while other requests wait


@dataclass(frozen=True, slots=True)
class Unplayable:
    """A video that browsers do not play, and why."""

    path: str
    reason: str


class OperatorsPage:
    """Collects in the background what the page shows."""

    def __init__(
        self,
        members: Members,
        library: Library,
        items: VideoItems,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` is in seconds."""
        self._members = members
        self._library = library
        self._items = items
        self._clock = clock
        self._history = History()
        self._latest: Sequence[Member] = ()
        self._unplayable: Sequence[Unplayable] = ()
        self._searched: float | None = None

    async def collect(self) -> AsyncGenerator[None]:
        """Read all members again and again."""
        while True:
            start = self._clock()
            self._latest = await self._members.read()
            self._history.add(self._clock(), self._latest)
            yield
            await asyncio.sleep(max(0.0, start + INTERVAL - self._clock()))

    async def show(self) -> Response:
        """Show the last hour, and what there is now."""
        await self._find_unplayable()
        now = time.time()
        page = await render_template(
            "operators.html",
            charts=charts(self._history.moments),
            failures=total_of(one.failures for one in self._history.moments),
            minutes=MINUTES,
            width=WIDTH,
            height=HEIGHT,
            replicas=[replica_row(one, now) for one in self._latest if one.kind == "replica"],
            edges=[edge_row(one, now) for one in self._latest if one.kind == "edge"],
            work=list(work_rows(one for one in self._latest if one.kind == "replica")),
            videos=len(self._library.catalogue.videos),
            unplayable=self._unplayable,
            is_cut=len(self._unplayable) == _MAX_UNPLAYABLE,
        )
        return Response(page, headers={"Cache-Control": "no-store"})

    async def _find_unplayable(self) -> None:
        """Search the library, unless it was searched just now."""
        now = self._clock()
        if self._searched is not None and now - self._searched < _UNPLAYABLE_INTERVAL:
            return
        self._searched = now
        found: list[Unplayable] = []
        for number, video in enumerate(self._library.catalogue.videos, start=1):
            for finding in self._items.get(video).findings:
                if finding.severity == "unplayable":
                    found.append(Unplayable(video.path, finding.sentence))
                    break
            if len(found) == _MAX_UNPLAYABLE:
                break
            if number % _AT_A_TIME == 0:
                await asyncio.sleep(0)
        self._unplayable = found
