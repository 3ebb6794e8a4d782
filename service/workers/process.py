"""The limits and the request loop of a worker process.

A request is one line of JSON on standard input. A response is one line of JSON on standard output,
followed by the bytes that it announces. The process ends when its input ends.
"""

import ctypes
import json
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

MAX_MEMORY_BYTES = 1 << 29
"""Address space that a file may take in addition to what the process has, if the request does not
set it."""

MAX_PICTURE_MEMORY_BYTES = 2 * MAX_MEMORY_BYTES
"""The same for images, and the most for all files of a process. For 2160p a decoder may hold 17
pictures of 25 MB each (ITU-T H.265 §A.4.2)."""

CPU_SECONDS = 20
"""Processor time for a file, if the request does not set it."""

TIMEOUT = 120
"""Seconds for a file, if the request does not set them. The parent gives up earlier; this ends a
worker whose parent is gone."""

_SCHED_IDLE = getattr(os, "SCHED_IDLE", None)
_PR_SET_PDEATHSIG = 1  # sys/prctl.h
_STATM = Path("/proc/self/statm")

Payload = dict[str, Any]
Response = tuple[Payload, Sequence[bytes]]
Task = Callable[..., Response]


class TaskError(Exception):
    """A file that a task cannot process. Its text is one sentence for people."""


class OutputError(Exception):
    """The result of a task cannot be written now. Its text is one sentence for people."""


def serve(handle: Callable[[Payload], Response]) -> None:
    """Answer requests until standard input ends."""
    # The server handles a terminal's Ctrl-C. A session would keep the signal away as well, but the
    # kernel divides processors among sessions first (sched(7), autogroup): even an idle process
    # would get as much time as the server.
    os.setpgid(0, 0)
    with os.fdopen(os.dup(1), "wb") as responses:
        os.dup2(2, 1)  # what a library prints must not get between the responses
        apply_limits()
        for line in sys.stdin.buffer:
            payload, blobs = handle(json.loads(line))
            if blobs:
                payload["bytes"] = [len(blob) for blob in blobs]
            try:
                responses.write(json.dumps(payload, allow_nan=False).encode() + b"\n")
                responses.writelines(blobs)
                responses.flush()
            except BrokenPipeError:
                os._exit(1)  # the parent is gone


def apply_limits() -> None:
    """Limit what this process may take of the machine.

    It runs only when no other process needs the processor: with a niceness of 10 instead, the p99
    of viewers' waits doubled (benchmarks/deriving.py).
    """
    os.nice(19)
    libc = ctypes.CDLL(None)
    if hasattr(libc, "prctl"):
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # end with the server, however it ends
    if _SCHED_IDLE is not None:
        with suppress(OSError):
            os.sched_setscheduler(0, _SCHED_IDLE, os.sched_param(0))
    with suppress(OSError):  # if memory runs out, Linux ends this process first
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if _STATM.exists():  # only Linux reports the address space; elsewhere it is not limited
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        ours = _address_space() + MAX_PICTURE_MEMORY_BYTES
        most = ours if most == resource.RLIM_INFINITY else min(ours, most)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        _limit_memory(MAX_MEMORY_BYTES)


def _limit_memory(memory: int) -> None:
    """Limit the next file to `memory` bytes, where the address space can be limited.

    What the process has already does not count: mostly the imports of other tasks. What files leak
    is bounded by the limit for images.
    """
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    if most != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_AS, (min(_address_space() + memory, most), most))


def _address_space() -> int:
    """Return the bytes of address space that this process has."""
    return int(_STATM.read_text(encoding="ascii").split()[0]) * resource.getpagesize()


def handle_request(request: Payload, tasks: Mapping[str, Task]) -> Response:
    """Return the response to a request, and the bytes that follow it."""
    task = tasks[request.pop("task")]
    # The default actions of these signals end the process, also while C code runs.
    signal.setitimer(signal.ITIMER_PROF, request.pop("cpu", CPU_SECONDS))
    signal.alarm(request.pop("wall", TIMEOUT))
    _limit_memory(request.pop("memory", MAX_MEMORY_BYTES))
    try:
        return task(**request)
    except TaskError as error:
        return _failure(str(error))
    except OutputError as error:
        return _failure(str(error), lasting=False)
    except MemoryError:
        return _failure("Reading the file takes more memory than is allowed.")
    except FileNotFoundError as error:
        return _failure(f"{_file_label(error, request)} is gone.", lasting=False)
    except PermissionError as error:
        label = _file_label(error, request)
        return _failure(f"{label} may not be read: permission denied.", lasting=False)
    except OSError as error:
        label, reason = _file_label(error, request), error.strerror or "input/output error"
        return _failure(f"{label} could not be read: {reason}.", lasting=False)
    except Exception:  # noqa: BLE001 # a damaged file can cause any error
        traceback.print_exc()
        return _failure("Reading the file failed: see the server's log.")
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)


def _file_label(error: OSError, request: Payload) -> str:
    """Name a sidecar by its file name, so that it is not taken for the video. Show no paths."""
    path = error.filename
    # PyAV calls what it has opened as a file object "<none>".
    is_sidecar = isinstance(path, str) and path not in {request.get("path"), "<none>"}
    return f"The file {Path(path).name}" if is_sidecar else "The file"


def _failure(reason: str, *, lasting: bool = True) -> Response:
    return {"problem": reason, "lasting": lasting}, ()
