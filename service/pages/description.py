"""The description of a video for viewers, from the tags of its file."""

from collections.abc import Mapping
from dataclasses import dataclass

from service.models import Video

# Names of FFmpeg for the same thing in different containers; the first that a file has is taken.
_DESCRIPTIONS = ("description", "synopsis", "summary", "comment")
_ROWS: Mapping[str, tuple[str, ...]] = {
    "Artist": ("artist", "album_artist", "author", "performer"),
    "Director": ("director",),
    "Album": ("album",),
    "Show": ("show",),
    "Genre": ("genre",),
    "Published by": ("publisher", "network"),
    "Copyright": ("copyright",),
    "Keywords": ("keywords",),
}
MAX_DESCRIPTION = 4000  # characters


@dataclass(frozen=True, slots=True)
class Description:
    """A text about a video, and rows of labels and values."""

    text: str
    """Empty if there is none."""
    rows: tuple[tuple[str, str], ...]


def describe(video: Video) -> Description:
    """Return the description. Texts that repeat the title or another row are left out."""
    tags = {tag.name: tag.text.strip() for tag in video.metadata.tags} if video.metadata else {}
    said = {video.title}
    rows = []
    for label, names in _ROWS.items():
        text = _first(tags, names, said)
        if text:
            said.add(text)
            rows.append((label, text))
    text = _first(tags, _DESCRIPTIONS, said)
    if len(text) > MAX_DESCRIPTION:
        text = f"{text[:MAX_DESCRIPTION].rstrip()} …"
    return Description(text, tuple(rows))


def _first(tags: Mapping[str, str], names: tuple[str, ...], said: set[str]) -> str:
    return next((tags[name] for name in names if tags.get(name) and tags[name] not in said), "")
