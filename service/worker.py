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
from service.captions.extract import extract_captions
from service.images.poster import poster
from service.images.storyboard import storyboard
from service.probing.metadata import UnreadableError, read_metadata
from service.storage.local.beneath import NotRegularError, open_file
from service.storage.local.files import revision

if TYPE_CHECKING:
    from service.storage.object_store.sync_client import SyncObjectClient

MAX_MEMORY_BYTES = 1 << 29
"""Bytes of address space a file may cost beyond what the process has after its imports. Pictures
take twice as much: of 2160p a decoder may hold 17 (ITU-T H.265 §A.4.2), of 25 MB each."""

CPU_SECONDS = 20
"""Seconds of the processor's time that a file may take when nothing else is asked for."""

TIMEOUT = 120
"""The same of the clock. The parent gives up before; this ends a worker whose parent is gone."""

_SCHED_IDLE = getattr(os, "SCHED_IDLE", None)
_PR_SET_PDEATHSIG = 1  # sys/prctl.h
_M_ARENA_MAX = -8  # malloc.h

_Payload = dict[str, Any]
_FileRef = tuple[str, str]  # path and revision
_MediaRoot = str | tuple[str, float]  # as places.py has it: a folder, or a store's URL and seconds
_Task = Callable[..., tuple[_Payload, Sequence[bytes]]]


def main() -> None:
    """Answer requests until standard input ends."""
    # A terminal's Ctrl-C is the server's to handle. A session of its own would keep it away, but
    # kernels share processors out by sessions first (sched(7), autogroup): however idle this is, it
    # would get as much as the server.
    os.setpgid(0, 0)
    with os.fdopen(os.dup(1), "wb") as responses:
        os.dup2(2, 1)  # nothing a library prints may get between the answers
        apply_limits(2 * MAX_MEMORY_BYTES if "pictures" in sys.argv[1:] else MAX_MEMORY_BYTES)
        for line in sys.stdin.buffer:
            payload, blobs = handle_request(json.loads(line))
            if blobs:
                payload["bytes"] = [len(blob) for blob in blobs]
            try:
                responses.write(json.dumps(payload, allow_nan=False).encode() + b"\n")
                responses.writelines(blobs)
                responses.flush()
            except BrokenPipeError:
                os._exit(1)  # nobody is left to be told


def apply_limits(memory: int = MAX_MEMORY_BYTES) -> None:
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


def handle_request(request: dict[str, Any]) -> tuple[_Payload, Sequence[bytes]]:
    """Give the answer to a request, and the bytes that come with it."""
    task = _TASKS[request.pop("task")]
    # Their default actions end the process, in C code as well.
    signal.setitimer(signal.ITIMER_PROF, request.pop("cpu", CPU_SECONDS))
    signal.alarm(request.pop("wall", TIMEOUT))
    try:
        return task(**request)
    except UnreadableError as error:
        return _failure(str(error))
    except MemoryError:
        return _failure("Reading the file takes more memory than is allowed.")
    except FileNotFoundError as error:
        return _failure(f"{_file_label(error, request)} is gone.", lasting=False)
    except PermissionError as error:
        which = _file_label(error, request)
        return _failure(f"{which} may not be read: permission denied.", lasting=False)
    except OSError as error:
        reason = error.strerror or "input/output error"
        return _failure(
            f"{_file_label(error, request)} could not be read: {reason}.", lasting=False
        )
    except Exception:  # noqa: BLE001 # whatever a damaged file can do to who reads it
        traceback.print_exc()
        return _failure("Reading the file failed: see the server's log.")
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)


def _file_label(error: OSError, request: dict[str, Any]) -> str:
    """Tell a file beside the video from the video, by its name alone: paths are for nobody."""
    path = error.filename
    sidecars = isinstance(path, str) and path != request.get("path")
    return f"The file {Path(path).name}" if sidecars else "The file"


