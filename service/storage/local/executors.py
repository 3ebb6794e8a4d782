"""A thread pool for blocking file operations, shared fairly between folders and files.

A file that hangs delays its own readers only; a mount that hangs, those of its folder.
A plain pool for each folder is not enough: in it, one file that hangs delays its neighbours."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from threading import Lock
from typing import Any, ParamSpec, TypeVar
from weakref import WeakValueDictionary

# Each thread waits for one read or open of a cold disk; more would only lengthen the disk's queue.
MAX_THREADS = 32

# Threads for one top-level folder with all that is in it, as it may be a mount, and for one file.
# Three hanging files take all threads of their folder; other folders still have eight.
_MAX_PER_FOLDER = 24
_MAX_PER_FILE = 8

_Params = ParamSpec("_Params")
_Result = TypeVar("_Result")
_Job = tuple[Future[Any], Callable[[], Any]]


class LimitedExecutor(Executor):
    """Runs at most `max_running` jobs at a time on another executor, in order."""

    def __init__(self, pool: Executor, max_running: int) -> None:
        self._parent = pool
        self._free = max_running
        self._queue: deque[_Job] = deque()
        self._lock = Lock()

    def submit(
        self, work: Callable[_Params, _Result], /, *args: _Params.args, **options: _Params.kwargs
    ) -> Future[_Result]:
        """Queue a job. Raises RuntimeError if the thread pool was shut down."""
        future: Future[_Result] = Future()
        with self._lock:
            if self._free:
                self._parent.submit(self._run_next)
                self._free -= 1
            self._queue.append((future, lambda: work(*args, **options)))
        return future

    def cancel_queued(self) -> None:
        """Cancel the jobs that have not begun."""
        with self._lock:
            jobs = list(self._queue)
            self._queue.clear()
        for future, _ in jobs:
            future.cancel()

    def _run_next(self) -> None:
        """Run the first job, then queue again, so that other executors' jobs run in between."""
        with self._lock:
            job = self._queue.popleft() if self._queue else None
        if job is not None:
            _run(*job)
            del job  # and its result, as the next job may wait long
        with self._lock:
            if self._queue:
                try:
                    self._parent.submit(self._run_next)
                except RuntimeError:  # the pool was shut down
                    self._free += 1
            else:
                self._free += 1


def _run(future: Future[Any], work: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001 # the caller gets it from the future
        future.set_exception(error)
        del future  # avoids a cycle through the traceback
    else:
        future.set_result(result)


class FairThreadPool:
    """The threads of a library, by paths relative to its root."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="disk")
        self._executors: WeakValueDictionary[str, LimitedExecutor] = WeakValueDictionary()

    def executor_for(self, path: str) -> LimitedExecutor:
        """Return the executor of a file, which is limited by that of its top-level folder."""
        folder = path.partition("/")[0] + "/" if "/" in path else ""
        return self._child(path, self._child(folder, self._pool, _MAX_PER_FOLDER), _MAX_PER_FILE)

    def close(self) -> None:
        """Shut down the threads without waiting for their jobs."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for executor in list(self._executors.values()):
            executor.cancel_queued()

    def _child(self, name: str, pool: Executor, max_running: int) -> LimitedExecutor:
        executor = self._executors.get(name)
        if executor is None:
            executor = self._executors[name] = LimitedExecutor(pool, max_running)
        return executor
