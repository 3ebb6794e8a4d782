# ruff: noqa: ISC004 - test files are written in several lines

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.webvtt_validator import require_valid

from service.captions.convert import to_webvtt
from service.captions.webvtt import (
    CaptionsError,
    Cue,
    sanitize_webvtt,
    serialize_webvtt,
    truncate_webvtt,
    valid_settings,
)
from service.encodings.decode import decode_text

# Sections of the specification: https://www.w3.org/TR/webvtt1/
FILES = [
    # §1.2: hours may be missing.
    ("WEBVTT\n\n00:01.000 --> 00:04.000\nHi", "00:00:01.000 --> 00:00:04.000\nHi"),
    # Text after the signature, and headers, are skipped (§6.1).
    (
        "WEBVTT - a title\nX-TIMESTAMP-MAP=LOCAL:0\n\n00:01.000 --> 00:04.000\nHi",
        "00:00:01.000 --> 00:00:04.000\nHi",
    ),
    # A cue may follow without an empty line.
    ("WEBVTT\n00:01.000 --> 00:04.000\nHi", "00:00:01.000 --> 00:00:04.000\nHi"),
    # Identifiers are unique (§4.1); markup is kept.
    (
        "WEBVTT\n\nid\n00:01.000 --> 00:02.000\n<v Ann>Hi\n<c.x>a</c>\n\n"
        "id\n00:02.000 --> 00:03.000\nB",
        "id\n00:00:01.000 --> 00:00:02.000\n<v Ann>Hi\n<c.x>a</c>\n\n"
        "00:00:02.000 --> 00:00:03.000\nB",
    ),
    # Comments are dropped; an arrow ends a block (§6.1).
    (
        "WEBVTT\n\nNOTE a\nb\n\n00:01.000 --> 00:02.000\nA\n00:02.000 --> 00:03.000\nB",
        "00:00:01.000 --> 00:00:02.000\nA\n\n00:00:02.000 --> 00:00:03.000\nB",
    ),
    # Styles and regions are moved before the cues, where browsers expect them.
    (
        "WEBVTT\n\nSTYLE\n::cue { color: red }\n\nREGION\nid:r\nlines:2\n\n"
        "00:01.000 --> 00:02.000 region:r\nA\n\nSTYLE\n::cue { color: blue }",
        "STYLE\n::cue { color: red }\n\nREGION\nid:r\nlines:2\n\n"
        "00:00:01.000 --> 00:00:02.000 region:r\nA",
    ),
    # Settings are checked one by one (§6.2).
    (
        "WEBVTT\n\n00:01.000 --> 00:02.000\tline:-1  align:start position:50%,line-left size:101% "
        "vertical:up foo:bar align:end line:\nA",
        "00:00:01.000 --> 00:00:02.000 line:-1 align:start position:50%,line-left\nA",
    ),
    # Common errors: commas, and cues out of order. Damaged or reversed cues are dropped.
    (
        "WEBVTT\n\n00:03,000 --> 00:04,000\nB\n\n00:01.000 --> 00:02.000\nA\n\nxx --> yy\nC\n\n"
        "00:02.000 --> 00:01.000\nD\n\n00:02.000 --> 00:03.000\n",
        "00:00:01.000 --> 00:00:02.000\nA\n\n00:00:03.000 --> 00:00:04.000\nB",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "body"), FILES)
def test_a_webvtt_file_is_normalised_as_browsers_parse_it(text: str, body: str) -> None:
    result = to_webvtt(text)
    assert result == f"WEBVTT\n\n{body}\n"
    require_valid(result, strict=False)
    assert sanitize_webvtt(result) == result


OVERRIDES = [
    ("{\\an8}Up", "", " line:0\nUp"),
    ("{\\an8}\nUp", "", " line:0\nUp"),
    ("<i>{\\an7}Up</i>", "", " line:0 align:left\n<i>Up</i>"),
    ("{\\an8}Own", " line:90%", " line:90%\nOwn"),  # the cue's own settings win
    ("{\\fad(1,2)}Plain", "", "\nPlain"),
    ("{kept}", "", "\n{kept}"),
]


@pytest.mark.parametrize(("payload", "settings", "expected"), OVERRIDES)
def test_override_codes_are_positions_in_webvtt_too(
    payload: str, settings: str, expected: str
) -> None:
    result = to_webvtt(f"WEBVTT\n\n00:01.000 --> 00:02.000{settings}\n{payload}\n")
    assert result == f"WEBVTT\n\n00:00:01.000 --> 00:00:02.000{expected}\n"


def test_a_cue_of_override_codes_alone_is_dropped() -> None:
    with pytest.raises(CaptionsError, match="no cues"):
        to_webvtt("WEBVTT\n\n00:01.000 --> 00:02.000\n{\\an8}\n")


@pytest.mark.parametrize("signature", ["WEBVTT\n\n", "WEBVTT\t\n\n", "WEBVTT x\n\n"])
def test_a_file_with_the_signature_is_webvtt(signature: str) -> None:
    assert to_webvtt(f"{signature}00:01.000 --> 00:02.000\n<b>A</b> & B") == (
        "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\n<b>A</b> & B\n"
    )


@pytest.mark.parametrize("signature", ["", "WEBVTTX\n\n", " WEBVTT\n\n", "webvtt\n\n"])
def test_a_file_without_the_signature_is_subrip(signature: str) -> None:
    assert to_webvtt(f"{signature}00:01.000 --> 00:02.000\n<b>A</b> & B") == (
        "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\n<b>A</b> &amp; B\n"
    )


