"""The process that opens files with FFmpeg and Pillow: a crash, a hang or a lack of memory in these
libraries ends this process only."""

import ctypes
import errno
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import av.logging

from service.artefacts.metadata import (
    ArtefactMetadata,
    CaptionsMetadata,
    CopyMetadata,
    PosterMetadata,
    RemuxMetadata,
    SoundMetadata,
    StoryboardMetadata,
    dump_metadata,
)
from service.artefacts.packed_fragments import pack_fragments
from service.captions.extract import extract_captions
from service.copies.film import copy_film
from service.images.poster import poster
from service.images.storyboard import storyboard
from service.matroska.window import DeclinedError
from service.probing.metadata import UnknownFormatError, UnreadableError, read_metadata
from service.protocol.revisions import copy_layout, sound_layout
from service.remux.header import make_header
from service.remux.span_reader import span_reader
from service.remux.with_sound import make_sound
from service.sidecars import MAX_TEXTS
from service.storage.local.beneath import NotRegularError, open_file
from service.storage.local.files import revision
from service.workers import process
from service.workers.large_output import LargeOutput
from service.workers.process import Payload, Response, Task

if TYPE_CHECKING:
    from service.storage.object_store.sync_client import SyncObjectClient

_M_ARENA_MAX = -8  # malloc.h

_FileRef = tuple[str, str]  # path and revision
_MediaRoot = str | tuple[str, float]  # a folder, or the URL and the timeout of a `StoreRef`


def main() -> None:
    """Answer requests until standard input ends."""
    av.logging.set_level(None)
    memory = process.MAX_MEMORY_BYTES
    process.serve(handle_request, 2 * memory if "pictures" in sys.argv[1:] else memory)


def handle_request(request: Payload) -> Response:
    """Return the response to a request, and the bytes that follow it."""
    return process.handle_request(request, _TASKS)


@cache
def _bucket(url: str, timeout: float) -> "SyncObjectClient":
    """Return a client of the store, with the credentials of the environment. Raises OSError."""
    # Each thread takes 64 MiB of address space for its allocations. One thread is enough, because
    # there is one request at a time.
    os.environ.setdefault("TOKIO_WORKER_THREADS", "1")
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_ARENA_MAX, 1)
    from service.storage.object_store.config import StoreError, open_store  # noqa: PLC0415
    from service.storage.object_store.sync_client import SyncObjectClient  # noqa: PLC0415 # an optional dependency

    try:
        return SyncObjectClient(open_store(url, os.environ, timeout=timeout))
    except StoreError as error:
        raise OSError(errno.EIO, "the store cannot be used") from error


