# ruff: noqa: ISC004 - test files are written in several lines

import pytest

from service.captions.convert import to_webvtt
from service.captions.subrip import srt_to_cue_text
from service.captions.webvtt import CaptionsError


def vtt(*cues: str) -> str:
    return "\n".join(["WEBVTT\n", *(f"{cue}\n" for cue in cues)])


# A SubRip file without its final newline; the WebVTT cues for what a player shows.
FILES = [
    ("1\n00:00:01,000 --> 00:00:02,500\nOne", ["00:00:01.000 --> 00:00:02.500\nOne"]),
    # Decimal points, missing hours, and fractions that are short, missing or too long.
    ("00:01.5 --> 00:02\nOne", ["00:00:01.500 --> 00:00:02.000\nOne"]),
    ("1:02:03,4 --> 1:02:03,45678\nOne", ["01:02:03.400 --> 01:02:03.456\nOne"]),
    ("00: 00: 01, 000-->00:00:02 ,000\nOne", ["00:00:01.000 --> 00:00:02.000\nOne"]),
    ("00:00:01:000 -> 00:90:00,000\nOne", ["00:00:01.000 --> 01:30:00.000\nOne"]),
    (
        "100:00:00,000 --> 1234:00:00,000\nLate",
        ["100:00:00.000 --> 1234:00:00.000\nLate"],
    ),
    # A position in pixels of a picture of unknown size is dropped.
    (
        "1\n00:00:01,000 --> 00:00:02,000 X1:1 X2:2 Y1:3 Y2:4\nOne",
        ["00:00:01.000 --> 00:00:02.000\nOne"],
    ),
    # Empty and blank lines in a cue are not shown.
    (
        "1\n00:00:01,000 --> 00:00:02,000\n\nOne\n\n \nTwo\n\n2\n00:00:03,000 --> 00:00:04,000\nX",
        ["00:00:01.000 --> 00:00:02.000\nOne\nTwo", "00:00:03.000 --> 00:00:04.000\nX"],
    ),
    # Counters missing
    (
        "00:00:01,000 --> 00:00:02,000\nOne\n\n00:00:03,000 --> 00:00:04,000\nTwo",
        ["00:00:01.000 --> 00:00:02.000\nOne", "00:00:03.000 --> 00:00:04.000\nTwo"],
    ),
    # Without an empty line, the next number in sequence is a counter; any other is text.
    (
        "1\n00:00:01,000 --> 00:00:02,000\nOne\n2\n00:00:03,000 --> 00:00:04,000\nIn\n1984\n"
        "00:00:05,000 --> 00:00:06,000\nTwo",
        [
            "00:00:01.000 --> 00:00:02.000\nOne",
            "00:00:03.000 --> 00:00:04.000\nIn\n1984",
            "00:00:05.000 --> 00:00:06.000\nTwo",
        ],
    ),
    # A number without times after it is text. A cue without text is dropped.
    (
        "7\n00:00:01,000 --> 00:00:02,000\n42\n\n8\n00:00:03,000 --> 00:00:04,000\n\n"
        "9\n00:00:05,000 --> 00:00:06,000\n10\n00:00:07,000 --> 00:00:08,000\nEnd\n\n2001",
        ["00:00:01.000 --> 00:00:02.000\n42", "00:00:07.000 --> 00:00:08.000\nEnd\n2001"],
    ),
    # Ordered by start (WebVTT §4.1), even if they overlap. Reversed cues are dropped.
    (
        "00:00:05,000 --> 00:00:09,000\nB\n\n00:00:01,000 --> 00:00:06,000\nA\n\n"
        "00:00:05,000 --> 00:00:06,000\nC\n\n00:00:08,000 --> 00:00:07,000\nX\n\n"
        "00:00:08,000 --> 00:00:08,000\nX",
        [
            "00:00:01.000 --> 00:00:06.000\nA",
            "00:00:05.000 --> 00:00:09.000\nB",
            "00:00:05.000 --> 00:00:06.000\nC",
        ],
    ),
    (
        "Made by\n\n1\n00:00:01,000 --> 00:00:02,000\nA --> B",
        ["00:00:01.000 --> 00:00:02.000\nA --&gt; B"],
    ),
    (
        "1\n00:00:01,000 --> 00:00:02,000\n{\\an8}Up",
        ["00:00:01.000 --> 00:00:02.000 line:0\nUp"],
    ),
]  # fmt: skip


@pytest.mark.parametrize("end", ["", "\n", "\n\n\n"])
@pytest.mark.parametrize(("subrip", "cues"), FILES)
def test_subrip_is_converted_as_players_show_it(subrip: str, cues: list[str], end: str) -> None:
    assert to_webvtt(subrip + end) == vtt(*cues)


