"""Work behind the scenes leaves viewers the server: while there are any, and no longer."""

import asyncio
import math

import pytest

from service.workers import playback_activity as module
from service.workers.playback_activity import Viewers

PATIENCE = 30  # seconds, after which a test that waits for something fails


@pytest.fixture(autouse=True)
def _pause_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSE", 3600)


async def pauses(viewers: Viewers) -> bool:
    """Whether somebody who makes way is still at it after all others have had their turns."""
    task = asyncio.create_task(viewers.make_way())
    for _ in range(10):
        await asyncio.sleep(0)
    done = task.done()
    task.cancel()
    return not done


async def test_nobody_is_made_way_for_where_nobody_watches() -> None:
    assert not await pauses(Viewers())


async def test_viewers_are_made_way_for_until_they_have_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_STAYING", math.inf)
    viewers = Viewers()
    viewers.note()
    assert await pauses(viewers)
    monkeypatch.setattr(module, "_STAYING", 0)
    assert not await pauses(viewers)
    viewers.note()
    assert not await pauses(viewers)


async def test_a_pause_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSE", 0.001)
    viewers = Viewers()
    viewers.note()
    async with asyncio.timeout(PATIENCE):
        await viewers.make_way()
