"""Artefacts that a running service builds from videos, also after failures."""

import io
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from email.utils import formatdate, parsedate_to_datetime
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image
from support.api_client import KINDS, video, wait_until_derived
from support.ffmpeg_fixtures import ffmpeg
from support.processes import is_running
from support.raw_http import ask
from support.server import Server, serve, until, write

from service.protocol.range_cases import UNSATISFIABLE, WHOLE, condition_cases, range_cases

HOUR = 3600
SRT = b"1\r\n00:00:01,000 --> 00:00:02,500\r\nGr\xfc\xdfe <i>aus</i> K\xf6ln\r\n"
CUE = re.compile(r"(\S+) --> (\S+)\n(\S+)#xywh=(\d+),(\d+),(\d+),(\d+)")


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder of real videos: a film, one with a text track and chapters, an audio file."""
    folder = tmp_path_factory.mktemp("films")
    picture = ("-f", "lavfi", "-i", "testsrc2=size=640x360:rate=2:duration=20")
    sound = ("-f", "lavfi", "-i", "sine=duration=20")
    h264 = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "4", "-c:a", "aac")
    text = folder / "text.srt"
    text.write_text("1\n00:00:01,000 --> 00:00:03,000\nWithin the film\n\n")
    chapters = folder / "chapters.txt"
    chapters.write_text(
        ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1\nSTART=0\nEND=10\ntitle=One\n"
        "[CHAPTER]\nTIMEBASE=1/1\nSTART=10\nEND=20\ntitle=Two\n"
    )
    ffmpeg(folder / "film.mp4", *picture, *sound, *h264)
    ffmpeg(
        folder / "text.mp4",
        *(*picture, *sound, "-i", text, "-i", chapters, "-map_metadata", "3", *h264),
        *("-map", "0", "-map", "1", "-map", "2", "-c:s", "mov_text"),
        *("-metadata:s:s:0", "language=eng", "-metadata", "date=1994-05-01"),
    )
    ffmpeg(folder / "sound.m4a", *sound, "-c:a", "aac")
    text.unlink()
    chapters.unlink()
    return folder


def fill(folder: Path, films: Path) -> None:
    """Fill a library with these files, one with a caption sidecar."""
    for film in films.iterdir():
        write(folder, film.name, film.read_bytes(), 2 * HOUR)
    write(folder, "film.de.srt", SRT)


@pytest.fixture
def media(tmp_path: Path, films: Path) -> Path:
    """Create such a library."""
    fill(tmp_path / "media", films)
    return tmp_path / "media"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, films: Path) -> Iterator[Server]:
    """Run the service on an unchanged library that includes a broken file."""
    folder = tmp_path_factory.mktemp("unchanged") / "media"
    fill(folder, films)
    write(folder, "broken.mp4", b"\0" * 100_000)
    write(folder, "film.sup", b"PG")
    with serve(folder) as server:
        yield server


def stored_records(folder: Path) -> dict[str, bytes]:
    """Return all stored records by kind and name, without temporary files of killed processes."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for kind in ("metadata", *KINDS)
        for file in sorted((folder / kind).rglob("*"))
        if file.is_file() and not file.name.startswith("tmp")
    }


# Artefacts


def test_a_video_has_posters_of_two_widths_that_browsers_may_cache(server: Server) -> None:
    poster = wait_until_derived(server, "film.mp4")["film.mp4"]["poster"]
    sizes = [(picture["width"], picture["height"]) for picture in poster["pictures"]]
    assert sizes == [(480, 270), (640, 360)]  # a source of 640 by 360 is not enlarged to 1280
    for picture in poster["pictures"]:
        answer = ask(server.base, picture["url"])
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "image/webp"
        assert "immutable" in answer.headers["Cache-Control"]
        image = Image.open(io.BytesIO(answer.body))
        assert (image.format, image.size) == ("WEBP", (picture["width"], picture["height"]))
        tag = {"If-None-Match": answer.headers["ETag"]}
        assert ask(server.base, picture["url"], headers=tag).status == 304
    unpinned = ask(server.base, "/posters/film.mp4?w=500")
    assert Image.open(io.BytesIO(unpinned.body)).width == 640  # the next larger width
    assert unpinned.headers["Cache-Control"] == "no-cache"
    for width in ("wide", "-1", "%C2%B2", "%D9%A3", "9" * 5000):
        assert ask(server.base, f"/posters/film.mp4?w={width}").status == 400
    widest = ask(server.base, "/posters/film.mp4?w=999999999")
    assert Image.open(io.BytesIO(widest.body)).width == 640


