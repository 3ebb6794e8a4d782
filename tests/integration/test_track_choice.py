"""Which tracks of a file Chromium and Firefox play, and what the findings say about it."""

import shlex
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page
from support import firefox
from support.firefox import Tab
from support.server import serve
from support.tones import RECORD
from support.track_files import TONES, WIDTHS, tracks_file

from service.browsers.track_choice import CHROMIUM, FIREFOX, SAFARI, TABLE, rules
from service.models import Finding, Metadata, Stream
from service.playability.findings import findings
from service.probing.metadata import read_metadata

pytestmark = pytest.mark.slow  # every file in both browsers

BLOCK = 4 * 1024 * 1024
SILENT, AUDIO_ONLY = None, 0
REFUSED = "refused"

# Firefox's sound can fail on a busy machine without a sound card, whatever the file.
SINK_ERROR = "OnMediaSinkAudioError"

# Plays files and records their sound for a second. Returns the loudest of the tones, and the width
# if a frame was shown.
PLAY = """async (urls) => Promise.all(urls.map(async (url) => {
    const player = document.createElement("video");
    document.body.append(player);
    player.loop = true;
    player.src = url;
    const started = new Promise((resolve) => {
        player.onerror = () => resolve(false);
        player.onplaying = () => resolve(true);
    });
    player.play().catch(() => {});
    if (!(await started)) {
        const error = player.error?.message ?? "";
        player.remove();
        return error.includes("SINK") ? { tone: null, width: 0, error } : "refused";
    }
    const aSecond = async () => {
        for (let played = 0, last = player.currentTime; played < 1 && !player.error; ) {
            await new Promise((resolve) => setTimeout(resolve, 20));
            played += Math.max(0, player.currentTime - last);  // it starts again at its end
            last = player.currentTime;
        }
    };
    const tone = await (RECORD)(player, aSecond);
    const frames = player.getVideoPlaybackQuality().totalVideoFrames;
    const seen = { tone, width: frames ? player.videoWidth : 0, error: player.error?.message };
    player.pause();
    player.remove();
    player.src = "";
    return seen;
}))""".replace("RECORD", RECORD).replace("SINK", SINK_ERROR)


@dataclass(frozen=True)
class Case:
    """A file, and what is played of it: the number of a track, SILENT, AUDIO_ONLY or REFUSED."""

    name: str
    tracks: str
    chromium: int | str | None
    firefox: int | str | None
    codes: dict[str, str] = field(default_factory=dict)
    """Findings about sound and tracks, and how severe they are."""
    says: str = ""
    """What a finding's sentence contains."""
    flags: str = ""
    video: tuple[int, int] = (1, 1)
    """The video track in Chromium and Firefox."""


