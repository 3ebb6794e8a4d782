"""Asks the processes that open files. A file that crashes, hangs or bloats one costs that process
and gets a problem of its own; the server goes on. A process whose answer was not read to its end is
never asked again."""

import asyncio
import json
import math
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

import service

MAX_ANSWER_BYTES = 1 << 22
"""Bytes. The longest are 1000 chapters with titles of 200 characters, of which JSON makes twelve
bytes each."""

MAX_BLOB_BYTES = 1 << 24
"""Bytes that may follow an answer, in all: the longest are the captions of a video
(LONGEST_TRACKS of room.py)."""

REAP_TIMEOUT = 5.0
"""Seconds that close() waits for processes already killed; one in uninterruptible sleep on a dead
network file system would wait for ever."""

_PACKAGE_HOME = Path(service.__file__).parent.parent

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class WorkerResponse:
    """What a process says of a file, and the bytes that it gives with it."""

    payload: Any
    blobs: tuple[bytes, ...] = ()


class WorkerError(Exception):
    """A process gave no answer. Its text is a sentence for the reader; it names no path."""

    def __init__(
        self, reason: str, outcome: Literal["timeout", "crashed"], *, lasting: bool
    ) -> None:
        super().__init__(reason)
        self.outcome = outcome
        self.lasting = lasting
        """Whether it is the file's doing, so that asking again would be in vain."""


class WorkerPool:
    """A bounded pool of processes that open files, started when first needed.

    A process is replaced after `files_per_worker` files, which bounds what FFmpeg's leaks can add
    up to. `command` is the program to run, the worker of this package unless a test says otherwise.
    """

    def __init__(
        self,
        workers: int = 1,
        files_per_worker: int = 200,
        command: Sequence[str] | None = None,
        *,
        pictures: bool = False,
    ) -> None:
        """Let `workers` run at a time, with the memory that `pictures` take."""
        if workers < 1 or files_per_worker < 1:
            raise ValueError("workers and files_per_worker must be positive")
        program = (sys.executable, "-m", "service.worker")
        self._command = command or (*program, *(["pictures"] if pictures else []))
        self.workers = workers
        """How many may run at a time."""
        self._files_per_worker = files_per_worker
        # Last in, first out: what one process can do, a second one is not started for.
        self._slots: asyncio.LifoQueue[_Worker | None] = asyncio.LifoQueue()
        for _ in range(workers):
            self._slots.put_nowait(None)
        self._running: set[_Worker] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Lock()
        self._closed = False

    @property
    def pids(self) -> frozenset[int]:
        """The identifiers of the processes that are running now."""
        return frozenset(worker.pid for worker in self._running)

    async def run(
        self,
        request: Mapping[str, object],
        parse: Callable[[WorkerResponse], _Result],
        seconds: float,
    ) -> _Result:
        """Give what `read` makes of the answer; it raises ValueError for what is none.

        Waits for a free process first, which `seconds` do not count; they count the
        start of the process in. Raises WorkerError, and RuntimeError when the pool is closed before
        or meanwhile. May be cancelled at any time.
        """
        worker = await self._slots.get()
        keep = None
        try:
            async with asyncio.timeout(seconds):
                worker, idle = None, worker
                worker = await self._ensure_alive(idle)
                # The worker's own alarm comes after this side has given up.
                response = parse(await worker.run({**request, "wall": math.ceil(seconds) + 5}))
            if worker.files < self._files_per_worker:
                keep = worker
        except TimeoutError as error:
            raise WorkerError(
                f"Reading the file took longer than {seconds:g} seconds.", "timeout", lasting=False
            ) from error
        except (OSError, ValueError, RecursionError) as error:
            # No process could be started, its pipe broke, or what it said is no answer.
            self._check_open()
            raise await _explain_exit(worker, error) from error
        finally:
            if worker is not None and keep is None:
                self._retire(worker)
            self._slots.put_nowait(keep)
        return response

    def stop_idle(self) -> None:
        """End the processes that wait for work (40 MB each); the next file starts one again."""
        for slot in [self._slots.get_nowait() for _ in range(self._slots.qsize())]:
            if slot is not None:
                self._retire(slot)
            self._slots.put_nowait(None)

    async def close(self) -> None:
        """End all processes and wait until they are gone. May be called more than once."""
        self._closed = True
        for worker in self._running:
            worker.kill()
        async with self._closing:
            # A slot comes back when its file has been answered for, and each is: the process is
            # dead.
            for slot in [await self._slots.get() for _ in range(self.workers)]:
                if slot is not None:
                    self._retire(slot)
            for _ in range(self.workers):
                self._slots.put_nowait(None)
            if self._ending:
                await asyncio.wait(self._ending, timeout=REAP_TIMEOUT)

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("The pool is closed")

    async def _ensure_alive(self, worker: "_Worker | None") -> "_Worker":
        self._check_open()
        if worker is not None:
            if worker.is_alive:
                return worker
            self._retire(worker)  # it died between two files, which is no file's fault
        started = await _Worker.start(self._command)
        self._running.add(started)
        if self._closed:
            self._retire(started)
            self._check_open()
        return started

    def _retire(self, worker: "_Worker") -> None:
        """End `worker` in the background: nobody waits for a process that is slow to die."""
        if worker in self._running:
            self._running.remove(worker)
            task = asyncio.create_task(worker.end())
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)


