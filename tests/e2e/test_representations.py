"""Each kind of representation that is made for players, through the edge and its cache."""

import json
import random
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser
from support.chromium import flawless
from support.ffmpeg_fixtures import ffmpeg, ten_seconds
from support.firefox import Tab
from support.long_film import (
    LOOPS,
    check_playback,
    make_long_film,
    make_long_transport_stream,
    segments,
)
from support.made_sound import about, clicks_of, complaints, film, picture_hashes
from support.raw_http import Answer, ask, url_of
from support.representations import check_ranges
from support.server import BLOCK, until, write
from support.sounds import IN_THE_CENTRE
from support.stack import Stack, running
from support.tones import tone_of
from support.track_files import TONES

pytestmark = [pytest.mark.slow, pytest.mark.stack]

PICTURE = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "24", "-pix_fmt", "yuv420p",
           "-b:v", "5M", "-minrate", "5M", "-maxrate", "5M", "-bufsize", "2M",
           "-x264-params", "nal-hrd=cbr")  # fmt: skip
TWO_FILMS = "two.mkv"


@dataclass(frozen=True)
class Case:
    """A file, and the representation that players get."""

    name: str
    revision: str
    """A pattern of the end of its revision."""
    make: Callable[[Path], Path]
    in_segments: bool = False
    sound: int = 0
    """The number of the sound that comes first, from 1; 0: the default one."""

    def url(self, stack: Stack) -> str:
        """Return its address once it is ready."""

        def ready() -> str | None:
            item = described(stack, self.name)
            url = (item.get("fragments") or {}).get("url") if self.in_segments else None
            if self.sound and len(item.get("sounds", ())) >= self.sound:
                url = item["sounds"][self.sound - 1]["url"]
            url = url or item.get("media_url", "")
            return url if re.search(rf"-{self.revision}$", url) else None

        return str(until(ready, f"{self.name} is ready"))


def with_index_at_the_end(path: Path) -> Path:
    made = ten_seconds(path.with_name(".original.mp4"))
    write(path.parent, path.name, made.read_bytes())
    made.unlink()
    return path


def transport_stream(path: Path) -> Path:
    made = ten_seconds(path.with_name(".original.mkv"))
    # Two films in one file: no header makes an MP4 of it, and it is not copied unasked.
    (path.parent / TWO_FILMS).write_bytes(2 * made.read_bytes())
    file = ffmpeg(path, "-i", made, "-c", "copy")
    made.unlink()
    return file


def with_ac3(path: Path) -> Path:
    return film(path, *IN_THE_CENTRE, "-c:a", "ac3", picture=PICTURE)


def with_two_sounds(path: Path) -> Path:
    """Make a film whose sounds have tones of their own."""
    made = ten_seconds(path.with_name(".original.mkv"))
    tones = [("-f", "lavfi", "-i", f"sine=frequency={tone}:duration=10") for tone in TONES[:2]]
    maps = ("-map", "0:v", "-map", "1:a", "-map", "2:a", "-c:v", "copy", "-c:a", "aac")
    front = ("-movflags", "+faststart") if path.suffix == ".mp4" else ()
    file = ffmpeg(path, "-i", made, *tones[0], *tones[1], *maps, "-disposition:a:1", "0", *front)
    made.unlink()
    return file


DIGEST = "[0-9a-f]{16}"
CASES = {
    "fast start": Case("fast start.mp4", "f3", with_index_at_the_end),
    "remuxed": Case("remuxed.mkv", f"m{DIGEST}", ten_seconds),
    "copied": Case("copied.ts", f"c{DIGEST}", transport_stream),
    "with sound": Case("with sound.mkv", f"s{DIGEST}", with_ac3),
    "second sound": Case("second sound.mkv", f"m{DIGEST}-a2", with_two_sounds, sound=2),
    "second sound of a file": Case("sounds.mp4", "a2", with_two_sounds, sound=2),
    "in segments": Case("in segments.mkv", f"h{DIGEST}", make_long_film, in_segments=True),
}
kinds = pytest.mark.parametrize("kind", CASES)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    media = tmp_path_factory.mktemp("representations") / "media"
    media.mkdir()
    for case in CASES.values():
        file = case.make(media / case.name)
        assert file.stat().st_size > 3 * BLOCK
    with running(media) as stack:
        yield stack


