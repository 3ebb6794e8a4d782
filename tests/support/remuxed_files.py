"""Compare a Matroska file with the MP4 that a header makes of it, packet by packet and frame by
frame, as FFmpeg reads both."""

import hashlib
import subprocess
from collections.abc import Mapping, Sequence
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import av

from service.fragments.form import Fragments, make_forms
from service.protocol.ranges import Span
from service.remux.header import RemuxHeader, make_header
from service.representations.interleaving import Interleaving, Source, map_span

TOLERANCE = 0.001_01
"""Seconds by which a time may differ: Matroska's are mostly rounded to milliseconds."""

LACED_TOLERANCE = 0.003
"""The same for laced frames, of which FFmpeg rounds each length."""


MAX_PADDING = 8 * 2048
"""Bytes of a channel: a frame of AAC, in samples of eight bytes."""


def header_of(path: Path) -> RemuxHeader:
    """Return the header of a file. Raises DeclinedError."""
    with path.open("rb") as file:

        def read(span: Span) -> bytes:
            file.seek(span.start)
            return file.read(span.length)

        return make_header(file, path.stat().st_size, read)


def with_silence(path: Path, header: RemuxHeader) -> bytes:
    """Return the MP4 that a header makes of a file."""
    if not header.silence:
        return header.data + path.read_bytes()
    table, inserted = header.silence
    return _laid_out(header.data, path.read_bytes(), Interleaving.from_bytes(table), inserted)


def fragmented(file: bytes, made: Fragments) -> bytes:
    """Return the fragmented form of a file."""
    return _laid_out(made.head, file, made.interleaving, made.headers)


def _laid_out(head: bytes, file: bytes, layout: Interleaving, inserted: bytes) -> bytes:
    whole = Span(0, len(head) + len(file) + len(inserted))
    parts = {Source.HEADER: head, Source.FILE: file, Source.INSERTED: inserted}
    return b"".join(
        parts[source][span.start : span.end]
        for source, span in map_span(layout, len(head), len(file), whole)
    )


class Packet(NamedTuple):
    """A packet: its time in seconds from the start of the film, and its bytes."""

    time: float
    digest: bytes
    is_key: bool


def packets(file: Any, index: int) -> list[Packet]:
    """Return the packets of a stream, in the order of the file."""
    with av.open(file) as container:
        stream = container.streams[index]
        time_base = stream.time_base or Fraction(1)
        numerator, denominator = time_base.numerator, time_base.denominator
        return [
            Packet(
                (packet.pts or 0) * numerator / denominator,
                hashlib.sha256(bytes(packet)).digest(),
                packet.is_keyframe,
            )
            for packet in container.demux(stream)
            if packet.size
        ]


def pictures(file: Any, index: int) -> list[bytes]:
    """Return the digests of all decoded pictures of a stream."""
    with av.open(file) as container:
        stream = container.streams[index]
        stream.thread_type = "NONE"
        return [
            hashlib.sha256(b"".join(visible(plane, frame) for plane in frame.planes)).digest()
            for frame in container.decode(stream)
        ]


