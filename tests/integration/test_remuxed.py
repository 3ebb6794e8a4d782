"""Matroska films that a running service sends to players as MP4."""

import json
import os
import random
from collections.abc import Iterator
from contextlib import ExitStack
from email.utils import formatdate
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from time import time
from typing import Any
from urllib.parse import quote

import av
import pytest
from playwright.sync_api import Browser
from support.chromium import flawless
from support.ffmpeg_fixtures import AAC, ffmpeg
from support.firefox import Tab
from support.made_sound import film
from support.mp4_boxes import boxes
from support.raw_http import Answer, ask
from support.representations import check_conditions, check_ranges
from support.seeks import CODECS, SHADES, SOUND, check_seeks, unmade
from support.server import BLOCK, Server, serve, until, write

MODIFIED = 784111777  # RFC 9110 §5.6.7: Sun, 06 Nov 1994 08:49:37 GMT
DATES = [formatdate(MODIFIED + days * 86400, usegmt=True) for days in (0, -1, 1)]


def at_noon(path: Path) -> Path:
    os.utime(path, (MODIFIED, MODIFIED))
    return path


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("remuxed") / "media"
    folder.mkdir()
    film = ffmpeg(folder / "film.mkv", *SHADES, *SOUND, *CODECS, *AAC)
    copy = ("-i", film, "-c", "copy")
    ffmpeg(folder / "late.mkv", *copy, "-output_ts_offset", "5")
    ffmpeg(folder / "sound.mka", *copy, "-vn")
    ffmpeg(folder / "flash.flv", *copy)
    ffmpeg(folder / "silent.mkv", *copy, "-c:a", "ac3")
    ffmpeg(folder / "vorbis.mkv", *copy, "-c:a", "libvorbis")
    ffmpeg(folder / "two sounds.mkv", *copy, "-map", "0:v", "-map", "0:a", "-map", "0:a",
           "-c:a:0", "ac3", "-c:a:1", "copy", "-disposition:a:0", "default")  # fmt: skip
    ffmpeg(folder / "plain.webm", *SHADES, "-c:v", "libvpx", "-b:v", "1M", "-t", "1")
    for path in folder.iterdir():
        at_noon(path)
    return folder


@pytest.fixture(scope="module")
def server(media: Path) -> Iterator[Server]:
    with serve(media, SOUND="off") as server:  # made sound: test_made_sound.py
        yield server


def get(server: Server, where: str, **headers: str) -> Answer:
    return ask(server.base, where, {name.replace("_", "-"): v for name, v in headers.items()})


def video(server: Server, name: str) -> Any:
    return json.loads(get(server, f"/api/videos/{quote(name)}").body)


def settled(server: Server, name: str) -> Any:
    """Return a video's JSON when it is known whether players get it as MP4."""

    def known() -> Any:
        item = video(server, name)
        known = item.get("state") == "probed" and item["remux"]["state"] != "waiting"
        return item if known else None

    return until(known, f"{name} is examined")


def whole(server: Server, name: str) -> bytes:
    return get(server, settled(server, name)["media_url"]).body


@pytest.mark.parametrize(
    "name", ["film.mkv", "late.mkv", "sound.mka", "two sounds.mkv", "flash.flv"]
)
def test_players_get_a_header_and_the_file_byte_for_byte(
    server: Server, media: Path, name: str
) -> None:
    item = settled(server, name)
    data, file = whole(server, name), (media / name).read_bytes()
    assert data.endswith(file)
    kinds = [(kind, len(content)) for kind, content in boxes(data)]
    assert [kind for kind, _ in kinds] == [b"ftyp", b"moov", b"mdat"]
    assert kinds[2][1] == len(file)
    assert item["representation"] == "remuxed"
    answer = get(server, item["media_url"], Range="bytes=0-0")
    expected = "audio/mp4" if name.endswith(".mka") else "video/mp4"
    assert answer.headers["Content-Type"] == item["media_type"] == expected


def test_downloads_plain_revisions_and_playlists_are_the_file(server: Server, media: Path) -> None:
    item = settled(server, "film.mkv")
    file = (media / "film.mkv").read_bytes()
    for url in (item["download_url"], f"/media/film.mkv?v={item['revision']}"):
        answer = get(server, url)
        assert answer.body == file
        assert answer.headers["ETag"] == f'"{item["revision"]}"'
    assert b"/download/film.mkv" in get(server, "/playlists/film.mkv.m3u").body


