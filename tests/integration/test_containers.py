"""Files in all containers in the running service: listed, and played as far as browsers can."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page
from support.chromium import watched
from support.containers import CONTAINERS, make
from support.ffmpeg_fixtures import AAC, H264, PICTURE, SOUND, ffmpeg, mp4
from support.firefox import Tab
from support.raw_http import ask
from support.server import Server, content, serve, until

pytestmark = pytest.mark.slow  # every file in both browsers

if TYPE_CHECKING:
    from pathlib import Path

FRONT = ("-movflags", "+faststart")

# What both browsers play, whatever the name: the bytes of an MP4, or of Matroska.
PLAYED = {
    "film.m4v": (*PICTURE, *SOUND, *H264, *AAC, *FRONT),
    "film.f4v": (*PICTURE, *SOUND, *H264, *AAC, *FRONT, "-f", "mp4"),
    "film.qt": (*PICTURE, *SOUND, *H264, *AAC, *FRONT, "-f", "mov"),
    "index behind.qt": (*PICTURE, *SOUND, *H264, *AAC, "-f", "mov"),
    "film.ismv": (*PICTURE, *SOUND, *H264, *AAC),
    "song.isma": (*SOUND, *AAC, "-f", "ismv"),
    "clip.3g2": (*PICTURE, *SOUND, *H264, *AAC, *FRONT),
    "clip.3gpp": (*PICTURE, *SOUND, *H264, *AAC, *FRONT, "-f", "mp4"),
    "book.m4b": (*SOUND, *AAC, *FRONT, "-f", "ipod"),
    "ring.m4r": (*SOUND, *AAC, *FRONT, "-f", "ipod"),
    "song.m4p": (*SOUND, *AAC, *FRONT, "-f", "ipod"),
    "depth.mk3d": (*PICTURE, *SOUND, *H264, *AAC, "-f", "matroska"),
    "really mp4.avi": (*PICTURE, *SOUND, *H264, *AAC, *FRONT, "-f", "mp4"),
    "really mp4.wmv": (*PICTURE, *SOUND, *H264, *AAC, *FRONT, "-f", "mp4"),
    "song.ogx": (*SOUND, "-c:a", "libvorbis", "-f", "ogg"),
    "voice.spx": (*SOUND, "-c:a", "libopus", "-f", "ogg"),
}

# What is copied into an MP4
COPIED = ("h264.avi", "camcorder.mts", "film.asf", "film.nut")

# What is sent as the same type as another, which Firefox plays, too; Chromium plays all of them.
SENT_ALIKE = {
    "film.f4v": "film.m4v",
    "film.qt": "index behind.qt",
    "ring.m4r": "book.m4b",
    "song.m4p": "book.m4b",
    "h264.avi": "camcorder.mts",
    "film.asf": "camcorder.mts",
    "film.nut": "camcorder.mts",
}

TYPESCRIPT = b"export const words: string[] = [];\n" * 400
NO_MEDIA = {
    "app/main.ts": TYPESCRIPT,
    "app/module.mts": TYPESCRIPT,
    "app/translation_de.ts": b'<?xml version="1.0"?>\n<!DOCTYPE TS>\n<TS version="2.1"/>\n',
    "app/go.mod": b"module example.com/player\n\ngo 1.22\n",
    "app/song.mod": b"Space debris".ljust(1080, b"\0") + b"M.K." + bytes(range(256)) * 8,
    "app/board.dts": b'/dts-v1/;\n/ { model = "board"; };\n',
    "app/removed.rm": b"#!/bin/sh\nexit 0\n",
    "app/noise.tod": content(100_000),
}  # fmt: skip
DAMAGED = {"film.avi": b"not at all", "zeros.ts": bytes(100_000)}

PLAY = """async () => {
    const player = document.querySelector("[data-player]");
    const bounded = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds, "timeout"));
    const heard = new Promise((done) => {
        player.addEventListener("timeupdate", () => player.currentTime > 0.2 && done("plays"));
        player.addEventListener("error", () => done("fails"), true);
    });
    if (player.networkState === player.NETWORK_NO_SOURCE) return "fails";
    player.muted = true;
    player.play().catch(() => {});
    return Promise.race([heard, bounded(30)]);
}"""
OVERLAY = """() => {
    const overlay = document.querySelector("[data-unplayable]");
    return overlay.hidden ? "" : overlay.querySelector("[role=status]").textContent;
}"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    media: Path = tmp_path_factory.mktemp("containers") / "media"
    media.mkdir()
    for container in CONTAINERS:
        if container.name in {"film.avi", "depth.mk3d"} or "libaom" in str(container.arguments):
            continue  # made below, or slow
        make(container, media)
    for name, arguments in PLAYED.items():
        ffmpeg(media / name, *arguments)
    film = mp4(media / "a.mp4", *FRONT).read_bytes()
    (media / "a.mp4").unlink()
    (media / "apple.m4b").write_bytes(film[:8] + b"M4B " + film[12:])  # as of iTunes
    for name, data in (NO_MEDIA | DAMAGED).items():
        (media / name).parent.mkdir(exist_ok=True)
        (media / name).write_bytes(data)
    with serve(media, MAX_PARTIAL_SIZE="4MiB") as server:
        probed = 'reelay_probes_total{outcome="'
        files = sum(path.is_file() for path in media.rglob("*"))
        until(lambda: server.metric(probed) >= files or None, "all files are probed")
        until(lambda: all_are_listed(server) or None, "the results are listed")
        yield server


