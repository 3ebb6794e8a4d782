"""Subtitles that are mentioned, because they are not shown: pictures, and other kinds of text."""

from collections.abc import Iterable
from typing import Final

from service.languages.names import english_name

_PICTURES: Final = {
    "hdmv_pgs_subtitle": "PGS",
    "dvd_subtitle": "VobSub",
    "dvb_subtitle": "DVB",
    "xsub": "XSUB",
}
"""Names of the kinds by FFmpeg's names of their codecs."""
_TEXTS: Final = {
    "dvb_teletext": "teletext",
    "eia_608": "CEA-608",
    "hdmv_text_subtitle": "HDMV text",
    "arib_caption": "ARIB",
    "ttml": "TTML",
}
_PICTURE_FILES: Final = {".sup": "PGS", ".idx": "VobSub"}

_PICTURES_REASON: Final = (
    "are pictures, which browsers cannot show. Recognise their text (OCR) and put it beside the "
    "video as SubRip."
)
_TEXT_REASON: Final = "are not shown. Convert them to SubRip or WebVTT."


def stream_problem(index: int, codec: str, language: str | None) -> str:
    """Return a sentence about subtitles inside a video. `language` is a BCP 47 tag."""
    kind = _PICTURES.get(codec) or _TEXTS.get(codec) or f"unknown ({codec or 'no codec'})"
    name = ", ".join(filter(None, (kind, language and english_name(language))))
    reason = _PICTURES_REASON if codec in _PICTURES else _TEXT_REASON
    return f"The subtitles in stream {index} ({name}), inside the video, {reason}"


def file_problem(name: str, others: Iterable[str]) -> str | None:
    """Return a sentence about a file of subtitles; None if another file's sentence covers it."""
    stem, _, extension = name.rpartition(".")
    extension = f".{extension.lower()}"
    if kind := _PICTURE_FILES.get(extension):
        return f"{name}: {kind} subtitles {_PICTURES_REASON}"
    if extension == ".sub" and f"{stem}.idx".lower() in map(str.lower, others):
        return None  # the pictures that the index is of
    return f"{name}: Subtitles of this kind {_TEXT_REASON}"