def test_a_storyboard_is_webvtt_whose_tiles_cover_the_film(server: Server) -> None:
    storyboard = wait_until_derived(server, "film.mp4")["film.mp4"]["storyboard"]
    answer = ask(server.base, storyboard["url"])
    assert answer.headers["Content-Type"] == "text/vtt; charset=utf-8"
    assert "immutable" in answer.headers["Cache-Control"]
    text = answer.body.decode()
    assert text.startswith("WEBVTT\n\n")
    cues = CUE.findall(text)
    assert cues[0][0] == "00:00:00.000"
    assert cues[-1][1] == "00:00:20.000"
    assert all(one[1] == following[0] for one, following in pairwise(cues))
    for _, _, url, *place in cues:
        sheet = ask(server.base, url)
        assert "immutable" in sheet.headers["Cache-Control"]
        image = Image.open(io.BytesIO(sheet.body))
        x, y, width, height = map(int, place)
        assert (width, height) == (160, 90)
        assert x + width <= image.width
        assert y + height <= image.height


def test_captions_come_from_sidecars_and_from_the_video(server: Server) -> None:
    videos = wait_until_derived(server, "film.mp4", "text.mp4")
    (track,) = videos["film.mp4"]["captions"]["tracks"]
    assert (track["language"], track["kind"], track["source"]) == ("de", "subtitles", "file")
    assert track["label"] == "Deutsch"
    answer = ask(server.base, track["url"])
    assert answer.headers["Content-Type"] == "text/vtt; charset=utf-8"
    assert answer.body.decode() == (
        "WEBVTT\n\n00:00:01.000 --> 00:00:02.500\nGrüße <i>aus</i> Köln\n"
    )
    within, chapters = videos["text.mp4"]["captions"]["tracks"]
    assert (within["language"], within["source"]) == ("en", "container")
    assert "Within the film" in ask(server.base, within["url"]).body.decode()
    assert (chapters["kind"], chapters["name"]) == ("chapters", "chapters")
    assert "00:00:10.000 --> 00:00:20.000\nTwo" in ask(server.base, chapters["url"]).body.decode()
    assert videos["text.mp4"]["chapters"] == [
        {"start": 0.0, "end": 10.0, "title": "One"},
        {"start": 10.0, "end": 20.0, "title": "Two"},
    ]
    assert ask(server.base, "/captions/film.mp4/fr.vtt").status == 404


def test_subtitles_that_are_not_shown_are_named_in_the_json_and_on_the_page(
    server: Server,
) -> None:
    captions = wait_until_derived(server, "film.mp4")["film.mp4"]["captions"]
    (problem,) = captions["problems"]
    assert problem.startswith("film.sup: PGS subtitles are pictures")
    assert problem in ask(server.base, "/watch/film.mp4").body.decode()


def test_the_date_in_the_tags_is_the_videos_date(server: Server) -> None:
    metadata = wait_until_derived(server, "text.mp4")["text.mp4"]["metadata"]
    assert metadata["created"] == "1994-05-01"
    page = ask(server.base, "/watch/text.mp4").body.decode()
    assert "<bdi>1 May 1994</bdi>" in page
    assert '"dateCreated": "1994-05-01"' in page
    # The others were changed two hours ago.
    listing = json.loads(ask(server.base, "/api/videos?sort=date").body)
    assert listing["videos"][0]["path"] == "text.mp4"


