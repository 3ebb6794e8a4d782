"""Runs requests in worker processes.

A file that crashes a worker, hangs in it or exhausts its memory costs only that worker. A worker
whose response was not read to its end is never used again.
"""

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

MAX_ANSWER_BYTES = 1 << 24
"""The longest are 5000 chapters with titles of 200 characters; JSON may take 12 bytes for each."""

MAX_BLOB_BYTES = 1 << 25
"""Bytes of all blobs that follow a response: the longest are the header of a film as MP4
(MAX_HEADER_BYTES of remux/header.py) and those of its fragments (artefacts/packed_fragments.py)."""

REAP_TIMEOUT = 5.0
"""Seconds that close() waits for killed processes; one that waits for a dead network file system
would never end."""

_EXIT_TIMEOUT = 30.0
"""Seconds that a worker may take to end after its output has ended. On a busy machine a process
with idle priority needs some; without its exit status, the file would seem to be the reason."""

_PACKAGE_HOME = Path(service.__file__).parent.parent

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class WorkerResponse:
    """The JSON response of a worker, and the blobs that follow it."""

    payload: Any
    blobs: tuple[bytes, ...] = ()


class WorkerError(Exception):
    """A worker gave no valid response. Its text is a sentence for people, without paths."""

    def __init__(
        self, reason: str, outcome: Literal["timeout", "crashed"], *, lasting: bool
    ) -> None:
        super().__init__(reason)
        self.outcome = outcome
        self.lasting = lasting
        """Whether the file is the reason, so that a retry would fail as well."""


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
        """Run at most `workers` processes, with the memory that images need if `pictures`."""
        if workers < 1 or files_per_worker < 1:
            raise ValueError("workers and files_per_worker must be positive")
        program = (sys.executable, "-m", "service.worker")
        self._command = command or (*program, *(["pictures"] if pictures else []))
        self.workers = workers
        """How many may run at a time."""
        self._files_per_worker = files_per_worker
        # Last in, first out, so that no second process is started for what one can do.
        self._slots: asyncio.LifoQueue[_Worker | None] = asyncio.LifoQueue()
        for _ in range(workers):
            self._slots.put_nowait(None)
        self._running: set[_Worker] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Lock()
        self._closed = False

    @property
    def pids(self) -> frozenset[int]:
        """The process identifiers of the running workers."""
        return frozenset(worker.pid for worker in self._running)

    async def run(
        self,
        request: Mapping[str, object],
        parse: Callable[[WorkerResponse], _Result],
        seconds: float,
    ) -> _Result:
        """Return the result of `parse`, which raises ValueError for an invalid response.

        `seconds` include the start of a process, but not the time until one is free. Raises
        WorkerError, and RuntimeError if the pool is closed. May be cancelled at any time.
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
            # No process could be started, its pipe broke, or its response is invalid.
            self._check_open()
            raise await _explain_exit(worker, error) from error
        finally:
            if worker is not None and keep is None:
                self._retire(worker)
            self._slots.put_nowait(keep)
        return response

    def stop_idle(self) -> None:
        """End idle processes, which take 40 MB each."""
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
            self._retire(worker)  # it ended between two files, so no file is the reason
        started = await _Worker.start(self._command)
        self._running.add(started)
        if self._closed:
            self._retire(started)
            self._check_open()
        return started

    def _retire(self, worker: "_Worker") -> None:
        """End `worker` in the background, because a process may take long to end."""
        if worker in self._running:
            self._running.remove(worker)
            task = asyncio.create_task(worker.end())
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)


async def _explain_exit(worker: "_Worker | None", error: Exception) -> WorkerError:
    """Return the reason why a worker gave no valid response."""
    exit_status = await worker.status() if worker is not None else None
    if exit_status == -signal.SIGPROF:
        reason = "Reading the file took more of the processor's time than is allowed."
        return WorkerError(reason, "timeout", lasting=True)
    # The file is not the reason if the process was ended by these signals (by the kernel, when
    # memory ran out), ended by itself or could not be started.
    transient = isinstance(error, OSError) or exit_status in (-signal.SIGKILL, -signal.SIGALRM)
    transient = transient or (exit_status is not None and exit_status >= 0)
    reason = "The process that reads files ended or went astray."
    return WorkerError(reason, "crashed", lasting=not transient)


class _Worker:
    """A worker process, and the number of files it has processed."""

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
        """Return the exit status, negative for a signal; None while the process runs."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_EXIT_TIMEOUT if self._stdout.at_eof() else 0):
                await self._process.wait()
        return self._process.returncode

    async def run(self, request: Mapping[str, object]) -> WorkerResponse:
        """Return the response to a request. Raises OSError and ValueError."""
        self.files += 1
        # Escaped to ASCII: line ends in names, and names that are no Unicode, arrive unharmed.
        self._stdin.write(json.dumps(request).encode() + b"\n")
        await self._stdin.drain()
        # ValueError beyond MAX_ANSWER_BYTES. A line cut off by the process's end is no JSON object,
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
