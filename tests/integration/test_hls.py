"""Matroska films that a running service sends as fragments, with HLS playlists (RFC 8216)."""

import json
import os
import random
import re
from collections.abc import Iterator
from email.utils import formatdate
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import av
import pytest
from playwright.sync_api import Browser
from support import firefox
from support.chromium import flawless
from support.clock_films import second_of_shade
from support.ffmpeg_fixtures import AAC, H264, ffmpeg
from support.mp4_boxes import boxes
from support.player_page import patient, state, until_playing
from support.range_cases import WHOLE, condition_cases, range_cases
from support.raw_http import Answer, ask
from support.remuxed_files import TOLERANCE, packets
from support.server import BLOCK, Server, serve, until, write

MODIFIED = 784111777  # RFC 9110 §5.6.7: Sun, 06 Nov 1994 08:49:37 GMT
DATES = [formatdate(MODIFIED + days * 86400, usegmt=True) for days in (0, -1, 1)]
HLS = "application/vnd.apple.mpegurl"  # RFC 8216 §4
LENGTH = 16  # seconds
LOOPS = 100  # of the long film: half an hour, whose header has more than 1 MiB

# The shade of second t is 16 + 12 t of 255.
SHADES = ("-f", "lavfi", "-i", f"color=gray:size=160x90:rate=25:duration={LENGTH}")
SHADE = "format=gray,geq=lum='16+12*T'"
NOISE = ",noise=alls=6:allf=t:all_seed=1"  # makes the file several blocks long
SOUND = ("-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=48000:duration={LENGTH}")
CODECS = (*H264, "-preset", "ultrafast", "-crf", "10", "-g", "25", "-bf", "2")


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hls") / "media"
    folder.mkdir()
    noisy = ("-vf", f"{SHADE}{NOISE},format=yuv420p")
    film = ffmpeg(folder / "film.mkv", *SHADES, *SOUND, *noisy, *CODECS, *AAC)
    copy = ("-i", film, "-c", "copy")
    ffmpeg(folder / "short.mkv", *copy, "-t", "1")
    ffmpeg(folder / "sound.mka", *copy, "-vn")
    ffmpeg(folder / "silent.mkv", *copy, "-c:a", "ac3")
    ffmpeg(folder / "late sound.mkv", "-i", film, "-itsoffset", "2", "-i", film, "-map", "0:v",
           "-map", "1:a", "-c", "copy")  # fmt: skip
    plain = ("-vf", f"{SHADE},format=yuv420p")
    loop = ffmpeg(folder.parent / "loop.mkv", *SHADES, *SOUND, *plain, *CODECS, *AAC)
    ffmpeg(folder / "long.mkv", "-stream_loop", str(LOOPS - 1), "-i", loop, "-c", "copy")
    for path in folder.iterdir():
        os.utime(path, (MODIFIED, MODIFIED))
    return folder


@pytest.fixture(scope="module")
def server(media: Path) -> Iterator[Server]:
    with serve(media) as server:
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


class Playlist(NamedTuple):
    """What a playlist says."""

    url: str
    """Of the resource that all of it is in."""
    init: tuple[int, int]
    """Length and start."""
    segments: list[tuple[int, int]]
    lengths: list[float]
    """Of the segments, in seconds."""


def playlist(server: Server, where: str) -> Playlist:
    answer = get(server, where)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == HLS
    lines = answer.body.decode().splitlines()
    assert lines[0] == "#EXTM3U"
    assert lines[-1] == "#EXT-X-ENDLIST"
    assert {"#EXT-X-VERSION:7", "#EXT-X-PLAYLIST-TYPE:VOD"} < set(lines)
    found = re.findall(r'#EXT-X-MAP:URI="(.+)",BYTERANGE="([0-9]+)@([0-9]+)"', "\n".join(lines))
    ((url, length, start),) = found
    assert {line for line in lines if not line.startswith("#")} == {url}
    ranges = re.findall(r"#EXT-X-BYTERANGE:([0-9]+)@([0-9]+)", "\n".join(lines))
    times = [float(line[8:-1]) for line in lines if line.startswith("#EXTINF:")]
    (target,) = (int(line[22:]) for line in lines if line.startswith("#EXT-X-TARGETDURATION:"))
    assert max(round(time) for time in times) <= target  # §4.3.3.1
    segments = [(int(a), int(b)) for a, b in ranges]
    assert len(segments) == len(times)
    return Playlist(url, (int(length), int(start)), segments, times)


