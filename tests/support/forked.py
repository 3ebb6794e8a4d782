"""Start the service as a copy of a process that has imported it.

Python and its modules take most of the processor time of a start. Tests start the service several
hundred times; those of the start itself and of the commands run `python -m service`.
"""

import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import IO, Any

_ROOT = Path(__file__).parents[2]

_CONTEXT = get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.support.forked_preload"])


class ForkedProcess:
    """A process of the service, with the methods of `subprocess.Popen` that tests call."""

    stdout: IO[str] | None

    def __init__(self, module: str, env: Mapping[str, str], *, log: int) -> None:
        """Start `python -m module` with this environment, in a session of its own.

        `log` is PIPE, or DEVNULL for no stdout; then only stderr is shown.
        """
        if log == subprocess.PIPE:
            read, write = os.pipe()
            self.stdout = os.fdopen(read, encoding="utf-8")
        else:
            write = os.open(os.devnull, os.O_WRONLY)
            self.stdout = None
        streams = (1, 2) if log == subprocess.PIPE else (1,)
        self._process = _CONTEXT.Process(
            target=_run, args=(module, dict(env), DupFd(write), streams), daemon=True
        )
        self._process.start()
        os.close(write)
        assert self._process.pid
        self.pid = self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            assert timeout is not None
            raise subprocess.TimeoutExpired("service", timeout)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _run(module: str, env: dict[str, str], output: Any, streams: Sequence[int]) -> None:
    """Become `python -m module`, whose streams lead to the output."""
    os.setsid()
    os.chdir(_ROOT)
    descriptor = output.detach()
    for stream in streams:
        os.dup2(descriptor, stream)
    os.close(descriptor)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", buffering=1, closefd=False)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = [module]
    sys.path.insert(0, str(_ROOT))  # as -m does
    sys.modules.pop("service.__main__")  # runs once more
    runpy.run_module(module, run_name="__main__", alter_sys=True)