@contextmanager
def _open_file(
    root: _MediaRoot, path: str, revision_wanted: str | None = None
) -> Iterator[tuple[BinaryIO, int]]:
    """Open a file and return it with its size in bytes. FFmpeg sees neither its name nor extension.

    Raises FileNotFoundError, also at the end, if its revision is not the one wanted. In a store,
    `path` is a key.
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
    """Open a regular file in a folder. Raises UnreadableError and OSError, also at the end."""
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
            # A file that was replaced meanwhile may seem damaged.
            if revision_wanted is not None and revision(os.fstat(descriptor)) != revision_wanted:
                raise _replaced(path)


def _replaced(path: str) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, "the file was replaced", path)


@contextmanager
def _open_optional(root: _MediaRoot, ref: _FileRef | None) -> Iterator[BinaryIO | None]:
    """Open a sidecar; None if there is none."""
    if ref is None:
        yield None
    else:
        with _open_file(root, *ref) as (file, _):
            yield file


def _probe(root: _MediaRoot, path: str, revision: str | None = None) -> Response:
    with _open_file(root, path, revision) as (file, size):
        try:
            return {"metadata": read_metadata(file, size)}, ()
        except UnknownFormatError as error:
            return {"problem": str(error), "known_format": False}, ()


def _poster(root: _MediaRoot, path: str, revision: str, image: _FileRef | None) -> Response:
    with _open_file(root, path, revision) as (file, _), _open_optional(root, image) as picture:
        result = poster(file, picture, Path(image[0]).name if image else "")
    if result is None:
        return _response(None), ()
    sizes = tuple((picture.width, picture.height) for picture in result.images)
    metadata = PosterMetadata(source=result.source, sizes=sizes, problems=result.problems)
    return _response(metadata), [picture.data for picture in result.images]


def _storyboard(root: _MediaRoot, path: str, revision: str) -> Response:
    with _open_file(root, path, revision) as (file, _):
        result = storyboard(file)
    if result is None:
        return _response(None), ()
    return _response(
        StoryboardMetadata(layout=result.grid, sheets=len(result.sheets))
    ), result.sheets


def _captions(root: _MediaRoot, path: str, revision: str, texts: Sequence[_FileRef]) -> Response:
    with ExitStack() as stack:
        file, _ = stack.enter_context(_open_file(root, path, revision))
        sidecars = {
            Path(text).name: stack.enter_context(_open_file(root, text, at))[0]
            for text, at in texts[:MAX_TEXTS]
        }
        result = extract_captions(Path(path).name, file, sidecars)
    problems = result.problems
    if len(texts) > MAX_TEXTS:
        sentence = f"There are {len(texts)} subtitle files: only the first {MAX_TEXTS} are read."
        problems = (sentence, *problems)
    metadata = CaptionsMetadata(
        tracks=tuple(track for track, _ in result.tracks),
        chapters=result.chapters,
        problems=problems,
    )
    return _response(metadata), [text.encode() for _, text in result.tracks]


def _remux(root: _MediaRoot, path: str, revision: str) -> Response:
    with _open_file(root, path, revision) as (file, size):
        try:
            header = make_header(file, size, span_reader(file))
        except DeclinedError as error:
            return _response(RemuxMetadata(declined=str(error))), ()
    fragments = pack_fragments(header.fragments)
    metadata = RemuxMetadata(
        layout=header.layout,
        size=len(header.data),
        content_type="video/mp4" if header.has_picture else "audio/mp4",
        codecs=header.codecs,
        streams=header.streams,
        fragments=fragments.metadata if fragments else None,
    )
    return _response(metadata), [header.data, *(fragments.blobs if fragments else ())]


def _sound(root: _MediaRoot, path: str, revision: str, output: str, room: int) -> Response:
    with _open_file(root, path, revision) as (file, size), LargeOutput(output, room) as sound:
        try:
            film = make_sound(file, size, span_reader(file), sound.write)
        except DeclinedError as error:
            return _response(SoundMetadata(declined=str(error))), ()
    blobs = [film.header, film.interleaving.to_bytes()]
    metadata = SoundMetadata(
        layout=sound_layout([*blobs, sound.digest]),
        size=len(film.header),
        content_type="video/mp4",
        codecs=film.codecs,
        streams=film.streams,
        digest=sound.digest.hex(),
        damaged=film.damaged,
    )
    return _response(metadata), blobs


def _copied(root: _MediaRoot, path: str, revision: str, output: str, room: int) -> Response:
    with _open_file(root, path, revision) as (file, _), LargeOutput(output, room) as written:
        try:
            film = copy_film(file, written)
        except DeclinedError as error:
            return _response(CopyMetadata(declined=str(error))), ()
    metadata = CopyMetadata(
        layout=copy_layout([film.header, written.digest]),
        size=len(film.header),
        content_type="video/mp4",
        codecs=film.codecs,
        streams=film.streams,
        transcoded=film.transcoded,
        media=written.length,
        jumps=film.jumps,
        damaged=film.damaged,
    )
    return _response(metadata), [film.header]


def _response(metadata: ArtefactMetadata) -> Payload:
    return {"facts": dump_metadata(metadata).decode()}


_TASKS: dict[str, Task] = {
    "probe": _probe,
    "poster": _poster,
    "remux": _remux,
    "sound": _sound,
    "captions": _captions,
    "storyboard": _storyboard,
    "copied": _copied,
}


if __name__ == "__main__":
    main()