CHOICE, DIFFERENT = {"track_choice": "warning"}, {"track_choice": "hint"}
CODEC, NO_SOUND = {"audio_codec": "warning"}, {"audio_codec": "unplayable"}
CASES = [
    # MP4, sound: Chromium takes the first enabled track that it knows, Firefox the first.
    Case("one.mp4", "v:h264 a:aac", 1, 1),
    Case("both enabled.mp4", "v:h264 a:aac a:aac", 1, 1),
    Case("second by default.mp4", "v:h264 a:aac- a:aac", 2, 1, DIFFERENT,
         "Chrome and Edge sound track 2 (AAC); Firefox sound track 1 (AAC)"),
    Case("ac3 aac.mp4", "v:h264 a:ac3 a:aac", 2, 2),
    Case("ac3 aac off.mp4", "v:h264 a:ac3 a:aac-", SILENT, 2, CHOICE,
         "Chrome and Edge are silent: sound track 2 (AAC) is not enabled."),
    Case("ac3 off aac.mp4", "v:h264 a:ac3- a:aac", 2, 2),
    Case("aac off ac3.mp4", "v:h264 a:aac- a:ac3", SILENT, 1, CHOICE, "Firefox"),
    Case("aac ac3 off.mp4", "v:h264 a:aac a:ac3-", 1, 1),
    Case("eac3 aac off.mp4", "v:h264 a:eac3 a:aac-", SILENT, 2, CHOICE),
    Case("dts aac.mp4", "v:h264 a:dts a:aac", 2, 2),
    Case("dts aac off.mp4", "v:h264 a:dts a:aac-", SILENT, 2, CHOICE),
    Case("truehd aac.mp4", "v:h264 a:truehd a:aac", 2, 2),
    Case("alac aac.mp4", "v:h264 a:alac a:aac", 2, SILENT, CHOICE,
         "Firefox is silent: the first sound track there is Apple Lossless"),
    Case("mp3 aac.mp4", "v:h264 a:mp3 a:aac", 1, 1),
    Case("opus aac.mp4", "v:h264 a:opus a:aac", 1, 1),
    Case("flac aac.mp4", "v:h264 a:flac a:aac", 1, 1),
    Case("vorbis aac.mp4", "v:h264 a:vorbis a:aac", 1, 2, DIFFERENT),
    Case("vorbis.mp4", "v:h264 a:vorbis", 1, SILENT, CODEC, "Vorbis sound is not played there"),
    Case("ac3.mp4", "v:h264 a:ac3", SILENT, SILENT, CODEC, "AC-3"),
    Case("mp2 aac.mp4", "v:h264 a:mp2 a:aac", REFUSED, 1, CODEC,
         "Chrome and Edge refuse the file because of its MPEG layer II sound."),
    Case("aac mp2.mp4", "v:h264 a:aac a:mp2-", 1, 1),
    Case("dts.mp4", "v:h264 a:dts", SILENT, SILENT, NO_SOUND, "DTS"),
    Case("alac aac.m4a", "a:alac a:aac", 1 + 1, REFUSED, CHOICE, "Firefox refuses the file",
         video=(AUDIO_ONLY, AUDIO_ONLY)),
    # MP4, flags that FFmpeg does not write. Where nothing is enabled, Chromium ignores the flags.
    Case("nothing enabled.mp4", "v:h264 a:aac a:aac", 1, 1, flags="000"),
    Case("ac3 nothing enabled.mp4", "v:h264 a:ac3 a:aac", 2, 2, flags="000"),
    Case("sound not enabled.mp4", "v:h264 a:aac", SILENT, 1, CHOICE,
         "Chrome and Edge are silent: sound track 1 (AAC) is not enabled.", flags="10"),
    # MP4, pictures.
    Case("picture not enabled.mp4", "v:h264 a:aac", 1, 1, CHOICE,
         "show no picture", flags="01", video=(AUDIO_ONLY, 1)),
    Case("second picture.mp4", "v:h264 v:h264 a:aac", 1, 1, DIFFERENT,
         "Chrome and Edge stream 1; Firefox stream 0", flags="011", video=(2, 1)),
    Case("mpeg4 h264.mp4", "v:mpeg4 v:h264 a:aac", 1, 1, video=(2, 2)),
    Case("mjpeg film h264.mp4", "v:mjpeg v:h264 a:aac", 1, 1, video=(2, 2)),
    Case("h264 mpeg4.mp4", "v:h264 v:mpeg4 a:aac", 1, 1, video=(1, 1)),
    # Single pictures.
    Case("jpeg.mp4", "i:mjpeg a:aac", 1, 1, video=(AUDIO_ONLY, AUDIO_ONLY)),
    Case("png film.mp4", "i:png v:h264 a:aac", 1, 1, video=(2, 2)),
    Case("film png.mov", "v:h264 i:png a:aac", 1, 1, video=(1, 1)),
    Case("gif film.mov", "i:gif v:h264 a:aac", 1, 1, video=(2, 2)),
    Case("gif.mov", "i:gif a:aac", 1, 1, video=(AUDIO_ONLY, AUDIO_ONLY)),
    Case("jpeg film.mkv", "i:mjpeg v:h264 a:aac", 1, 1, video=(2, 2)),
    Case("png.mkv", "i:png a:aac", 1, 1, video=(AUDIO_ONLY, AUDIO_ONLY)),
    Case("jpeg for film off.mp4", "i:mjpeg v:h264 a:aac", 1, 1, CHOICE, "show no picture",
         flags="101", video=(AUDIO_ONLY, 2)),
    Case("h264 picture film.mp4", "i:h264 v:h264 a:aac", 1, 1, CHOICE,
         "show a single picture instead of the film", video=(1, 1)),
    Case("film h264 picture.mp4", "v:h264 i:h264 a:aac", 1, 1, video=(1, 1)),
    # QuickTime: Firefox refuses the whole file for some sound.
    Case("aac aac.mov", "v:h264 a:aac a:aac", 1, 1),
    Case("aac ac3.mov", "v:h264 a:aac a:ac3-", 1, REFUSED, CODEC,
         "Firefox refuses the file because of its AC-3 sound."),
    Case("ac3.mov", "v:h264 a:ac3", SILENT, REFUSED, CODEC,
         "Firefox refuses the file because of its AC-3 sound."),
    Case("ac3 aac off.mov", "v:h264 a:ac3 a:aac-", SILENT, REFUSED, CHOICE,
         "Firefox refuses the file because of its AC-3 sound."),
    Case("pcm.mov", "v:h264 a:pcm", 1, SILENT, CODEC, "PCM sound is not played"),
    Case("aac mp2.mov", "v:h264 a:aac a:mp2-", 1, 1),
    Case("aac float.mov", "v:h264 a:aac a:float-", 1, REFUSED, CODEC,
         "Firefox refuses the file because of its PCM sound."),
    Case("pcm 24.mov", "v:h264 a:pcm24", 1, REFUSED, CODEC, "Firefox refuses"),
    # Matroska: both take the first that they know, whatever is the default.
    Case("second by default.mkv", "v:h264 a:aac- a:aac", 1, 1),
    Case("ac3 aac off.mkv", "v:h264 a:ac3 a:aac-", 2, 2),
    Case("aac off ac3.mkv", "v:h264 a:aac- a:ac3", 1, 1),
    Case("none by default.mkv", "v:h264- a:dts- a:aac-", 2, 2),
    Case("dts.mkv", "v:h264 a:dts", SILENT, SILENT, NO_SOUND),
    Case("alac aac.mkv", "v:h264 a:alac a:aac", 2, 2),
    Case("mp3 aac.mkv", "v:h264 a:mp3 a:aac", 1, 2, DIFFERENT),
    Case("flac opus.mkv", "v:h264 a:flac a:opus", 1, 2, DIFFERENT),
    Case("mp3.mkv", "v:h264 a:mp3", 1, SILENT, CODEC, "MP3 sound is not played there in Matroska"),
    Case("flac.mkv", "v:h264 a:flac", 1, SILENT, CODEC),
    Case("pcm.mkv", "v:h264 a:pcm", 1, SILENT, CODEC),
    Case("flac.mka", "a:flac", 1, REFUSED, CODEC, "Firefox refuses the file",
         video=(AUDIO_ONLY, AUDIO_ONLY)),
    Case("mpeg4 h264.mkv", "v:mpeg4 v:h264 a:aac", 1, 1, video=(2, 2)),
    Case("vp9 vp8.webm", "v:vp9 v:vp8 a:opus- a:vorbis", 1, 1),
]  # fmt: skip

