"""The tasks that make other representations of a film."""

from service.artefacts.metadata import (
    CopyMetadata,
    FragmentedMetadata,
    RemuxMetadata,
    SoundMetadata,
)
from service.artefacts.packed_fragments import pack_fragments
from service.copies.film import copy_film
from service.fragments.form import long_forms
from service.fragments.mended_mp4 import is_mp4, mend_mp4
from service.fragments.mp4 import mp4_forms
from service.made_sound.with_sound import make_sound
from service.matroska.window import DeclinedError
from service.protocol.revisions import copy_layout, header_layout, sound_layout
from service.remux.header import make_header
from service.storage.span_reader import span_reader
from service.worker.files import MediaRoot, open_both, open_file
from service.worker.payload import payload
from service.workers.process import Response, Task


def _remux(root: MediaRoot, path: str, revision: str) -> Response:
    with open_file(root, path, revision) as (file, size):
        try:
            read = span_reader(file)
            header = (mend_mp4 if is_mp4(size, read) else make_header)(file, size, read)
        except DeclinedError as error:
            return payload(RemuxMetadata(declined=str(error))), ()
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
    return payload(metadata), [header.data, *header.silence, *fragments.blobs, *seekable]


def _fragments(root: MediaRoot, path: str, revision: str) -> Response:
    with open_file(root, path, revision) as (file, size):
        try:
            made = pack_fragments(mp4_forms(file, size, span_reader(file)))
        except DeclinedError as error:
            return payload(FragmentedMetadata(declined=str(error))), ()
    return payload(FragmentedMetadata(forms=made.metadata)), made.blobs


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
            return payload(SoundMetadata(declined=str(error))), ()
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
    return payload(metadata), [*blobs, *fragments.blobs]


def _copied(root: MediaRoot, path: str, revision: str, output: str, room: int) -> Response:
    with open_both(root, path, revision, output, room) as (file, _, written):
        try:
            film = copy_film(file, written)
        except DeclinedError as error:
            return payload(CopyMetadata(declined=str(error))), ()
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
    return payload(metadata), [film.header, *fragments.blobs]


TASKS: dict[str, Task] = {
    "remux": _remux,
    "fragments": _fragments,
    "sound": _sound,
    "copied": _copied,
}
