"""Long films that a running service also sends as fragments, with an index of segments."""

import json
import os
import random
import struct
from collections.abc import Iterator
from email.utils import formatdate
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page
from support import firefox
from support.chromium import flawless
from support.clock_films import second_of_shade
from support.ffmpeg_fixtures import AAC, H264, ffmpeg
from support.mp4_boxes import boxes
from support.player_page import patient, seek, state, until_playing
from support.range_cases import WHOLE, condition_cases, range_cases
from support.raw_http import Answer, ask
from support.remuxed_files import TOLERANCE, packets
from support.server import BLOCK, Server, serve, until, write

MODIFIED = 784111777  # RFC 9110 §5.6.7: Sun, 06 Nov 1994 08:49:37 GMT
DATES = [formatdate(MODIFIED + days * 86400, usegmt=True) for days in (0, -1, 1)]
LENGTH = 16  # seconds of a loop
LOOPS = 100  # half an hour, whose header has more than 1 MiB

# The shade of second t of each loop is 16 + 12 t of 255.
SHADES = ("-f", "lavfi", "-i", f"color=gray:size=160x90:rate=25:duration={LENGTH}")
SOUND = ("-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=48000:duration={LENGTH}")
CODECS = ("-vf", "format=gray,geq=lum='16+12*T',format=yuv420p",
          *H264, "-preset", "ultrafast", "-crf", "10", "-g", "25", "-bf", "2", *AAC)  # fmt: skip


def make_long_film(path: Path) -> Path:
    loop = ffmpeg(path.parent / "loop.mkv", *SHADES, *SOUND, *CODECS)
    ffmpeg(path, "-stream_loop", str(LOOPS - 1), "-i", loop, "-c", "copy")
    loop.unlink()
    os.utime(path, (MODIFIED, MODIFIED))
    return path


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fragments") / "media"
    folder.mkdir()
    film = make_long_film(folder / "long.mkv")
    ffmpeg(folder / "short.mkv", "-i", film, "-c", "copy", "-t", "60")
    ffmpeg(folder / "silent.mkv", "-i", film, "-c:v", "copy", "-c:a", "ac3", "-b:a", "32k")
    return folder


@pytest.fixture(scope="module")
def server(media: Path) -> Iterator[Server]:
    with serve(media, SOUND="off") as server:
        yield server


def get(server: Server, where: str, **headers: str) -> Answer:
    return ask(server.base, where, {name.replace("_", "-"): v for name, v in headers.items()})


def settled(server: Server, name: str) -> Any:
    """Return a video's JSON when it is known what players get."""

    def known() -> Any:
        item = json.loads(get(server, f"/api/videos/{quote(name)}").body)
        known = item.get("state") == "probed" and item["remux"]["state"] != "waiting"
        return item if known else None

    return until(known, f"{name} is examined")


class Segment(NamedTuple):
    start: int
    end: int
    time: float


def segments(head: bytes) -> list[Segment]:
    """Return the segments by the index at the end of the head (ISO/IEC 14496-12 §8.16.3)."""
    index = dict(boxes(head))[b"sidx"]
    timescale, earliest, offset = struct.unpack_from(">IQQ", index, 8)
    found, start, time = [], len(head) + offset, earliest
    for size, length, _ in struct.iter_unpack(">III", index[32:]):
        found.append(Segment(start, start + size, time / timescale))
        start, time = start + size, time + length
    return found


def test_each_segment_is_a_part_of_the_film_and_begins_with_a_key_frame(
    server: Server, media: Path
) -> None:
    made = settled(server, "long.mkv")["fragments"]
    head = get(server, made["url"], Range=f"bytes=0-{made['head'] - 1}").body
    assert [kind for kind, _ in boxes(head)] == [b"ftyp", b"moov", b"sidx"]
    data = get(server, made["url"]).body
    found = segments(head)
    # A key frame a second, and a segment has two of them.
    assert len(found) == pytest.approx(LENGTH * LOOPS / 2, abs=1)
    originals = [packets(str(media / "long.mkv"), index) for index in (0, 1)]
    for index, original in enumerate(originals):
        made_of_it = packets(BytesIO(data), index)
        assert [(p.digest, p.is_key) for p in made_of_it] == [
            (p.digest, p.is_key) for p in original
        ]
        assert (
            max(abs(a.time - b.time) for a, b in zip(made_of_it, original, strict=True))
            <= TOLERANCE
        )
    for segment in random.Random(2).sample(found, 20):  # noqa: S311 # no secrets
        part = data[segment.start : segment.end]
        assert {kind for kind, _ in boxes(part)} == {b"moof", b"mdat"}
        first = packets(BytesIO(head + part), 0)[0]
        assert first.is_key
        assert first.time == pytest.approx(segment.time, abs=TOLERANCE)
        assert first.digest in {packet.digest for packet in originals[0] if packet.is_key}
    rest = data[found[-1].end :]
    assert not rest or [kind for kind, _ in boxes(rest)] == [b"free"]


