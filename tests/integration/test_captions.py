"""Captions of real files made by FFmpeg, and how Chromium displays the WebVTT."""

import json
import shutil
import subprocess
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest
from playwright.sync_api import Browser
from support.clock_films import film
from support.webvtt_validator import require_valid

from service.artefacts.metadata import CaptionsMetadata, dump_metadata
from service.captions import embedded
from service.captions.convert import to_webvtt
from service.captions.embedded import AdaptiveReader
from service.captions.extract import Captions, extract_captions
from service.models import Chapter, Track
from service.naming.sidecars import MAX_TEXTS
from service.probing.chapters import MAX_CHAPTERS, MAX_TITLE_LENGTH
from service.workers.worker import MAX_ANSWER_BYTES

ENGLISH = """1
00:00:00,500 --> 00:00:02,000
{\\an8}Hello <i>you</i> & me

2
00:00:02,000 --> 00:00:03,000
Second
line
"""
GERMAN = "1\n00:00:01,000 --> 00:00:02,000\nGrüße\n"
CHAPTERS = """;FFMETADATA1
[CHAPTER]
TIMEBASE=1/1000
START=0
END=1500
title=Beginning & more
[CHAPTER]
TIMEBASE=1/1000
START=1500
END=4000
title=Ende
"""
PICTURE = ("-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25:duration={}")
TAGS = (
    *("-metadata:s:s:0", "language=eng", "-disposition:s:0", "hearing_impaired"),
    *("-metadata:s:s:1", "language=ger", "-disposition:s:1", "forced"),
    *("-metadata:s:s:1", "title=Schilder"),
)


def make(
    folder: Path, name: str, *arguments: str, seconds: int = 4, english: str = ENGLISH
) -> Path:
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not on PATH, and the files of this test are made with it")
    for name_on_disk, text in (("en.srt", english), ("de.srt", GERMAN), ("chapters.txt", CHAPTERS)):
        (folder / name_on_disk).write_text(text, encoding="utf-8")
    path = folder / name
    picture = (argument.format(seconds) for argument in PICTURE)
    command: list[str | Path] = [
        "ffmpeg",
        "-nostdin",
        "-v",
        "error",
        "-y",
        *picture,
        "-i",
        folder / "en.srt",
    ]
    command += ["-i", folder / "de.srt", "-i", folder / "chapters.txt", "-map", "0", "-map", "1"]
    subprocess.run(
        [*command, "-map", "2", "-map_metadata", "3", *TAGS, *arguments, path],
        check=True,
        timeout=600,
    )
    return path


def captions_from(path: Path, **sidecars: bytes) -> Captions:
    files = {name: BytesIO(data) for name, data in sidecars.items()}
    with path.open("rb", buffering=0) as file:
        return extract_captions(path.name, file, files)


FORMATS = [
    # file, arguments, first track's settings and text, as far as its format keeps them
    ("a.mp4", ("-c:s", "mov_text"), "", "Hello you &amp; me"),
    ("a.mp4", ("-c:s", "mov_text", "-movflags", "+faststart"), "", "Hello you &amp; me"),
    (
        "a.mp4",
        ("-c:s", "mov_text", "-movflags", "+frag_keyframe+empty_moov"),
        "",
        "Hello you &amp; me",
    ),
    ("a.mkv", ("-c:s", "srt"), "line:0", "Hello <i>you</i> &amp; me"),
    ("a.mkv", ("-c:s", "ass"), "line:0", "Hello you &amp; me"),
]


@pytest.mark.parametrize(("name", "arguments", "settings", "text"), FORMATS)
def test_text_tracks_of_a_video_are_extracted(
    tmp_path: Path, name: str, arguments: tuple[str, ...], settings: str, text: str
) -> None:
    result = captions_from(make(tmp_path, name, *arguments))
    (english, first), (german, second), (chapters, third) = result.tracks
    assert english.model_copy(update={"default": False}) == Track(
        name="embedded-1",
        kind="captions",
        label="English (SDH)",
        language="en",
        source="container",
    )
    assert german == Track(
        name="embedded-2",
        kind="subtitles",
        label="Deutsch (Schilder, forced)",
        language="de",
        forced=True,
        source="container",
    )
    assert chapters == Track(name="chapters", kind="chapters", label="Chapters", source="container")
    assert require_valid(first) == [
        (0.5, 2.0, settings, text),
        (2.0, 3.0, "", "Second\nline"),
    ]
    assert require_valid(second) == [(1.0, 2.0, "", "Grüße")]
    # FFmpeg's fragment muxer delays video and text by two frames, but not chapters.
    times = [time for chapter in result.chapters for time in (chapter.start, chapter.end)]
    assert times == pytest.approx([0.0, 1.5, 1.5, 4.0], abs=0.081)
    assert [chapter.title for chapter in result.chapters] == ["Beginning & more", "Ende"]
    assert [cue[3] for cue in require_valid(third)] == ["Beginning &amp; more", "Ende"]
    assert result.problems == ()


