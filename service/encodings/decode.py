"""Decoding of text files, whatever their encoding."""

import codecs
import re
from typing import Final, NamedTuple

from service.encodings.detect import Detection, detect

_BYTE_ORDER_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # begins with the mark of UTF-16 LE
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# These reveal Unicode without a byte order mark: the arrow of a cue, and lines of ASS.
_MARKERS: Final = ("-->", "Dialogue:")
_WIDE_ENCODINGS: Final = {"utf-16-le": 2, "utf-16-be": 2, "utf-32-le": 4, "utf-32-be": 4}

# Encodings of seven bits, which would be valid ASCII: ISO 2022 (RFC 1468, RFC 1557), HZ (RFC 1843).
_SEVEN_BITS: Final = (
    (re.compile(rb"\x1b\$\)C"), "iso2022-kr"),
    (re.compile(rb"\x1b\$(?:[@B]|\([DOPQ])"), "iso2022-jp-3"),
    (re.compile(rb"~\{(?:[\x21-\x77][\x21-\x7e])+~\}"), "hz"),
)
# RFC 2152: Base64 of UTF-16, of at least one letter.
_UTF_7: Final = re.compile(rb"\+[A-Za-z0-9+/]{3,}-?")
_MIN_UTF_7_RUNS: Final = 2
_MIN_UTF_8: Final = 4
"""Characters beyond ASCII that another encoding does not form by accident."""

# Removed: C0 and C1 except tab and line ends, byte order marks, noncharacters.
_CONTROLS: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufeff\ufffe\uffff]")

_MAX_RIVALS: Final = 3  # named in a problem


class DecodedText(NamedTuple):
    """The text of a file."""

    text: str
    """With line feeds as line ends and without control characters."""
    problem: str | None = None
    """A sentence for people, if the text may be wrong."""


def decode_text(data: bytes, language: str | None = None, named: str | None = None) -> DecodedText:
    """Return the text of a file.

    Unicode is recognised by its byte order mark or because it is valid, also if the file's name
    gives another encoding (`named`). Otherwise that is taken, or one is detected; the `language`
    (BCP 47), if known, helps. Undecodable bytes become U+FFFD. Never raises.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            data = data[len(mark) :]
            if encoding != "utf-8" or _utf_8(data):
                return _decode(data, encoding)
            break  # a program wrote the mark before bytes of another encoding
    known = (
        _certain_utf_8(data)
        or named
        or _wide_encoding(data)
        or _seven_bit_encoding(data)
        or _utf_8(data)
    )
    if known:
        return _decode(data, known)
    found = detect(data, language)
    return _decode(data, found.encoding, _uncertainty(found))


def normalize_text(text: str) -> str:
    """Return a text with line feeds as line ends and without control characters."""
    return _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def _decode(data: bytes, encoding: str, uncertainty: str | None = None) -> DecodedText:
    text = normalize_text(data.decode(encoding, errors="replace"))
    problem = uncertainty
    if problem is None and text.count("?") > sum(map(str.isalpha, text)):
        problem = "Most of its letters are question marks: they were lost when it was saved."
    elif problem is None and "\ufffd" in text and not _has_replacement(data, encoding):
        problem = (
            f"Parts of it are not valid in its encoding ({encoding}); they are shown as \ufffd."
        )
    return DecodedText(text, problem)


def _has_replacement(data: bytes, encoding: str) -> bool:
    """Return whether the file itself contains U+FFFD."""
    try:
        return "\ufffd".encode(encoding) in data
    except UnicodeEncodeError:
        return False


def _uncertainty(found: Detection) -> str | None:
    advice = (
        "If letters are wrong, save it as UTF-8, or name the encoding in the file's name "
        "(film.de.cp850.srt)."
    )
    if not found.plausible:
        return f"Its encoding is not known here; it was read as {found.encoding}. {advice}"
    if found.rivals:
        others = " or ".join(found.rivals[:_MAX_RIVALS])
        return f"Its encoding is not certain: {found.encoding} was chosen before {others}. {advice}"
    return None


def _wide_encoding(data: bytes) -> str | None:
    """Return UTF-16 or UTF-32 without a byte order mark, if it is one of them."""
    for encoding, width in _WIDE_ENCODINGS.items():
        for marker in _MARKERS:
            # At another offset it is the other byte order.
            if data.find(marker.encode(encoding)) % width == 0:
                return encoding
    return None


def _seven_bit_encoding(data: bytes) -> str | None:
    if not data.isascii():
        return None
    for pattern, encoding in _SEVEN_BITS:
        if pattern.search(data):
            return encoding
    return "utf-7" if _is_utf_7(data) else None


def _is_utf_7(data: bytes) -> bool:
    """Return whether all that may be UTF-7 in an ASCII text is valid, and is letters."""
    try:
        runs = [run.decode("utf-7") for run in _UTF_7.findall(data)]
        data.decode("utf-7")
    except UnicodeDecodeError:
        return False
    return len(runs) >= _MIN_UTF_7_RUNS and all(
        any(char.isalpha() for char in run) and not run.isascii() for run in runs
    )


def _certain_utf_8(data: bytes) -> str | None:
    """Return UTF-8 if that is certain, whatever the file's name says: it may be from before."""
    try:
        beyond_ascii = sum(char > "\x7f" for char in data.decode())
    except UnicodeDecodeError:
        return None
    return "utf-8" if beyond_ascii >= _MIN_UTF_8 else None


def _utf_8(data: bytes) -> str | None:
    try:
        data.decode()
    except UnicodeDecodeError:
        pass
    else:
        return "utf-8"
    text = data.decode(errors="replace")
    # Other encodings form valid multi-byte UTF-8 characters only by accident.
    undecodable = text.count("\ufffd")
    valid = sum(char > "\x7f" for char in text) - undecodable
    return "utf-8" if valid > 10 * undecodable else None
