"""Threads for what may have to wait, shared so that nobody has all of them.
Law: a file that hangs holds up its own readers; a mount that hangs, those of its folder."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from threading import Lock
from typing import Any, ParamSpec, TypeVar
from weakref import WeakValueDictionary

# Readers of cold disks: each waits for one read or one open; more only lengthen the disk's queue.
MAX_THREADS = 32

# Of those, the most for a folder of the root, with all that is in it, as that is where a mount may
# be; and for one file. Three files may hang before their folder does, and that leaves others eight.
_MAX_PER_FOLDER = 24
_MAX_PER_FILE = 8

_Params = ParamSpec("_Params")
_Result = TypeVar("_Result")
_Job = tuple[Future[Any], Callable[[], Any]]


class LimitedExecutor(Executor):
    """A share in the threads of another executor: its jobs begin in order, so many at once."""

    def __init__(self, pool: Executor, max_running: int) -> None:
        self._parent = pool
        self._free = max_running
        self._queue: deque[_Job] = deque()
        self._lock = Lock()

    def submit(
        self, work: Callable[_Params, _Result], /, *args: _Params.args, **options: _Params.kwargs
    ) -> Future[_Result]:
        """Have something done. Raises RuntimeError where the threads have been let go of."""
        future: Future[_Result] = Future()
        with self._lock:
            if self._free:
                self._parent.submit(self._run_next)
                self._free -= 1
            self._queue.append((future, lambda: work(*args, **options)))
        return future

    def cancel_queued(self) -> None:
        """Call off what has not begun."""
        with self._lock:
            jobs = list(self._queue)
            self._queue.clear()
        for future, _ in jobs:
            future.cancel()

    def _run_next(self) -> None:
        """Do the first of the jobs, and then let others' jobs go before the next one."""
        with self._lock:
            job = self._queue.popleft() if self._queue else None
        if job is not None:
            _run(*job)
            del job  # with what it gave: nobody knows how long the next one has to wait
        with self._lock:
            if self._queue:
                try:
                    self._parent.submit(self._run_next)
                except RuntimeError:  # the threads have been let go of
                    self._free += 1
            else:
                self._free += 1


def _run(future: Future[Any], work: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001 # whoever waits for it is told
        future.set_exception(error)
        del future  # the error knows this frame
    else:
        future.set_result(result)


class FairThreadPool:
    """The threads of a library. Paths are relative to its root."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="disk")
        self._executors: WeakValueDictionary[str, LimitedExecutor] = WeakValueDictionary()

    def executor_for(self, path: str) -> LimitedExecutor:
        """Give a file's share of its folder's share of the threads."""
        folder = path.partition("/")[0] + "/" if "/" in path else ""
        return self._child(path, self._child(folder, self._pool, _MAX_PER_FOLDER), _MAX_PER_FILE)

    def close(self) -> None:
        """Let go of the threads without waiting for what they wait for."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for executor in list(self._executors.values()):
            executor.cancel_queued()

    def _child(self, name: str, pool: Executor, max_running: int) -> LimitedExecutor:
        executor = self._executors.get(name)
        if executor is None:
            executor = self._executors[name] = LimitedExecutor(pool, max_running)
        return executor
