"""How a running service keeps up with its folder: by events alone, or where none arrive."""

import io
import json
import os
import shutil
import subprocess
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import pytest
from PIL import Image
from support.ffmpeg_fixtures import mp4
from support.raw_http import ask
from support.server import Server, serve, until, write

NEVER = "86400"
SETTLE = "1"  # seconds: nearly all that there is to wait for
DEFAULT_SETTLE = "3"
VTT = "WEBVTT\n\n00:00.000 --> 00:01.000\n{}\n"


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Make a real film of a second, its index at the end."""
    return mp4(tmp_path_factory.mktemp("film") / "film.mp4", "-t", "1").read_bytes()


@pytest.fixture(scope="module")
def server_and_media(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    """Run the service on a folder of which it learns by events alone."""
    media: Path = tmp_path_factory.mktemp("watched") / "media"
    media.mkdir()
    with serve(media, SETTLE_TIME=SETTLE, RESCAN_INTERVAL=NEVER) as server:
        until_watched(server, media)
        yield server, media


@pytest.fixture
def server(server_and_media: tuple[Server, Path]) -> Server:
    return server_and_media[0]


@pytest.fixture
def media(server_and_media: tuple[Server, Path]) -> Path:
    return server_and_media[1]


def until_watched(server: Server, media: Path) -> None:
    """Wait until events are heeded: the watch may begin a moment after the service is ready."""
    scans = server.metric("reelay_scans_total")

    def look() -> bool | None:
        (media / "begun.txt").write_text("x")
        return server.metric("reelay_scans_total") > scans + 1 or None

    until(look, "the folder is watched", pause=0.5)


def get(server: Server, path: str) -> Any:
    """Give what is told of a video; None where there is none."""
    answer = ask(server.base, f"/api/videos/{quote(path)}")
    assert answer.status in {200, 404}
    return json.loads(answer.body) if answer.status == 200 else None


def wait_for(server: Server, path: str, condition: Callable[[Any], Any] = bool) -> Any:
    """Wait until a video is listed, nothing of it waits, and more; give what is told of it."""

    def look() -> Any:
        told = get(server, path)
        if told is None or told["state"] == "pending":
            return None
        waits = any(told[kind]["state"] == "waiting" for kind in ("poster", "captions"))
        return told if not waits and condition(told) else None

    return until(look, path)


def wait_until_gone(server: Server, path: str) -> None:
    until(lambda: get(server, path) is None or None, f"{path} is gone")


def status_of(server: Server, url: str) -> int:
    return ask(server.base, url).status


def urls_of(told: Any) -> list[str]:
    """Give all that is pinned to a version."""
    pictures = [picture["url"] for picture in told["poster"]["pictures"]]
    tracks = [track["url"] for track in told["captions"]["tracks"]]
    return [told["media_url"], told["download_url"], *pictures, *tracks]


# What happens to files


def test_an_added_file_appears_whole_and_a_removed_one_goes(
    server: Server, media: Path, film: bytes
) -> None:
    file = write(media, "added/deep/er/film.mp4", film)
    told = wait_for(server, "added/deep/er/film.mp4")
    assert (told["state"], told["size"]) == ("probed", len(film))
    assert told["poster"]["state"] == "ready"
    assert {status_of(server, url) for url in urls_of(told)} == {200}
    file.unlink()
    wait_until_gone(server, "added/deep/er/film.mp4")
    assert {status_of(server, url) for url in urls_of(told)} == {404}


@pytest.mark.parametrize("how", ["renamed over", "edited in place", "cut off and written"])
def test_of_a_replaced_file_nothing_old_is_left(
    server: Server, media: Path, film: bytes, how: str
) -> None:
    path = f"{how}.mp4"
    file = write(media, path, film)
    before = wait_for(server, path)
    after = film + (8).to_bytes(4, "big") + b"free"  # another version of the same film
    if how == "renamed over":
        write(media, f".{path}.tmp", after).rename(file)
    elif how == "edited in place":
        with file.open("r+b") as opened:
            opened.seek(0, os.SEEK_END)
            opened.write(after[len(film) :])
    else:
        file.write_bytes(after)
    told = wait_for(server, path, lambda told: told["revision"] != before["revision"])
    assert (told["state"], told["size"]) == ("probed", len(after))
    assert ask(server.base, told["media_url"]).status == 200
    assert ask(server.base, told["download_url"]).body == after
    for old in urls_of(before):
        assert status_of(server, old) == 410, old
    assert {status_of(server, url) for url in urls_of(told)} == {200}


def test_a_file_goes_from_name_to_name_and_from_folder_to_folder(
    server: Server, media: Path, film: bytes
) -> None:
    write(media, "one/old.mp4", film)
    (media / "other").mkdir()
    told = wait_for(server, "one/old.mp4")
    (media / "one/old.mp4").rename(media / "one/new.mp4")
    wait_until_gone(server, "one/old.mp4")
    assert wait_for(server, "one/new.mp4")["revision"] == told["revision"]
    assert {status_of(server, url) for url in urls_of(told)} == {404}
    (media / "one/new.mp4").rename(media / "other/new.mp4")
    wait_until_gone(server, "one/new.mp4")
    assert wait_for(server, "other/new.mp4")["state"] == "probed"


def test_a_folder_that_is_renamed_moved_out_and_back_is_still_watched(
    server: Server, media: Path, film: bytes
) -> None:
    write(media, "series/season/1.mp4", film)
    wait_for(server, "series/season/1.mp4")
    (media / "series").rename(media / "renamed")
    wait_until_gone(server, "series/season/1.mp4")
    wait_for(server, "renamed/season/1.mp4")
    write(media, "renamed/season/2.mp4", film)  # the folder within is watched by its new name
    wait_for(server, "renamed/season/2.mp4")
    out = media.parent / "out"
    (media / "renamed").rename(out)
    wait_until_gone(server, "renamed/season/2.mp4")
    wait_until_gone(server, "renamed/season/1.mp4")
    out.rename(media / "back")
    wait_for(server, "back/season/1.mp4")
    write(media, "back/season/3.mp4", film)
    wait_for(server, "back/season/3.mp4")
    shutil.rmtree(media / "back")
    for number in (1, 2, 3):
        wait_until_gone(server, f"back/season/{number}.mp4")


def test_what_lies_beside_a_video_is_followed(server: Server, media: Path, film: bytes) -> None:
    def image(colour: str) -> bytes:
        data = io.BytesIO()
        Image.new("RGB", (300, 200), colour).save(data, "PNG")
        return data.getvalue()

    write(media, "beside/film.mp4", film)
    alone = wait_for(server, "beside/film.mp4")
    assert alone["captions"]["state"] == "none"
    versions: list[Any] = []
    for text, colour in (("first", "red"), ("second one", "blue")):
        write(media, "beside/film.en.vtt", VTT.format(text).encode(), age=len(text))
        write(media, "beside/film.png", image(colour), age=len(text))
        told = wait_for(
            server,
            "beside/film.mp4",
            lambda told: (
                told["captions"]["tracks"]
                and told["poster"]["pictures"][0]["width"] == 300
                and not {url for old in versions for url in urls_of(old)[2:]} & {*urls_of(told)[2:]}
            ),
        )
        assert text in ask(server.base, told["captions"]["tracks"][0]["url"]).body.decode()
        versions.append(told)
    first, second = versions
    assert {status_of(server, url) for url in urls_of(first)[2:]} == {410}
    assert {status_of(server, url) for url in urls_of(second)} == {200}
    (media / "beside/film.en.vtt").unlink()
    (media / "beside/film.png").unlink()
    last = wait_for(server, "beside/film.mp4", lambda told: told["captions"]["state"] == "none")
    until(lambda: get(server, "beside/film.mp4")["poster"] == alone["poster"] or None, "a frame")
    assert last["revision"] == alone["revision"]


def test_two_unicode_forms_of_a_name_are_two_names(
    server: Server, media: Path, film: bytes
) -> None:
    composed, decomposed = (unicodedata.normalize(form, "Küche.mp4") for form in ("NFC", "NFD"))
    file = write(media, composed, film)
    if (media / decomposed).exists():
        pytest.skip("this file system takes both forms for one name")
    wait_for(server, composed)
    file.rename(media / decomposed)
    wait_until_gone(server, composed)
    assert wait_for(server, decomposed)["path"] == decomposed


def test_a_change_of_rights_does_not_take_a_film_from_the_library(
    server: Server, media: Path, film: bytes
) -> None:
    file = write(media, "rights.mp4", film)
    wait_for(server, "rights.mp4")
    scans = server.metric("reelay_scans_total")
    file.chmod(0o644 if file.stat().st_mode & 0o777 != 0o644 else 0o600)

    def look() -> bool | None:
        assert get(server, "rights.mp4") is not None
        (media / "looked at.txt").write_text("x")  # so that there is another scan
        return server.metric("reelay_scans_total") >= scans + 2 or None

    until(look, "it has been looked at", pause=0.3)


# What is still being copied


class Looking:
    """Looks at a path all the time, from another thread; notes what is told when it is listed."""

    def __init__(self, server: Server, path: str) -> None:
        self.sizes: set[int] = set()
        self.states: set[str] = set()
        self._server, self._path = server, path
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(0.05):
            told = get(self._server, self._path)
            if told is not None:
                self.sizes.add(told["size"])
                self.states.add(told["state"])


def slowly(file: Path, data: bytes) -> None:
    """Write half a film for eight seconds, then the rest."""
    step = len(data) // 32
    with file.open("ab", buffering=0) as opened:
        for number in range(16):
            opened.write(data[number * step : (number + 1) * step])
            time.sleep(0.5)
        opened.write(data[16 * step :])


def written_slowly(media: Path, film: bytes, name: str) -> None:
    slowly(media / name, film)


def written_slowly_beside(media: Path, film: bytes, name: str) -> None:
    slowly(media / f"{name}.part", film)
    (media / f"{name}.part").rename(media / name)


def written_slowly_with_a_date_kept(media: Path, film: bytes, name: str) -> None:
    slowly(media / name, film)
    os.utime(media / name, (1e9, 1e9))


def written_slowly_with_a_date_to_come(media: Path, film: bytes, name: str) -> None:
    """As where a file server's clock is ahead: by an hour, after each piece."""
    step = len(film) // 16
    for number in range(17):
        with (media / name).open("ab") as opened:
            opened.write(film[number * step : (number + 1) * step])
        at = time.time() + 3600
        os.utime(media / name, (at, at))
        time.sleep(0.5)


