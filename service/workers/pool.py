"""Runs requests in worker processes.

A file that crashes a worker, hangs in it or exhausts its memory costs only that worker. A worker
whose response was not read to its end is never used again.
"""

import asyncio
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from service.workers.process import MAX_MEMORY_BYTES
from service.workers.worker import Worker, WorkerError, WorkerResponse, went_astray

REAP_TIMEOUT = 5.0
"""Seconds that close() waits for killed processes; one that waits for a dead network file system
would never end."""

IDLE_SECONDS = 5.0
"""Seconds after which an idle process is ended. It takes 40 MB or more; a new one takes up to 0.5 s
of processor time to start."""

_Result = TypeVar("_Result")


class WorkerPool:
    """Worker processes, started when first needed. All executors share them.

    A process is replaced after `files_per_worker` files, which bounds what FFmpeg's leaks can add
    up to. `command` is the program to run, the worker of this package unless a test says otherwise.
    """

    def __init__(self, files_per_worker: int = 200, command: Sequence[str] | None = None) -> None:
        if files_per_worker < 1:
            raise ValueError("files_per_worker must be positive")
        self._command = command or (sys.executable, "-m", "service.worker")
        self._files_per_worker = files_per_worker
        self._running: set[Worker] = set()
        self._idle: dict[Worker, asyncio.TimerHandle] = {}
        """The idle processes, each with the timer that ends it; the latest one is last."""
        self._lent = 0
        """How many processes are in use or being started."""
        self._all_back = asyncio.Event()
        self._all_back.set()
        self._ending: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def pids(self) -> frozenset[int]:
        """The process identifiers of the running workers."""
        return frozenset(worker.pid for worker in self._running)

    def check_open(self) -> None:
        """Raise RuntimeError if the pool is closed."""
        if self._closed:
            raise RuntimeError("The pool is closed")

    async def take(self) -> Worker:
        """Return an idle process, or start one. Raises OSError, and RuntimeError if closed.

        `give_back` takes it back.
        """
        self.check_open()
        self._lent += 1
        self._all_back.clear()
        try:
            return self._take_idle() or await self._start()
        except BaseException:
            self._count_back()
            raise

    def give_back(self, worker: Worker) -> None:
        """Keep a process for the next file, or end it if it is not to be used again."""
        if worker.is_reusable and worker.files < self._files_per_worker and not self._closed:
            timer = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._end_idle, worker)
            self._idle[worker] = timer
        else:
            self._retire(worker)
        self._count_back()

    async def close(self) -> None:
        """End all processes and wait until they are gone. May be called more than once."""
        self._closed = True
        for worker in self._running:
            worker.kill()
        # A process comes back when its file has been answered for, and each is: it is dead.
        await self._all_back.wait()
        for worker in list(self._idle):
            self._end_idle(worker)
        if self._ending:
            await asyncio.wait(self._ending, timeout=REAP_TIMEOUT)

    def _take_idle(self) -> Worker | None:
        while self._idle:
            # Last in, first out, so that those that are not needed end.
            worker, timer = self._idle.popitem()
            timer.cancel()
            if worker.is_alive:
                return worker
            self._retire(worker)  # it ended between two files, so no file is the reason
        return None

    async def _start(self) -> Worker:
        started = await Worker.start(self._command)
        self._running.add(started)
        if self._closed:
            self._retire(started)
            self.check_open()
        return started

    def _count_back(self) -> None:
        self._lent -= 1
        if not self._lent:
            self._all_back.set()

    def _end_idle(self, worker: Worker) -> None:
        self._idle.pop(worker).cancel()
        self._retire(worker)

    def _retire(self, worker: Worker) -> None:
        """End `worker` in the background, because a process may take long to end."""
        self._running.remove(worker)
        task = asyncio.create_task(worker.end())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


class Executor:
    """Runs up to `workers` requests at a time in the processes of a pool."""

    def __init__(self, pool: WorkerPool, workers: int = 1, memory: int = MAX_MEMORY_BYTES) -> None:
        """Limit each request to `memory` bytes."""
        if workers < 1:
            raise ValueError("workers must be positive")
        self.workers = workers
        self._pool = pool
        self._memory = memory
        self._slots = asyncio.Semaphore(workers)

    async def run(
        self,
        request: Mapping[str, object],
        parse: Callable[[WorkerResponse], _Result],
        seconds: float,
    ) -> _Result:
        """Return the result of `parse`, which raises ValueError for an invalid response.

        `seconds` include the start of a process, but not the time until the executor is free.
        Raises WorkerError, and RuntimeError if the pool is closed. May be cancelled at any time.
        """
        # The worker's own alarm comes after this side has given up.
        limits = {"wall": math.ceil(seconds) + 5, "memory": self._memory}
        async with self._slots:
            worker = None
            try:
                async with asyncio.timeout(seconds):
                    worker = await self._pool.take()
                    response = parse(await worker.run({**request, **limits}))
                worker.is_reusable = True
            except TimeoutError as error:
                reason = f"Reading the file took longer than {seconds:g} seconds."
                raise WorkerError(reason, "timeout", lasting=False) from error
            except (OSError, ValueError, RecursionError) as error:
                # No process could be started, its pipe broke, or its response is invalid.
                self._pool.check_open()
                if worker is None:
                    raise went_astray(lasting=False) from error
                raise await worker.explain_exit(error) from error
            finally:
                if worker is not None:
                    self._pool.give_back(worker)
        return response