def visible(plane: Any, frame: Any) -> bytes:
    """Return the bytes of a plane without the padding of its lines."""
    length = plane.width * ((frame.format.components[0].bits + 7) // 8)
    lines = range(0, plane.height * plane.line_size, plane.line_size)
    data = bytes(plane)
    return b"".join(data[line : line + length] for line in lines)


def samples(file: Any, index: int) -> list[bytes]:
    """Return the decoded samples of a stream, by channel if they are planar."""
    with av.open(file) as container:
        frames = [
            [bytes(plane)[: frame.samples * frame.format.bytes * _interleaved(frame)]
             for plane in frame.planes]
            for frame in container.decode(container.streams[index])
        ]  # fmt: skip
    return [b"".join(planes) for planes in zip(*frames, strict=True)]


def _interleaved(frame: Any) -> int:
    """Return how many channels are in a plane."""
    return 1 if frame.format.is_planar else frame.layout.nb_channels


def media_indexes(file: Any) -> list[int]:
    """Return the numbers of the streams of pictures and sound, without covers."""
    with av.open(file) as container:
        attached = av.stream.Disposition.attached_pic
        return [
            stream.index
            for stream in container.streams
            if stream.type in {"video", "audio"} and not stream.disposition & attached
        ]


def assert_same(
    path: Path, chosen: Sequence[int], *, start: float | None = None, tolerance: float = TOLERANCE
) -> RemuxHeader:
    """Assert that the MP4 of a file has these of its streams, in this order, unchanged.

    `start` is when the file begins on its own clock, in seconds; None: with its first packet.
    """
    header = header_of(path)
    whole = header.data + path.read_bytes()
    remuxed = media_indexes(BytesIO(whole))
    assert len(remuxed) == len(chosen)
    originals = [packets(str(path), index) for index in chosen]
    with av.open(str(path)) as container:
        kinds = [container.streams[index].type for index in chosen]
    firsts = dict(zip(kinds[::-1], originals[::-1], strict=True))
    if start is None:  # the delay of an encoder is before 0
        start = max(0.0, min(min(p.time for p in original) for original in firsts.values()))
    for new_index, index, original, kind in zip(remuxed, chosen, originals, kinds, strict=True):
        made = packets(BytesIO(whole), new_index)
        assert [p.digest for p in made] == [p.digest for p in original]
        assert [p.is_key for p in made] == [p.is_key for p in original]
        worst = max(abs(a.time - start - b.time) for a, b in zip(original, made, strict=True))
        assert worst <= tolerance, f"{kind}: off by {worst}"
        if kind == "video":
            assert pictures(BytesIO(whole), new_index) == pictures(str(path), index)
        else:
            channels = zip(
                samples(str(path), index), samples(BytesIO(whole), new_index), strict=True
            )
            for before, after in channels:
                # What an edit list cuts off of the last frame is decoded, too.
                assert after[: len(before)] == before
                assert len(after) - len(before) <= MAX_PADDING
    _assert_fragments(path, header, firsts, start, tolerance)
    return header


def _assert_fragments(
    path: Path,
    header: RemuxHeader,
    originals: Mapping[Any, list[Packet]],
    start: float,
    tolerance: float,
) -> None:
    """Assert that the fragmented forms, if any, have the picture and their sounds unchanged."""
    for sound, fragments in make_forms(header.tracks, header.streams, path.stat().st_size):
        of_sound = {} if sound is None else {"audio": packets(str(path), sound)}
        data = fragmented(path.read_bytes(), fragments)
        _assert_fragmented(path, data, {**originals, **of_sound}, start, tolerance)


def _assert_fragmented(
    path: Path,
    data: bytes,
    originals: Mapping[Any, list[Packet]],
    start: float,
    tolerance: float,
) -> None:
    assert complaints(data) == ""
    with av.open(BytesIO(data)) as container:
        found = {stream.type: stream.index for stream in container.streams}
    assert found.keys() == originals.keys()
    for kind, index in found.items():
        made, original = packets(BytesIO(data), index), originals[kind]
        assert [(p.digest, p.is_key) for p in made] == [(p.digest, p.is_key) for p in original]
        worst = max(abs(a.time - start - b.time) for a, b in zip(original, made, strict=True))
        assert worst <= tolerance, f"{kind} in fragments: off by {worst}"
        if kind == "video":
            assert pictures(BytesIO(data), index) == pictures(str(path), index)


def complaints(data: bytes) -> str:
    """Return what ffprobe says of an MP4 besides its packets."""
    command = ("ffprobe", "-v", "warning", "-show_packets", "-of", "csv", "-i", "pipe:0")
    return subprocess.run(command, input=data, capture_output=True, check=True).stderr.decode()