def listed(server: Server) -> dict[str, Any]:
    answer = ask(server.base, "/api/videos?limit=200")
    return {video["path"]: video for video in json.loads(answer.body)["videos"]}


def all_are_listed(server: Server) -> bool:
    videos = listed(server)
    return (
        "voice.spx" in videos
        and all(
            v["state"] != "pending" and v["remux"]["state"] != "waiting" for v in videos.values()
        )
        and all(videos[name]["representation"] == "copied" for name in COPIED)
    )


@pytest.fixture(scope="module")
def page(served: Server, browser: Browser) -> Iterator[Page]:
    with watched(browser, served.base) as (page, _):
        yield page


@pytest.fixture(scope="module")
def firefox(served: Server, firefox_tab: Tab) -> Tab:
    firefox_tab.renew(served.base)
    return firefox_tab


def test_every_container_is_listed_with_what_keeps_it_from_playing(served: Server) -> None:
    videos = listed(served)
    made = [one for one in CONTAINERS if "libaom" not in str(one.arguments)]
    for container in made:
        found = {f["code"]: f["severity"] for f in videos[container.name]["findings"]}
        if container.name in {"h264.flv", "depth.mk3d", *COPIED}:  # players get it as MP4
            assert found == {}, container.name
        else:
            assert container.findings.items() <= found.items(), container.name


def test_a_file_of_another_kind_with_an_extension_of_media_is_not_listed(served: Server) -> None:
    assert not set(NO_MEDIA) & set(listed(served))
    for name in NO_MEDIA:
        assert ask(served.base, f"/watch/{quote(name)}").status == 404
        assert served.logged("a file is not listed: it is no video or sound", path=name)
    assert served.metric('reelay_probes_total{outcome="no media"}') == len(NO_MEDIA)
    # Its folder has no videos.
    assert ask(served.base, "/api/videos?folder=app").status == 404


def test_a_damaged_file_is_listed_with_its_problem(served: Server) -> None:
    videos = listed(served)
    assert {videos[name]["state"] for name in DAMAGED} == {"failed"}


NAMES = [*PLAYED, "apple.m4b", "h264.flv", *COPIED]


@pytest.mark.parametrize("name", NAMES)
def test_chromium_plays_mp4_and_what_is_sent_as_such_under_any_name(page: Page, name: str) -> None:
    page.goto(f"/watch/{quote(name)}")
    assert page.evaluate(PLAY) == "plays"
    assert page.evaluate(OVERLAY) == ""


def test_the_same_bytes_are_sent_as_the_same_type_under_any_name(served: Server) -> None:
    def sent_type(name: str) -> str | None:
        answer = ask(served.base, f"/media/{quote(name)}", {"Range": "bytes=0-0"})
        assert answer.status == 206
        return answer.headers["Content-Type"]

    others = {name: sent_type(other) for name, other in SENT_ALIKE.items()}
    assert {name: sent_type(name) for name in SENT_ALIKE} == others


@pytest.mark.parametrize("name", [name for name in NAMES if name not in SENT_ALIKE])
def test_firefox_plays_mp4_and_what_is_sent_as_such_under_any_name(firefox: Tab, name: str) -> None:
    firefox.goto(f"/watch/{quote(name)}")
    assert firefox.evaluate(PLAY) == "plays"
    assert firefox.evaluate(OVERLAY) == ""


def test_chromium_plays_3gpp(page: Page) -> None:
    page.goto("/watch/phone.3gp")
    assert page.evaluate(PLAY) == "plays"
    assert page.evaluate(OVERLAY) == ""


def test_firefox_refuses_3gpp_and_its_viewer_reads_why(firefox: Tab) -> None:
    firefox.goto("/watch/phone.3gp")
    overlay = until(lambda: firefox.evaluate(OVERLAY), "the reason is shown")
    assert overlay == "Firefox does not play 3GPP files; Chrome, Edge and Safari do."
    assert firefox.evaluate(PLAY) == "fails"  # so the finding is true


REFUSED = [
    ("xvid.avi", "AVI"),
    ("sorenson.flv", "Flash video"),
    ("film.wmv", "Windows Media"),
    ("dvd.mpg", "MPEG"),
    ("film.rm", "RealMedia"),
    ("song.wma", "Windows Media"),
    ("song.mp2", "MPEG layer II"),
    ("song.aiff", "AIFF"),
    ("memo.amr", "AMR"),
]


@pytest.mark.parametrize(("name", "reason"), REFUSED)
def test_chromium_refuses_what_is_called_unplayable_and_its_viewer_reads_why(
    page: Page, name: str, reason: str
) -> None:
    page.goto(f"/watch/{quote(name)}")
    overlay = until(lambda: page.evaluate(OVERLAY), "the reason is shown")
    assert reason in overlay
    assert page.evaluate(PLAY) == "fails"


@pytest.mark.parametrize(("name", "reason"), REFUSED)
def test_firefox_refuses_what_is_called_unplayable_and_its_viewer_reads_why(
    firefox: Tab, name: str, reason: str
) -> None:
    firefox.goto(f"/watch/{quote(name)}")
    overlay = until(lambda: firefox.evaluate(OVERLAY), "the reason is shown")
    assert reason in overlay
    assert firefox.evaluate(PLAY) == "fails"