async def _explain_exit(worker: "_Worker | None", error: Exception) -> WorkerError:
    """Say why a process gave no answer, or one that is none."""
    exit_status = await worker.status() if worker is not None else None
    if exit_status == -signal.SIGPROF:
        reason = "Reading the file took more of the processor's time than is allowed."
        return WorkerError(reason, "timeout", lasting=True)
    # Whoever ends a process by these (the kernel, where memory runs out) does not mean the file;
    # nor does a process that cannot be started, or ends by itself.
    transient = isinstance(error, OSError) or exit_status in (-signal.SIGKILL, -signal.SIGALRM)
    transient = transient or (exit_status is not None and exit_status >= 0)
    reason = "The process that reads files ended or went astray."
    return WorkerError(reason, "crashed", lasting=not transient)


class _Worker:
    """One process, and how many files it was asked about."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        if process.stdin is None or process.stdout is None:
            raise ValueError("a worker needs pipes")
        self._process = process
        self._stdin = process.stdin
        self._stdout = process.stdout
        self.files = 0

    @classmethod
    async def start(cls, command: Sequence[str]) -> Self:
        return cls(
            await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=MAX_ANSWER_BYTES,
                cwd=_PACKAGE_HOME,  # -m looks there first, wherever the server was started
            )
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        if self._process.returncode is not None or self._stdout.at_eof():
            return False
        try:
            os.kill(self.pid, 0)  # asyncio reaps in a thread on 3.11, and tells the loop later
        except ProcessLookupError:
            return False
        return True

    async def status(self) -> int | None:
        """Give how the process ended, less than nothing for a signal; None if it has not."""
        with suppress(TimeoutError):
            async with asyncio.timeout(0.5 if self._stdout.at_eof() else 0):
                await self._process.wait()
        return self._process.returncode

    async def run(self, request: Mapping[str, object]) -> WorkerResponse:
        """Give what is answered. Raises OSError and ValueError."""
        self.files += 1
        # Escaped to ASCII: line ends in names, and names that are no Unicode, arrive unharmed.
        self._stdin.write(json.dumps(request).encode() + b"\n")
        await self._stdin.drain()
        # ValueError beyond LONGEST_ANSWER. A line cut off by the process's end is no JSON object,
        # so it need not be looked for here.
        payload = json.loads(await self._stdout.readline())
        lengths = payload.pop("bytes", []) if isinstance(payload, dict) else []
        match lengths:
            case [*counts] if all(type(count) is int and count >= 0 for count in counts):
                if sum(counts) > MAX_BLOB_BYTES:
                    raise ValueError("more bytes than are allowed")
            case _:
                raise ValueError("no lengths")
        try:
            return WorkerResponse(
                payload, tuple([await self._stdout.readexactly(n) for n in lengths])
            )
        except asyncio.IncompleteReadError as error:
            raise ValueError("fewer bytes than were promised") from error

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()

    async def end(self) -> None:
        """Kill the process, and wait until it is reaped and its pipes are closed."""
        self.kill()
        self._stdin.close()
        with suppress(OSError):
            while await self._stdout.read(1 << 16):
                pass
        await self._process.wait()
        with suppress(OSError):
            await self._stdin.wait_closed()