def copied(media: Path, film: bytes, name: str) -> None:
    source = write(media.parent, name, film, age=1e6)
    subprocess.run(["cp", "-p", source, media / name], check=True)


def synchronised(media: Path, film: bytes, name: str) -> None:
    if shutil.which("rsync") is None:
        pytest.skip("there is no rsync here")
    source = write(media.parent, name, film, age=1e6)
    subprocess.run(["rsync", "-a", "--bwlimit=16", source, media / name], check=True)


WAYS = [
    written_slowly,
    written_slowly_beside,
    written_slowly_with_a_date_kept,
    written_slowly_with_a_date_to_come,
    copied,
    synchronised,
]
Arrival = tuple[Looking, Any]  # what was told all the time, and what at last


@pytest.fixture(scope="module")
def arrivals(
    film: bytes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Arrival]]]:
    """Bring a film in all ways at once: the more there is to see, the more often it is looked."""
    media: Path = tmp_path_factory.mktemp("copies") / "media"
    media.mkdir()

    def bring(server: Server, way: Callable[[Path, bytes, str], None]) -> Arrival:
        path = f"{way.__name__}.mp4"
        with Looking(one, path) as seen:
            way(media, film, path)
            return seen, wait_for(one, path)

    with serve(media, SETTLE_TIME=DEFAULT_SETTLE, RESCAN_INTERVAL=NEVER) as one:
        until_watched(one, media)
        with ThreadPoolExecutor(len(WAYS)) as pool:
            yield {way.__name__: pool.submit(bring, one, way) for way in WAYS}


