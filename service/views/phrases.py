"""What pages say of a video, in words: times, sizes, streams."""

from service.library.video import Metadata, Stream, Video


def details(video: Video) -> str:
    """Say the most interesting things of a video in one line."""
    parts = []
    if video.metadata:
        if video.metadata.duration is not None:
            parts.append(duration(video.metadata.duration))
        pictures = (s for s in video.metadata.streams if s.kind == "video" and s.width and s.height)
        parts += [f"{stream.width}×{stream.height}" for stream in pictures][:1]
    return " · ".join([*parts, size(video.size)])


def facts(video: Video) -> list[tuple[str, str]]:
    """Say everything about a video, as labels and values."""
    rows = [("Size", size(video.size)), ("Type", video.content_type)]
    if video.metadata:
        rows = [*_metadata_facts(video.metadata), *rows]
    return [*rows, ("File", video.path), ("Revision", video.revision)]


def _metadata_facts(metadata: Metadata) -> list[tuple[str, str]]:
    rows = []
    if metadata.duration is not None:
        rows.append(("Length", duration(metadata.duration)))
    if metadata.bit_rate is not None:
        rows.append(("Bit rate", f"{metadata.bit_rate / 1e6:.2f} Mbit/s"))
    rows.append(("Container", metadata.container))
    if metadata.index_at_front is not None:
        behind = "at the end; players get it in front" if metadata.fast_start else "at the end"
        rows.append(("Index", "at the front" if metadata.index_at_front else behind))
    return rows


def describe_stream(stream: Stream) -> str:
    """Say in a line what a stream is."""
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
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """Write a time as 1:02:03 or 2:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def size(count: float) -> str:
    """Write a number of bytes in decimal units, as file managers do."""
    units = iter(("B", "kB", "MB"))
    unit = next(units)
    while count >= 999.5 and unit != "GB":  # noqa: PLR2004 # what would be rounded up to 1000
        count /= 1000
        unit = next(units, "GB")
    whole = unit == "B" or count >= 9.95  # noqa: PLR2004 # what would be rounded up to 10.0
    return f"{count:.0f} {unit}" if whole else f"{count:.1f} {unit}"