_AT_ONCE = 12  # players
_TOLD = {"audio_codec", "track_choice", "video_codec"}


@dataclass(frozen=True)
class Played:
    """A file, what is said about it, and what browsers play of it."""

    path: Path
    metadata: Metadata
    findings: dict[str, Finding]
    chromium: Any
    firefox: Any


def probed(path: Path) -> Metadata:
    with path.open("rb") as file:
        return Metadata.model_validate(read_metadata(file, path.stat().st_size))


def told(path: Path) -> dict[str, Finding]:
    """Return the findings about codecs and tracks, by code."""
    found = findings(path.name, probed(path), BLOCK)
    return {finding.code: finding for finding in found if finding.code in _TOLD}


def fixed(path: Path) -> Path | None:
    """Run the command of the first finding about codecs or tracks. Return its output."""
    command = next((finding.command for finding in told(path).values()), None)
    if command is None:
        return None
    subprocess.run(["sh", "-c", command], cwd=path.parent, check=True, capture_output=True)
    return path.parent / shlex.split(command)[-1]


def fix_name(case: Case) -> str:
    return f"fixed {case.name.replace('.', ' ')}"


def seen(page: Page | Tab, urls: list[str]) -> list[Any]:
    """Play the files in the page, and again where its sound failed; return what PLAY returns."""
    results: dict[str, Any] = {}
    while pending := [url for url in urls if SINK_ERROR in str(results.get(url, SINK_ERROR))]:
        group = pending[:_AT_ONCE]
        results |= zip(group, page.evaluate(PLAY, group), strict=True)
    return [results[url] for url in urls]


@pytest.fixture(scope="module")
def played(
    tmp_path_factory: pytest.TempPathFactory, complete_browser: Browser
) -> dict[str, Played]:
    """Make all files, run the commands of findings, and play it all in both browsers."""
    media: Path = tmp_path_factory.mktemp("tracks") / "media"
    media.mkdir()
    paths = {}
    for case in CASES:
        path = paths[case.name] = tracks_file(
            media / case.name, *case.tracks.split(), flags=case.flags
        )
        if output := fixed(path):
            name = f"{fix_name(case)}{output.suffix}"
            paths[fix_name(case)] = output.rename(media / name)
    with serve(media) as server:
        urls = [f"/download/{quote(path.name)}" for path in paths.values()]
        page = complete_browser.new_page()
        page.goto(f"{server.base}/robots.txt")
        chromium = seen(page, urls)
        page.close()
        profile = tmp_path_factory.mktemp("profile")
        # The tests' other pages are mute, and so is what is recorded of them.
        with firefox.tab(server.base, profile, **{"media.volume_scale": "1.0"}) as tab:
            tab.goto("/robots.txt")
            others = seen(tab, urls)
    return {
        name: Played(path, probed(path), told(path), *results)
        for (name, path), *results in zip(paths.items(), chromium, others, strict=True)
    }