def test_missing_artefacts_get_404_without_retry_after(server: Server) -> None:
    videos = wait_until_derived(server, "sound.m4a", "broken.mp4")
    for item in videos.values():
        assert {item[kind]["state"] for kind in KINDS} == {"none"}
    for target in (
        "/posters/sound.m4a",
        "/storyboards/broken.mp4.vtt",
        "/storyboards/sound.m4a/0.webp",
        "/captions/sound.m4a/en.vtt",
        "/posters/nothing.mp4",
        "/posters/",
    ):
        answer = ask(server.base, target)
        assert answer.status == 404, target
        assert "Retry-After" not in answer.headers


def test_changed_sidecars_are_noticed(media: Path) -> None:
    def poster_of(colour: str) -> bytes:
        data = io.BytesIO()
        Image.new("RGB", (300, 200), colour).save(data, "PNG")
        return data.getvalue()

    def poster_colour(server: Server) -> tuple[int, ...] | None:
        item = wait_until_derived(server, "film.mp4")["film.mp4"]
        url = item["poster"]["pictures"][0]["url"]
        answer = ask(server.base, url)
        if answer.status != 200:
            return ()  # the poster was replaced after the JSON was read
        image = Image.open(io.BytesIO(answer.body)).convert("RGB")
        pixel = image.getpixel((100, 100))
        assert isinstance(pixel, tuple)
        return tuple(round(part / 255) for part in pixel) if image.width == 300 else None

    with serve(media, RESCAN_INTERVAL="1") as server:
        before = wait_until_derived(server, "film.mp4")["film.mp4"]
        write(media, "film.png", poster_of("red"))
        until(lambda: poster_colour(server) == (1, 0, 0) or None, "the red image is the poster")
        superseded = ask(server.base, before["poster"]["pictures"][0]["url"])
        assert superseded.status == 410
        write(media, "film.png", poster_of("blue"), age=60)
        until(lambda: poster_colour(server) == (0, 0, 1) or None, "the blue image is the poster")
        (media / "film.png").unlink()
        until(lambda: poster_colour(server) is None or None, "a frame is the poster again")
        again = video(server, "film.mp4")
        assert again["poster"] == before["poster"]
        assert again["storyboard"] == before["storyboard"]
        (media / "film.de.srt").unlink()
        until(
            lambda: video(server, "film.mp4")["captions"]["state"] == "none" or None,
            "there are no captions",
        )


# Range and conditional requests


def artefact_urls(server: Server) -> dict[str, str]:
    """Return the URLs of a poster in both formats, a sheet, the storyboard and a track."""
    item = wait_until_derived(server, "film.mp4")["film.mp4"]
    picture = item["poster"]["pictures"][-1]["url"]
    tiles = item["storyboard"]["url"]
    return {
        "image/webp": picture,
        "image/jpeg": picture.replace("/film.mp4?", "/film.mp4.jpg?"),
        "a sheet": tiles.replace(".vtt?", "/0.webp?"),
        "tiles": tiles,
        "captions": item["captions"]["tracks"][0]["url"].partition("?")[0],
    }


def test_ranges_of_artefacts_follow_the_rfc(server: Server) -> None:
    for name, url in artefact_urls(server).items():
        full = ask(server.base, url)
        assert full.status == 200
        size = len(full.body)
        assert full.headers["Content-Length"] == str(size)
        assert ask(server.base, url, method="HEAD").headers["Content-Length"] == str(size)
        for case in range_cases(size) if size >= 1000 else []:
            answer = ask(server.base, url, {"Range": case.header})
            if case.expected == WHOLE:
                assert (answer.status, answer.body) == (200, full.body), (name, case.name)
            elif case.expected == UNSATISFIABLE:
                assert answer.status == 416, (name, case.name)
                assert answer.headers["Content-Range"] == f"bytes */{size}"
            else:
                assert answer.status == 206, (name, case.name)
                single = len(case.expected) == 1
                parts = [(answer.span(), answer.body)] if single else answer.parts()
                assert [span for span, _ in parts] == case.expected, (name, case.name)
                for (first, last), data in parts:
                    assert data == full.body[first : last + 1], (name, case.name)