@pytest.mark.parametrize("name", ["a.webm", "a.mkv"])
def test_webvtt_in_webm_and_matroska_is_extracted(tmp_path: Path, name: str) -> None:
    path = make(tmp_path, name, "-c:v", "libvpx", "-deadline", "realtime", "-c:s", "webvtt")
    result = captions_from(path)
    assert [track.language for track, _ in result.tracks] == ["en", "de", None]
    # The cue's text is unchanged: FFmpeg writes its ampersand unescaped.
    assert require_valid(result.tracks[0][1], strict=False) == [
        (0.5, 2.0, "", "Hello <i>you</i> & me"),
        (2.0, 3.0, "", "Second\nline"),
    ]


def test_webvtt_settings_in_webm_are_kept(tmp_path: Path) -> None:
    (tmp_path / "in.vtt").write_text(
        "WEBVTT\n\n00:01.000 --> 00:02.000 line:0 align:left\nUp\n", encoding="ascii"
    )
    path = tmp_path / "a.mkv"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-i", tmp_path / "in.vtt", "-c", "copy", path], check=True
    )
    ((_, text),) = captions_from(path).tracks
    assert require_valid(text) == [(1.0, 2.0, "line:0 align:left", "Up")]


def test_at_most_one_track_is_the_default(tmp_path: Path) -> None:
    flags = ("-disposition:s:0", "default", "-disposition:s:1", "default+forced")
    path = make(tmp_path, "a.mkv", "-c:s", "srt", *flags)
    assert [track.default for track, _ in captions_from(path).tracks] == [True, False, False]
    result = captions_from(path, **{"a.fr.default.srt": GERMAN.encode()})
    assert [(track.name, track.default) for track, _ in result.tracks] == [
        ("fr", True),
        ("embedded-1", False),
        ("embedded-2", False),
        ("chapters", False),
    ]


def test_chapters_in_a_sidecar_replace_those_in_the_container(tmp_path: Path) -> None:
    result = captions_from(
        make(tmp_path, "a.mp4", "-c:s", "mov_text"),
        **{"a.chapters.vtt": b"WEBVTT\n\n00:01.000 --> 00:02.000\nMine\n"},
    )
    assert result.chapters == (Chapter(start=1.0, end=2.0, title="Mine"),)
    assert result.tracks[-1][0].source == "file"
    damaged = captions_from(tmp_path / "a.mp4", **{"a.chapters.vtt": b"nothing"})
    assert [chapter.title for chapter in damaged.chapters] == ["Beginning & more", "Ende"]


