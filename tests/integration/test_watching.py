"""How a running service notices changes in its folder: by events, or by scans without them."""

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

pytestmark = pytest.mark.slow

NEVER = "86400"
SETTLE = "1"  # seconds: the main part of every wait
DEFAULT_SETTLE = "3"
VTT = "WEBVTT\n\n00:00.000 --> 00:01.000\n{}\n"


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Make a real film of one second with its moov at the end."""
    return mp4(tmp_path_factory.mktemp("film") / "film.mp4", "-t", "1").read_bytes()


@pytest.fixture(scope="module")
def server_and_media(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    """Run the service on a folder whose changes it notices only by events."""
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
    """Wait until events are noticed: the watch may start shortly after the service is ready."""
    scans = server.metric("reelay_scans_total")

    def another_scan() -> bool | None:
        (media / "begun.txt").write_text("x")
        return server.metric("reelay_scans_total") > scans + 1 or None

    until(another_scan, "the folder is watched", pause=0.5)


def get(server: Server, path: str) -> Any:
    """Return the JSON of a video, or None if it is not listed."""
    answer = ask(server.base, f"/api/videos/{quote(path)}")
    assert answer.status in {200, 404}
    return json.loads(answer.body) if answer.status == 200 else None


def wait_for(server: Server, path: str, condition: Callable[[Any], Any] = bool) -> Any:
    """Wait until a video is listed and settled and meets the condition; return its JSON."""

    def matching_item() -> Any:
        item = get(server, path)
        if item is None or item["state"] == "pending":
            return None
        waits = any(item[kind]["state"] == "waiting" for kind in ("poster", "captions"))
        return item if not waits and condition(item) else None

    return until(matching_item, path)


def wait_until_gone(server: Server, path: str) -> None:
    until(lambda: get(server, path) is None or None, f"{path} is gone")


def status_of(server: Server, url: str) -> int:
    return ask(server.base, url).status


def urls_of(item: Any) -> list[str]:
    """Return all URLs that are pinned to a revision."""
    pictures = [picture["url"] for picture in item["poster"]["pictures"]]
    tracks = [track["url"] for track in item["captions"]["tracks"]]
    return [item["media_url"], item["download_url"], *pictures, *tracks]


# Changes of files


def test_an_added_file_is_listed_complete_and_a_removed_one_disappears(
    server: Server, media: Path, film: bytes
) -> None:
    file = write(media, "added/deep/er/film.mp4", film)
    item = wait_for(server, "added/deep/er/film.mp4")
    assert (item["state"], item["size"]) == ("probed", len(film))
    assert item["poster"]["state"] == "ready"
    assert {status_of(server, url) for url in urls_of(item)} == {200}
    file.unlink()
    wait_until_gone(server, "added/deep/er/film.mp4")
    assert {status_of(server, url) for url in urls_of(item)} == {404}


@pytest.mark.parametrize("how", ["renamed over", "edited in place", "cut off and written"])
def test_nothing_of_a_replaced_file_remains(
    server: Server, media: Path, film: bytes, how: str
) -> None:
    path = f"{how}.mp4"
    file = write(media, path, film)
    before = wait_for(server, path)
    after = film + (8).to_bytes(4, "big") + b"free"  # another revision of the same film
    if how == "renamed over":
        write(media, f".{path}.tmp", after).rename(file)
    elif how == "edited in place":
        with file.open("r+b") as opened:
            opened.seek(0, os.SEEK_END)
            opened.write(after[len(film) :])
    else:
        file.write_bytes(after)
    item = wait_for(server, path, lambda item: item["revision"] != before["revision"])
    assert (item["state"], item["size"]) == ("probed", len(after))
    assert ask(server.base, item["media_url"]).status == 200
    assert ask(server.base, item["download_url"]).body == after
    for old in urls_of(before):
        assert status_of(server, old) == 410, old
    assert {status_of(server, url) for url in urls_of(item)} == {200}


def test_a_file_can_be_renamed_and_moved_between_folders(
    server: Server, media: Path, film: bytes
) -> None:
    write(media, "one/old.mp4", film)
    (media / "other").mkdir()
    item = wait_for(server, "one/old.mp4")
    (media / "one/old.mp4").rename(media / "one/new.mp4")
    wait_until_gone(server, "one/old.mp4")
    assert wait_for(server, "one/new.mp4")["revision"] == item["revision"]
    assert {status_of(server, url) for url in urls_of(item)} == {404}
    (media / "one/new.mp4").rename(media / "other/new.mp4")
    wait_until_gone(server, "one/new.mp4")
    assert wait_for(server, "other/new.mp4")["state"] == "probed"


def test_a_folder_is_watched_after_it_was_renamed_and_moved_out_and_back(
    server: Server, media: Path, film: bytes
) -> None:
    write(media, "series/season/1.mp4", film)
    wait_for(server, "series/season/1.mp4")
    (media / "series").rename(media / "renamed")
    wait_until_gone(server, "series/season/1.mp4")
    wait_for(server, "renamed/season/1.mp4")
    write(media, "renamed/season/2.mp4", film)  # the inner folder is watched under its new name
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


def test_changed_sidecars_are_noticed(server: Server, media: Path, film: bytes) -> None:
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
        item = wait_for(
            server,
            "beside/film.mp4",
            lambda item: (
                item["captions"]["tracks"]
                and item["poster"]["pictures"][0]["width"] == 300
                and not {url for old in versions for url in urls_of(old)[2:]} & {*urls_of(item)[2:]}
            ),
        )
        assert text in ask(server.base, item["captions"]["tracks"][0]["url"]).body.decode()
        versions.append(item)
    first, second = versions
    assert {status_of(server, url) for url in urls_of(first)[2:]} == {410}
    assert {status_of(server, url) for url in urls_of(second)} == {200}
    (media / "beside/film.en.vtt").unlink()
    (media / "beside/film.png").unlink()
    last = wait_for(server, "beside/film.mp4", lambda item: item["captions"]["state"] == "none")
    until(lambda: get(server, "beside/film.mp4")["poster"] == alone["poster"] or None, "a frame")
    assert last["revision"] == alone["revision"]


def test_two_unicode_forms_of_a_name_are_two_files(
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


def test_a_change_of_permissions_keeps_a_film_in_the_library(
    server: Server, media: Path, film: bytes
) -> None:
    file = write(media, "rights.mp4", film)
    wait_for(server, "rights.mp4")
    scans = server.metric("reelay_scans_total")
    file.chmod(0o644 if file.stat().st_mode & 0o777 != 0o644 else 0o600)

    def scanned_twice() -> bool | None:
        assert get(server, "rights.mp4") is not None
        (media / "looked at.txt").write_text("x")  # causes another scan
        return server.metric("reelay_scans_total") >= scans + 2 or None

    until(scanned_twice, "it has been scanned", pause=0.3)


# Files that are still being copied


class Observer:
    """Polls a path in another thread; records the sizes and states with which it is listed."""

    def __init__(self, server: Server, path: str) -> None:
        self.sizes: set[int] = set()
        self.states: set[str] = set()
        self._server, self._path = server, path
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._poll)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _poll(self) -> None:
        while not self._ended.wait(0.05):
            item = get(self._server, self._path)
            if item is not None:
                self.sizes.add(item["size"])
                self.states.add(item["state"])


def slowly(file: Path, data: bytes) -> None:
    """Write half a film over eight seconds, then the rest."""
    step = len(data) // 32
    with file.open("ab", buffering=0) as opened:
        for number in range(16):
            opened.write(data[number * step : (number + 1) * step])
            time.sleep(0.5)
        opened.write(data[16 * step :])


def written_slowly(media: Path, film: bytes, name: str) -> None:
    slowly(media / name, film)


def written_slowly_as_part_file(media: Path, film: bytes, name: str) -> None:
    slowly(media / f"{name}.part", film)
    (media / f"{name}.part").rename(media / name)


def written_slowly_with_old_date(media: Path, film: bytes, name: str) -> None:
    slowly(media / name, film)
    os.utime(media / name, (1e9, 1e9))


def written_slowly_with_future_date(media: Path, film: bytes, name: str) -> None:
    """As with a file server whose clock is an hour ahead."""
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
        pytest.skip("rsync is not on PATH")
    source = write(media.parent, name, film, age=1e6)
    subprocess.run(["rsync", "-a", "--bwlimit=16", source, media / name], check=True)


WAYS = [
    written_slowly,
    written_slowly_as_part_file,
    written_slowly_with_old_date,
    written_slowly_with_future_date,
    copied,
    synchronised,
]
Arrival = tuple[Observer, Any]  # what was observed meanwhile, and the final JSON


@pytest.fixture(scope="module")
def arrivals(
    film: bytes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Arrival]]]:
    """Copy a film in all ways at once, which also causes many scans."""
    media: Path = tmp_path_factory.mktemp("copies") / "media"
    media.mkdir()

    def copy_film(server: Server, way: Callable[[Path, bytes, str], None]) -> Arrival:
        path = f"{way.__name__}.mp4"
        with Observer(running, path) as observer:
            way(media, film, path)
            return observer, wait_for(running, path)

    with serve(media, SETTLE_TIME=DEFAULT_SETTLE, RESCAN_INTERVAL=NEVER) as running:
        until_watched(running, media)
        with ThreadPoolExecutor(len(WAYS)) as pool:
            yield {way.__name__: pool.submit(copy_film, running, way) for way in WAYS}


@pytest.mark.parametrize("way", [way.__name__ for way in WAYS])
def test_a_film_is_not_listed_before_its_copy_is_complete(
    arrivals: dict[str, Future[Arrival]], film: bytes, way: str
) -> None:
    observer, item = arrivals[way].result()
    assert (item["state"], item["problem"]) == ("probed", None)
    assert observer.sizes == {len(film)}
    assert observer.states <= {"pending", "probed"}


def test_an_incomplete_film_is_listed_after_a_pause_and_later_replaced(
    server: Server, media: Path, film: bytes
) -> None:
    half = film[: len(film) // 2]
    write(media, "pausing.mp4", half)
    before = wait_for(server, "pausing.mp4")
    assert (before["state"], before["size"]) == ("failed", len(half))
    assert "incomplete" in before["problem"]
    with (media / "pausing.mp4").open("ab") as opened:
        opened.write(film[len(half) :])
    item = wait_for(server, "pausing.mp4", lambda item: item["revision"] != before["revision"])
    assert (item["state"], item["size"]) == ("probed", len(film))
    assert status_of(server, before["media_url"]) == 410


# Without events


@pytest.fixture
def unwatched_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "media"
    for name in ("a", "b", "c", "d", "e", "f"):
        (folder / name).mkdir(parents=True)
    return folder


def test_a_folder_without_events_is_scanned_every_few_seconds(
    unwatched_folder: Path, film: bytes
) -> None:
    with serve(
        unwatched_folder,
        module="tests.support.unwatched_service",
        SETTLE_TIME=SETTLE,
        RESCAN_INTERVAL=NEVER,
    ) as server:
        file = write(unwatched_folder, "new/film.mp4", film)
        assert wait_for(server, "new/film.mp4")["state"] == "probed"
        file.rename(unwatched_folder / "a/film.mp4")
        wait_for(server, "a/film.mp4")
        wait_until_gone(server, "new/film.mp4")


@pytest.mark.parametrize("limit", ["watches", "instances"])
def test_folders_beyond_the_kernels_watch_limit_are_scanned(
    unwatched_folder: Path, film: bytes, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit_value = {"watches": 4, "instances": 0}[limit]
    unshare = ["unshare", "--user", "--map-root-user", "true"]
    if shutil.which("unshare") is None or subprocess.run(unshare, check=False).returncode:
        pytest.skip("no user namespace can be made here, and the limit holds for all others")
    monkeypatch.setenv("LIMIT", f"/proc/sys/user/max_inotify_{limit}={limit_value}")
    with serve(
        unwatched_folder,
        module="tests.support.user_namespace",
        SETTLE_TIME=SETTLE,
        RESCAN_INTERVAL=NEVER,
    ) as server:
        line = server.wait_for_log(
            "the folder cannot be watched; it is scanned every few seconds instead"
        )
        assert line["level"] == "warning"
        write(unwatched_folder, "f/film.mp4", film)
        assert wait_for(server, "f/film.mp4")["state"] == "probed"
        assert len(server.logged(line["event"])) == 1
