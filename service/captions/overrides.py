"""Override codes in braces, as of ASS, that other formats contain, too."""

import re
from typing import Final

# As FFmpeg's htmlsubtitles.c: codes of ASS, and of MicroDVD ({y:i}).
_OVERRIDE: Final = re.compile(r"\{(?:\\|[CcFfoPSsYy]:)[^{}]*\}")
_DRAWING: Final = re.compile(r"\\p([0-9])")
_ALIGNMENT: Final = re.compile(r"\\an([1-9])|\\a(1?[0-9])(?![0-9])")

# SSA's own numbers: 1 to 3 below, 5 to 7 above, 9 to 11 in the middle.
_LEGACY: Final = {1: 1, 2: 2, 3: 3, 5: 7, 6: 8, 7: 9, 9: 4, 10: 5, 11: 6}


def take_overrides(text: str) -> tuple[str, str]:
    r"""Return a text without codes such as `{\an8}`, and the cue settings for its position.

    Drop drawings, which are outlines in numbers, too. `\h` becomes a space that does not break.
    """
    if ":\\" not in text:  # a path of Windows
        text = text.replace("\\h", "\xa0")
    if "{" not in text:
        return text, ""
    output: list[str] = []
    codes: list[str] = []
    drawing, position = False, 0
    for code in _OVERRIDE.finditer(text):
        output.append("" if drawing else text[position : code.start()])
        codes.append(code[0])
        drawing = is_drawing(code[0], before=drawing)
        position = code.end()
    output.append("" if drawing else text[position:])
    return "".join(output), alignment_settings("".join(codes))


def is_drawing(codes: str, *, before: bool) -> bool:
    r"""Return whether what follows override codes is a drawing: `\p1` begins one, `\p0` ends it."""
    modes = _DRAWING.findall(codes)
    return modes[-1] != "0" if modes else before


def alignment_settings(codes: str) -> str:
    r"""Return cue settings for the first `\an` or `\a` in override codes; none at the bottom."""
    match = _ALIGNMENT.search(codes)
    if match is None:
        return ""
    return key_settings(int(match[1]) if match[1] else _LEGACY.get(int(match[2]), 0))


def legacy_settings(number: int) -> str:
    """Return cue settings for an alignment of SSA."""
    return key_settings(_LEGACY.get(number, 0))


def key_settings(key: int) -> str:
    """Return cue settings for a key of a number pad: 8 is at the top, 1 at the bottom left."""
    if not 1 <= key <= 9:  # noqa: PLR2004 # keys of a number pad
        return ""
    row, column = divmod(key - 1, 3)
    # The default position is the bottom centre.
    return " ".join(
        filter(None, (("", "line:50%", "line:0")[row], ("align:left", "", "align:right")[column]))
    )
