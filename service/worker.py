"""The process that opens files, alone with the libraries that parse them: what crashes, hangs or
eats memory here takes nothing else along. One JSON request a line on standard input, one JSON
answer a line on standard output, and behind it the bytes that it announces; the end of input is the
end of the process."""

import ctypes
import errno
import json
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import av.logging

from service.artefacts.metadata import (
    ArtefactMetadata,
    CaptionsMetadata,
    PosterMetadata,
    StoryboardMetadata,
    dump_metadata,
)
from service.captions.extract import captions_of
from service.images.poster import poster
from service.images.storyboard import storyboard
from service.probing.metadata import UnreadableError, metadata_of
from service.storage.local.beneath import NotRegularError, open_file
from service.storage.local.files import revision

if TYPE_CHECKING:
    from service.storage.object_store.sync_client import SyncObjectClient

MEMORY = 1 << 29
"""Bytes of address space a file may cost beyond what the process has after its imports. Pictures
take twice as much: of 2160p a decoder may hold 17 (ITU-T H.265 §A.4.2), of 25 MB each."""

CPU = 20
"""Seconds of the processor's time that a file may take when nothing else is asked for."""

WALL = 120
"""The same of the clock. The parent gives up before; this ends a worker whose parent is gone."""

_SCHED_IDLE = getattr(os, "SCHED_IDLE", None)
_PR_SET_PDEATHSIG = 1  # sys/prctl.h
_M_ARENA_MAX = -8  # malloc.h

_Told = dict[str, Any]
_Named = tuple[str, str]  # path and revision
_Place = str | tuple[str, float]  # as places.py has it: a folder, or a store's URL and seconds
_Task = Callable[..., tuple[_Told, Sequence[bytes]]]


def main() -> None:
    """Answer requests until standard input ends."""
    # A terminal's Ctrl-C is the server's to handle. A session of its own would keep it away, but
    # kernels share processors out by sessions first (sched(7), autogroup): however idle this is, it
    # would get as much as the server.
    os.setpgid(0, 0)
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)  # nothing a library prints may get between the answers
        limit_process(2 * MEMORY if "pictures" in sys.argv[1:] else MEMORY)
        for line in sys.stdin.buffer:
            told, blobs = answer_to(json.loads(line))
            if blobs:
                told["bytes"] = [len(blob) for blob in blobs]
            try:
                answers.write(json.dumps(told, allow_nan=False).encode() + b"\n")
                answers.writelines(blobs)
                answers.flush()
            except BrokenPipeError:
                os._exit(1)  # nobody is left to be told


def limit_process(memory: int = MEMORY) -> None:
    """Bound what this process may take of the machine, and silence FFmpeg.

    It runs in the time only that nobody else wants: beside a niceness of 10, the p99 of viewers'
    waits doubled (benchmarks/deriving.py).
    """
    av.logging.set_level(None)
    os.nice(19)
    libc = ctypes.CDLL(None)
    if hasattr(libc, "prctl"):
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # not to outlive the server, however it ends
    if _SCHED_IDLE is not None:
        with suppress(OSError):
            os.sched_setscheduler(0, _SCHED_IDLE, os.sched_param(0))
    with suppress(OSError):  # where memory runs out, this is the process to end (Linux)
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pages = Path("/proc/self/statm")
    if pages.exists():  # elsewhere than on Linux, address space is not told and not limited
        used = int(pages.read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + memory, used + memory))


def answer_to(request: dict[str, Any]) -> tuple[_Told, Sequence[bytes]]:
    """Give the answer to a request, and the bytes that come with it."""
    task = _TASKS[request.pop("task")]
    # Their default actions end the process, in C code as well.
    signal.setitimer(signal.ITIMER_PROF, request.pop("cpu", CPU))
    signal.alarm(request.pop("wall", WALL))
    try:
        return task(**request)
    except UnreadableError as error:
        return _problem(str(error))
    except MemoryError:
        return _problem("Reading the file takes more memory than is allowed.")
    except FileNotFoundError as error:
        return _problem(f"{_which(error, request)} is gone.", lasting=False)
    except PermissionError as error:
        which = _which(error, request)
        return _problem(f"{which} may not be read: permission denied.", lasting=False)
    except OSError as error:
        reason = error.strerror or "input/output error"
        return _problem(f"{_which(error, request)} could not be read: {reason}.", lasting=False)
    except Exception:  # noqa: BLE001 # whatever a damaged file can do to who reads it
        traceback.print_exc()
        return _problem("Reading the file failed: see the server's log.")
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)


def _which(error: OSError, request: dict[str, Any]) -> str:
    """Tell a file beside the video from the video, by its name alone: paths are for nobody."""
    path = error.filename
    beside = isinstance(path, str) and path != request.get("path")
    return f"The file {Path(path).name}" if beside else "The file"