SETTINGS = [
    ("line:0", "line:0"),
    ("line:100%", "line:100%"),
    ("line:50.5%,center", "line:50.5%,center"),
    ("line:1e3", ""),
    ("position:-1%", ""),
    ("position:10%,right", ""),
    ("size:33.333%", "size:33.333%"),
    ("vertical:rl", "vertical:rl"),
    ("align:middle", ""),  # from an old draft
    ("region:a-->b", ""),
    ("ALIGN:left", ""),
]


@pytest.mark.parametrize(("text", "expected"), SETTINGS)
def test_cue_settings_follow_the_specification_or_are_dropped(text: str, expected: str) -> None:
    assert valid_settings(text) == expected


def test_hours_have_as_many_digits_as_they_need() -> None:
    text = serialize_webvtt([Cue(0, 1, "a"), Cue(360_000_000, 3_600_000_001, "b")])
    assert "00:00:00.000 --> 00:00:00.001\n" in text
    assert "100:00:00.000 --> 1000:00:00.001\n" in text


TOKENS = [
    "WEBVTT",
    "\n",
    "\r\n",
    "\r",
    "00:01.000",
    " --> ",
    "00:00:02,000",
    "-->",
    "<i>",
    "</i>",
    "<b>",
]
TOKENS += [
    "</b>",
    "<font x>",
    "</font>",
    "&",
    "<",
    ">",
    "--",
    "{\\an8}",
    "{\\",
    "}",
    "STYLE",
    "REGION",
    "NOTE",
]
TOKENS += [
    "line:0",
    "align:left",
    "1",
    "2",
    "é",
    "\0",
    "\ufeff",
    "00:00:01,000 --> 00:00:02,000\n",
    "\n\n",
    " ",
]


@given(st.lists(st.sampled_from(TOKENS), max_size=60).map("".join))
def test_arbitrary_text_is_valid_webvtt_or_refused(text: str) -> None:
    clean = decode_text(text.encode()).text
    try:
        result = to_webvtt(clean)
    except CaptionsError:
        return  # the documented error
    assert require_valid(result, strict=not clean.startswith("WEBVTT"))


@given(st.binary(max_size=200), st.booleans())
def test_arbitrary_bytes_after_cue_times_are_valid_webvtt(data: bytes, srt: bool) -> None:  # noqa: FBT001
    head = b"" if srt else b"WEBVTT\n\n"
    clean = decode_text(head + b"00:00:01,000 --> 00:00:02,000\nHi\n" + data).text
    require_valid(to_webvtt(clean), strict=srt)


CUES = st.builds(
    Cue,
    st.integers(0, 10**7),
    st.integers(10**7 + 1, 2 * 10**7),
    st.sampled_from(["a", "ä\nb", "\N{CLAPPER BOARD}", "x" * 50, "1", "00:00"]),
    st.sampled_from(["", "line:0"]),
    st.sampled_from(["", "id"]),
)


@given(st.lists(CUES, min_size=1, max_size=8), st.sampled_from([(), ("STYLE\na",)]), st.data())
def test_a_truncated_track_has_the_first_cues_and_the_time_of_the_cut(
    cues: list[Cue], head: tuple[str, ...], data: st.DataObject
) -> None:
    whole = serialize_webvtt(cues, head)
    max_bytes = data.draw(st.integers(0, len(whole.encode()) + 5))
    starts = [start for start, *_ in require_valid_without_identifiers(whole)]
    try:
        truncated, end = truncate_webvtt(whole, max_bytes)
    except CaptionsError:
        first = whole.index("-->")
        assert (
            len(whole[: whole.find("\n\n", first)].encode()) >= max_bytes
        )  # not even one cue fits
        return
    assert len(truncated.encode()) <= max_bytes
    assert whole.startswith(truncated)
    remaining = require_valid_without_identifiers(truncated)
    assert [start for start, *_ in remaining] == starts[: len(remaining)]
    if end is None:
        assert truncated == whole
    else:
        hours, minutes, seconds = map(int, end.split(":"))
        assert hours * 3600 + minutes * 60 + seconds == int(starts[len(remaining)])


def require_valid_without_identifiers(text: str) -> list[tuple[float, float, str, str]]:
    return require_valid("\n".join(line for line in text.split("\n") if line != "id"))


def test_a_track_may_use_every_byte_of_the_limit() -> None:
    first = "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\nä\n"
    whole = f"{first}\n00:01:02.000 --> 00:01:03.000\nB\n"
    length = len(first.encode())
    assert truncate_webvtt(whole, len(whole.encode())) == (whole, None)
    assert truncate_webvtt(whole, len(whole.encode()) - 1) == (first, "00:01:02")
    assert truncate_webvtt(whole, length) == (first, "00:01:02")
    with pytest.raises(CaptionsError, match="too long"):
        truncate_webvtt(whole, length - 1)


def test_an_arrow_in_a_style_block_is_no_cue() -> None:
    """WebVTT §4.1: a style block has no arrow. These are longer than a track."""
    styles = "STYLE\na --> b\n\n" + ("STYLE\n" + "::cue{color:red}\n" * 100 + "\n") * 20
    text = sanitize_webvtt(f"WEBVTT\n\n{styles}00:01.000 --> 00:02.000\nhi\n")
    assert text.count("-->") == 1
    with pytest.raises(CaptionsError, match="too long"):
        truncate_webvtt(text, 10_000)
    with pytest.raises(CaptionsError, match="too long"):
        truncate_webvtt(f"WEBVTT\n\n{styles}", 10_000)
