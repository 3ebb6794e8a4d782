"""Background work yields while videos are being played."""

import asyncio
import math

import pytest

from service.workers import playback_activity as module
from service.workers.playback_activity import PlaybackActivity

TIMEOUT = 120  # seconds, after which a test that waits for something fails


@pytest.fixture(autouse=True)
def _pause_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_YIELD_SECONDS", 3600)


async def pauses(playback: PlaybackActivity) -> bool:
    """Return whether the task still yields after all others have run."""
    task = asyncio.create_task(playback.yield_to_playback())
    for _ in range(10):
        await asyncio.sleep(0)
    done = task.done()
    task.cancel()
    return not done


async def test_work_does_not_pause_without_playback() -> None:
    assert not await pauses(PlaybackActivity())


async def test_work_pauses_until_playback_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_ACTIVE_SECONDS", math.inf)
    playback = PlaybackActivity()
    playback.record()
    assert await pauses(playback)
    monkeypatch.setattr(module, "_ACTIVE_SECONDS", 0)
    assert not await pauses(playback)
    playback.record()
    assert not await pauses(playback)


async def test_a_pause_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_YIELD_SECONDS", 0.001)
    playback = PlaybackActivity()
    playback.record()
    async with asyncio.timeout(TIMEOUT):
        await playback.yield_to_playback()