def described(stack: Stack, name: str) -> Any:
    return json.loads(ask(stack.base, url_of("api/videos", name)).body)


def part(stack: Stack, url: str, first: int, last: int) -> Answer:
    return ask(stack.base, url, {"Range": f"bytes={first}-{last}"})


def check_each_range(stack: Stack, case: Case) -> bytes:
    """Check ranges from the service and from the cache. Return the whole representation."""
    url, original = case.url(stack), (stack.media / case.name).read_bytes()
    size = int(part(stack, url, 0, 0).headers["Content-Range"].split("/")[1])
    # Ranges behind the end of the file itself come first, before a block tells the size.
    spans = [(size - 9, size + 99), (len(original), len(original) + 9), (size - 1, size - 1)]
    spans += [(0, 0), (BLOCK - 1, BLOCK), (BLOCK, BLOCK + 999), (2 * BLOCK + 7, 3 * BLOCK - 1)]
    spans += [(start, start + 7777) for start in range(3, size, size // 23)]
    spans = [(first, last) for first, last in spans if first < size]
    cold = [part(stack, url, first, last) for first, last in spans]
    whole = ask(stack.base, url)
    data = whole.body
    assert (whole.status, len(data)) == (200, size)
    assert re.fullmatch(rf'"[0-9a-f]+-[0-9a-f]+-{case.revision}"', whole.headers["ETag"])
    assert whole.headers["Content-Type"] == "video/mp4"
    assert data[4:8] == b"ftyp"
    header = data.index(b"mdat") + 12
    spans += [(0, header - 1), (header - 1, header), (header, header + 99)]
    cold += [part(stack, url, first, last) for first, last in spans[-3:]]
    if case.in_segments:
        head = described(stack, case.name)["fragments"]["head"]
        some = random.Random(5).sample(segments(data[:head]), 5)  # noqa: S311 # no secrets
        more = [(0, head - 1), *((segment.start, segment.end - 1) for segment in some)]
        spans += more
        cold += [part(stack, url, first, last) for first, last in more]
    for (first, last), answer in zip(spans, cold, strict=True):
        warm = part(stack, url, first, last)
        assert warm.headers["X-Cache"] == "HIT", (first, last)
        end = min(last + 1, size, (first // BLOCK + 1) * BLOCK)
        for each in (answer, warm):
            assert (each.status, each.body) == (206, data[first:end]), (first, last)
            assert each.headers["Content-Range"] == f"bytes {first}-{end - 1}/{size}"
    beyond = ask(stack.base, url, {"Range": f"bytes={size}-"})
    assert (beyond.status, beyond.headers["Content-Range"]) == (416, f"bytes */{size}")
    assert ask(stack.base, url_of("download", case.name)).body == original
    return data


@kinds
def test_every_range_is_exact_from_the_service_and_from_the_cache(stack: Stack, kind: str) -> None:
    case = CASES[kind]
    data, original = check_each_range(stack, case), (stack.media / case.name).read_bytes()
    if kind in {"remuxed", "in segments"}:
        assert len(data) > len(original)
    if kind == "remuxed":
        assert data.endswith(original)
    if kind == "fast start":
        assert data.index(b"moov") < data.index(b"mdat")


def test_a_copy_in_segments_is_exact_and_firefox_plays_it(
    stack: Stack, tmp_path: Path, firefox_tab: Tab
) -> None:
    # tests/integration/test_fragments.py plays it in Chromium.
    case = Case("long.ts", f"h{DIGEST}", make_long_transport_stream, in_segments=True)
    write(stack.media, case.name, case.make(tmp_path / case.name).read_bytes())
    check_each_range(stack, case)
    with firefox_tab.at(stack.base) as tab:
        tab.goto(url_of("watch", case.name))
        check_playback(tab, 2 * LOOPS)


def test_a_film_with_sound_is_in_sync(stack: Stack, tmp_path: Path) -> None:
    case = CASES["with sound"]
    file, mp4 = stack.media / case.name, tmp_path / "sent.mp4"
    mp4.write_bytes(ask(stack.base, case.url(stack)).body)
    assert complaints(mp4) == ""
    assert picture_hashes(mp4) == picture_hashes(file)
    assert clicks_of(mp4) == about(clicks_of(file))


def test_two_sounds_of_a_file_are_never_mixed(stack: Stack) -> None:
    case = CASES["second sound of a file"]
    sounds, target = described(stack, case.name)["sounds"], url_of("media", case.name)
    asked = [f"{target}?sound={sound['number']}" for sound in sounds]
    spans = [(0, 99), (5, 20_000), (BLOCK - 9, BLOCK - 1), (BLOCK, 2 * BLOCK - 1)]
    # In turn, so that both are looked up and fetched one after another.
    seen = [[part(stack, url, *span) for url in asked] for span in 2 * spans]
    wholes = [ask(stack.base, sound["url"]).body for sound in sounds]
    assert [ask(stack.base, url).body for url in asked] == wholes
    assert [tone_of(data) for data in wholes] == list(TONES[:2])
    assert wholes[0] != wholes[1]
    for (first, last), answers in zip(2 * spans, seen, strict=True):
        for sound, data, answer in zip(sounds, wholes, answers, strict=True):
            assert (answer.status, answer.body) == (206, data[first : last + 1])
            assert answer.headers["ETag"].strip('"') == sound["url"].partition("?v=")[2]
            assert answer.headers["Cache-Control"] == "no-cache"
    warm = [answer.headers["X-Cache"] for answers in seen[len(spans) :] for answer in answers]
    assert set(warm) == {"HIT"}
    for query, status in (("sound=0", 400), ("sound=x", 400), ("sound=3", 404), ("sound=99", 404)):
        for _ in range(2):
            answer = ask(stack.base, f"{target}?{query}", {"Range": "bytes=0-9"})
            assert (answer.status, answer.headers["Cache-Control"]) == (status, "no-store")
            assert json.loads(answer.body)["detail"]
    pinned = sounds[1]["url"]
    assert ask(stack.base, f"{pinned}&sound=1").status == 400
    assert ask(stack.base, pinned.replace("-a2", "-a3")).status == 410


def test_ffmpeg_reads_the_same_frames_from_both_routes(stack: Stack) -> None:
    def frames(source: str | Path) -> str:
        web = ["-reconnect", "1", "-tls_verify", "0"] if str(source).startswith("http") else []
        command = ["ffmpeg", "-loglevel", "fatal", *web, "-i", source, "-f", "framemd5", "-"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    name = CASES["fast start"].name
    original = frames(stack.media / name)
    assert frames(stack.base + url_of("media", name)) == original
    assert frames(stack.base + url_of("download", name)) == original


# The edge knows no kinds, and the service's own tests hold the table for each.
@pytest.mark.parametrize("kind", ["fast start", "in segments"])
def test_the_table_of_ranges_holds_cold_and_warm(stack: Stack, kind: str) -> None:
    url = CASES[kind].url(stack)
    data = ask(stack.base, url).body
    for _ in range(2):
        check_ranges(stack.base, url, data)


def test_cached_blocks_are_sent_while_the_service_is_down(stack: Stack) -> None:
    urls = [case.url(stack) for case in CASES.values()]
    urls += [url_of("download", CASES["fast start"].name)]
    wholes = {url: ask(stack.base, url).body for url in urls}
    stack.compose("stop", "service")
    try:
        for url, data in wholes.items():
            for first in (0, BLOCK + 5, len(data) - 9):
                last = min(first + 99, len(data) - 1)
                answer = part(stack, url, first, last)
                assert (answer.status, answer.body) == (206, data[first : last + 1])
                assert answer.headers["X-Cache"] == "HIT"
    finally:
        stack.up()


def test_a_film_is_asked_for_through_the_edge(stack: Stack) -> None:
    until(
        lambda: described(stack, TWO_FILMS).get("copied", {}).get("state") == "possible" or None,
        "no header is made",
    )
    target = url_of("copies", TWO_FILMS)
    elsewhere = {"Content-Length": "0", "Origin": "https://elsewhere.example"}
    assert ask(stack.base, target, elsewhere, method="POST").status == 403
    here = {"Content-Length": "0", "Origin": stack.base}
    answer = ask(stack.base, target, here, method="POST")
    assert (answer.status, answer.headers["Location"]) == (303, url_of("watch", TWO_FILMS))
    url = Case(TWO_FILMS, f"c{DIGEST}", transport_stream).url(stack)
    assert part(stack, url, 0, 9).body[4:8] == b"ftyp"


def test_chromium_plays_the_segments(stack: Stack, browser: Browser) -> None:
    case = CASES["in segments"]
    case.url(stack)
    with flawless(browser, stack.base) as page:
        page.goto(url_of("watch", case.name))
        check_playback(page)


def test_firefox_plays_the_segments(stack: Stack, firefox_tab: Tab) -> None:
    case = CASES["in segments"]
    case.url(stack)
    with firefox_tab.at(stack.base) as tab:
        tab.goto(url_of("watch", case.name))
        check_playback(tab)


def test_chromium_decodes_its_sound_through_the_edge(stack: Stack, browser: Browser) -> None:
    case = CASES["with sound"]
    url = case.url(stack)
    with flawless(browser, stack.base) as page:
        page.goto(url_of("watch", case.name))
        page.evaluate("document.querySelector('video').play()")
        until(
            lambda: page.evaluate("document.querySelector('video').currentTime > 1") or None,
            "it plays",
        )
        assert page.evaluate("document.querySelector('video').webkitAudioDecodedByteCount") > 0
        assert page.evaluate("document.querySelector('video').currentSrc").endswith(url)


def test_chromium_plays_a_film_with_its_index_at_the_end_to_its_end(
    stack: Stack, browser: Browser
) -> None:
    case = CASES["fast start"]
    url = case.url(stack)
    with flawless(browser, stack.base) as page:
        urls: list[str] = []
        page.on("request", lambda r: urls.append(r.url) if "/media/" in r.url else None)
        page.goto(url_of("watch", case.name))
        assert page.evaluate(PLAY_THE_END) is True
        assert len(urls) > 1
        assert all(each.endswith(url) for each in urls)


PLAY_THE_END = """async () => {
    const video = document.querySelector("video");
    await new Promise((resolve, reject) => {
        video.addEventListener("ended", resolve, {once: true});
        video.addEventListener("error", () => reject(video.error), {once: true});
        setTimeout(() => reject(`stuck at ${video.currentTime}`), 60000);
        video.currentTime = 8.5;
        video.play().catch(reject);
    });
    return video.ended;
}"""


@pytest.mark.parametrize("kind", ["remuxed", "in segments"])
def test_a_replaced_file_is_gone_under_its_old_address(stack: Stack, kind: str) -> None:
    case = CASES[kind]
    url, file = case.url(stack), stack.media / case.name
    other = file.with_name(".new.mkv")
    ffmpeg(other, "-i", file, "-c", "copy", "-metadata", "title=New")
    other.replace(file)
    until(lambda: ask(stack.base, f"{url}&x").status == 410 or None, "the old one is gone")
    new = until(lambda: (other := case.url(stack)) != url and other, "a new one")
    size = file.stat().st_size
    # These tests list files at once (SETTLE_TIME=0), but one that changed in the last two seconds
    # has no revision yet.
    whole = until(
        lambda: (answer := ask(stack.base, new)).status == 200 and answer.body, "it has a revision"
    )
    if case.in_segments:
        assert segments(whole[: described(stack, case.name)["fragments"]["head"]])
    else:
        assert whole[-size:] == file.read_bytes()
