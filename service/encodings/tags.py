"""Tags in another encoding than the one that they are declared to have.

Programs write the bytes of their country's encoding and declare Latin-1 (ID3), or UTF-8 (most other
containers). FFmpeg returns the former as letters of Latin-1, the latter as surrogate escapes.
"""

import re
import unicodedata
from collections.abc import Iterable
from itertools import islice
from typing import Final, NamedTuple

from service.encodings.detect import Detection, detect

_SURROGATES: Final = re.compile("[\udc80-\udcff]")
_C1: Final = re.compile("[\x80-\x9f]")
_QUESTION_MARKS: Final = re.compile(r"\?{2,}")

# UTF-8 is often read as one of these.
_MISREADINGS: Final = ("cp1252", "cp1251", "cp1250", "mac-roman", "cp437", "cp850", "gb18030")
_MAX_LENGTH: Final = 4000  # characters that are examined
_MAX_DAMAGED: Final = 50  # tags; the longest shows the encoding of all
_MIN_MISREAD: Final = 2
_MIN_LETTERS: Final = 3
"""Letters beyond ASCII of a tag in Latin-1 that may be another language: "Été" has two."""
_MIN_LEAD: Final = 6.0
"""Least lead of another encoding over Windows-1252, for a tag that is declared to be Latin-1."""
_MAX_LOST: Final = 0.25
"""Share of undecodable characters that leaves a text legible."""


class Tag(NamedTuple):
    """The text of a tag."""

    text: str
    """In the encoding that it most likely has; empty if it is illegible."""
    intact: bool
    """Whether it was in its declared encoding."""


def shared_encoding(tags: Iterable[str]) -> str | None:
    """Return the encoding of the longest damaged tag of a file, or None if none is damaged.

    One program wrote them all. A name alone may be possible in several encodings.
    """
    longest = b""
    for tag in islice((tag[:_MAX_LENGTH] for tag in tags if not tag.isascii()), _MAX_DAMAGED):
        raw = _raw(tag) if _SURROGATES.search(tag) else _latin_bytes(tag)
        if raw and len(raw) > len(longest) and not _misread_utf_8(tag) and not read_tag(tag).intact:
            longest = raw
    if not longest:
        return None
    found = detect(longest)
    return found.encoding if _guess(longest, found, None) else None


def read_tag(tag: str, encoding: str | None = None) -> Tag:
    """Return the text of a tag from FFmpeg, which may have surrogate escapes. Never raises.

    `encoding` is that of other damaged tags of the file, if known.
    """
    tag = tag[:_MAX_LENGTH]
    if tag.isascii():
        return _lost_letters(tag) or Tag(tag, intact=True)
    if _SURROGATES.search(tag):
        return _undeclared(tag, encoding)
    if repaired := _misread_utf_8(tag):
        return Tag(repaired, intact=False)
    raw = _latin_bytes(tag)
    if raw is None:
        return _lost_letters(tag) or Tag(tag, intact="\ufffd" not in tag)
    found = detect(raw)
    if found.lead_over("cp1252") < _MIN_LEAD:
        return _latin(tag, raw)
    if sum(char > "\x7f" for char in tag) < _MIN_LETTERS and not _C1.search(tag):
        return _latin(tag, raw)
    return Tag(_guess(raw, found, encoding), intact=False)


def _raw(tag: str) -> bytes:
    return tag.encode(errors="surrogateescape")


def _guess(raw: bytes, found: Detection, encoding: str | None) -> str:
    """Return the most likely text, or an empty string if it is none."""
    if encoding is not None:
        text = raw.decode(encoding, errors="replace")
        if "\ufffd" not in text and text.isprintable():
            return text
    text = raw.decode(found.encoding, errors="replace")
    beyond_ascii = len(raw) - len(raw.decode("ascii", errors="ignore"))
    is_language = found.plausible if beyond_ascii > 1 else found.quality > 0
    return text if is_language and "\ufffd" not in text and text.isprintable() else ""


def _undeclared(tag: str, encoding: str | None) -> Tag:
    """Return the text of bytes that are not UTF-8."""
    raw = _raw(tag)
    if text := _guess(raw, detect(raw), encoding):
        return Tag(text, intact=False)
    text = raw.decode(errors="replace")
    return Tag(text if text.count("\ufffd") <= _MAX_LOST * len(text) else "", intact=False)


def _latin(tag: str, raw: bytes) -> Tag:
    """Return a tag in Latin-1. Browsers, too, read C1 controls of Latin-1 as Windows-1252."""
    if not _C1.search(tag):
        return Tag(tag, intact=True)
    text = raw.decode("cp1252", errors="replace")
    if "\ufffd" in text or any(unicodedata.category(char) == "Cc" for char in text):
        return Tag("", intact=False)
    return Tag(text, intact=True)


def _lost_letters(tag: str) -> Tag | None:
    """Return the tag if most letters are question marks, which replaced others."""
    lost = sum(map(len, _QUESTION_MARKS.findall(tag)))
    return Tag("", intact=False) if lost > sum(map(str.isalpha, tag)) else None


def _misread_utf_8(tag: str) -> str | None:
    """Return the text of UTF-8 that was read in another encoding, or None if it was not."""
    for encoding in _MISREADINGS:
        raw = _latin_bytes(tag) if encoding == "cp1252" else _encoded(tag, encoding)
        if raw is None or raw.isascii():
            continue
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            continue
        # A single character may be valid by accident: "\xcd\xe5\xf2" of Mac Roman is.
        beyond = sum(char > "\x7f" for char in text)
        if text.isprintable() and (encoding == "cp1252" or beyond >= _MIN_MISREAD):
            return text
    return None


def _encoded(text: str, encoding: str) -> bytes | None:
    try:
        return text.encode(encoding)
    except UnicodeEncodeError:
        return None


def _latin_bytes(text: str) -> bytes | None:
    """Return the bytes of a text in Windows-1252, or for C1 controls in Latin-1, if it has them."""
    parts = []
    for char in text:
        raw = _encoded(char, "latin-1") or _encoded(char, "cp1252")
        if raw is None:
            return None
        parts.append(raw)
    return b"".join(parts)
