"""Tags of a container or a stream, legible and bounded in number and length."""

from collections.abc import Mapping
from typing import Any, Final

from service.encodings.tags import read_tag, shared_encoding

MAX_TAGS: Final = 200
"""MusicBrainz Picard writes some 60."""
MAX_TITLE_LENGTH: Final = 500
MAX_TAG_LENGTH: Final = 300
MAX_TAG_NAME_LENGTH: Final = 100

# Tags about how the file was made, not about its content: brands of MP4 (ISO/IEC 14496-12 §4.3),
# tags that FFmpeg, mkvmerge and QuickTime add by default, and the statistics of Matroska.
_IGNORED: Final = frozenset(
    {"title", "encoder", "software", "encoded_by", "encoding_tool", "major_brand", "minor_version"}
    | {"compatible_brands", "creation_time", "handler_name", "vendor_id", "duration", "language"}
    | {"writing_app", "muxing_app", "bps", "number_of_frames", "number_of_bytes"}
)


def container_tags(container: Any) -> dict[str, str]:
    """Return the tags of a container; in Ogg, those of its first stream.

    Vorbis comments belong to a stream (RFC 7845 §5.2), so FFmpeg has none for the whole.
    """
    tags = dict(container.metadata)
    if container.format.name == "ogg" and container.streams:
        tags = {**container.streams[0].metadata, **tags}
    return tags


def title_tag(metadata: Mapping[str, str]) -> str | None:
    """Return the title of a container; None if it has none, or a damaged one.

    A title in another encoding than its declared one may be a guess; the file's name is not.
    """
    tag = next((text for key, text in metadata.items() if key.lower() == "title"), "")
    title = read_tag(tag)
    return shorten(title.text.strip(), MAX_TITLE_LENGTH) or None if title.intact else None


def other_tags(metadata: Mapping[str, str], problems: list[str]) -> list[dict[str, str]]:
    """Return the name and text of the other tags, sorted by name; leave out illegible ones.

    Append a sentence to `problems` if there are too many.
    """
    info: dict[str, str] = {}
    encoding = shared_encoding(metadata.values())
    for key, value in metadata.items():
        name = legible(key, MAX_TAG_NAME_LENGTH).lower()
        text = legible(value, MAX_TAG_LENGTH, encoding)
        if name and text and name not in _IGNORED and not name.startswith("_"):
            info.setdefault(name, text)
    if len(info) > MAX_TAGS:
        problems.append(f"There are {len(info)} tags: only the first {MAX_TAGS} are shown.")
    return [{"name": name, "text": text} for name, text in sorted(info.items())[:MAX_TAGS]]


def legible(tag: str, max_length: int, encoding: str | None = None) -> str:
    """Return the text of a tag in its likely encoding; an empty string if it is illegible.

    `encoding` is that of other damaged tags of the file, if known.
    """
    return shorten(read_tag(tag, encoding).text.strip(), max_length)


def shorten(text: str, max_length: int) -> str:
    """Return a text of at most `max_length` characters. An ellipsis shows that it was cut."""
    return text if len(text) <= max_length else f"{text[: max_length - 1].rstrip()}…"