def part(server: Server, url: str, length: int, start: int) -> bytes:
    """Return a part as players of HLS ask for it: they take what comes for all of it."""
    answer = get(server, url, Range=f"bytes={start}-{start + length - 1}")
    assert answer.status == 206
    assert len(answer.body) == length
    return answer.body


def test_the_segments_are_the_film_from_key_frame_to_key_frame(server: Server, media: Path) -> None:
    listed = playlist(server, settled(server, "film.mkv")["hls_url"])
    init = part(server, listed.url, *listed.init)
    assert [kind for kind, _ in boxes(init)] == [b"ftyp", b"moov"]
    data = get(server, listed.url).body
    end = sum(listed.init)
    originals = [packets(str(media / "film.mkv"), index) for index in (0, 1)]
    for length, start in listed.segments:
        assert start == end
        end += length
        segment = part(server, listed.url, length, start)
        assert segment == data[start:end]
        assert [kind for kind, _ in boxes(segment)] == [b"moof", b"mdat"]
        for index, original in enumerate(originals):
            made = packets(BytesIO(init + segment), index)
            assert made
            assert index or made[0].is_key
            expected = [original.pop(0) for _ in made]
            for a, b in zip(made, expected, strict=True):
                assert (a.digest, a.is_key) == (b.digest, b.is_key)
                assert abs(a.time - b.time) <= TOLERANCE
    assert originals == [[], []]
    assert end == len(data)
    # There is a key frame each second, and a fragment has two of them.
    assert [round(length) for length in listed.lengths] == [2] * 8
    # Nor is a segment cut off that crosses the end of a block.
    assert any(start // BLOCK < (start + length - 1) // BLOCK for length, start in listed.segments)


def test_ffmpeg_reads_the_film_through_the_playlist(server: Server, media: Path) -> None:
    url = server.base + settled(server, "film.mkv")["hls_url"]
    # FFmpeg expects that MP4s have the extension of MP4s.
    with av.open(url, options={"extension_picky": "0"}) as container:
        found: list[list[tuple[float, bytes]]] = [[], []]
        for packet in container.demux():
            if packet.size:
                time = float((packet.pts or 0) * packet.time_base)
                found[packet.stream.type == "audio"].append((time, bytes(packet)))
    with av.open(str(media / "film.mkv")) as container:
        for index, kind in enumerate(("video", "audio")):
            stream = next(s for s in container.streams if s.type == kind)
            container.seek(0)
            original = [
                (float((p.pts or 0) * p.time_base), bytes(p))
                for p in container.demux(stream)
                if p.size
            ]
            assert [data for _, data in found[index]] == [data for _, data in original]
            shift = found[index][0][0] - original[0][0]  # FFmpeg begins MPEG-4 in HLS elsewhere
            assert abs(shift) < 2
            for (a, _), (b, _) in zip(found[index], original, strict=True):
                assert abs(a - shift - b) <= 2 * TOLERANCE


def test_ranges_of_all_parts_are_slices_of_one_resource(server: Server) -> None:
    listed = playlist(server, settled(server, "film.mkv")["hls_url"])
    data, chance = get(server, listed.url).body, random.Random(3)  # noqa: S311 # no secrets
    size, edges = len(data), [0, BLOCK, len(data) - 1]
    for length, start in listed.segments:
        edges += [start, start + data[start:].index(b"mdat") + 4, start + length]
    starts = [max(0, min(size - 1, edge + shift)) for edge in edges for shift in (-3, -1, 0, 1)]
    for start in [*starts, *(chance.randrange(size) for _ in range(60))]:
        capped = min(size, start // BLOCK * BLOCK + BLOCK)
        last = chance.choice([start, start + 9, start + chance.randrange(size), size * 2])
        for asked, end in ((f"{start}-", capped), (f"{start}-{last}", min(size, last + 1))):
            answer = get(server, listed.url, Range=f"bytes={asked}")
            assert answer.status == 206
            assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{size}"
            assert answer.body == data[start:end]


def test_the_table_of_ranges_holds(server: Server) -> None:
    url = playlist(server, settled(server, "short.mkv")["hls_url"]).url
    data = get(server, url).body
    assert len(data) < BLOCK  # nothing is capped
    for case in range_cases(len(data)):
        answer = get(server, url, Range=case.header)
        if isinstance(case.expected, list):
            assert answer.status == 206, case.name
            if len(case.expected) == 1:
                ((first, last),) = case.expected
                assert answer.body == data[first : last + 1], case.name
            else:
                parts = [((a, b), data[a : b + 1]) for a, b in case.expected]
                assert answer.parts() == parts, case.name
        else:
            assert answer.status == (200 if case.expected == WHOLE else 416), case.name


def test_conditions_apply_as_for_any_representation(server: Server) -> None:
    url = playlist(server, settled(server, "short.mkv")["hls_url"]).url
    data, pin = get(server, url).body, url.partition("?v=")[2]
    for case in condition_cases(f'"{pin}"', *DATES, dated=False):
        answer = ask(server.base, url, {"Range": "bytes=0-9", **case.headers})
        assert answer.status == case.status, case.name
        expected = {206: data[:10], 200: data, 304: b""}.get(case.status)
        assert expected is None or answer.body == expected, case.name


def test_revisions_are_bound_to_the_headers_and_the_route(server: Server) -> None:
    item = settled(server, "film.mkv")
    file, digest = item["hls_url"].partition("?v=")[2].split("-h")
    assert file == item["revision"]
    url = playlist(server, item["hls_url"]).url
    assert url == f"/media/film.mkv?v={file}-h{digest}"
    answer = get(server, url)
    assert answer.headers["ETag"] == f'"{file}-h{digest}"'
    assert answer.headers["Content-Type"] == "video/mp4"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    other = f"{int(digest, 16) ^ 1:016x}"
    mp4 = item["media_url"].partition("-m")[2]
    for invalid in (f"{file}-h{other}", f"{file}-h", f"0{file}-h{digest}", f"{file}-h{mp4}"):
        assert get(server, f"/media/film.mkv?v={invalid}").status == 410, invalid
        assert get(server, f"/playlists/film.mkv.m3u8?v={invalid}").status == 410, invalid
    assert get(server, f"/playlists/film.mkv.m3u8?v={file}").status == 410
    assert get(server, f"/download/film.mkv?v={file}-h{digest}").status == 410
    unpinned = get(server, "/playlists/film.mkv.m3u8")
    assert unpinned.body == get(server, item["hls_url"]).body
    assert unpinned.headers["Cache-Control"] == "no-cache"
    again = get(server, "/playlists/film.mkv.m3u8", If_None_Match=unpinned.headers["ETag"])
    assert again.status == 304


@pytest.mark.parametrize("name", ["sound.mka", "silent.mkv", "late sound.mkv"])
def test_films_that_play_better_as_mp4_have_no_playlist(server: Server, name: str) -> None:
    item = settled(server, name)
    assert item["representation"] == "remuxed"
    assert item["hls_url"] is None
    assert item["sources"] == [{"url": item["media_url"], "type": item["media_type"]}]
    for missing in (name, "nothing.mkv"):
        assert get(server, f"/playlists/{quote(missing)}.m3u8").status == 404


def test_pages_offer_the_playlist_of_long_films_first(server: Server) -> None:
    short, long = settled(server, "film.mkv"), settled(server, "long.mkv")
    mp4 = {"url": long["media_url"], "type": "video/mp4"}
    assert long["sources"] == [{"url": long["hls_url"], "type": HLS}, mp4]
    assert short["sources"] == [{"url": short["media_url"], "type": "video/mp4"}]
    for where in (long["watch_url"], "/embed/long.mkv"):
        page = get(server, where).body.decode()
        found = re.findall(r'<source src="([^"]+)"\s+type="([^"]+)"', page)
        assert found == [(source["url"], source["type"]) for source in long["sources"]]
    assert HLS not in get(server, short["watch_url"]).body.decode()


def test_fragments_outlive_a_restart_and_are_made_again_if_they_are_lost(
    tmp_path: Path, media: Path
) -> None:
    folder = tmp_path / "media"
    write(folder, "a.mkv", (media / "film.mkv").read_bytes())
    with serve(folder) as server:
        item = settled(server, "a.mkv")
        url = playlist(server, item["hls_url"]).url
        data = get(server, url).body
    (stored,) = [path for path in (tmp_path / "derived" / "remux").rglob("*") if path.is_file()]
    with serve(folder) as server:
        # Also before the library has looked at anything: a pin is enough.
        assert playlist(server, item["hls_url"]).url == url
        assert get(server, url).body == data
    with serve(folder) as server:
        assert settled(server, "a.mkv")["hls_url"] == item["hls_url"]
        stored.unlink()
        assert get(server, item["hls_url"]).status == 410  # and they are made again
        assert settled(server, "a.mkv")["hls_url"] == item["hls_url"]
        assert get(server, url).body == data


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


def check_playback(page: Any, url: str) -> None:
    """Check the picture at some seconds, from another one of the loops each, and the end."""
    for loop, second in enumerate((0, 4.5, 9.5, 2.5, 15)):
        # The sound of each loop is a frame of 21 ms longer, so the loops are, too.
        before = loop * LOOPS // 5 * (LENGTH + 0.001)
        seen = page.evaluate(SEEK, before + second)
        assert seen["source"].endswith(url)
        assert abs(seen["duration"] - LENGTH * LOOPS) < 3
        assert abs(seen["at"] - before - second) < 0.01
        assert abs(second_of_shade(seen["shade"]) - second) < 0.3, second
    assert abs(page.evaluate(END) - seen["duration"]) < 0.2


def test_chromium_plays_the_fragments(server: Server, browser: Browser) -> None:
    item = settled(server, "long.mkv")
    with flawless(browser, server.base) as page:
        page.goto(item["watch_url"])
        check_playback(page, item["hls_url"])


def test_firefox_takes_the_mp4(server: Server, tmp_path: Path) -> None:
    item = settled(server, "long.mkv")
    with firefox.tab(server.base, tmp_path / "profile") as tab:
        tab.goto(item["watch_url"])
        check_playback(tab, item["media_url"])


def test_a_link_to_a_moment_begins_there(server: Server, browser: Browser) -> None:
    item = settled(server, "long.mkv")
    with flawless(browser, server.base) as page:
        page.goto(f"{item['watch_url']}?t=900.5")
        until(lambda: state(page)["at"] == 900.5, "it is at the moment")
        assert page.evaluate("document.querySelector('video').paused")


def test_a_browser_whose_hls_fails_takes_the_mp4(server: Server, browser: Browser) -> None:
    item = settled(server, "long.mkv")
    with flawless(browser, server.base) as page:
        page.route("**/*.m3u8*", lambda route: route.fulfill(body="no playlist", content_type=HLS))
        page.goto(f"{item['watch_url']}?t=30")
        source = "document.querySelector('video').currentSrc"
        until(lambda: item["media_url"] in page.evaluate(source), "it takes the MP4")
        page.evaluate("document.querySelector('video').play()")
        until_playing(page, 30)


def test_a_film_that_is_replaced_while_it_plays_goes_on(
    tmp_path: Path, media: Path, browser: Browser
) -> None:
    folder = tmp_path / "media"
    film = (media / "long.mkv").read_bytes()
    write(folder, "a.mkv", film)
    with serve(folder) as server, patient(browser, server.base) as page:
        item = settled(server, "a.mkv")
        page.goto(f"{item['watch_url']}?t=30")
        page.evaluate("document.querySelector('video').play()")
        assert item["hls_url"] in until_playing(page, 30)["source"]
        write(folder, "new", film, age=1800).rename(folder / "a.mkv")
        until(lambda: settled(server, "a.mkv")["revision"] != item["revision"], "it is noticed")
        # Nothing of this part is in the player's memory.
        page.evaluate("document.querySelector('video').currentTime = 1200")
        player = until_playing(page, 1200)
        new = settled(server, "a.mkv")
        assert any(url in player["source"] for url in (new["hls_url"], "/media/a.mkv"))
        assert item["revision"] not in player["source"]


def test_a_film_goes_on_after_the_network_was_lost(server: Server, browser: Browser) -> None:
    item = settled(server, "long.mkv")
    with patient(browser, server.base) as page:
        page.goto(f"{item['watch_url']}?t=30")
        page.evaluate("document.querySelector('video').play()")
        until_playing(page, 30)
        page.context.set_offline(True)
        page.evaluate("document.querySelector('video').currentTime = 1200")
        until(lambda: state(page)["message"], "it says that the connection is lost")
        page.context.set_offline(False)
        until_playing(page, 1200)
