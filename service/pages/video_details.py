"""The details of a video in words: the usual ones and the technical ones."""

from service.browsers import names
from service.browsers.browser_support import is_3gpp, is_matroska, is_mp4
from service.browsers.names import codec_name, format_bit_rate
from service.listing.dates import stated_date
from service.models import Metadata, Stream, Video
from service.pages.formatting import format_date, format_length, format_size

_CHANNELS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}
# The transfer functions of ITU-R BT.2100.
_HDR = {"smpte2084": "HDR (PQ)", "arib-std-b67": "HDR (HLG)"}
_EIGHT_BITS = 8


def detail_rows(video: Video, captions: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    """Return the labels and values of the usual details.

    `captions` are the names of the languages of its subtitles.
    """
    rows = _content_rows(video.metadata) if video.metadata else []
    if captions:
        rows.append(("Subtitles", ", ".join(captions)))
    if video.metadata and video.metadata.bit_rate is not None:
        rows.append(("Bit rate", format_bit_rate(video.metadata.bit_rate)))
    date = stated_date(video) or video.modified
    rows += [("Size", format_size(video.size)), ("Date", format_date(date))]
    return [*rows, ("File", video.path)]


def technical_rows(video: Video, *, is_remuxed: bool = False) -> list[tuple[str, str]]:
    """Return the labels and values of the technical details.

    `is_remuxed` says whether players get it as MP4.
    """
    rows = [("Type", video.content_type), ("Changed", format_date(video.modified))]
    if video.metadata:
        metadata = video.metadata
        container = container_name(video.content_type, metadata)
        rows.append(("Container", f"{container}; players get MP4" if is_remuxed else container))
        if metadata.index_at_front is not None:
            at_end = "at the end; players get it in front" if metadata.fast_start else "at the end"
            rows.append(("Index", "at the front" if metadata.index_at_front else at_end))
        rows += [(f"Stream {stream.index}", describe_stream(stream)) for stream in metadata.streams]
    return [*rows, ("Revision", video.revision)]


def container_name(content_type: str, metadata: Metadata) -> str:
    """Return the common name of a container. FFmpeg has one name for several of them."""
    if is_3gpp(metadata):
        return "3GPP"
    if is_mp4(metadata):
        return "QuickTime" if content_type == "video/quicktime" else "MP4"
    if is_matroska(metadata):
        return "WebM" if content_type.endswith("/webm") else "Matroska"
    return names.container_name(metadata.container)


def _content_rows(metadata: Metadata) -> list[tuple[str, str]]:
    rows = []
    if metadata.duration is not None:
        rows.append(("Length", format_length(metadata.duration)))
    video_stream = metadata.film
    if video_stream:
        if video_stream.width and video_stream.height:
            rows.append(("Resolution", f"{video_stream.width}×{video_stream.height}"))
        rows.append(("Video", _describe_video(video_stream)))
        if video_stream.frame_rate:
            rows.append(("Frame rate", f"{video_stream.frame_rate:.4g} per second"))
    audio = [_describe_audio(stream) for stream in metadata.streams if stream.kind == "audio"]
    if audio:
        rows.append(("Audio", "; ".join(audio)))
    return rows


def _describe_video(stream: Stream) -> str:
    parts = [codec_name(stream.codec)]
    if stream.bit_depth and stream.bit_depth > _EIGHT_BITS:
        parts.append(f"{stream.bit_depth} bits")
    if stream.transfer in _HDR:
        parts.append(_HDR[stream.transfer])
    if stream.interlaced:
        parts.append("interlaced")
    return ", ".join(parts)


def _describe_audio(stream: Stream) -> str:
    parts = [codec_name(stream.codec)]
    if stream.channels:
        parts.append(_CHANNELS.get(stream.channels, f"{stream.channels} channels"))
    if stream.sample_rate:
        parts.append(f"{stream.sample_rate / 1000:g} kHz")
    parts += [text for text in (stream.language, stream.title) if text]
    return ", ".join(parts)


def describe_stream(stream: Stream) -> str:
    """Return a line that describes a stream in FFmpeg's terms."""
    parts = [f"{stream.kind}: {stream.codec}"]
    if stream.codec_string:
        parts[0] += f" ({stream.codec_string})"
    if stream.width and stream.height:
        parts.append(f"{stream.width}×{stream.height}")
    if stream.frame_rate:
        parts.append(f"{stream.frame_rate:g} frames/s")
    if stream.channels:
        parts.append(f"{stream.channels} channel{'s' if stream.channels > 1 else ''}")
    if stream.sample_rate:
        parts.append(f"{stream.sample_rate / 1000:g} kHz")
    if stream.language:
        parts.append(stream.language)
    if stream.encryption:
        parts.append(f"encrypted ({stream.encryption})")
    return ", ".join(parts)