def test_the_table_of_ranges_holds_up_to_the_end_of_a_block(server: Server) -> None:
    url = settled(server, "long.mkv")["fragments"]["url"]
    data = get(server, url).body
    for case in range_cases(len(data)):
        answer = get(server, url, Range=case.header)
        if isinstance(case.expected, list):
            assert answer.status == 206, case.name
            if len(case.expected) == 1:
                ((first, last),) = case.expected
                end = min(last + 1, first // BLOCK * BLOCK + BLOCK)
                assert answer.headers["Content-Range"] == f"bytes {first}-{end - 1}/{len(data)}"
                assert answer.body == data[first:end], case.name
            else:
                parts = [((a, b), data[a : b + 1]) for a, b in case.expected]
                assert answer.parts() == parts, case.name
        else:
            assert answer.status == (200 if case.expected == WHOLE else 416), case.name


def test_every_range_is_a_slice_of_one_resource(server: Server) -> None:
    made = settled(server, "long.mkv")["fragments"]
    data, chance = get(server, made["url"]).body, random.Random(3)  # noqa: S311 # no secrets
    size = len(data)
    edges = [0, made["head"], BLOCK, size - 1]
    for segment in chance.sample(segments(data[: made["head"]]), 10):
        edges += [segment.start, segment.start + data[segment.start :].index(b"mdat") + 4]
    starts = [max(0, min(size - 1, edge + shift)) for edge in edges for shift in (-3, -1, 0, 1)]
    for start in [*starts, *(chance.randrange(size) for _ in range(60))]:
        last = chance.choice([start, start + 9, start + chance.randrange(size), size * 2])
        end = min(last + 1, size, start // BLOCK * BLOCK + BLOCK)
        answer = get(server, made["url"], Range=f"bytes={start}-{last}")
        assert answer.status == 206
        assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{size}"
        assert answer.body == data[start:end]


def test_conditions_apply_as_for_any_representation(server: Server) -> None:
    url = settled(server, "long.mkv")["fragments"]["url"]
    data, pin = get(server, url).body, url.partition("?v=")[2]
    for case in condition_cases(f'"{pin}"', *DATES, dated=False):
        answer = ask(server.base, url, {"Range": "bytes=0-9", **case.headers})
        assert answer.status == case.status, case.name
        expected = {206: data[:10], 200: data, 304: b""}.get(case.status)
        assert expected is None or answer.body == expected, case.name


def test_a_revision_is_bound_to_its_headers_and_route(server: Server) -> None:
    item = settled(server, "long.mkv")
    made = item["fragments"]
    file, digest = made["url"].partition("?v=")[2].split("-h")
    assert file == item["revision"]
    assert made["url"] == f"/media/long.mkv?v={file}-h{digest}"
    assert made["type"] == f'video/mp4; codecs="{", ".join(item["remux"]["codecs"])}"'
    answer = get(server, made["url"], Range="bytes=0-0")
    assert answer.headers["ETag"] == f'"{file}-h{digest}"'
    assert answer.headers["Content-Type"] == "video/mp4"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    mp4 = item["media_url"].partition("-m")[2]
    other = f"{int(digest, 16) ^ 1:016x}"
    for invalid in (f"{file}-h{other}", f"{file}-h", f"0{file}-h{digest}", f"{file}-h{mp4}"):
        assert get(server, f"/media/long.mkv?v={invalid}").status == 410, invalid
    assert get(server, f"/download/long.mkv?v={file}-h{digest}").status == 410
    # Players that name no revision get one MP4 with one index.
    assert get(server, "/_revision?path=/media/long.mkv").headers["X-Revision"].endswith(f"-m{mp4}")


@pytest.mark.parametrize("name", ["short.mkv", "silent.mkv"])
def test_films_that_play_as_well_as_mp4_have_no_fragments(server: Server, name: str) -> None:
    item = settled(server, name)
    assert item["representation"] == "remuxed"
    assert item["fragments"] is None


def test_fragments_outlive_a_restart_and_are_made_again_if_they_are_lost(
    tmp_path: Path, media: Path
) -> None:
    folder = tmp_path / "media"
    write(folder, "a.mkv", (media / "long.mkv").read_bytes())
    with serve(folder) as server:
        made = settled(server, "a.mkv")["fragments"]
        data = get(server, made["url"]).body
    (stored,) = [path for path in (tmp_path / "derived" / "remux").rglob("*") if path.is_file()]
    with serve(folder) as server:
        # Also before the library has looked at anything: a pin is enough.
        assert get(server, made["url"]).body == data
    with serve(folder) as server:
        assert settled(server, "a.mkv")["fragments"] == made
        stored.unlink()
        assert get(server, made["url"]).status == 410  # and they are made again
        assert settled(server, "a.mkv")["fragments"] == made
        assert get(server, made["url"]).body == data


# Browsers

SEEK = """async (second) => {
    const video = document.querySelector("video");
    const wait = (type) => new Promise((resolve) =>
        video.addEventListener(type, resolve, { once: true }));
    if (video.readyState < 1) await wait("loadedmetadata");
    const seeked = wait("seeked");
    video.currentTime = second;
    await seeked;
    while (video.readyState < 2) await wait("canplay");
    await new Promise((resolve) => setTimeout(resolve, 300));
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [64, 36];
    const context = canvas.getContext("2d");
    context.drawImage(video, 0, 0, 64, 36);
    const pixels = context.getImageData(0, 0, 64, 36).data;
    let sum = 0;
    for (let at = 0; at < pixels.length; at += 4) sum += pixels[at];
    return { shade: sum / (pixels.length / 4), at: video.currentTime, duration: video.duration,
             source: video.currentSrc };
}"""
END = """async () => {
    const video = document.querySelector("video");
    video.currentTime = video.duration - 1;
    await new Promise((resolve, reject) => {
        video.addEventListener("ended", resolve, { once: true });
        video.addEventListener("error", reject, { once: true });
        video.play();
    });
    return video.currentTime;
}"""
BUFFERED = """() => {
    const { buffered } = document.querySelector("video");
    let sum = 0;
    for (let at = 0; at < buffered.length; at += 1) sum += buffered.end(at) - buffered.start(at);
    return sum;
}"""


def check_playback(page: Page | firefox.Tab) -> None:
    """Check the picture at six seconds, from another one of the loops each, and the end."""
    for loop, second in enumerate((0, 4.5, 9.5, 2.5, 15, 7.5)):
        # The sound of each loop is a frame of 21 ms longer, so the loops are, too.
        before = loop * (LOOPS - 1) // 5 * (LENGTH + 0.001)
        seen = page.evaluate(SEEK, before + second)
        assert seen["source"].startswith("blob:")
        assert abs(seen["duration"] - LENGTH * LOOPS) < 3
        assert abs(seen["at"] - before - second) < 0.01
        assert abs(second_of_shade(seen["shade"]) - second) < 0.3, second
        assert page.evaluate(BUFFERED) < 6 * 40  # seconds
    assert abs(page.evaluate(END) - seen["duration"]) < 0.2


def test_chromium_plays_the_segments(server: Server, browser: Browser) -> None:
    item = settled(server, "long.mkv")
    with flawless(browser, server.base) as page:
        page.goto(item["watch_url"])
        check_playback(page)


def test_firefox_plays_the_segments(server: Server, tmp_path: Path) -> None:
    item = settled(server, "long.mkv")
    with firefox.tab(server.base, tmp_path / "profile") as tab:
        tab.goto(item["watch_url"])
        check_playback(tab)


def test_a_link_to_a_moment_begins_there(server: Server, browser: Browser) -> None:
    item = settled(server, "long.mkv")
    with flawless(browser, server.base) as page:
        page.goto(f"{item['watch_url']}?t=900.5")
        until(lambda: state(page)["at"] == 900.5, "it is at the moment")
        player = until(lambda: (s := state(page))["ready"] >= 2 and s, "it shows the picture")
        assert player["paused"]
        assert player["source"].startswith("blob:")


def test_a_browser_that_lacks_the_codec_gets_the_mp4(server: Server, browser: Browser) -> None:
    item = settled(server, "long.mkv")
    with flawless(browser, server.base) as page:
        page.add_init_script("MediaSource.isTypeSupported = () => false;")
        page.goto(f"{item['watch_url']}?t=30")
        until(lambda: state(page)["at"] == 30, "it is at the moment")
        assert state(page)["source"].partition("#")[0].endswith(item["media_url"])


def test_segments_that_cannot_be_played_are_replaced_by_the_mp4(
    server: Server, browser: Browser
) -> None:
    item = settled(server, "long.mkv")
    with patient(browser, server.base) as page:
        page.route("**/*-h*", lambda route: route.fulfill(status=206, body=bytes(60_000)))
        page.goto(f"{item['watch_url']}?t=30")
        until(lambda: item["media_url"] in state(page)["source"], "it takes the MP4")
        page.evaluate("document.querySelector('video').play()")
        until_playing(page, 30)


def test_a_film_that_is_replaced_while_it_plays_goes_on(
    tmp_path: Path, media: Path, browser: Browser
) -> None:
    folder = tmp_path / "media"
    film = (media / "long.mkv").read_bytes()
    write(folder, "a.mkv", film)
    with serve(folder, SOUND="off") as server, patient(browser, server.base) as page:
        item = settled(server, "a.mkv")
        page.goto(f"{item['watch_url']}?t=30")
        page.evaluate("document.querySelector('video').play()")
        assert until_playing(page, 30)["source"].startswith("blob:")
        write(folder, "new", film, age=1800).rename(folder / "a.mkv")
        until(lambda: settled(server, "a.mkv")["revision"] != item["revision"], "it is noticed")
        seek(page, 1200)  # nothing of it is in the player's memory
        until_playing(page, 1200)


def test_a_film_goes_on_after_the_network_was_lost(server: Server, browser: Browser) -> None:
    item = settled(server, "long.mkv")
    with patient(browser, server.base) as page:
        page.goto(f"{item['watch_url']}?t=30")
        page.evaluate("document.querySelector('video').play()")
        until_playing(page, 30)
        page.context.set_offline(True)
        seek(page, 1200)
        until(lambda: state(page)["message"], "it says that the connection is lost", timeout=60)
        page.context.set_offline(False)
        until_playing(page, 1200)
