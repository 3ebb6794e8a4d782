"""The process that opens files, alone with the library that parses them: what crashes, hangs or
eats memory here takes nothing else along. One JSON request a line on standard input, one JSON
answer a line on standard output; the end of input is the end of the process."""

import json
import os
import resource
import signal
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import av.logging

from service.library.inspection import UnreadableError, metadata_of

MEMORY = 1 << 29
"""Bytes of address space a file may cost beyond what the process has after its imports."""

ALARM = 120
"""Seconds a file may take when nothing else is said on the command line. The parent gives up long
before; this ends a worker that hangs and whose parent is gone."""


def main() -> None:
    """Answer requests until standard input ends."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else ALARM
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)  # nothing a library prints may get between the answers
        limit_process()
        for line in sys.stdin.buffer:
            signal.alarm(seconds)  # its default action ends the process, in C code as well
            answer = json.dumps(answer_to(json.loads(line)["path"]), allow_nan=False)
            signal.alarm(0)
            try:
                answers.write(answer.encode() + b"\n")
                answers.flush()
            except BrokenPipeError:
                os._exit(1)  # nobody is left to be told


def limit_process() -> None:
    """Bound what this process may take of the machine and silence FFmpeg."""
    av.logging.set_level(None)
    os.nice(10)
    with suppress(OSError):  # where memory runs out, this is the process to end (Linux)
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pages = Path("/proc/self/statm")
    if pages.exists():  # elsewhere than on Linux, address space is not told and not limited
        used = int(pages.read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))


def answer_to(path: str) -> dict[str, Any]:
    """Give the answer to a request for the file at `path`."""
    try:
        # Opened by number: neither the name nor its extension reaches FFmpeg, content decides.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return {"metadata": _metadata_of(descriptor)}
        finally:
            os.close(descriptor)
    except UnreadableError as error:
        return {"problem": str(error)}
    except MemoryError:
        return {"problem": "Reading the file takes more memory than is allowed."}
    except FileNotFoundError:
        return {"problem": "The file is gone."}
    except PermissionError:
        return {"problem": "The file may not be read: permission denied."}
    except OSError as error:
        return {"problem": f"The file could not be read: {error.strerror or 'input/output error'}."}


def _metadata_of(descriptor: int) -> dict[str, Any]:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableError("This is not a regular file.")
    if status.st_size == 0:
        raise UnreadableError("The file is empty.")
    with open(descriptor, "rb", closefd=False) as file:
        return metadata_of(file, status.st_size)


if __name__ == "__main__":
    main()