def test_conditions_of_artefacts_are_evaluated_in_the_rfcs_order(server: Server) -> None:
    for name, url in artefact_urls(server).items():
        full = ask(server.base, url)
        modified = parsedate_to_datetime(full.headers["Last-Modified"]).timestamp()
        dates = [formatdate(modified + days * 86400, usegmt=True) for days in (0, -1, 1)]
        for case in condition_cases(full.headers["ETag"], *dates):
            answer = ask(server.base, url, {"Range": "bytes=0-9", **case.headers})
            # The date is the video's and all its artefacts share it, so it is no strong validator
            # (RFC 9110 §8.8.2.2), and If-Range with a date never matches (§13.1.5).
            status = 200 if case.headers.get("If-Range") in dates else case.status
            assert answer.status == status, (name, case.name)
            if status in {200, 206, 304}:
                assert answer.headers["ETag"] == full.headers["ETag"]
                expected = {206: full.body[:10], 200: full.body, 304: b""}[status]
                assert answer.body == expected, (name, case.name)
        other = f"{url.partition('?')[0]}?v={'0' * 32}"
        assert ask(server.base, other).status == 410


# Restarts and failures


def test_a_restart_rebuilds_nothing(media: Path) -> None:
    write(media, "broken.mp4", b"\0" * 100_000)
    paths = ("film.mp4", "text.mp4", "sound.m4a", "broken.mp4")
    with serve(media) as server:
        before = wait_until_derived(server, *paths)
        assert server.metric("reelay_probes_total") == len(paths)
    with serve(media) as server:
        assert wait_until_derived(server, *paths) == before
        assert server.metric("reelay_probes_total") == 0
        assert server.metric("reelay_derivations_total") == 0
        for item in before.values():
            for picture in item["poster"]["pictures"]:
                assert ask(server.base, picture["url"]).status == 200


@pytest.mark.slow
def test_a_damaged_or_lost_artefact_is_rebuilt_identically(media: Path) -> None:
    with serve(media) as server:
        item = wait_until_derived(server, "film.mp4", "text.mp4", "sound.m4a")["film.mp4"]
        url = item["poster"]["pictures"][0]["url"]
        good = ask(server.base, url).body
        folder = media.parent / "derived"
        before = stored_records(folder)
        version = url.partition("?v=")[2].partition("&")[0]
        poster = f"poster/{version[:2]}/{version}"
        damaged = bytearray(before[poster])
        damaged[before[poster].index(good) + 50] ^= 255
        for harm in (lambda: (folder / poster).write_bytes(damaged), (folder / poster).unlink):
            harm()
            answer = ask(server.base, url)
            assert answer.status == 404
            assert int(answer.headers["Retry-After"]) > 0
            assert answer.headers["Cache-Control"] == "no-store"
            until(lambda: ask(server.base, url).status == 200 or None, "the poster is ready again")
            assert ask(server.base, url).body == good
        assert stored_records(folder) == before


@pytest.mark.slow
def test_artefacts_are_the_same_whenever_the_service_is_killed(media: Path, films: Path) -> None:
    paths = ["film.mp4", "text.mp4", "sound.m4a"]
    for number in range(4):
        paths.append(f"more/{number}.mp4")
        write(media, paths[-1], (films / "film.mp4").read_bytes(), HOUR + number)
    with serve(media, DERIVED=str(media.parent / "whole")) as server:
        expected = wait_until_derived(server, *paths)
    expected_records = stored_records(media.parent / "whole")
    assert len(expected_records) == len(paths) + 6 + 6 + 2
    kills = 0
    while True:
        with serve(media) as server:
            for _ in range(3 * kills):  # kill at a later moment each time
                if len(stored_records(media.parent / "derived")) == len(expected_records):
                    break
                time.sleep(0.05)
            if kills and len(stored_records(media.parent / "derived")) == len(expected_records):
                assert wait_until_derived(server, *paths) == expected
                break
            children = children_of(server.process.pid)
            server.process.kill()
            server.process.wait()
            for pid in children:
                until(lambda pid=pid: not is_running(pid) or None, "its processes end with it")
        assert stored_records(media.parent / "derived").items() <= expected_records.items()
        kills += 1
        assert kills < 100
    assert kills > 3
    assert stored_records(media.parent / "derived") == expected_records