def sound(result: Any) -> int | str | None:
    """Return the number of the sound track, SILENT or REFUSED."""
    if result == "refused":
        return REFUSED
    return TONES.index(result["tone"]) + 1 if result["tone"] else SILENT


def width(result: Any) -> int | None:
    return None if result == "refused" else result["width"]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_browsers_play_the_expected_tracks(played: dict[str, Played], case: Case) -> None:
    result = played[case.name]
    assert (sound(result.chromium), sound(result.firefox)) == (case.chromium, case.firefox), result
    for one, number in zip((result.chromium, result.firefox), case.video, strict=True):
        if one != REFUSED:
            assert width(one) == (WIDTHS[number - 1] if number else 0), result


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_table_chooses_what_browsers_play(played: dict[str, Played], case: Case) -> None:
    streams = played[case.name].metadata.streams
    for rule in rules(case.name, played[case.name].metadata):
        if rule.browsers == SAFARI:
            continue
        expected = case.chromium if rule.browsers == CHROMIUM else case.firefox
        chosen = rule.sounding(streams)
        tracks = [stream for stream in streams if stream.kind == "audio"]
        assert chosen == (tracks[expected - 1] if isinstance(expected, int) else None)
        if expected == REFUSED:
            continue
        number = case.video[0 if rule.browsers == CHROMIUM else 1]
        shown = rule.choose("video", streams)
        assert (shown.width if shown else 0) == (WIDTHS[number - 1] if number else 0)


def test_every_row_of_chromium_and_firefox_is_played(played: dict[str, Played]) -> None:
    rows = {rule for case in CASES for rule in rules(case.name, played[case.name].metadata)}
    assert {rule for rule in TABLE if rule.browsers in {CHROMIUM, FIREFOX}} <= rows


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_findings_say_who_hears_and_sees_nothing(played: dict[str, Played], case: Case) -> None:
    found = played[case.name].findings
    assert {code: finding.severity for code, finding in found.items()} == case.codes
    assert case.says in " ".join(finding.sentence for finding in found.values())


FIXABLE = [case for case in CASES if case.codes]


@pytest.mark.parametrize("case", FIXABLE, ids=[case.name for case in FIXABLE])
def test_the_command_makes_a_file_that_plays_alike_with_sound(
    played: dict[str, Played], case: Case
) -> None:
    result = played[fix_name(case)]
    assert result.findings == {}
    assert sound(result.chromium) == sound(result.firefox)
    assert isinstance(sound(result.chromium), int)
    film: Stream | None = played[case.name].metadata.film
    expected = film.width if film else 0
    assert (width(result.chromium), width(result.firefox)) == (expected, expected)


def test_the_command_prefers_the_default_track_and_its_language(tmp_path: Path) -> None:
    source = tracks_file(tmp_path / "a.mp4", "v:h264", "a:aac-", "a:ac3")
    for languages, codecs in (("eng", "eng"), ["aac", "ac3"]), (("eng", "fra"), ["aac", "aac"]):
        path = tmp_path / f"{'-'.join(languages)}.mp4"
        tags = [
            word
            for number, language in enumerate(languages)
            for word in (f"-metadata:s:a:{number}", f"language={language}")
        ]
        command: list[str | Path] = [
            "ffmpeg",
            "-v",
            "error",
            "-i",
            source,
            "-map",
            "0",
            "-c",
            "copy",
            *tags,
            path,
        ]
        subprocess.run(command, check=True)
        output = fixed(path)
        assert output
        tracks = [stream for stream in probed(output).streams if stream.kind == "audio"]
        assert [stream.codec for stream in tracks] == codecs
        assert [stream.default for stream in tracks] == [True, False]
        assert tracks[0].language == languages[codecs.count("aac") - 1]


def test_the_command_marks_a_cover_as_one(tmp_path: Path) -> None:
    source = tracks_file(tmp_path / "a.mp4", "i:mjpeg", "a:ac3")
    output = fixed(source)
    assert output
    listing = ["ffprobe", "-v", "error", "-show_entries", "stream_disposition=attached_pic"]
    result = subprocess.run(
        [*listing, "-select_streams", "v", "-of", "csv=p=0", output],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert result.stdout.split() == ["1"]
