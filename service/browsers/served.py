"""The metadata of what players get, where that is not the file as it is."""

from collections.abc import Collection, Sequence

from service.models import Metadata, Stream

_MP4 = "mov,mp4,m4a,3gp,3g2,mj2"  # FFmpeg's name

_MADE = {"codec": "aac", "channels": 2, "sample_rate": 48_000}
"""What differs in sound that was made (service/sound/transcode.py)."""


def as_mp4(
    metadata: Metadata,
    tracks: Sequence[int],
    codecs: Sequence[str],
    *,
    has_made_sound: bool = False,
    is_mended: bool = False,
) -> Metadata:
    """Return the metadata of the MP4 that is made of a file by a header.

    `tracks` are the indexes of the file's streams that it has, in its order; the first picture and
    the first sound are enabled. `codecs` are the codecs parameters of these two. With
    `has_made_sound`, the first sound was made of its stream. With `is_mended`, its open GOPs are
    mended. The streams that the MP4 does not have follow: no browser plays their sound.
    """
    by_index = {stream.index: stream for stream in metadata.streams}
    chosen = [by_index[index] for index in tracks if index in by_index]
    rest = [stream for stream in metadata.streams if stream not in chosen]
    strings = list(codecs)
    made, kinds = list[Stream](), set[str]()
    for stream in chosen:
        is_first = stream.kind not in kinds
        kinds.add(stream.kind)
        is_made = has_made_sound and is_first and stream.kind == "audio"
        update = {
            "default": is_first,
            "compression": None,
            "sample_entry": None,
            **({"open_gops": None} if is_mended else {}),
            "codec_string": strings.pop(0) if is_first and strings else stream.codec_string,
            **(_MADE if is_made else {}),
        }
        made.append(stream.model_copy(update=update))
    return metadata.model_copy(
        update={
            "container": _MP4,
            "brand": "isom",
            "start": 0.0,
            "index_at_front": True,
            "has_seek_index": None,
            "streams": (*made, *(_without_default(stream, kinds) for stream in rest)),
        }
    )


def _without_default(stream: Stream, kinds: Collection[str]) -> Stream:
    """Return a stream that the MP4 lacks, as one that browsers never play instead of the first."""
    return stream.model_copy(update={"default": False}) if stream.kind in kinds else stream
