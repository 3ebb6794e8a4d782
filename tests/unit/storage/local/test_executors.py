import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait

import pytest

from service.storage.local.executors import THREADS, Threads, Turns

PATIENCE = 30  # seconds, after which a test that waits for something fails


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Give what holds jobs up; it is open when the test ends."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def threads() -> Iterator[Threads]:
    threads = Threads()
    yield threads
    threads.close()


def crowd(threads: Threads, paths: list[str], gate: threading.Event) -> list[Future[bool]]:
    """Have each path's threads wait at the gate."""
    return [threads.of(path).submit(gate.wait, PATIENCE) for path in paths]


def test_jobs_give_what_they_give_and_raise_what_they_raise(threads: Threads) -> None:
    turns = threads.of("film.mp4")
    assert turns.submit(divmod, 7, 2).result(PATIENCE) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        turns.submit(divmod, 7, 0).result(PATIENCE)


def test_jobs_of_one_file_begin_in_order_and_all_are_done(threads: Threads) -> None:
    begun: list[int] = []
    wait([threads.of("film.mp4").submit(begun.append, n) for n in range(1000)], PATIENCE)
    assert sorted(begun) == list(range(1000))
    with ThreadPoolExecutor(4) as pool:
        turns = Turns(pool, 1)
        alone: list[int] = []
        wait([turns.submit(alone.append, n) for n in range(1000)], PATIENCE)
    assert alone == list(range(1000))


def test_no_more_are_at_it_than_a_share_has(gate: threading.Event) -> None:
    with ThreadPoolExecutor(8) as pool:
        turns = Turns(pool, 3)
        jobs = [turns.submit(gate.wait, PATIENCE) for _ in range(10)]
        assert pool.submit(int, "7").result(PATIENCE) == 7
        assert sum(job.running() for job in jobs) <= 3
        gate.set()
        assert all(job.result(PATIENCE) for job in jobs)
        assert turns.submit(int, "8").result(PATIENCE) == 8


def test_a_file_that_hangs_leaves_threads_to_its_neighbours(
    threads: Threads, gate: threading.Event
) -> None:
    jobs = crowd(threads, ["a/film.mp4"] * 3 * THREADS, gate)
    assert threads.of("a/other.mp4").submit(int, "7").result(PATIENCE) == 7
    gate.set()
    assert all(job.result(PATIENCE) for job in jobs)


def test_a_folder_that_hangs_leaves_threads_to_the_others(
    threads: Threads, gate: threading.Event
) -> None:
    jobs = crowd(threads, [f"a/{n % 5}/{n}.mp4" for n in range(3 * THREADS)], gate)
    assert threads.of("b/other.mp4").submit(int, "7").result(PATIENCE) == 7
    assert threads.of("other.mp4").submit(int, "8").result(PATIENCE) == 8
    gate.set()
    assert all(job.result(PATIENCE) for job in jobs)


def test_a_job_that_was_called_off_is_not_done_and_holds_up_none(
    threads: Threads, gate: threading.Event
) -> None:
    turns = threads.of("film.mp4")
    jobs = crowd(threads, ["film.mp4"] * THREADS, gate)
    done: list[int] = []
    late = [turns.submit(done.append, n) for n in range(3)]
    assert late[1].cancel()
    gate.set()
    wait(jobs, PATIENCE)
    wait(late, PATIENCE)
    assert sorted(done) == [0, 2]


def test_what_has_not_begun_is_called_off_at_the_end(gate: threading.Event) -> None:
    threads = Threads()
    turns = threads.of("film.mp4")
    jobs = crowd(threads, ["film.mp4"] * THREADS, gate)
    threads.close()
    gate.set()
    with pytest.raises(CancelledError):
        jobs[-1].result(PATIENCE)
    with pytest.raises(RuntimeError):
        threads.of("other.mp4").submit(int, "7")
    del turns