MARKUP = [
    ("<i>a</i> <b>b</b> <u>c</u>", "<i>a</i> <b>b</b> <u>c</u>", ""),
    ("<I>a</I>", "<i>a</i>", ""),
    ('<font color="#ff0000" size=4>red</font>', "red", ""),
    ("<font color=red>a", "a", ""),
    ("<s>a</s><span x>b</span>", "ab", ""),
    ("a<br>b<br/>c<br />d", "a\nb\nc\nd", ""),
    # Tags are nested (WebVTT §4.2.2), and open ones are closed.
    ("<i>a<b>b</i>c</b>", "<i>a<b>b</b></i><b>c</b>", ""),
    ("<i>a", "<i>a</i>", ""),
    ("a</i>b<i>", "ab<i></i>", ""),
    ("<i><i>a</i>", "<i>a</i>", ""),
    ("<i>a\nb</i>", "<i>a\nb</i>", ""),
    ("<i></i>", "", ""),
    # No markup
    ("I <3 you & <me>", "I &lt;3 you &amp; &lt;me&gt;", ""),
    ("a < b > c", "a &lt; b &gt; c", ""),
    ("&lt;", "&amp;lt;", ""),
    ("<ixx>a<i", "&lt;ixx&gt;a&lt;i", ""),
    ("{a} \\N {", "{a} \\N {", ""),
    # Alignments by the keys of a number pad
    ("{\\an1}a", "a", "align:left"),
    ("{\\an2}a", "a", ""),
    ("{\\an3}a", "a", "align:right"),
    ("{\\an4}a", "a", "line:50% align:left"),
    ("{\\an5}a", "a", "line:50%"),
    ("{\\an6}a", "a", "line:50% align:right"),
    ("{\\an7}a", "a", "line:0 align:left"),
    ("{\\an8}a", "a", "line:0"),
    ("{\\p1}m 0 0 l 5 5{\\p0}a", "a", ""),  # a drawing
    ("a{\\an8\\p2}m 0 0 l 5 5", "a", "line:0"),
    ("{\\pos(1,2)}a", "a", ""),
    ("a\\hb", "a\xa0b", ""),  # as FFmpeg writes it
    ("C:\\home", "C:\\home", ""),
    ("{\\an9}a", "a", "line:0 align:right"),
    ("{\\pos(1,2)\\an8\\i1}a{\\i0}{\\an2}", "a", "line:0"),
    ("{\\an0}a{\\fad(1,2)}", "a", ""),
    ("{\\a6}a", "a", "line:0"),  # SSA's own number
    ("{y:i}a", "a", ""),  # MicroDVD
]


@pytest.mark.parametrize(("text", "payload", "settings"), MARKUP)
def test_markup_that_webvtt_supports_is_kept(text: str, payload: str, settings: str) -> None:
    assert srt_to_cue_text(text) == (payload, settings)


@pytest.mark.parametrize("text", ["", "hello", "1\n2\n3", "00:00:01,000 -->\na"])
def test_a_file_without_times_is_refused(text: str) -> None:
    with pytest.raises(CaptionsError, match="no SubRip, WebVTT or ASS"):
        to_webvtt(text)


def test_a_file_without_visible_cues_is_refused() -> None:
    with pytest.raises(CaptionsError, match="no cues"):
        to_webvtt("1\n00:00:02,000 --> 00:00:01,000\nBefore")
    with pytest.raises(CaptionsError, match="no cues"):
        to_webvtt("WEBVTT\n\nNOTE nothing\n")
    with pytest.raises(CaptionsError, match="no cues"):
        to_webvtt("[Script Info]\n")


def test_too_many_cues_are_refused() -> None:
    with pytest.raises(CaptionsError, match="more than 100000 cues"):
        to_webvtt("0:0 --> 0:1\na\n" * 100_001)
    assert to_webvtt("0:0 --> 0:1\na\n" * 100_000).count("-->") == 100_000


@pytest.mark.parametrize(
    "markup", ["<i>", "<i", "{\\", "<b><i></b>", "&", "<" + "i" * 50, "{\\an8"]
)
def test_hostile_markup_takes_linear_time(markup: str) -> None:
    # In quadratic time, these would take 10 ** 11 steps.
    payload, _ = srt_to_cue_text(markup * (1_000_000 // len(markup)))
    assert len(payload) < 100_000  # text longer than a screen is cut


def test_too_many_lines_are_refused() -> None:
    with pytest.raises(CaptionsError, match="more than 1000000 lines"):
        to_webvtt("0:0 --> 0:1\n" + "a\n" * 1_000_000)