def children_of(pid: int) -> list[int]:
    listing = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, check=False
    )
    return [int(line) for line in listing.stdout.split()]


def until_probed(server: Server, oldest: str) -> None:
    """Wait until all videos are probed: the oldest is the last."""
    until(lambda: video(server, oldest)["state"] == "probed", "all is probed")


def idle_worker(server: Server) -> int | None:
    """Return the process identifier of the worker, if one runs at idle priority."""
    for pid in children_of(server.process.pid):
        with suppress(FileNotFoundError, ProcessLookupError):  # it may end at any moment
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if b"service.worker" in arguments and os.sched_getscheduler(pid) == os.SCHED_IDLE:
                return pid
    return None


@pytest.mark.slow
def test_two_replicas_with_a_shared_folder_build_each_artefact_once(
    media: Path, films: Path
) -> None:
    for number in range(8):
        write(media, f"more/{number}.mp4", (films / "film.mp4").read_bytes(), HOUR + number)
    paths = ("film.mp4", *(f"more/{number}.mp4" for number in range(8)))
    with ExitStack() as stack:
        replicas = [stack.enter_context(serve(media)) for _ in range(2)]
        first, second = (wait_until_derived(replica, *paths) for replica in replicas)
        assert first == second
        builds = [replica.metric("reelay_derivations_total") for replica in replicas]
    assert sum(builds) == 2 * 10 + 2  # ten posters, ten storyboards, two captions
    assert min(builds) > 0


@pytest.mark.slow
def test_artefacts_of_a_requested_video_are_built_first(media: Path, films: Path) -> None:
    for number in range(8):
        write(media, f"more/{number}.mp4", (films / "film.mp4").read_bytes(), HOUR + number)

    with serve(media) as server:
        until_probed(server, "more/7.mp4")
        pid = until(lambda: idle_worker(server), "a worker runs")
        os.kill(pid, signal.SIGSTOP)
        try:
            assert ask(server.base, "/watch/more/7.mp4").status == 200
        finally:
            os.kill(pid, signal.SIGCONT)
        wait_until_derived(server, "film.mp4", *(f"more/{number}.mp4" for number in range(8)))
    times = {
        kind: sorted(file.stat().st_mtime for file in (media.parent / "derived" / kind).glob("*/*"))
        for kind in ("poster", "storyboard")
    }
    assert times["storyboard"][0] < times["poster"][-1]  # without a request, posters come first
    assert times["storyboard"][1] > times["poster"][-1]


@pytest.mark.slow
def test_artefacts_are_built_at_idle_priority_and_despite_a_killed_worker(
    media: Path, films: Path
) -> None:
    for number in range(6):
        write(media, f"more/{number}.mp4", (films / "film.mp4").read_bytes(), HOUR + number)
    with serve(media) as server:
        until_probed(server, "more/5.mp4")
        pid = until(lambda: idle_worker(server), "a worker runs")
        limits = Path(f"/proc/{pid}/limits").read_text()
        address_space = next(line for line in limits.splitlines() if "address space" in line)
        assert int(address_space.split()[3]) < 8 << 30
        os.kill(pid, signal.SIGKILL)  # as the kernel does when memory runs out
        videos = wait_until_derived(
            server, "film.mp4", *(f"more/{number}.mp4" for number in range(6))
        )
        states = [videos[path][kind]["state"] for path in videos for kind in KINDS]
        assert states.count("failed") <= 1
