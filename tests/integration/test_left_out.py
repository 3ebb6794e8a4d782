"""What a folder or bucket holds that is no library, by a real service and the doctor."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from support.object_store import Bucket
from support.raw_http import ask
from support.server import Server, environment, serve, until, write

NEVER = "86400"

SHOWN = ["Films/Tides.mp4", "Films/#1 Tides.mp4", "snapshots/Tides.mp4"]
NOT_SHOWN = {
    "$RECYCLE.BIN/S-1-5-21-1/$RTides.mp4": "in a recycle bin",
    "Films/#recycle/Tides.mp4": "in a recycle bin",
    "@Recycle/Tides.mp4": "in a recycle bin",
    ".Trash-1000/files/Tides.mp4": "in a recycle bin",
    "lost+found/#12345.mp4": "in a folder of an operating system, a NAS or a program",
    "System Volume Information/Tides.mp4": "in a folder of an operating system, a NAS or a program",
    "Films/@eaDir/Tides.mp4/SYNOVIDEO.mp4":
        "in a folder of an operating system, a NAS or a program",
    "#snapshot/GMT-1/Films/Tides.mp4": "in a snapshot or an old version",
    ".stversions/Films/Tides.mp4": "in a snapshot or an old version",
    "Films/._Tides.mp4": "hidden: the name begins with a dot",
    "Tides.mp4.download/Tides.mp4": "an unfinished download",
    "Films/Tides old.mp4.part": "an unfinished download",
    "Home/Tides.mp4": "in a folder with a file named .nomedia",
    "Home/Garden/Tides.mp4": "in a folder with a file named .nomedia",
    "Films/Tides.sample.mp4": "named by REELAY_IGNORE",
    "Private/2026/Tides.mp4": "named by REELAY_IGNORE",
}  # fmt: skip
LINKS = {
    "out.mp4": ("../elsewhere/Tides.mp4", "a link that leads out of the library"),
    "shows": ("../elsewhere", "a link that leads out of the library"),
    "gone.mp4": ("not there.mp4", "a link to a file that does not exist"),
    "loop.mp4": ("loop.mp4", "a link in a loop of links"),
}
EMPTY = "an empty file"
NAME = "a name that is not UTF-8, or has a backslash, a control character or an empty part"
ODD_NAMES = ["new\nline.mp4", "back\\slash.mp4", "latin \udce9.mp4"]
IGNORE = "*.sample.mp4, Private/"


def fill(media: Path) -> None:
    for path in (*SHOWN, *NOT_SHOWN):
        write(media, path, b"no video, but listed")
    write(media, "Home/.nomedia", b"")
    write(media.parent, "elsewhere/Tides.mp4", b"secret")
    for name, (target, _) in LINKS.items():
        (media / name).symlink_to(target)
    (media / "inner.mp4").symlink_to("Films/Tides.mp4")
    (media / "Films/all").symlink_to("..")
    (media / "Films/bin").symlink_to("../@Recycle")
    write(media, "Films/empty.mp4", b"")
    for name in ODD_NAMES:
        write(media, f"Odd/{name}", b"no video, and not listed")


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("left-out") / "media"
    folder.mkdir()
    fill(folder)
    return folder


@pytest.fixture(scope="module")
def server(media: Path) -> Iterator[Server]:
    with serve(media, IGNORE=IGNORE, RESCAN_INTERVAL=NEVER) as server:
        yield server


def listed(server: Server, query: str = "") -> list[str]:
    answer = ask(server.base, f"/api/videos?limit=100{query}")
    return sorted(video["path"] for video in json.loads(answer.body)["videos"])


def status(server: Server, route: str, path: str) -> int:
    return ask(server.base, f"/{route}/{quote(path)}").status


def test_only_the_library_is_listed_and_found(server: Server) -> None:
    expected = sorted([*SHOWN, "inner.mp4"])
    assert listed(server) == expected
    assert listed(server, "&q=tides") == [path for path in expected if path != "inner.mp4"]
    folders = json.loads(ask(server.base, "/api/videos?folder=").body)["folders"]
    assert sorted(folder["path"] for folder in folders) == ["Films", "snapshots"]


@pytest.mark.parametrize("path", [*NOT_SHOWN, "out.mp4", "shows/Tides.mp4", "gone.mp4", "loop.mp4"])
def test_what_is_left_out_is_not_served_on_any_route(server: Server, path: str) -> None:
    for route in ("media", "download", "api/videos", "watch", "embed", "posters"):
        assert status(server, route, path) == 404, route
    revision = ask(server.base, f"/_revision?path=/media/{quote(path)}")
    assert "X-Revision" not in revision.headers


@pytest.mark.parametrize("path", [*SHOWN, "inner.mp4"])
def test_the_library_is_served(server: Server, path: str) -> None:
    assert status(server, "media", path) == 200


@pytest.mark.parametrize("path", ["Films/all/Home/Tides.mp4", "Films/bin/Tides.mp4"])
def test_a_link_to_a_folder_shows_nothing_that_is_left_out_there(server: Server, path: str) -> None:
    for route in ("media", "download"):
        assert status(server, route, path) == 404, route
        assert status(server, route, "Films/all/Films/Tides.mp4") == 200, route


def test_the_log_says_once_what_is_left_out_and_why(server: Server) -> None:
    logged = server.logged("left out of the library")
    by_reason = {line["reason"]: line for line in logged}
    assert len(by_reason) == len(logged)
    hidden = "hidden: the name begins with a dot"  # common, and known from every listing
    expected = {*NOT_SHOWN.values(), *(reason for _, reason in LINKS.values()), EMPTY, NAME}
    assert set(by_reason) == expected - {hidden}
    outside = by_reason["a link that leads out of the library"]
    assert outside["count"] == 2
    assert sorted(outside["examples"]) == ["out.mp4", "shows"]


def examine(
    media: Path,
    *words: str,
    command: tuple[str, ...] = (),
    environ: dict[str, str] | None = None,
    **settings: str,
) -> Any:
    return subprocess.run(
        [*command, sys.executable, "-m", "service", "doctor", *words],
        env=environment(media, **settings) | (environ or {}),
        cwd=Path(__file__).parents[2],
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
    )


EXPECTED_LINES = {
    "Left out, in a recycle bin: 4 files",
    "Left out, in a snapshot or an old version: not counted",
    "Left out, in a folder of an operating system, a NAS or a program: 3 files",
    "Left out, an unfinished download: 2 files",
    "Left out, hidden: the name begins with a dot: 1 file",
    "Left out, named by REELAY_IGNORE: 2 files",
    "Left out, in a folder with a file named .nomedia: 2 files",
    "Left out, a link that leads out of the library: 2 files",
    "Left out, a link to a file that does not exist: 1 file",
    "Left out, a link in a loop of links: 1 file",
    f"Left out, {EMPTY}: 1 file",
    f"Left out, {NAME}: 3 files",
}


def test_the_doctor_says_how_many_files_are_left_out_and_why(media: Path) -> None:
    done = examine(media, IGNORE=IGNORE)
    lines = [line for line in done.stdout.splitlines() if line.startswith("Left out")]
    assert {line.partition(" (")[0] for line in lines} == EXPECTED_LINES
    assert any("(Home/)" in line for line in lines)
    assert any("Odd/new\\nline.mp4" in line and "latin \\udce9" in line for line in lines)
    as_json = examine(media, "--json", IGNORE=IGNORE)
    paths = [json.loads(line)["path"] for line in as_json.stdout.splitlines()]
    assert sorted(paths) == sorted(str(media / path) for path in (*SHOWN, "inner.mp4"))
    assert sorted(as_json.stderr.splitlines()) == sorted(lines)


def test_the_doctor_says_why_a_folder_has_no_video(tmp_path: Path) -> None:
    write(tmp_path / "media", "film.mp4", b"x")
    write(tmp_path / "media", ".nomedia", b"")
    done = examine(tmp_path / "media")
    assert done.returncode == 2
    assert "Left out, in a folder with a file named .nomedia: 1 file" in done.stderr


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    write(tmp_path / "media", "film.mp4", b"no video, but listed")
    closed = write(tmp_path / "media", "closed/film.mp4", b"no video").parent
    closed.chmod(0)
    # In a user namespace of its own, root has no rights beyond the mode of the folder.
    done = examine(tmp_path / "media", command=("unshare", "--user"))
    closed.chmod(0o700)
    assert "Left out, in a folder that cannot be read: not counted (closed/)." in done.stdout


def test_an_invalid_pattern_prevents_the_start(media: Path) -> None:
    done = examine(media, IGNORE="Private/, [a")
    assert done.returncode == 2
    assert done.stderr.startswith("REELAY_IGNORE='Private/, [a': should be patterns as in")


def test_a_nomedia_file_is_noticed_by_an_event(tmp_path: Path) -> None:
    media = tmp_path / "media"
    write(media, "Home/film.mp4", b"x")
    write(media, "film.mp4", b"x")
    with serve(media, RESCAN_INTERVAL=NEVER) as server:
        assert listed(server) == ["Home/film.mp4", "film.mp4"]
        marker = media / "Home/.nomedia"

        def hidden() -> bool | None:
            marker.touch()  # again and again: the watch may begin after the service is ready
            return listed(server) == ["film.mp4"] or None

        until(hidden, "the folder is left out", pause=0.5)
        assert status(server, "media", "Home/film.mp4") == 404
        assert status(server, "media", "film.mp4") == 200
        marker.unlink()
        until(lambda: len(listed(server)) == 2 or None, "the folder is listed again")
        assert status(server, "media", "Home/film.mp4") == 200


@pytest.mark.slow
def test_changes_in_a_recycle_bin_cause_no_scan(tmp_path: Path) -> None:
    media = tmp_path / "media"
    write(media, "film.mp4", b"x")
    write(media, "#recycle/a.mp4", b"x")
    with serve(media, RESCAN_INTERVAL=NEVER) as server:

        def scans_while_writing(path: str) -> float:
            """Return how many scans there were while a file was written again and again."""
            before = server.metric("reelay_scans_total")
            for number in range(20):
                (media / path).write_bytes(bytes([number]))
                time.sleep(0.25)
            return server.metric("reelay_scans_total") - before

        # The watch has begun, and so many writes are enough to notice.
        until(lambda: scans_while_writing("film.mp4") or None, "scans follow changes")
        # Scans of earlier changes end; without the rule, one would follow every second.
        until(lambda: scans_while_writing("#recycle/a.mp4") == 0 or None, "none")


@pytest.mark.slow
def test_a_bucket_leaves_out_the_same(tmp_path: Path, bucket: Bucket) -> None:
    for path in (*SHOWN, *NOT_SHOWN):
        bucket.put(path, b"no video, but listed")
    bucket.put("Home/.nomedia", b"")
    bucket.put("Films/empty.mp4", b"")
    environ = bucket.environ()
    media = tmp_path / "media"
    with serve(
        media, environ=environ, MEDIA=bucket.url, IGNORE=IGNORE, RESCAN_INTERVAL="1"
    ) as server:
        assert listed(server) == sorted(SHOWN)
        for path in NOT_SHOWN:
            assert status(server, "media", path) == 404, path
        bucket.delete("Home/.nomedia")
        until(lambda: "Home/Tides.mp4" in listed(server) or None, "the folder is listed again")
        assert status(server, "media", "Home/Garden/Tides.mp4") == 200
        bucket.put("Home/.nomedia", b"", age=0)  # later than its deletion
        until(lambda: listed(server) == sorted(SHOWN) or None, "the folder is left out")
        assert status(server, "media", "Home/Garden/Tides.mp4") == 404
    done = examine(media, environ=environ, MEDIA=bucket.url, IGNORE=IGNORE)
    lines = {line.partition(" (")[0] for line in done.stdout.splitlines()}
    # There are no links and no odd names, and a listing has all objects, also those of snapshots.
    expected = {line.replace("not counted", "2 files") for line in EXPECTED_LINES}
    assert {line for line in lines if line.startswith("Left out")} == {
        line for line in expected if " a link " not in line and NAME not in line
    }