def test_a_revision_is_bound_to_its_header_and_route(server: Server) -> None:
    item = settled(server, "film.mkv")
    pin = item["media_url"].partition("?v=")[2]
    file, digest = pin.split("-m")
    assert file == item["revision"]
    pinned, unpinned = get(server, item["media_url"]), get(server, "/media/film.mkv")
    assert pinned.body == unpinned.body
    assert pinned.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert unpinned.headers["Cache-Control"] == "no-cache"
    assert pinned.headers["ETag"] == unpinned.headers["ETag"] == f'"{pin}"'
    other = f"{int(digest, 16) ^ 1:016x}"
    for invalid in (f"{file}-m{other}", f"{file}-m", f"{file}-m{digest}0", f"0{pin}", f"{file}-f3"):
        assert get(server, f"/media/film.mkv?v={invalid}").status == 410, invalid
    assert get(server, f"/download/film.mkv?v={pin}").status == 410
    assert get(server, "/_revision?path=/media/film.mkv").headers["X-Revision"] == pin
    assert get(server, "/_revision?path=/download/film.mkv").headers["X-Revision"] == file


@pytest.mark.parametrize("name", ["film.mkv", "sound.mka"])
def test_every_range_is_a_slice_of_header_and_file(server: Server, name: str) -> None:
    data, url = whole(server, name), settled(server, name)["media_url"]
    size, chance = len(data), random.Random(3)  # noqa: S311 # spans, no secrets
    header = size - (size - data.index(b"mdat") - 12)
    edges = [0, header, BLOCK, header + BLOCK, size - 1]
    starts = [max(0, min(size - 1, edge + shift)) for edge in edges for shift in (-3, -1, 0, 1)]
    for start in [*starts, *(chance.randrange(size) for _ in range(60))]:
        last = chance.choice([start, start + 9, start + chance.randrange(size), size * 2])
        end = min(last + 1, size, start // BLOCK * BLOCK + BLOCK)
        answer = get(server, url, Range=f"bytes={start}-{last}")
        assert answer.status == 206
        assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{size}"
        assert answer.body == data[start:end]
    several = get(server, url, Range=f"bytes=-5,{header - 3}-{header + 20}").parts()
    assert several == [
        ((size - 5, size - 1), data[-5:]),
        ((header - 3, header + 20), data[header - 3 : header + 21]),
    ]


def test_the_table_of_ranges_holds(server: Server) -> None:
    url, data = settled(server, "sound.mka")["media_url"], whole(server, "sound.mka")
    assert len(data) < BLOCK  # nothing is capped
    check_ranges(server.base, url, data)


@pytest.mark.parametrize("pinned", [False, True], ids=["unpinned", "pinned"])
def test_conditions_apply_as_for_any_representation(
    server: Server,
    pinned: bool,  # noqa: FBT001 # as in the table
) -> None:
    url = settled(server, "sound.mka")["media_url"]
    path, _, pin = url.partition("?v=")
    check_conditions(server.base, url if pinned else path, pin, DATES)


def test_the_json_says_what_is_served(server: Server) -> None:
    film = settled(server, "film.mkv")
    assert film["remux"]["state"] == "ready"
    assert film["remux"]["codecs"] == ["avc1.4D401E", "mp4a.40.2"]
    assert film["content_type"] == "video/matroska"
    assert film["findings"] == []
    two = settled(server, "two sounds.mkv")
    assert two["remux"]["codecs"] == ["avc1.4D401E", "mp4a.40.2"]
    assert two["remux"]["streams"] == [0, 2, 1]
    # All browsers play the AAC sound: none is silent, and none plays another one.
    assert two["findings"] == []
    # Without the header it would not play anywhere.
    assert settled(server, "flash.flv")["findings"] == []
    silent = settled(server, "silent.mkv")
    assert silent["remux"]["codecs"] == ["avc1.4D401E", "ac-3"]
    assert [finding["code"] for finding in silent["findings"]] == ["audio_codec"]


def test_what_is_declined_says_why_and_is_served_as_it_is(server: Server, media: Path) -> None:
    item = settled(server, "vorbis.mkv")
    assert item["representation"] == "file"
    assert item["remux"]["state"] == "none"
    reason = "has Vorbis sound, which more browsers play in Matroska"
    assert item["remux"]["declined"] == f"The file {reason}."
    sentences = [f["sentence"] for f in item["findings"] if f["code"] == "not_remuxed"]
    assert sentences == [f"Players get the file as it is, and not as MP4: it {reason}."]
    assert get(server, item["media_url"]).body == (media / "vorbis.mkv").read_bytes()


def test_webm_that_all_browsers_play_is_left_alone(server: Server) -> None:
    item = settled(server, "plain.webm")
    assert item["representation"] == "file"
    assert item["remux"] == {
        "state": "none", "problem": None, "problems": [], "declined": None, "codecs": [],
        "streams": [],
    }  # fmt: skip
    assert item["findings"] == []


def test_the_page_has_the_type_and_the_clock_of_what_is_served(server: Server) -> None:
    item = settled(server, "late.mkv")
    page = get(server, item["watch_url"]).body.decode()
    assert f'src="{item["media_url"]}"' in page
    assert 'type="video/mp4"' in page
    assert item["metadata"]["start"] == 5
    assert "data-clock-start" not in page
    assert "clock" not in [finding["code"] for finding in item["findings"]]


# Changes


def test_a_replaced_film_is_noticed_at_once_and_never_mixed(tmp_path: Path, media: Path) -> None:
    folder = tmp_path / "media"
    film, other = (media / "film.mkv").read_bytes(), (media / "late.mkv").read_bytes()
    write(folder, "a.mkv", film)
    with serve(folder) as server:
        item = settled(server, "a.mkv")
        first = get(server, item["media_url"], Range="bytes=0-")
        assert first.status == 206
        write(folder, "new", other, age=1800).rename(folder / "a.mkv")
        second = get(server, "/media/a.mkv", Range="bytes=0-", If_Range=first.headers["ETag"])
        # Its own header is not made yet, or it is.
        assert second.status == 200
        assert second.body.endswith(other)
        for pin in (item["media_url"].partition("=")[2], item["revision"]):
            assert get(server, f"/media/a.mkv?v={pin}", Range="bytes=0-").status == 410
        again = until(
            lambda: (new := settled(server, "a.mkv"))["revision"] != item["revision"] and new,
            "the new file is examined",
        )
        data = get(server, again["media_url"]).body
        assert data.endswith(other)
        with av.open(BytesIO(data), "r") as container:
            assert container.format.name.startswith("mov")


@pytest.mark.slow
def test_a_film_that_changed_a_moment_ago_is_sent_as_its_json_says(
    tmp_path: Path, media: Path
) -> None:
    folder = tmp_path / "media"
    folder.mkdir()
    with serve(folder, SOUND="off", SETTLE_TIME="0") as server:
        tracks = (argument for track in ("0:v", "0:a", "0:a") for argument in ("-map", track))
        path = ffmpeg(folder / "film.mkv", "-i", media / "film.mkv", *tracks, "-c", "copy")
        # It may be changing as long as its status was changed within two seconds before.
        os.utime(path, (time() + 3600, time() + 3600))
        item = settled(server, path.name)
        assert item["representation"] == "remuxed"
        urls = [item["media_url"], item["sounds"][1]["url"]]
        answers = []
        for url in urls:
            path.chmod(0o644)
            answers.append(get(server, url))
        assert {answer.status for answer in answers} == {200}
        assert answers[0].body.endswith(path.read_bytes())
    with serve(folder, SOUND="off") as server:
        assert [get(server, url).body for url in urls] == [answer.body for answer in answers]


def test_a_growing_film_is_never_mixed_and_is_an_mp4_at_its_end(
    tmp_path: Path, media: Path
) -> None:
    film = ffmpeg(tmp_path / "live.mkv", "-i", media / "film.mkv", "-c", "copy", "-live", "1")
    data = film.read_bytes()
    folder = tmp_path / "media"
    steps = range(len(data) // 4, len(data), len(data) // 50)
    growing = write(folder, "a.mkv", data[: steps[0]])
    with serve(folder) as server:
        for start, end in pairwise([*steps, len(data)]):
            answer = get(server, "/media/a.mkv")  # and a worker may be reading it
            assert file_size(answer) == start
            assert answer.body.endswith(data[:start])
            with growing.open("ab") as file:
                file.write(data[start:end])
        item = until(
            lambda: (new := settled(server, "a.mkv"))["size"] == len(data) and new,
            "all of the film is examined",
        )
        assert item["representation"] == "remuxed"
        # A file that changed less than two seconds ago is sent without its header.
        body = until(
            lambda: (answer := get(server, item["media_url"])).status == 200 and answer.body,
            "the film is sent as MP4",
        )
    assert body.endswith(data)
    assert packets(body) == packets(data)


def file_size(answer: Answer) -> int:
    """Return the size of the file that an entity tag names."""
    return int(answer.headers["ETag"].strip('"').partition("-")[0], 16)


def packets(data: bytes) -> list[bytes]:
    """Return the content of all packets, in an order that does not depend on the container."""
    with av.open(BytesIO(data), "r") as container:
        return sorted(bytes(packet) for packet in container.demux() if packet.size)


@pytest.mark.slow
def test_headers_outlive_a_restart_and_are_made_again_if_they_are_lost(
    tmp_path: Path, media: Path
) -> None:
    folder = tmp_path / "media"
    write(folder, "a.mka", (media / "sound.mka").read_bytes())
    with serve(folder) as server:
        url = settled(server, "a.mka")["media_url"]
        data = get(server, url).body
    stored = [path for path in (tmp_path / "derived" / "remux").rglob("*") if path.is_file()]
    assert len(stored) == 1
    with serve(folder) as server:
        # Also before the library has looked at anything: a pin is enough.
        assert get(server, url).body == data
        assert settled(server, "a.mka")["media_url"] == url
        assert server.metric('reelay_derivations_total{kind="remux"') == 0
    with serve(folder) as server:
        assert settled(server, "a.mka")["media_url"] == url
        stored[0].unlink()
        assert get(server, url).status == 410  # and it is made again
        assert settled(server, "a.mka")["media_url"] == url
        assert get(server, url).body == data


@pytest.mark.slow
def test_a_damaged_header_is_not_served(tmp_path: Path, media: Path) -> None:
    folder = tmp_path / "media"
    write(folder, "a.mka", (media / "sound.mka").read_bytes())
    with serve(folder) as server:
        url = settled(server, "a.mka")["media_url"]
        data = get(server, url).body
    (stored,) = [path for path in (tmp_path / "derived" / "remux").rglob("*") if path.is_file()]
    record = bytearray(stored.read_bytes())
    record[-20] ^= 1
    stored.write_bytes(record)
    with serve(folder) as server:
        settled(server, "a.mka")
        assert get(server, url).status == 410
        assert settled(server, "a.mka")["media_url"] == url
        assert get(server, url).body == data


@pytest.mark.slow
def test_damaged_files_are_served_as_they_are(tmp_path: Path, media: Path) -> None:
    folder = tmp_path / "media"
    film = (media / "film.mkv").read_bytes()
    at = film.index(b"\x1f\x43\xb6\x75", len(film) // 2)  # a cluster
    chance = random.Random(5)  # noqa: S311 # damage, no secrets
    noisy = bytearray(film)
    for _ in range(200):
        noisy[chance.randrange(3000, len(film))] = chance.randrange(256)
    files = {
        "cluster.mkv": film[:at] + bytes(4) + film[at + 4 :],
        "noisy.mkv": bytes(noisy),
        "zeros.mkv": film[: len(film) // 2] + bytes(len(film) // 2),
        "cut off.mkv": film[: len(film) // 2],
        "twice.mkv": film + film,
        "huge lace.mkv": film.replace(b"\x1f\x43\xb6\x75", b"\x1f\x43\xb6\x76", 1),
    }
    for name, data in files.items():
        write(folder, name, data)
    with serve(folder) as server:
        for name, data in files.items():

            def examined(name: str = name) -> Any:
                item = video(server, name)
                pending = item["state"] == "pending" or item["remux"]["state"] == "waiting"
                return None if pending else item

            item = until(examined, f"{name} is examined")
            answer = get(server, item["media_url"])
            assert answer.status == 200
            assert answer.body.endswith(data)
            is_remuxed = item["representation"] == "remuxed"
            assert (answer.body == data) is not is_remuxed
            assert is_remuxed is (name == "cut off.mkv") or name == "noisy.mkv"
            codes = [finding["code"] for finding in item["findings"]]
            assert is_remuxed or "not_remuxed" in codes or item["state"] == "failed"
        failed = [line for line in server.logged(route="media") if line["status"] >= 500]
        assert failed == []


# Browsers


@pytest.mark.parametrize("name", ["film.mkv", "late.mkv", "flash.flv"])
def test_chromium_seeks_to_the_right_picture(server: Server, browser: Browser, name: str) -> None:
    item = settled(server, name)
    with flawless(browser, server.base) as page:
        page.goto(item["watch_url"])
        check_seeks(page, item["media_url"])


@pytest.mark.slow
def test_firefox_seeks_to_the_right_picture(server: Server, firefox_tab: Tab) -> None:
    names = ("film.mkv", "late.mkv", "flash.flv")
    items = [settled(server, name) for name in names]
    firefox_tab.renew(server.base)
    for item in items:
        firefox_tab.goto(item["watch_url"])
        check_seeks(firefox_tab, item["media_url"])


def test_a_page_goes_over_to_mp4_by_itself(tmp_path: Path, media: Path, browser: Browser) -> None:
    folder = tmp_path / "media"
    write(folder, "late.mkv", (media / "late.mkv").read_bytes())
    with ExitStack() as locks:
        locks.enter_context(unmade(tmp_path / "derived"))
        with serve(folder) as server, flawless(browser, server.base) as page:
            until(lambda: video(server, "late.mkv").get("state") == "probed", "it is probed")
            page.goto("/watch/late.mkv?t=9.5")
            source = "document.querySelector('video').currentSrc"
            plain = video(server, "late.mkv")
            assert (plain["remux"]["state"], plain["representation"]) == ("waiting", "file")
            assert page.evaluate(source).partition("#")[0].endswith(plain["media_url"])
            locks.close()
            url = settled(server, "late.mkv")["media_url"]
            until(lambda: page.evaluate(source).endswith(url), "the page has loaded the MP4")
            # It stays where the link led, on the clock of the new file.
            until(lambda: page.evaluate("document.querySelector('video').currentTime") == 9.5,
                  "it is at the same second")  # fmt: skip
            assert page.evaluate("document.querySelector('video').paused")
            check_seeks(page, url)


# Records what is heard of the film, and returns at which seconds of it clicks begin.
HEAR_CLICKS = """async () => {
    const player = document.querySelector("video");
    const capture = player.captureStream ? player.captureStream() : player.mozCaptureStream();
    if (!capture.getAudioTracks().length)
        await new Promise((resolve) => capture.addEventListener("addtrack", ({ track }) => {
            if (track.kind === "audio") resolve();
        }));
    const recorder = new MediaRecorder(new MediaStream(capture.getAudioTracks()));
    const parts = [];
    recorder.ondataavailable = (event) => parts.push(event.data);
    const stopped = new Promise((resolve) => (recorder.onstop = resolve));
    recorder.start();
    await player.play();
    await new Promise((resolve) => player.addEventListener("ended", resolve, { once: true }));
    if (recorder.state !== "inactive") recorder.stop();
    await stopped;
    const data = await new Blob(parts).arrayBuffer();
    const decoder = new OfflineAudioContext(1, 48000, 48000);
    const samples = (await decoder.decodeAudioData(data)).getChannelData(0);
    const clicks = [];
    let last = -48000;
    samples.forEach((sample, at) => {
        if (Math.abs(sample) < 0.1) return;
        if (at - last > 24000) clicks.push(at / 48000);
        last = at;
    });
    return { clicks, source: player.currentSrc };
}"""


_SURROUND = "pan={}|FL=c0|FR=c0|FC=c0|LFE=c0|{}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sound", "dropped"),
    [(AAC, "40\\,133"),
     (("-c:a", "aac", "-af", _SURROUND.format("5.1(side)", "SL=c0|SR=c0")), "40\\,133"),
     (("-c:a", "libopus", "-af", _SURROUND.format("5.1", "BL=c0|BR=c0")), "40\\,140"),
     (("-c:a", "flac"), "10\\,29")],
    ids=["AAC", "AAC 5.1(side)", "Opus 5.1", "FLAC"],
)  # fmt: skip
def test_sound_after_a_gap_is_not_early_in_browsers(
    tmp_path: Path, browser: Browser, firefox_tab: Tab, sound: tuple[str, ...], dropped: str
) -> None:
    """A busy browser may stop for a moment: then clicks are later, but never earlier."""
    media = tmp_path / "media"
    media.mkdir()
    whole = film(tmp_path / "whole.mkv", *sound)
    ffmpeg(media / "gap.mkv", "-i", whole, "-c", "copy",
           "-bsf:a", rf"noise=drop=between(n\,{dropped})")  # fmt: skip
    with serve(media) as server:
        item = settled(server, "gap.mkv")
        heard = []
        with flawless(browser, server.base) as page:
            page.goto(item["watch_url"])
            heard.append(page.evaluate(HEAR_CLICKS))
        firefox_tab.renew(server.base)
        firefox_tab.goto(item["watch_url"])
        heard.append(firefox_tab.evaluate(HEAR_CLICKS))
    for played in heard:
        assert played["source"].endswith(item["media_url"])
        first, *others = played["clicks"]
        # Clicks are at 0.5 s and each second after it. Those at 1.5 and 2.5 s are in the gap.
        assert len(others) == 3
        for moment, expected in zip(others, (3, 4, 5), strict=True):
            assert moment - first > expected - 0.1
