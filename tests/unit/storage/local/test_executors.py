import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait

import pytest

from service.storage.local.executors import MAX_THREADS, FairThreadPool, LimitedExecutor

TIMEOUT = 120  # seconds, after which a test that waits for something fails


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Return an event that jobs wait for, which is set when the test ends."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def pool() -> Iterator[FairThreadPool]:
    pool = FairThreadPool()
    yield pool
    pool.close()


def crowd(pool: FairThreadPool, paths: list[str], gate: threading.Event) -> list[Future[bool]]:
    """Submit a job for each path that waits for the gate."""
    return [pool.executor_for(path).submit(gate.wait, TIMEOUT) for path in paths]


def test_jobs_return_results_and_raise_errors(pool: FairThreadPool) -> None:
    executor = pool.executor_for("film.mp4")
    assert executor.submit(divmod, 7, 2).result(TIMEOUT) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        executor.submit(divmod, 7, 0).result(TIMEOUT)


def test_jobs_of_one_file_start_in_order_and_all_run(pool: FairThreadPool) -> None:
    begun: list[int] = []
    wait([pool.executor_for("film.mp4").submit(begun.append, n) for n in range(1000)], TIMEOUT)
    assert sorted(begun) == list(range(1000))
    with ThreadPoolExecutor(4) as threads:
        executor = LimitedExecutor(threads, 1)
        alone: list[int] = []
        wait([executor.submit(alone.append, n) for n in range(1000)], TIMEOUT)
    assert alone == list(range(1000))


def test_no_more_jobs_run_than_the_limit(gate: threading.Event) -> None:
    with ThreadPoolExecutor(8) as threads:
        executor = LimitedExecutor(threads, 3)
        jobs = [executor.submit(gate.wait, TIMEOUT) for _ in range(10)]
        assert threads.submit(int, "7").result(TIMEOUT) == 7
        assert sum(job.running() for job in jobs) <= 3
        gate.set()
        assert all(job.result(TIMEOUT) for job in jobs)
        assert executor.submit(int, "8").result(TIMEOUT) == 8


def test_a_hanging_file_leaves_threads_to_its_neighbours(
    pool: FairThreadPool, gate: threading.Event
) -> None:
    jobs = crowd(pool, ["a/film.mp4"] * 3 * MAX_THREADS, gate)
    assert pool.executor_for("a/other.mp4").submit(int, "7").result(TIMEOUT) == 7
    gate.set()
    assert all(job.result(TIMEOUT) for job in jobs)


def test_a_hanging_folder_leaves_threads_to_the_others(
    pool: FairThreadPool, gate: threading.Event
) -> None:
    jobs = crowd(pool, [f"a/{n % 5}/{n}.mp4" for n in range(3 * MAX_THREADS)], gate)
    assert pool.executor_for("b/other.mp4").submit(int, "7").result(TIMEOUT) == 7
    assert pool.executor_for("other.mp4").submit(int, "8").result(TIMEOUT) == 8
    gate.set()
    assert all(job.result(TIMEOUT) for job in jobs)


def test_a_cancelled_job_does_not_run_or_delay_others(
    pool: FairThreadPool, gate: threading.Event
) -> None:
    executor = pool.executor_for("film.mp4")
    jobs = crowd(pool, ["film.mp4"] * MAX_THREADS, gate)
    done: list[int] = []
    late = [executor.submit(done.append, n) for n in range(3)]
    assert late[1].cancel()
    gate.set()
    wait(jobs, TIMEOUT)
    wait(late, TIMEOUT)
    assert sorted(done) == [0, 2]


def test_queued_jobs_are_cancelled_at_shutdown(gate: threading.Event) -> None:
    pool = FairThreadPool()
    executor = pool.executor_for("film.mp4")
    jobs = crowd(pool, ["film.mp4"] * MAX_THREADS, gate)
    pool.close()
    gate.set()
    with pytest.raises(CancelledError):
        jobs[-1].result(TIMEOUT)
    with pytest.raises(RuntimeError):
        pool.executor_for("other.mp4").submit(int, "7")
    del executor