def test_media_data_of_an_mp4_is_not_read(tmp_path: Path) -> None:
    # Two cues, a second apart, in the middle of a large film.
    arguments = ("-c:v", "libx264", "-preset", "ultrafast", "-qp", "4", "-c:s", "mov_text",
                 "-vf", "scale=480:360")  # fmt: skip
    path = make(tmp_path, "a.mp4", *arguments, seconds=30)
    size = path.stat().st_size
    assert size > 5_000_000
    with path.open("rb", buffering=0) as file:
        reader = AdaptiveReader(file)
        with av.open(reader) as container:
            opened = reader.bytes_read
            streams = embedded.text_streams(container, [])
            cues = embedded.read_cues(container, streams, [])
    assert [len(of_stream) for of_stream in cues.values()] >= [2, 1]
    # At most one or two reads for each sample of the two tracks.
    samples = sum(len(of_stream) for of_stream in cues.values())
    assert reader.bytes_read - opened <= (samples + 4) * 16 * 1024
    assert reader.bytes_read < size / 10


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "mov_text"), ("a.mkv", "srt")])
@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.9])
def test_remaining_captions_of_a_truncated_video_are_extracted(
    tmp_path: Path, name: str, codec: str, kept: float
) -> None:
    path = make(tmp_path, name, "-c:s", codec)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    result = captions_from(path, **{f"{path.stem}.en.srt": ENGLISH.encode()})
    assert result.tracks[0][0].name == "en"
    for _, text in result.tracks:
        require_valid(text)


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "mov_text"), ("a.mkv", "srt")])
def test_a_damaged_video_yields_valid_captions(tmp_path: Path, name: str, codec: str) -> None:
    path = make(tmp_path, name, "-c:s", codec, "-c:v", "mpeg4", "-b:v", "50k")
    data = path.read_bytes()
    for step in range(0, len(data), max(1, len(data) // 150)):
        damaged = data[:step] + b"\xff\xff\xff\xff" + data[step + 4 :]
        result = extract_captions(path.name, BytesIO(damaged), {})
        for _, text in result.tracks:
            require_valid(text)


def test_invalid_utf_8_in_tags_is_replaced(tmp_path: Path) -> None:
    path = make(tmp_path, "a.mkv", "-c:s", "srt")
    path.write_bytes(
        path.read_bytes()
        .replace(b"Schilder", b"Sch\xfflder")
        .replace(b"Beginning", b"B\xffginning")
    )
    result = captions_from(path)
    assert result.tracks[1][0].label == "Deutsch (Sch\ufffdlder, forced)"
    assert result.chapters[0].title == "B\ufffdginning & more"


ASS = """[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, Alignment
Style: Default,Arial,20,2
Style: Sign,Arial,20,9

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:00.50,0:00:01.00,Default,,0,0,0,,Good morning{TN: a pun}
Comment: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,never shown
Dialogue: 0,0:00:01.00,0:00:01.50,Default,,0,0,0,,{alternative: Hi}{\\i1}Grüße{\\i0}, you
Dialogue: 0,0:00:01.50,0:00:02.00,Default,,0,0,0,,{not a tag \\an8}up here
Dialogue: 0,0:00:02.00,0:00:02.50,Default,,0,0,0,,{\\pos(10,10)\\k20}ka{\\k30}ra
Dialogue: 0,0:00:02.50,0:00:03.00,Sign,,0,0,0,,Exit
"""
SSA = """[Script Info]
ScriptType: v4.00

[V4 Styles]
Format: Name, Fontname, Fontsize, Alignment
Style: Default,Arial,20,2
Style: Sign,Arial,20,7

[Events]
Format: Marked, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: Marked=0,0:00:00.50,0:00:01.00,*Default,,0000,0000,0000,,Good morning{TN: a pun}
Dialogue: Marked=0,0:00:01.00,0:00:01.50,Default,,0000,0000,0000,,Grüße, you
Dialogue: Marked=0,0:00:01.50,0:00:02.00,Default,,0000,0000,0000,,{\\a6}up here
Dialogue: Marked=0,0:00:02.00,0:00:02.50,Default,,0000,0000,0000,,kara
Dialogue: Marked=0,0:00:02.50,0:00:03.00,Sign,,0000,0000,0000,,Exit
"""
SUBSTATION_CUES = [
    (0.5, 1.0, "", "Good morning"),
    (1.0, 1.5, "", "Grüße, you"),
    (1.5, 2.0, "line:0", "up here"),
    (2.0, 2.5, "", "kara"),
    (2.5, 3.0, "line:0 align:right", "Exit"),  # 9 is at the top right, and SSA's 7 is
]


@pytest.mark.parametrize(("extension", "text"), [("ass", ASS), ("ssa", SSA)])
def test_substation_beside_and_inside_a_video_has_the_same_cues(
    tmp_path: Path, extension: str, text: str
) -> None:
    script = tmp_path / f"in.{extension}"
    script.write_text(text, encoding="utf-8")
    path = tmp_path / "a.mkv"
    ffmpeg = ("ffmpeg", "-v", "error", "-i", script, "-c", "copy", path)
    subprocess.run(ffmpeg, check=True)
    for encoding in ("utf-8-sig", "utf-16", "cp1252"):
        result = captions_from(path, **{f"a.de.{extension}": text.encode(encoding)})
        (beside, first), (_, second) = result.tracks
        assert (beside.name, beside.label, beside.source) == ("de", "Deutsch", "file")
        assert require_valid(first) == SUBSTATION_CUES
        assert require_valid(second) == SUBSTATION_CUES


def test_subtitles_that_are_pictures_are_a_problem(tmp_path: Path) -> None:
    path = make(tmp_path, "a.mkv", "-c:s:0", "srt", "-c:s:1", "srt")
    data = path.read_bytes()
    for codec, kind in [(b"S_VOBSUB", "VobSub"), (b"S_HDMV/PGS", "PGS"), (b"S_DVBSUB", "DVB")]:
        # The codec's name in the second track alone is changed, with its length (RFC 8794 §4).
        start = data.rindex(b"\x86\x8bS_TEXT/UTF8")
        padded = codec.ljust(11, b"\0")  # RFC 8794 §7.4: zeros at the end are not of the string
        path.write_bytes(data[: start + 2] + padded + data[start + 13 :])
        result = captions_from(path)
        assert [track.language for track, _ in result.tracks] == ["en", None]
        (problem,) = result.problems
        assert problem.startswith(f"The subtitles in stream 2 ({kind}, German), inside the video,")
        assert "pictures" in problem


@pytest.mark.parametrize("codec", ["mov_text", "srt", "webvtt"])
def test_positions_are_taken_from_override_codes_in_every_format(
    tmp_path: Path, codec: str
) -> None:
    name = "a.mp4" if codec == "mov_text" else "a.mkv"
    place = "Hello__you"
    english = f"1\n00:00:00,500 --> 00:00:02,000\n{place}\n"
    path = make(tmp_path, name, "-c:s", codec, english=english)
    path.write_bytes(path.read_bytes().replace(place.encode(), b"{\\an8}Good"))
    text = captions_from(path).tracks[0][1]
    assert require_valid(text) == [(0.5, 2.0, "line:0", "Good")]


def test_too_much_embedded_text_is_rejected_but_chapters_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "MAX_TEXT_BYTES", 200)
    result = captions_from(make(tmp_path, "a.mkv", "-c:s", "srt"))
    assert result.problems == ("The text inside the video is too long to be taken out.",)
    assert [track.name for track, _ in result.tracks] == ["chapters"]


@pytest.mark.parametrize("codec", ["srt", "ass"])
def test_embedded_text_is_cut_at_the_maximum_track_length(tmp_path: Path, codec: str) -> None:
    tenths = (f"00:00:{tenth // 10:02},{tenth % 10}" for tenth in range(600))
    cues = "\n\n".join(
        f"{number}\n{tenth}00 --> {tenth}90\n{'&' * 900}"
        for number, tenth in enumerate(tenths, start=1)
    )
    result = captions_from(make(tmp_path, "a.mkv", "-c:s", codec, english=f"{cues}\n"))
    text = next(text for track, text in result.tracks if track.language == "en")
    assert len(text.encode()) <= 2 << 20
    left = require_valid(text)
    assert 400 < len(left) < 600
    (problem,) = result.problems
    assert "inside the video: As WebVTT it is longer than 2 MiB: what comes from" in problem
    assert f"00:00:{len(left) // 10}" in problem
    assert [track.language for track, _ in result.tracks[:2]] == ["en", "de"]


def test_the_same_files_yield_the_same_captions(tmp_path: Path) -> None:
    path = make(tmp_path, "a.mkv", "-c:s", "srt")
    assert captions_from(path) == captions_from(path)


# In a browser


CUES = """([text]) => new Promise((resolve, reject) => {
  const track = document.createElement("track");
  track.src = URL.createObjectURL(new Blob([text], {type: "text/vtt"}));
  track.onload = () => resolve([...track.track.cues].map(cue => ({
    start: cue.startTime, end: cue.endTime, id: cue.id, line: cue.line, align: cue.align,
    shown: cue.getCueAsHTML().textContent,
    tags: [...cue.getCueAsHTML().querySelectorAll("*")].map(tag => tag.localName),
  })));
  track.onerror = () => reject(new Error("not taken"));
  document.body.innerHTML = "<video></video>";
  document.querySelector("video").append(track);
  track.track.mode = "hidden";
})"""


def in_browser(browser: Browser, text: str) -> list[dict[str, Any]]:
    page = browser.new_page()
    try:
        cues = page.evaluate(CUES, [text])
        return list(json.loads(json.dumps(cues)))
    finally:
        page.close()


def test_the_largest_captions_metadata_fits_into_an_answer() -> None:
    clapper = "\N{CLAPPER BOARD}"  # twelve bytes in JSON
    times = (f"{second // 60:02}:{second % 60:02}" for second in range(MAX_CHAPTERS + 1))
    chapters = "\n\n".join(
        f"{start}.000 --> {end}.000\n{clapper * MAX_TITLE_LENGTH}" for start, end in pairwise(times)
    )
    sidecars = {"a.chapters.vtt": BytesIO(f"WEBVTT\n\n{chapters}".encode())}
    for number in range(MAX_TEXTS):  # a name has 255 bytes
        sidecars[f"a.{number}.{clapper * 61}.srt"] = BytesIO(GERMAN.encode())
        sidecars[f"a.{number}.{clapper * 60}x.srt"] = BytesIO(b"neither of the two")
    result = extract_captions("a.mp4", BytesIO(b"no video"), sidecars)
    assert len(result.chapters) == MAX_CHAPTERS
    assert (len(result.tracks), len(result.problems)) == (MAX_TEXTS + 1, MAX_TEXTS + 1)
    metadata = CaptionsMetadata(
        tracks=tuple(track for track, _ in result.tracks),
        chapters=result.chapters,
        problems=result.problems,
    )
    assert len(json.dumps({"facts": dump_metadata(metadata).decode()})) < MAX_ANSWER_BYTES


def test_a_browser_displays_converted_subrip(browser: Browser) -> None:
    text = to_webvtt(
        ENGLISH + "\n3\n100:00:00,000 --> 100:00:01,000\n<b>I <3 <i>a</b> --> b</i> &amp; </c>!\n"
    )
    assert in_browser(browser, text) == [
        {"start": 0.5, "end": 2, "id": "", "line": 0, "align": "center",
         "shown": "Hello you & me", "tags": ["i"]},
        {"start": 2, "end": 3, "id": "", "line": "auto", "align": "center",
         "shown": "Second\nline", "tags": []},
        {"start": 360000, "end": 360001, "id": "", "line": "auto", "align": "center",
         "shown": "I <3 a --> b &amp; !", "tags": ["b", "i", "i"]},
    ]  # fmt: skip


def test_a_converted_webvtt_file_yields_the_same_cues(browser: Browser) -> None:
    # Browsers have to parse the converted text into the same cues.
    text = (
        "WEBVTT a title\nheader: x\n\nSTYLE\n::cue(i) { color: red }\n\nNOTE nothing\n\n"
        "one\n00:01.000 --> 00:02.000 line:0 align:left foo:bar\n"
        "<v Ann>Hi <00:01.500>&amp; \u2603"
        "\n01:00:01.000 --> 01:00:02.000 position:10%\n<c.x>a</c>\n\n\n"
        "00:03.000 --> 00:04.000\nlast"
    )
    before, after = in_browser(browser, text), in_browser(browser, to_webvtt(text))
    assert [cue["shown"] for cue in before] == ["Hi & \u2603", "last", "a"]
    assert after == before


def test_a_browser_displays_embedded_captions(browser: Browser, tmp_path: Path) -> None:
    result = captions_from(make(tmp_path, "a.mp4", "-c:s", "mov_text"))
    shown = [[cue["shown"] for cue in in_browser(browser, text)] for _, text in result.tracks]
    assert shown == [["Hello you & me", "Second\nline"], ["Grüße"], ["Beginning & more", "Ende"]]


def test_text_that_is_over_before_the_film_begins_is_named(tmp_path: Path) -> None:
    # FFmpeg cannot write the delay of a text track in MP4 that is longer than 36 minutes.
    (tmp_path / "media").mkdir()
    path = film(tmp_path / "media", "hour later.mp4", 3600)
    result = captions_from(path)
    assert [track.name for track, _ in result.tracks] == ["chapters"]
    (problem,) = result.problems
    assert problem.startswith("The subtitles in stream 2, inside the video, are over before it")
