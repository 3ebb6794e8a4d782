"""Threads for what may have to wait, shared so that nobody has all of them.
Law: a file that hangs holds up its own readers; a mount that hangs, those of its folder."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from threading import Lock
from typing import Any, ParamSpec, TypeVar
from weakref import WeakValueDictionary

# Readers of cold disks: each waits for one read or one open; more only lengthen the disk's queue.
THREADS = 32

# Of those, the most for a folder of the root, with all that is in it, as that is where a mount may
# be; and for one file. Three files may hang before their folder does, and that leaves others eight.
_MOST_OF_FOLDER = 24
_MOST_OF_FILE = 8

_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")
_Job = tuple[Future[Any], Callable[[], Any]]


class Turns(Executor):
    """A share in the threads of another executor: its jobs begin in order, so many at once."""

    def __init__(self, threads: Executor, most: int) -> None:
        self._threads = threads
        self._free = most
        self._waiting: deque[_Job] = deque()
        self._lock = Lock()

    def submit(
        self, work: Callable[_Given, _Result], /, *args: _Given.args, **options: _Given.kwargs
    ) -> Future[_Result]:
        """Have something done. Raises RuntimeError where the threads have been let go of."""
        future: Future[_Result] = Future()
        with self._lock:
            if self._free:
                self._threads.submit(self._next)
                self._free -= 1
            self._waiting.append((future, lambda: work(*args, **options)))
        return future

    def cancel(self) -> None:
        """Call off what has not begun."""
        with self._lock:
            jobs = list(self._waiting)
            self._waiting.clear()
        for future, _ in jobs:
            future.cancel()

    def _next(self) -> None:
        """Do the first of the jobs, and then let others' jobs go before the next one."""
        with self._lock:
            job = self._waiting.popleft() if self._waiting else None
        if job is not None:
            _do(*job)
            del job  # with what it gave: nobody knows how long the next one has to wait
        with self._lock:
            if self._waiting:
                try:
                    self._threads.submit(self._next)
                except RuntimeError:  # the threads have been let go of
                    self._free += 1
            else:
                self._free += 1


def _do(future: Future[Any], work: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001 # whoever waits for it is told
        future.set_exception(error)
        del future  # the error knows this frame
    else:
        future.set_result(result)


class Threads:
    """The threads of a library. Paths are relative to its root."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="disk")
        self._turns: WeakValueDictionary[str, Turns] = WeakValueDictionary()

    def of(self, path: str) -> Turns:
        """Give a file's share of its folder's share of the threads."""
        folder = path.partition("/")[0] + "/" if "/" in path else ""
        return self._share(path, self._share(folder, self._pool, _MOST_OF_FOLDER), _MOST_OF_FILE)

    def close(self) -> None:
        """Let go of the threads without waiting for what they wait for."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for turns in list(self._turns.values()):
            turns.cancel()

    def _share(self, name: str, threads: Executor, most: int) -> Turns:
        turns = self._turns.get(name)
        if turns is None:
            turns = self._turns[name] = Turns(threads, most)
        return turns