def _problem(reason: str, *, lasting: bool = True) -> tuple[_Told, Sequence[bytes]]:
    return {"problem": reason, "lasting": lasting}, ()


@cache
def _bucket(url: str, timeout: float) -> "SyncObjectClient":
    """Give what asks a store, by what the environment says of it. Raises OSError."""
    # Each thread would else take 64 MiB of the address space for what it allocates; and one is
    # enough, as nothing is asked for at the same time.
    os.environ.setdefault("TOKIO_WORKER_THREADS", "1")
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_ARENA_MAX, 1)
    from service.storage.object_store.config import StoreError, open_store  # noqa: PLC0415
    from service.storage.object_store.sync_client import SyncObjectClient  # noqa: PLC0415 # its client is an extra

    try:
        return SyncObjectClient(open_store(url, os.environ, timeout=timeout))
    except StoreError as error:
        raise OSError(errno.EIO, "the store cannot be used") from error


@contextmanager
def _opened(
    place: _Place, path: str, expected: str | None = None
) -> Iterator[tuple[BinaryIO, int]]:
    """Open a file by number, and tell its size: FFmpeg sees neither its name nor its ending.

    What is made of it is of the revision expected, or is not given. Of a store `path` is a key.
    """
    if isinstance(place, str):
        with _opened_in_folder(Path(place), path, expected) as opened:
            yield opened
        return
    from service.storage.object_store.object_file import open_object  # noqa: PLC0415 # as above

    stored, size = open_object(_bucket(*place), path, expected)
    with stored:
        yield stored, size


@contextmanager
def _opened_in_folder(
    root: Path, path: str, expected: str | None
) -> Iterator[tuple[BinaryIO, int]]:
    """Open a regular file beneath a folder. Raises UnreadableError and OSError, also at the end."""
    try:
        descriptor, _ = open_file(root, path)
    except NotRegularError as error:
        if expected is not None:
            raise _replaced(path) from error
        raise UnreadableError("This is not a regular file.") from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if expected is not None and revision(status) != expected:
            raise _replaced(path)
        if status.st_size == 0:
            raise UnreadableError("The file is empty.")
        try:
            yield file, status.st_size
        finally:
            # What seems damaged may have been half of one version and half of another.
            if expected is not None and revision(os.fstat(descriptor)) != expected:
                raise _replaced(path)


def _replaced(path: str) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, "the file was replaced", path)


@contextmanager
def _opened_beside(place: _Place, named: _Named | None) -> Iterator[BinaryIO | None]:
    """Open a file beside a video, if there is one."""
    if named is None:
        yield None
    else:
        with _opened(place, *named) as (file, _):
            yield file


def _probe(place: _Place, path: str, revision: str | None = None) -> tuple[_Told, Sequence[bytes]]:
    with _opened(place, path, revision) as (file, size):
        return {"metadata": metadata_of(file, size)}, ()


def _poster(
    place: _Place, path: str, revision: str, image: _Named | None
) -> tuple[_Told, Sequence[bytes]]:
    with _opened(place, path, revision) as (file, _), _opened_beside(place, image) as picture:
        made = poster(file, picture)
    if made is None:
        return _told(None), ()
    sizes = tuple((picture.width, picture.height) for picture in made.images)
    facts = PosterMetadata(source=made.source, sizes=sizes)
    return _told(facts), [picture.data for picture in made.images]


def _storyboard(place: _Place, path: str, revision: str) -> tuple[_Told, Sequence[bytes]]:
    with _opened(place, path, revision) as (file, _):
        made = storyboard(file)
    if made is None:
        return _told(None), ()
    return _told(StoryboardMetadata(layout=made.grid, sheets=len(made.sheets))), made.sheets


def _captions(
    place: _Place, path: str, revision: str, texts: Sequence[_Named]
) -> tuple[_Told, Sequence[bytes]]:
    with ExitStack() as stack:
        file, _ = stack.enter_context(_opened(place, path, revision))
        beside = {
            Path(text).name: stack.enter_context(_opened(place, text, at))[0] for text, at in texts
        }
        made = captions_of(Path(path).name, file, beside)
    facts = CaptionsMetadata(
        tracks=tuple(track for track, _ in made.tracks),
        chapters=made.chapters,
        problems=made.problems,
    )
    return _told(facts), [text.encode() for _, text in made.tracks]


def _told(facts: ArtefactMetadata) -> _Told:
    return {"facts": dump_metadata(facts).decode()}


_TASKS: dict[str, _Task] = {
    "probe": _probe,
    "poster": _poster,
    "captions": _captions,
    "storyboard": _storyboard,
}


if __name__ == "__main__":
    main()
