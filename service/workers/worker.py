"""A worker process, as the service sees it: requests to it, its responses and its end."""

import asyncio
import json
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import service

MAX_ANSWER_BYTES = 1 << 24
"""The longest are 5000 chapters with titles of 200 characters; JSON may take 12 bytes for each."""

MAX_BLOB_BYTES = 1 << 25
"""Bytes of all blobs that follow a response: the longest are the header of a film as MP4
(MAX_HEADER_BYTES of remux/header.py) and those of its fragments (artefacts/packed_fragments.py)."""

_EXIT_TIMEOUT = 30.0
"""Seconds that a worker may take to end after its output has ended. On a busy machine a process
with idle priority needs some; without its exit status, the file would seem to be the reason."""

_PACKAGE_HOME = Path(service.__file__).parent.parent


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


class Worker:
    """A worker process, and the number of files it has processed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        if process.stdin is None or process.stdout is None:
            raise ValueError("a worker needs pipes")
        self._process = process
        self._stdin = process.stdin
        self._stdout = process.stdout
        self.files = 0
        self.is_reusable = True
        """Whether its last response was valid and was read to its end."""

    @classmethod
    async def start(cls, command: Sequence[str]) -> Self:
        """Start the process. Raises OSError."""
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
        """The process identifier."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        if self._process.returncode is not None or self._stdout.at_eof():
            return False
        try:
            os.kill(self.pid, 0)  # asyncio reaps in a thread on 3.11, and tells the loop later
        except ProcessLookupError:
            return False
        return True

    async def run(self, request: Mapping[str, object]) -> WorkerResponse:
        """Return the response to a request. Raises OSError and ValueError."""
        self.files += 1
        self.is_reusable = False
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
        """Kill the process."""
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

    async def explain_exit(self, error: Exception) -> WorkerError:
        """Return the reason why the process gave no valid response, which caused `error`."""
        status = await self._exit_status()
        if status == -signal.SIGPROF:
            reason = "Reading the file took more of the processor's time than is allowed."
            return WorkerError(reason, "timeout", lasting=True)
        # The file is not the reason if the process was ended by these signals (by the kernel, when
        # memory ran out), or ended by itself.
        transient = isinstance(error, OSError) or status in (-signal.SIGKILL, -signal.SIGALRM)
        return went_astray(lasting=not transient and (status is None or status < 0))

    async def _exit_status(self) -> int | None:
        """Return the exit status, negative for a signal; None while the process runs."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_EXIT_TIMEOUT if self._stdout.at_eof() else 0):
                await self._process.wait()
        return self._process.returncode


def went_astray(*, lasting: bool) -> WorkerError:
    """Return the error of a process that could not be started, or gave no valid response."""
    reason = "The process that reads files ended or went astray."
    return WorkerError(reason, "crashed", lasting=lasting)
