"""Asks the processes that open files. A file that crashes, hangs or bloats one costs that process
and gets a problem of its own; the server goes on. A process whose answer was not read to its end is
never asked again."""

import asyncio
import json
import math
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import service
from service.library.video import Metadata

LONGEST_ANSWER = 1 << 20
"""Bytes. FFmpeg opens 1000 streams at most (its max_streams), each some 250 bytes of answer."""

REAPING = 5.0
"""Seconds that close() waits for processes already killed; one in uninterruptible sleep on a dead
network file system would wait for ever."""

_PACKAGE_HOME = Path(service.__file__).parent.parent


@dataclass(frozen=True, slots=True)
class ProbeProblem:
    """Why a file could not be probed."""

    reason: str
    """A sentence for the reader; it names no path."""

    outcome: Literal["failed", "timeout", "crashed"]


class Prober:
    """A bounded pool of processes that open files, started when first needed.

    `timeout` is in seconds and counts the start of the process in; a process is replaced after
    `files_per_worker` files, which bounds what FFmpeg's leaks can add up to. `command` is the
    program to run, the worker of this package unless a test says otherwise.
    """

    def __init__(
        self,
        workers: int = 1,
        timeout: float = 20.0,
        files_per_worker: int = 200,
        command: Sequence[str] | None = None,
    ) -> None:
        if workers < 1 or files_per_worker < 1 or timeout <= 0:
            raise ValueError("workers, timeout and files_per_worker must be positive")
        # The worker's own alarm comes after this side has given up.
        alarm = str(math.ceil(timeout) + 5)
        self._command = command or (sys.executable, "-m", "service.library.probe_worker", alarm)
        self._workers = workers
        self._timeout = timeout
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

    async def probe(self, path: Path) -> Metadata | ProbeProblem:
        """Probe the file at `path`.

        Waits for a free process first, which `timeout` does not count. Raises RuntimeError when
        the prober is closed before or meanwhile. May be cancelled at any time.
        """
        worker = await self._slots.get()
        keep = None
        try:
            async with asyncio.timeout(self._timeout):
                worker = await self._usable(worker)
                line = await worker.ask(path)
            answer = _read_answer(line)
            if worker.files < self._files_per_worker:
                keep = worker
        except TimeoutError:
            return ProbeProblem(f"Probing took longer than {self._timeout:g} seconds.", "timeout")
        except (OSError, ValueError, RecursionError):
            # No process could be started, its pipe broke, or what it said is no answer.
            self._check_open()
            return ProbeProblem("The process that reads files ended or went astray.", "crashed")
        finally:
            if worker is not None and keep is None:
                self._retire(worker)
            self._slots.put_nowait(keep)
        return answer

    def rest(self) -> None:
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
            # A slot comes back when its probe has ended, and each has, its process being dead.
            for slot in [await self._slots.get() for _ in range(self._workers)]:
                if slot is not None:
                    self._retire(slot)
            for _ in range(self._workers):
                self._slots.put_nowait(None)
            if self._ending:
                await asyncio.wait(self._ending, timeout=REAPING)

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("The prober is closed")

    async def _usable(self, worker: "_Worker | None") -> "_Worker":
        self._check_open()
        if worker is not None:
            if worker.is_alive:
                return worker
            self._retire(worker)  # it died between two files, which is no file's fault
        fresh = await _Worker.start(self._command)
        self._running.add(fresh)
        if self._closed:
            self._retire(fresh)
            self._check_open()
        return fresh

    def _retire(self, worker: "_Worker") -> None:
        """End `worker` in the background: nobody waits for a process that is slow to die."""
        if worker in self._running:
            self._running.remove(worker)
            task = asyncio.create_task(worker.end())
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)


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
                limit=LONGEST_ANSWER,
                cwd=_PACKAGE_HOME,  # -m looks there first, wherever the server was started
                start_new_session=True,  # a terminal's Ctrl-C is the server's to handle
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

    async def ask(self, path: Path) -> bytes:
        """Give the line that answers. Raises OSError and ValueError."""
        self.files += 1
        self._stdin.write(_request(path))
        await self._stdin.drain()
        # ValueError beyond LONGEST_ANSWER. A line cut off by the process's end is no JSON object,
        # so it need not be looked for here.
        return await self._stdout.readline()

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


def _request(path: Path) -> bytes:
    # Escaped to ASCII: line ends in names, and names that are no Unicode, arrive unharmed.
    return json.dumps({"path": str(path.absolute())}).encode() + b"\n"


def _read_answer(line: bytes) -> Metadata | ProbeProblem:
    """Raise ValueError, of which pydantic's ValidationError is one, for what is no answer."""
    match json.loads(line):
        case {"metadata": dict(told), **rest} if not rest:
            return Metadata.model_validate(told)
        case {"problem": str(reason), **rest} if reason and not rest:
            return ProbeProblem(reason, "failed")
        case _:
            raise ValueError("neither metadata nor a problem")
