"""The sample entries of a file's tracks (avc1, hvc1, mp4a, …), made by FFmpeg: it muxes the first
frame of each track into an MP4 in memory, whose stsd is taken.

Use it in worker processes only."""

import io
import struct
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

import av

from service.matroska.frame_table import FrameTable
from service.matroska.tracks import MediaTrack
from service.matroska.window import DeclinedError
from service.mp4.boxes import MAX_HEADER_LENGTH, box_at
from service.probing import codecs
from service.probing.metadata import PROFILES, TEXT_OPTIONS
from service.remux.movie import SampleEntry
from service.remux.track_choice import codec_of
from service.sound.frames import sound_frame
from service.sound.silent_frames import silent_frame

OPTIONS = {"format_whitelist": "matroska,flv", "protocol_whitelist": "none"}

MAX_FRAME = 1 << 25
"""Bytes that are read of a track's first frame."""

_MUXER_OPTIONS = {
    "strict": "-2",  # for codecs that it calls experimental in MP4
    "write_btrt": "0",  # the bit rate of one frame is not that of the track
}
_ATTACHED = av.stream.Disposition.attached_pic

# Safari refuses hev1, and plays the same as hvc1 (ISO/IEC 14496-15 §8.4.1).
_TAGS = {"hevc": "hvc1"}
_CONFIGURATIONS = {b"avcC", b"hvcC", b"av1C", b"vpcC"}
_VISUAL_ENTRY_LENGTH = 86  # bytes before its boxes: ISO/IEC 14496-12 §12.1.3


class TrackEntry(NamedTuple):
    """A track's sample entry, and for sound the samples per second and in a frame."""

    stream_index: int
    """The index of FFmpeg's stream."""
    entry: SampleEntry
    sample_rate: int = 0
    frame: int = 0
    silence: bytes = b""
    """A frame of silence; empty if there is none."""


def read_sample_entries(
    file: BinaryIO, tracks: Sequence[MediaTrack], tables: Sequence[FrameTable]
) -> dict[int, TrackEntry]:
    """Return the entries of the tracks in `tables`, by number; none for one that FFmpeg cannot mux.

    `tracks` are all those of pictures and sound in the file, in its order. Raises DeclinedError,
    MemoryError and what `file` raises.
    """
    file.seek(0)
    try:
        with av.open(file, options=OPTIONS, **TEXT_OPTIONS) as container:
            by_number = {track.number: stream for track, stream in media_streams(container, tracks)}
            return {
                table.track.number: entry
                for table in tables
                if (entry := _entry_or_none(by_number[table.track.number], table, file))
            }
    except av.FFmpegError as error:
        if isinstance(error, MemoryError):
            raise
        raise DeclinedError("is damaged") from error


def media_streams(container: Any, tracks: Sequence[MediaTrack]) -> list[tuple[MediaTrack, Any]]:
    """Return all tracks of pictures and sound with FFmpeg's streams. Raises DeclinedError."""
    streams = [
        stream
        for stream in container.streams
        if stream.type in {"video", "audio"} and not stream.disposition & _ATTACHED
    ]
    if len(streams) != len(tracks):
        raise DeclinedError("has tracks that FFmpeg does not read")
    # FFmpeg orders the streams of Flash video by what it finds first.
    streams.sort(key=lambda stream: stream.type)
    in_order = sorted(tracks, key=lambda track: track.kind)
    pairs = list(zip(in_order, streams, strict=True))
    if any(stream.type != track.kind for track, stream in pairs):
        raise DeclinedError("has tracks that FFmpeg does not read")
    return pairs


def _entry_or_none(stream: Any, table: FrameTable, file: BinaryIO) -> TrackEntry | None:
    context = stream.codec_context
    if context is None or context.codec.canonical_name != codec_of(table.track):
        return None
    file.seek(table.offsets[0])
    return sample_entry(stream, file.read(min(table.sizes[0], MAX_FRAME)))


def sample_entry(stream: Any, frame: bytes) -> TrackEntry | None:
    """Return the entry of a stream of FFmpeg by its first frame; None if it cannot mux that."""
    try:
        return _entry(stream, frame)
    except (av.FFmpegError, ValueError, LookupError) as error:
        if isinstance(error, MemoryError):
            raise
        return None


def _entry(stream: Any, frame: bytes) -> TrackEntry:
    """Return the entry of a stream. Raises FFmpegError, ValueError, LookupError."""
    context = stream.codec_context
    codec = context.codec.canonical_name
    made = io.BytesIO()
    with av.open(made, "w", format="mp4", options=_MUXER_OPTIONS) as output:
        copy = output.add_stream_from_template(stream, opaque=True)
        if codec in _TAGS:
            copy.codec_context.codec_tag = _TAGS[codec]
        packet = av.Packet(frame)
        packet.stream, packet.pts, packet.dts, packet.is_keyframe = copy, 0, 0, True
        output.mux(packet)
    trak = _find(made.getvalue(), b"moov", b"trak")
    tkhd, stsd = _find(trak, b"tkhd"), _find(trak, b"mdia", b"minf", b"stbl", b"stsd")
    width, height = struct.unpack(">II", tkhd[-8:])
    if stream.type == "video" and stream.sample_aspect_ratio:
        # §8.3.2: the presented width, which FFmpeg takes from what a template does not have.
        width = min(round(context.width * stream.sample_aspect_ratio * 65536), 2**32 - 1)
    entry = SampleEntry(
        stsd=struct.pack(">I4s", 8 + len(stsd), b"stsd") + stsd,
        codec=codec_string(codec, stsd, context),
        width=width,
        height=height,
        matrix=tkhd[-44:-8],
    )
    if stream.type == "video":
        return TrackEntry(stream.index, entry)
    extradata = context.extradata or b""
    return TrackEntry(
        stream.index,
        entry,
        *sound_frame(codec, context.sample_rate, extradata, frame[:16]),
        silence=silent_frame(codec, extradata, frame),
    )


def _find(data: bytes, *path: bytes) -> bytes:
    """Return the payload of the first box with these types, each within the one before.

    Raises LookupError.
    """
    for type_ in path:
        found = next((payload for box_type, payload in _boxes(data) if box_type == type_), None)
        if found is None:
            raise LookupError(type_)
        data = found
    return data


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 0
    while box := box_at(data[position : position + MAX_HEADER_LENGTH], position, len(data)):
        yield box.type, data[box.payload_offset : box.end]
        position = box.end


def codec_string(codec: str, stsd: bytes, context: Any) -> str | None:
    """Return the codecs parameter, by the decoder configuration in the content of a stsd."""
    entry_tag = stsd[12:16].decode("latin-1")
    configuration: bytes = context.extradata or b""
    for type_, payload in _boxes(stsd[8 + _VISUAL_ENTRY_LENGTH :]):
        if type_ in _CONFIGURATIONS:
            configuration = payload
    return codecs.codec_string(
        codec,
        configuration,
        PROFILES.get((codec, context.profile or "")),
        entry=codecs.SampleEntry(tag=entry_tag),
    )
