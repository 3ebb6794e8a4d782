"""Workers open nothing outside the library, whatever is swapped for a link while they begin; they
wait for no FIFO, open no device, and answer for the version that they were asked about alone."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.ffmpeg_fixtures import ffmpeg, mp4
from support.file_opens import opens_in

from service.models import Metadata
from service.probing.prober import ProbeFailure, Prober
from service.storage.local.files import revision
from service.storage.local.folder import LocalStorage
from service.storage.media_root import ObjectRef

INSIDE, OUTSIDE = "Public!", "Private"  # as long as each other: so are the files
AT = 1_700_000_000  # seconds: the time of change of all files


@pytest.fixture
async def prober() -> AsyncIterator[Prober]:
    prober = Prober()
    yield prober
    await prober.close()


def fill(folder: Path, title: str, colour: str) -> None:
    """Make a film, its poster and its captions, which differ by title and colour alone."""
    folder.mkdir()
    film = mp4(folder / "film.mp4", "-metadata", f"title={title}")
    Image.new("RGB", (64, 48), colour).save(folder / "film.png")
    os.truncate(folder / "film.png", 1000)  # to be of one length, whatever the colour takes
    (folder / "film.srt").write_text(f"1\n00:00:00,000 --> 00:00:01,000\n{title}\n")
    for file in (film, folder / "film.png", folder / "film.srt"):
        os.utime(file, (AT, AT))


@pytest.fixture
def media(tmp_path: Path) -> Path:
    """Make a library with a folder, and a folder outside whose files have the same revisions."""
    media = tmp_path / "media"
    media.mkdir()
    fill(media / "sub", INSIDE, "red")
    fill(tmp_path / "outside", OUTSIDE, "tan")
    for name in ("film.mp4", "film.png", "film.srt"):
        inside, outside = (folder / name for folder in (media / "sub", tmp_path / "outside"))
        assert revision(inside.stat()) == revision(outside.stat()), name
    return media


def swap(media: Path) -> None:
    """Put a link that leads out of the library in the place of its folder."""
    (media / "sub").rename(media / "aside")
    (media / "sub").symlink_to(media.parent / "outside")


def swap_back(media: Path) -> None:
    (media / "sub").unlink()
    (media / "aside").rename(media / "sub")


@contextmanager
def swapping(media: Path) -> Iterator[None]:
    """Swap the folder for a link and back, without a pause."""
    done = threading.Event()

    def swap_always() -> None:
        while not done.is_set():
            swap(media)
            swap_back(media)

    thread = threading.Thread(target=swap_always)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def ask(media: Path, task: str, path: str, **more: Any) -> tuple[dict[str, Any], bytes]:
    """Ask a worker of its own; give what it says and the bytes that follow."""
    request = {"task": task, "root": str(media), "path": path, **more}
    done = subprocess.run(
        [sys.executable, "-m", "service.worker"],
        check=True,
        input=json.dumps(request).encode() + b"\n",
        capture_output=True,
        timeout=60,
    )
    told, _, blobs = done.stdout.partition(b"\n")
    return json.loads(told), blobs


def located(media: Path, path: str) -> ObjectRef:
    return ObjectRef(str(media), path, revision((media / path).stat()))


def asked_for(media: Path, task: str) -> dict[str, Any]:
    """Give the rest of a request for the film in the folder."""
    of = {
        name: revision((media / "sub" / name).stat())
        for name in ("film.mp4", "film.png", "film.srt")
    }
    more: dict[str, Any] = {"path": "sub/film.mp4", "revision": of["film.mp4"]}
    if task == "poster":
        more["image"] = ["sub/film.png", of["film.png"]]
    if task == "captions":
        more["texts"] = [["sub/film.srt", of["film.srt"]]]
    return more


TASKS = ["probe", "poster", "captions", "storyboard"]
GONE = {"problem": "The file is gone.", "lasting": False}


@pytest.mark.parametrize("task", TASKS)
def test_a_folder_that_became_a_link_leads_nowhere(media: Path, task: str) -> None:
    more = asked_for(media, task)
    told, _ = ask(media, task, **more)
    assert "problem" not in told
    swap(media)
    assert ask(media, task, **more) == (GONE, b"")


@pytest.mark.parametrize("task", TASKS)
def test_a_film_that_became_a_link_leads_nowhere(media: Path, task: str) -> None:
    more = asked_for(media, task)
    (media / "sub/film.mp4").unlink()
    (media / "sub/film.mp4").symlink_to(media.parent / "outside/film.mp4")
    assert ask(media, task, **more) == (GONE, b"")


@pytest.mark.parametrize(("task", "name"), [("poster", "film.png"), ("captions", "film.srt")])
def test_a_file_beside_it_that_became_a_link_leads_nowhere(
    media: Path, task: str, name: str
) -> None:
    more = asked_for(media, task)
    (media / "sub" / name).unlink()
    (media / "sub" / name).symlink_to(media.parent / "outside" / name)
    gone = {"problem": f"The file {name} is gone.", "lasting": False}
    assert ask(media, task, **more) == (gone, b"")


@pytest.mark.parametrize(
    "path", ["../outside/film.mp4", "sub/../../outside/film.mp4", "/etc/passwd", "sub/./film.mp4"]
)
def test_a_path_that_goes_up_leads_nowhere(media: Path, path: str) -> None:
    told, _ = ask(media, "probe", path)
    assert told == GONE


@pytest.mark.parametrize("path", ["sub/film.mp4/film.mp4", "one.mp4", "one.mp4/film.mp4"])
def test_a_path_through_a_file_or_a_circle_of_links_leads_nowhere(media: Path, path: str) -> None:
    (media / "one.mp4").symlink_to("two.mp4")
    (media / "two.mp4").symlink_to("one.mp4")
    told, _ = ask(media, "probe", path)
    assert told == GONE


async def test_links_within_the_library_are_followed(prober: Prober, media: Path) -> None:
    (media / "link.mp4").symlink_to("sub/film.mp4")
    (media / "folder").symlink_to(media / "sub")
    for path in ("link.mp4", "folder/film.mp4"):
        known = await prober.probe(located(media, path))
        assert isinstance(known, Metadata)
        assert known.title == INSIDE


async def test_a_folder_that_is_swapped_all_the_time_never_tells_a_title_from_outside(
    prober: Prober, media: Path
) -> None:
    film = located(media, "sub/film.mp4")
    titles: list[str | None] = []
    with swapping(media):
        for _ in range(300):
            known = await prober.probe(film)
            if isinstance(known, Metadata):
                titles.append(known.title)
            else:
                assert (known.reason, known.lasting) == ("The file is gone.", False)
    assert set(titles) <= {INSIDE}
    known = await prober.probe(film)
    assert isinstance(known, Metadata)  # whatever happened to those before


def test_a_folder_that_is_swapped_all_the_time_is_never_listed_from_outside(media: Path) -> None:
    for number in range(20):
        (media.parent / f"outside/private {number}.mp4").write_bytes(b"private")
    storage = LocalStorage(media)
    ends = time.monotonic() + 3
    with swapping(media):
        while time.monotonic() < ends:
            found = {entry.path for entry in storage.list_entries()}
            assert not [path for path in found if "private" in path]
    storage.close()


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(os.path.relpath(path))


def make_device(path: Path) -> None:
    try:
        os.mknod(path, 0o666 | 0o020000, os.makedev(1, 3))  # /dev/null, a character device
    except PermissionError:
        pytest.skip("to make a device takes a right that is not given here")


KINDS = {"fifo": os.mkfifo, "socket": make_socket, "device": make_device, "folder": os.mkdir}


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_no_regular_file_is_neither_opened_nor_waited_for(
    prober: Prober, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket is at most 108 bytes
    KINDS[kind](tmp_path / "film.mp4")
    with opens_in(tmp_path) as opened:
        async with asyncio.timeout(30):
            known = await prober.probe(tmp_path / "film.mp4")
            replaced = await prober.probe(ObjectRef(str(tmp_path), "film.mp4", "1-1"))
    assert known == ProbeFailure("This is not a regular file.", "failed", lasting=True)
    assert replaced == ProbeFailure("The file is gone.", "failed", lasting=False)
    assert not opened


@pytest.mark.parametrize(("task", "name"), [("poster", "film.png"), ("captions", "film.srt")])
@pytest.mark.parametrize("kind", KINDS)
def test_no_sidecar_that_is_no_regular_file_is_opened_or_waited_for(
    media: Path, monkeypatch: pytest.MonkeyPatch, kind: str, task: str, name: str
) -> None:
    monkeypatch.chdir(media)
    more = asked_for(media, task)
    (media / "sub" / name).unlink()
    KINDS[kind](media / "sub" / name)
    with opens_in(media / "sub") as opened:
        told, _ = ask(media, task, **more)
    assert told == {"problem": f"The file {name} is gone.", "lasting": False}
    assert name not in opened


# Of which version an answer is


@pytest.mark.parametrize("task", TASKS)
def test_another_version_than_the_one_asked_for_is_not_answered_for(media: Path, task: str) -> None:
    more = asked_for(media, task)
    os.utime(media / "sub/film.mp4", (AT + 1, AT + 1))
    assert ask(media, task, **more) == (GONE, b"")


# Each of these stands for the library that reads the file, and changes it meanwhile.
MEANWHILE = {
    "it is read": "return {}",
    "it seems damaged": "raise worker.UnreadableError('It is damaged.')",
    "reading fails": "raise ValueError",
    "reading takes too much memory": "raise MemoryError",
}


@pytest.mark.parametrize("outcome", MEANWHILE.values(), ids=MEANWHILE.keys())
def test_what_changes_while_it_is_read_is_not_answered_for(media: Path, outcome: str) -> None:
    request = {"task": "probe", "root": str(media), **asked_for(media, "probe")}
    source = f"""
import json, os
from service import worker

def read_metadata(file, size):
    os.utime({str(media / "sub/film.mp4")!r})
    {outcome}

worker.read_metadata = read_metadata
print(json.dumps(worker.handle_request({request!r})[0]))
"""
    done = subprocess.run(
        [sys.executable, "-c", source], check=True, capture_output=True, timeout=60
    )
    assert json.loads(done.stdout) == GONE


async def test_a_film_replaced_by_name_is_told_of_as_it_was_opened(
    prober: Prober, media: Path
) -> None:
    """The version that was opened is whole, whatever has its name by now."""
    film = located(media, "sub/film.mp4")
    assert isinstance(await prober.probe(film), Metadata)
    new = await asyncio.to_thread(ffmpeg, media / "new.mp4", "-i", media / "sub/film.mp4")
    new.rename(media / "sub/film.mp4")
    assert await prober.probe(film) == ProbeFailure("The file is gone.", "failed", lasting=False)
    assert isinstance(await prober.probe(located(media, "sub/film.mp4")), Metadata)
