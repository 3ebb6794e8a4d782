import pytest

from service.captions.convert import to_webvtt
from service.captions.substation import ass_to_cue_text, event_to_cue_text
from service.captions.webvtt import CaptionsError

EVENTS = [
    ("Hello\\Nyou\\nthere\\h!", "Hello\nyou\nthere\xa0!", ""),
    ("{\\an8\\b1}<i>&{\\r}", "&lt;i&gt;&amp;", "line:0"),
    ("{\\pos(10,20)}Sign", "Sign", ""),
    ("a, b, c", "a, b, c", ""),
    # Everything in braces is a code or a comment.
    ("Good morning{TN: a pun}", "Good morning", ""),
    ("{alternative: Hi}{\\i1}Hello{\\i0}, you", "Hello, you", ""),
    ("{not a tag \\an8}up here", "up here", "line:0"),
    ("{\\k20}ka{\\k30}ra", "kara", ""),
    ("{}a{ }b", "ab", ""),
    ("{comment}", "", ""),
    ("a{b{c}d", "ad", ""),
    # A brace that is not closed, or is escaped, is text in libass.
    ("a { b", "a { b", ""),
    ("a } b", "a } b", ""),
    ("\\{a} {\\an8}b", "{a} b", "line:0"),
    # Of drawings, only the text is shown.
    ("{\\p1}m 0 0 l 100 0 100 100{\\p0}", "", ""),
    ("{\\p1}m 0 0 l 100 0{\\p0}Sign", "Sign", ""),
    ("{\\pbo5}Sign", "Sign", ""),
    # SSA's own numbers: 5 to 7 are at the top, 9 to 11 in the middle.
    ("{\\a2}a", "a", ""),
    ("{\\a6}a", "a", "line:0"),
    ("{\\a7}a", "a", "line:0 align:right"),
    ("{\\a9}a", "a", "line:50% align:left"),
    ("{\\alpha&H80&}a", "a", ""),
]


@pytest.mark.parametrize(("text", "payload", "settings"), EVENTS)
def test_events_are_converted_to_cue_text(text: str, payload: str, settings: str) -> None:
    assert ass_to_cue_text(text) == (payload, settings)


HEADER = b"""[V4+ Styles]
Format: Name, Fontname, Alignment, Encoding
Style: Default,Arial,2,1
Style: Top, Arial, 8, 1
Style: Odd,Arial,x,1
"""


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ("0,0,Default,,0,0,0,,a", ("a", "")),
        ("0,0,Top,,0,0,0,,a, b", ("a, b", "line:0")),
        ("0,0,*Top,,0,0,0,,a", ("a", "line:0")),
        ("0,0,Top,,0,0,0,,{\\an4}a", ("a", "line:50% align:left")),  # a code wins
        ("0,0,Odd,,0,0,0,,a", ("a", "")),
        ("0,0,None,,0,0,0,,a", ("a", "")),
    ],
)
def test_the_position_of_a_style_is_kept(event: str, expected: tuple[str, str]) -> None:
    assert event_to_cue_text(event, HEADER) == expected


def test_a_file_is_recognised_by_its_content() -> None:
    text = "[Events]\nDialogue: 0,100:00:01.00,100:00:02.50,Default,,0,0,0,,Hi, you\n"
    assert to_webvtt(text) == "WEBVTT\n\n100:00:01.000 --> 100:00:02.500\nHi, you\n"


STYLES = "[Script Info]\n\n[V4+ Styles]\nFormat: Name, Alignment\nStyle: Top,8\n\n[Events]\n"
START, END = "0:00:01.00", "0:00:02.50"


# The names in the line `Format` say what the fields of an event are; libass reads them, too.
@pytest.mark.parametrize(
    ("columns", "event", "settings"),
    [
        ("Start, End, Text", f"{START},{END},Hi, you", ""),
        ("Start, End, Style, Text", f"{START},{END},Top,Hi, you", " line:0"),
        ("Layer, End, Start, Style, Text", f"0,{END},{START},Top,Hi, you", " line:0"),
        ("Style, Effect, Start, End, Text", f"Top,,{START},{END},{{note}}Hi, you", " line:0"),
        ("start, end, text", f"{START}, {END} ,Hi, you", ""),
        ("", f"0, {START} , {END} ,Top,,0,0,0,,Hi, you", " line:0"),
        ("", f"Marked=0,{START},{END},Top,,0,0,0,,Hi, you", " line:0"),
        ("", "0,0:00:01,0:00:02.5,Top,,0,0,0,,Hi, you", " line:0"),
        # Comments, and what has no times or no text, are not shown.
        ("", f"0,,,Top,,0,0,0,,No\nDialogue: 0\nDialogue: 0,{START},{END},,,0,0,0,,Hi, you", ""),
        ("Start, End, Text", f"{START},{END},\ndialogue: {START},{END},Hi, you", ""),
        ("Start, End, Text", f"{START},{END},Hi, you\nComment: {START},{END},No", ""),
    ],
)  # fmt: skip
def test_format_lines_name_the_fields_of_events(columns: str, event: str, settings: str) -> None:
    names = f"Format: {columns}\n" if columns else ""
    expected = f"WEBVTT\n\n00:00:01.000 --> 00:00:02.500{settings}\nHi, you\n"
    assert to_webvtt(f"{STYLES}{names}Dialogue: {event}\n") == expected


@pytest.mark.parametrize("part", ["{", "{\\", "{a", "}", "\\{", "{\\an8", "{}"])
def test_hostile_events_take_linear_time(part: str) -> None:
    # In quadratic time, these would take 10 ** 11 steps.
    payload, _ = ass_to_cue_text(part * (1_000_000 // len(part)))
    assert len(payload) < 100_000


def test_many_columns_and_events_take_linear_time() -> None:
    # Each of 100,000 events would look for its text among a million names.
    names, events = "a," * 1_000_000, "Dialogue: x\n" * 100_000
    with pytest.raises(CaptionsError, match="no cues"):
        to_webvtt(f"[Events]\nFormat: {names}Text\n{events}")
