"""The tasks of a worker process, and their requests and responses."""

import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

import av.logging

from service.artefacts.metadata import (
    ArtefactMetadata,
    CaptionsMetadata,
    CopyMetadata,
    FragmentedMetadata,
    PosterMetadata,
    RemuxMetadata,
    SoundMetadata,
    StoryboardMetadata,
    dump_metadata,
)
from service.artefacts.packed_fragments import pack_fragments
from service.captions.extract import extract_captions
from service.captions.sound_labels import with_labels
from service.copies.film import copy_film
from service.fragments.form import long_forms
from service.fragments.mended_mp4 import is_mp4, mend_mp4
from service.fragments.mp4 import mp4_forms
from service.images.models import EncodedImage
from service.images.poster import Sidecar, poster
from service.images.storyboard import storyboard
from service.made_sound.with_sound import make_sound
from service.matroska.window import DeclinedError
from service.naming.release_names import parse_name, parse_title
from service.naming.sidecars import MAX_TEXTS
from service.probing.metadata import UnknownFormatError, read_metadata
from service.protocol.revisions import copy_layout, header_layout, sound_layout
from service.remux.header import make_header
from service.storage.span_reader import span_reader
from service.worker.files import FileRef, MediaRoot, open_both, open_file, open_optional
from service.workers import process
from service.workers.process import Payload, Response, Task


def main() -> None:
    """Answer requests until standard input ends."""
    av.logging.set_level(None)
    memory = process.MAX_MEMORY_BYTES
    process.serve(handle_request, 2 * memory if "pictures" in sys.argv[1:] else memory)


def handle_request(request: Payload) -> Response:
    """Return the response to a request, and the bytes that follow it."""
    return process.handle_request(request, _TASKS)


def _probe(root: MediaRoot, path: str, revision: str | None = None) -> Response:
    with open_file(root, path, revision) as (file, size):
        try:
            metadata = with_labels(read_metadata(file, size))
        except UnknownFormatError as error:
            return {"problem": str(error), "known_format": False}, ()
    name = parse_name(path) or parse_title(metadata["title"] or "")
    return {"metadata": {**metadata, "parsed_name": name.model_dump() if name else None}}, ()


def _poster(
    root: MediaRoot, path: str, revision: str, image: FileRef | None, still: FileRef | None
) -> Response:
    with (
        open_file(root, path, revision) as (file, _),
        open_optional(root, image) as image_file,
        open_optional(root, still) as still_file,
    ):
        result = poster(
            file,
            Sidecar(image_file, Path(image[0]).name) if image and image_file else None,
            Sidecar(still_file, Path(still[0]).name) if still and still_file else None,
        )
    if result is None:
        return _response(None), ()
    metadata = PosterMetadata(
        source=result.source,
        sizes=_sizes(result.images),
        still=None if result.still is None else _sizes(result.still),
        problems=result.problems,
    )
    pictures = (*result.images, *(result.still or ()))
    return _response(metadata), [picture.data for picture in pictures]


def _sizes(images: Iterable[EncodedImage]) -> tuple[tuple[int, int], ...]:
    return tuple((image.width, image.height) for image in images)


def _storyboard(root: MediaRoot, path: str, revision: str) -> Response:
    with open_file(root, path, revision) as (file, _):
        result = storyboard(file)
    if result is None:
        return _response(None), ()
    metadata = StoryboardMetadata(layout=result.grid, sheets=len(result.sheets))
    return _response(metadata), result.sheets


def _captions(root: MediaRoot, path: str, revision: str, texts: Sequence[FileRef]) -> Response:
    with ExitStack() as stack:
        file, _ = stack.enter_context(open_file(root, path, revision))
        sidecars = {
            Path(text).name: stack.enter_context(open_file(root, text, at))[0]
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


def _remux(root: MediaRoot, path: str, revision: str) -> Response:
    with open_file(root, path, revision) as (file, size):
        try:
            read = span_reader(file)
            header = (mend_mp4 if is_mp4(size, read) else make_header)(file, size, read)
        except DeclinedError as error:
            return _response(RemuxMetadata(declined=str(error))), ()
    seekable = header.seekable.blobs if header.seekable else ()
    forms = long_forms(header.data, header.tracks, header.streams, size + header.inserted)
    base = header.layout if header.silence else ""
    fragments = pack_fragments(forms, [header.data, *header.silence, *seekable], base)
    metadata = RemuxMetadata(
        layout=header.layout,
        size=len(header.data),
        content_type="video/mp4" if header.has_picture else "audio/mp4",
        codecs=header.codecs,
        streams=header.streams,
        fragments=next(iter(fragments.metadata), None),
        other_fragments=fragments.metadata[1:],
        has_silence=bool(header.silence),
        seekable=header_layout([*seekable, base.encode()]) if seekable else None,
    )
    return _response(metadata), [header.data, *header.silence, *fragments.blobs, *seekable]


def _fragments(root: MediaRoot, path: str, revision: str) -> Response:
    with open_file(root, path, revision) as (file, size):
        try:
            made = pack_fragments(mp4_forms(file, size, span_reader(file)))
        except DeclinedError as error:
            return _response(FragmentedMetadata(declined=str(error))), ()
    return _response(FragmentedMetadata(forms=made.metadata)), made.blobs


def _sound(  # noqa: PLR0913, PLR0917 # the fields of the request
    root: MediaRoot,
    path: str,
    revision: str,
    output: str,
    room: int,
    made_of: tuple[int, int | None],
) -> Response:
    number, stream = made_of
    with open_both(root, path, revision, output, room) as (file, size, sound):
        try:
            film = make_sound(file, size, span_reader(file), sound.write, stream)
        except DeclinedError as error:
            return _response(SoundMetadata(declined=str(error))), ()
    blobs = [film.header, film.interleaving.to_bytes()]
    layout, whole = sound_layout([*blobs, sound.digest], number), size + film.interleaving.inserted
    forms = long_forms(film.header, film.tracks, film.streams, whole)
    fragments = pack_fragments(forms, blobs, layout)
    metadata = SoundMetadata(
        layout=layout,
        size=len(film.header),
        codecs=film.codecs,
        streams=film.streams,
        fragments=next(iter(fragments.metadata), None),
        digest=sound.digest.hex(),
        damaged=film.damaged,
    )
    return _response(metadata), [*blobs, *fragments.blobs]


def _copied(root: MediaRoot, path: str, revision: str, output: str, room: int) -> Response:
    with open_both(root, path, revision, output, room) as (file, _, written):
        try:
            film = copy_film(file, written)
        except DeclinedError as error:
            return _response(CopyMetadata(declined=str(error))), ()
    layout = copy_layout([film.header, written.digest])
    forms = long_forms(film.header, film.tracks, film.streams, written.length)
    fragments = pack_fragments(forms, [film.header], layout)
    metadata = CopyMetadata(
        layout=layout,
        size=len(film.header),
        codecs=film.codecs,
        streams=film.streams,
        fragments=next(iter(fragments.metadata), None),
        other_fragments=fragments.metadata[1:],
        transcoded=film.transcoded,
        media=written.length,
        jumps=film.jumps,
        damaged=film.damaged,
    )
    return _response(metadata), [film.header, *fragments.blobs]


def _response(metadata: ArtefactMetadata) -> Payload:
    return {"facts": dump_metadata(metadata).decode()}


_TASKS: dict[str, Task] = {
    "probe": _probe,
    "poster": _poster,
    "remux": _remux,
    "fragments": _fragments,
    "sound": _sound,
    "captions": _captions,
    "storyboard": _storyboard,
    "copied": _copied,
}
