"""Adds the languages of a film's sounds, and the labels by which viewers choose them.

Use it in worker processes only."""

from typing import Any

from service.browsers.playable_forms import MAX_SOUNDS
from service.captions.track_info import TrackInfo
from service.languages.names import parse_language


def with_labels(metadata: dict[str, Any]) -> dict[str, Any]:
    """Add `language_tag` and `label` to the sounds of metadata as `read_metadata` returns them."""
    sounds = [stream for stream in metadata["streams"] if stream["kind"] == "audio"]
    for stream in sounds[:MAX_SOUNDS]:
        language, title = parse_language(stream.get("language") or ""), stream.get("title")
        if language or title:
            titles = (title,) if title else ()
            label = TrackInfo(language, "subtitles", forced=False, name_tags=titles).label()
            stream |= {"language_tag": language, "label": label}
    if len(sounds) > MAX_SOUNDS:
        sentence = f"There are {len(sounds)} sounds: only the first {MAX_SOUNDS} can be chosen."
        metadata["omissions"].append(sentence)
    return metadata