@pytest.mark.parametrize("way", [way.__name__ for way in WAYS])
def test_a_film_that_is_being_copied_is_not_listed_before_it_is_whole(
    arrivals: dict[str, Future[Arrival]], film: bytes, way: str
) -> None:
    seen, told = arrivals[way].result()
    assert (told["state"], told["problem"]) == ("probed", None)
    assert seen.sizes == {len(film)}
    assert seen.states <= {"pending", "probed"}


def test_of_a_film_whose_writer_pauses_what_there_is_is_listed_and_then_superseded(
    server: Server, media: Path, film: bytes
) -> None:
    half = film[: len(film) // 2]
    write(media, "pausing.mp4", half)
    before = wait_for(server, "pausing.mp4")
    assert (before["state"], before["size"]) == ("failed", len(half))
    assert "incomplete" in before["problem"]
    with (media / "pausing.mp4").open("ab") as opened:
        opened.write(film[len(half) :])
    told = wait_for(server, "pausing.mp4", lambda told: told["revision"] != before["revision"])
    assert (told["state"], told["size"]) == ("probed", len(film))
    assert status_of(server, before["media_url"]) == 410


# Where events do not arrive


@pytest.fixture
def deaf(tmp_path: Path) -> Path:
    folder = tmp_path / "media"
    for name in ("a", "b", "c", "d", "e", "f"):
        (folder / name).mkdir(parents=True)
    return folder


def test_a_folder_without_events_is_looked_at_every_few_seconds(deaf: Path, film: bytes) -> None:
    with serve(
        deaf, module="tests.support.unwatched_service", SETTLE_TIME=SETTLE, RESCAN_INTERVAL=NEVER
    ) as server:
        file = write(deaf, "new/film.mp4", film)
        assert wait_for(server, "new/film.mp4")["state"] == "probed"
        file.rename(deaf / "a/film.mp4")
        wait_for(server, "a/film.mp4")
        wait_until_gone(server, "new/film.mp4")


@pytest.mark.parametrize("limit", ["watches", "instances"])
def test_where_the_kernel_watches_no_more_folders_they_are_looked_at(
    deaf: Path, film: bytes, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    least = {"watches": 4, "instances": 0}[limit]
    allowed = ["unshare", "--user", "--map-root-user", "true"]
    if shutil.which("unshare") is None or subprocess.run(allowed, check=False).returncode:
        pytest.skip("no user namespace can be made here, and the limit holds for all others")
    monkeypatch.setenv("LIMIT", f"/proc/sys/user/max_inotify_{limit}={least}")
    with serve(
        deaf, module="tests.support.user_namespace", SETTLE_TIME=SETTLE, RESCAN_INTERVAL=NEVER
    ) as server:
        line = server.wait_for_log(
            "the folder cannot be watched; it is scanned every few seconds instead"
        )
        assert line["level"] == "warning"
        write(deaf, "f/film.mp4", film)
        assert wait_for(server, "f/film.mp4")["state"] == "probed"
        assert len(server.logged(line["event"])) == 1
