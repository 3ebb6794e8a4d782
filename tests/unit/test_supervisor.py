"""Failed background work is restarted, and repeated failures are reported."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable

import pytest
from structlog.testing import capture_logs

from service.metrics import Metrics
from service.supervisor import Supervisor

NAME = "probing videos"
STEPS = 1000  # turns of the event loop, after which a test that waits for something fails


class Bench:
    """A supervisor whose clock advances by its own pauses and by the work."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.now = 0.0
        self.pauses: list[float] = []
        self.supervisor = Supervisor(
            self.metrics.background_failures, clock=lambda: self.now, sleep=self._sleep
        )

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)

    def counted(self, name: str = NAME) -> float | None:
        series = "reelay_background_failures_total"
        return self.metrics.registry.get_sample_value(series, {"task": name})

    async def until(self, condition: Callable[[], object]) -> None:
        for _ in range(STEPS):
            if condition():
                return
            await asyncio.sleep(0)
        raise AssertionError("it does not come to that")


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    await bench.supervisor.stop()


async def fail() -> AsyncGenerator[None]:
    for _ in ():
        yield
    raise ValueError("unexpected")


async def wait() -> AsyncGenerator[None]:
    yield
    await asyncio.Event().wait()


class Work:
    """Work whose runs execute the given steps one after another; the last one runs without end."""

    def __init__(self, *runs: Callable[[], AsyncGenerator[None]]) -> None:
        self.runs = list(runs)
        self.begun = 0

    def __call__(self) -> AsyncGenerator[None]:
        self.begun += 1
        return (self.runs.pop(0) if len(self.runs) > 1 else self.runs[0])()


async def test_failed_work_is_logged_counted_and_restarted(bench: Bench) -> None:
    work = Work(fail, wait)
    bench.supervisor.start(NAME, work)
    assert bench.counted() == 0  # so that an alert sees the first failure
    with capture_logs() as lines:
        await bench.until(lambda: work.begun == 2)
    assert bench.counted() == 1
    (line,) = lines
    assert (line["event"], line["log_level"]) == ("background work failed", "error")
    assert (line["task"], line["failures"], line["retry_seconds"]) == (NAME, 1, 1)
    assert line["exc_info"]  # with its traceback


async def test_pauses_double_up_to_a_minute(bench: Bench) -> None:
    bench.supervisor.start(NAME, fail)
    await bench.until(lambda: len(bench.pauses) == 8)
    assert bench.pauses == [1, 2, 4, 8, 16, 32, 60, 60]


async def test_pauses_start_over_after_five_minutes_without_a_failure(bench: Bench) -> None:
    async def fail_late() -> AsyncGenerator[None]:
        yield
        bench.now += 301
        raise ValueError("unexpected")

    bench.supervisor.start(NAME, Work(fail, fail, fail, fail_late, fail))
    await bench.until(lambda: len(bench.pauses) == 5)
    assert bench.pauses == [1, 2, 4, 1, 2]


async def test_work_is_failing_after_five_failures_in_a_row_and_not_before(bench: Bench) -> None:
    go_on = asyncio.Event()

    async def succeed_later() -> AsyncGenerator[None]:
        await go_on.wait()
        yield
        await asyncio.Event().wait()

    work = Work(*[fail] * 4, wait)
    bench.supervisor.start("scanning", work)
    await bench.until(lambda: work.begun == 5)
    assert bench.supervisor.failing == []

    work = Work(*[fail] * 5, succeed_later)
    bench.supervisor.start(NAME, work)
    bench.supervisor.start(NAME, wait)  # a success of other work with the same name does not count
    await bench.until(lambda: work.begun == 6)
    assert bench.supervisor.failing == [NAME]  # until it has made progress
    go_on.set()
    await bench.until(lambda: bench.supervisor.failing == [])
    assert bench.counted() == 5


async def test_work_that_succeeds_between_failures_is_not_failing_but_pauses_longer(
    bench: Bench,
) -> None:
    async def succeed_and_fail() -> AsyncGenerator[None]:
        yield
        raise ValueError("unexpected")

    bench.supervisor.start(NAME, succeed_and_fail)
    await bench.until(lambda: len(bench.pauses) == 8)
    assert bench.supervisor.failing == []
    assert bench.pauses[-1] == 60


async def test_work_that_returns_is_not_failing(bench: Bench) -> None:
    async def end() -> AsyncGenerator[None]:
        return
        yield

    work = Work(*[fail] * 5, end)
    bench.supervisor.start(NAME, work)
    await bench.until(lambda: bench.counted() == 5)
    await bench.until(lambda: bench.supervisor.failing == [])
    assert work.begun == 6


async def test_a_future_cancelled_elsewhere_does_not_end_the_work(bench: Bench) -> None:
    async def await_cancelled() -> AsyncGenerator[None]:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future
        yield

    work = Work(await_cancelled, wait)
    bench.supervisor.start(NAME, work)
    await bench.until(lambda: work.begun == 2)
    assert bench.counted() == 1


async def test_one_failure_leaves_other_work_alone(bench: Bench) -> None:
    work = Work(wait)
    bench.supervisor.start("scanning", work)
    bench.supervisor.start(NAME, fail)
    await bench.until(lambda: bench.supervisor.failing == [NAME])
    assert (work.begun, bench.counted("scanning")) == (1, 0)


async def test_stopping_cancels_work_and_waits_until_it_has_ended() -> None:
    ended: list[str] = []

    async def work() -> AsyncGenerator[None]:
        yield
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("work")

    metrics = Metrics()
    supervisor = Supervisor(metrics.background_failures)
    supervisor.start(NAME, work)
    supervisor.start("scanning", fail)  # it then pauses for a real second
    others = asyncio.all_tasks() - {asyncio.current_task()}
    assert len(others) == 2
    with capture_logs() as lines:
        while not lines:  # noqa: ASYNC110 # a list sets no event
            await asyncio.sleep(0)
        await supervisor.stop()
    assert ended == ["work"]
    assert all(task.done() for task in others)
    assert supervisor.failing == []
    assert len(lines) == 1  # a cancellation is no failure