def _failure(reason: str, *, lasting: bool = True) -> tuple[_Payload, Sequence[bytes]]:
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
def _open_file(
    root: _MediaRoot, path: str, revision_wanted: str | None = None
) -> Iterator[tuple[BinaryIO, int]]:
    """Open a file by number, and tell its size: FFmpeg sees neither its name nor its ending.

    What is made of it is of the revision expected, or is not given. Of a store `path` is a key.
    """
    if isinstance(root, str):
        with _open_in_folder(Path(root), path, revision_wanted) as opened:
            yield opened
        return
    from service.storage.object_store.object_file import open_object  # noqa: PLC0415 # as above

    stored, size = open_object(_bucket(*root), path, revision_wanted)
    with stored:
        yield stored, size


@contextmanager
def _open_in_folder(
    root: Path, path: str, revision_wanted: str | None
) -> Iterator[tuple[BinaryIO, int]]:
    """Open a regular file beneath a folder. Raises UnreadableError and OSError, also at the end."""
    try:
        descriptor, _ = open_file(root, path)
    except NotRegularError as error:
        if revision_wanted is not None:
            raise _replaced(path) from error
        raise UnreadableError("This is not a regular file.") from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if revision_wanted is not None and revision(status) != revision_wanted:
            raise _replaced(path)
        if status.st_size == 0:
            raise UnreadableError("The file is empty.")
        try:
            yield file, status.st_size
        finally:
            # What seems damaged may have been half of one version and half of another.
            if revision_wanted is not None and revision(os.fstat(descriptor)) != revision_wanted:
                raise _replaced(path)


def _replaced(path: str) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, "the file was replaced", path)


@contextmanager
def _open_optional(root: _MediaRoot, ref: _FileRef | None) -> Iterator[BinaryIO | None]:
    """Open a file beside a video, if there is one."""
    if ref is None:
        yield None
    else:
        with _open_file(root, *ref) as (file, _):
            yield file


def _probe(
    root: _MediaRoot, path: str, revision: str | None = None
) -> tuple[_Payload, Sequence[bytes]]:
    with _open_file(root, path, revision) as (file, size):
        return {"metadata": read_metadata(file, size)}, ()


def _poster(
    root: _MediaRoot, path: str, revision: str, image: _FileRef | None
) -> tuple[_Payload, Sequence[bytes]]:
    with (
        _open_file(root, path, revision) as (file, _),
        _open_optional(root, image) as picture,
    ):
        result = poster(file, picture)
    if result is None:
        return _payload(None), ()
    sizes = tuple((picture.width, picture.height) for picture in result.images)
    metadata = PosterMetadata(source=result.source, sizes=sizes)
    return _payload(metadata), [picture.data for picture in result.images]


def _storyboard(root: _MediaRoot, path: str, revision: str) -> tuple[_Payload, Sequence[bytes]]:
    with _open_file(root, path, revision) as (file, _):
        result = storyboard(file)
    if result is None:
        return _payload(None), ()
    return _payload(
        StoryboardMetadata(layout=result.grid, sheets=len(result.sheets))
    ), result.sheets


def _captions(
    root: _MediaRoot, path: str, revision: str, texts: Sequence[_FileRef]
) -> tuple[_Payload, Sequence[bytes]]:
    with ExitStack() as stack:
        file, _ = stack.enter_context(_open_file(root, path, revision))
        sidecars = {
            Path(text).name: stack.enter_context(_open_file(root, text, at))[0]
            for text, at in texts
        }
        result = extract_captions(Path(path).name, file, sidecars)
    metadata = CaptionsMetadata(
        tracks=tuple(track for track, _ in result.tracks),
        chapters=result.chapters,
        problems=result.problems,
    )
    return _payload(metadata), [text.encode() for _, text in result.tracks]


def _payload(metadata: ArtefactMetadata) -> _Payload:
    return {"facts": dump_metadata(metadata).decode()}


_TASKS: dict[str, _Task] = {
    "probe": _probe,
    "poster": _poster,
    "captions": _captions,
    "storyboard": _storyboard,
}


if __name__ == "__main__":
    main()
