"""The metadata of what players get, where that is not the file as it is."""

from collections.abc import Sequence

from service.models import Metadata, Stream

_MP4 = "mov,mp4,m4a,3gp,3g2,mj2"  # FFmpeg's name


def as_mp4(metadata: Metadata, tracks: Sequence[int], codecs: Sequence[str]) -> Metadata:
    """Return the metadata of the MP4 that is made of a Matroska file by a header.

    `tracks` are the indexes of the file's streams that it has, in its order; the first picture and
    the first sound are enabled. `codecs` are the codecs parameters of these two. The streams that
    it does not have follow: no browser plays their sound.
    """
    by_index = {stream.index: stream for stream in metadata.streams}
    chosen = [by_index[index] for index in tracks if index in by_index]
    firsts = {stream.kind: stream.index for stream in reversed(chosen)}
    strings = dict(
        zip((s.index for s in chosen if s.index in firsts.values()), codecs, strict=False)
    )
    made = [
        stream.model_copy(
            update={
                "default": stream.index in firsts.values(),
                "compression": None,
                "sample_entry": None,
                "codec_string": strings.get(stream.index, stream.codec_string),
            }
        )
        for stream in chosen
    ]
    rest = [_without_default(s, firsts) for s in metadata.streams if s not in chosen]
    return metadata.model_copy(
        update={
            "container": _MP4,
            "brand": "isom",
            "start": 0.0,
            "index_at_front": True,
            "has_seek_index": None,
            "streams": (*made, *rest),
        }
    )


def _without_default(stream: Stream, firsts: dict[str, int]) -> Stream:
    """Return a stream that the MP4 does not have, as one that nobody plays instead of the first."""
    return stream.model_copy(update={"default": False}) if stream.kind in firsts else stream
