"""Workers open nothing outside the library, even if a folder is swapped for a link meanwhile.
They open only regular files, and answer only for the requested revision."""

import asyncio
import io
import os
import shutil
import socket
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
from support.own_prober import OwnProber

from service.models import Metadata
from service.probing.metadata import UnreadableError, read_metadata
from service.probing.prober import ProbeFailure
from service.storage.local.files import revision
from service.storage.local.folder import LocalStorage
from service.storage.media_root import ObjectRef
from service.worker import probe, tasks

INSIDE, OUTSIDE = "Public!", "Private"  # of equal length, so that the files have equal sizes
AT = 1_700_000_000  # seconds: modification time of all files


@pytest.fixture
async def prober() -> AsyncIterator[OwnProber]:
    prober = OwnProber()
    yield prober
    await prober.close()


def fill(folder: Path, title: str, colour: str) -> None:
    """Create a film, its poster and its captions. Only the title and the colour vary."""
    folder.mkdir()
    film = mp4(folder / "film.mp4", "-metadata", f"title={title}")
    Image.new("RGB", (64, 48), colour).save(folder / "film.png")
    os.truncate(folder / "film.png", 1000)  # equal size for every colour
    (folder / "film.srt").write_text(f"1\n00:00:00,000 --> 00:00:01,000\n{title}\n")
    for file in (film, folder / "film.png", folder / "film.srt"):
        os.utime(file, (AT, AT))


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create the contents of both folders."""
    filled = tmp_path_factory.mktemp("filled")
    fill(filled / "sub", INSIDE, "red")
    fill(filled / "outside", OUTSIDE, "tan")
    return filled


@pytest.fixture
def media(tmp_path: Path, filled: Path) -> Path:
    """Create a library with a folder, and an outside folder whose files have the same revisions."""
    media = tmp_path / "media"
    shutil.copytree(filled / "sub", media / "sub")
    shutil.copytree(filled / "outside", tmp_path / "outside")
    for name in ("film.mp4", "film.png", "film.srt"):
        inside, outside = (folder / name for folder in (media / "sub", tmp_path / "outside"))
        assert revision(inside.stat()) == revision(outside.stat()), name
    return media


def swap(media: Path) -> None:
    """Replace the library's folder with a link that leads outside."""
    (media / "sub").rename(media / "aside")
    (media / "sub").symlink_to(media.parent / "outside")


def swap_back(media: Path) -> None:
    (media / "sub").unlink()
    (media / "aside").rename(media / "sub")


@contextmanager
def swapping(media: Path) -> Iterator[None]:
    """Swap the folder for a link and back continuously."""
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
    """Do what a worker does with a request; return its response and the bytes after it."""
    request = {"task": task, "root": str(media), "path": path, **more}
    response, blobs = tasks.handle_request(request)
    return response, b"".join(blobs)


def object_ref(media: Path, path: str) -> ObjectRef:
    return ObjectRef(str(media), path, revision((media / path).stat()))


def request_for(media: Path, task: str) -> dict[str, Any]:
    """Return the remaining fields of a request for the film in the folder."""
    revisions = {
        name: revision((media / "sub" / name).stat())
        for name in ("film.mp4", "film.png", "film.srt")
    }
    fields: dict[str, Any] = {"path": "sub/film.mp4", "revision": revisions["film.mp4"]}
    if task == "poster":
        fields |= {"image": ["sub/film.png", revisions["film.png"]], "still": None}
    if task == "captions":
        fields["texts"] = [["sub/film.srt", revisions["film.srt"]]]
    return fields


TASKS = ["probe", "poster", "captions", "storyboard"]
GONE = {"problem": "The file is gone.", "lasting": False}


@pytest.mark.parametrize("task", TASKS)
def test_a_folder_replaced_with_a_link_is_not_followed(media: Path, task: str) -> None:
    fields = request_for(media, task)
    response, _ = ask(media, task, **fields)
    assert "problem" not in response
    swap(media)
    assert ask(media, task, **fields) == (GONE, b"")


@pytest.mark.parametrize("task", TASKS)
def test_a_film_replaced_with_a_link_is_not_followed(media: Path, task: str) -> None:
    fields = request_for(media, task)
    (media / "sub/film.mp4").unlink()
    (media / "sub/film.mp4").symlink_to(media.parent / "outside/film.mp4")
    assert ask(media, task, **fields) == (GONE, b"")


@pytest.mark.parametrize(("task", "name"), [("poster", "film.png"), ("captions", "film.srt")])
def test_a_sidecar_replaced_with_a_link_is_not_followed(media: Path, task: str, name: str) -> None:
    fields = request_for(media, task)
    (media / "sub" / name).unlink()
    (media / "sub" / name).symlink_to(media.parent / "outside" / name)
    gone = {"problem": f"The file {name} is gone.", "lasting": False}
    assert ask(media, task, **fields) == (gone, b"")


@pytest.mark.parametrize(
    "path", ["../outside/film.mp4", "sub/../../outside/film.mp4", "/etc/passwd", "sub/./film.mp4"]
)
def test_a_path_out_of_the_library_is_rejected(media: Path, path: str) -> None:
    response, _ = ask(media, "probe", path)
    assert response == GONE


@pytest.mark.parametrize("path", ["sub/film.mp4/film.mp4", "one.mp4", "one.mp4/film.mp4"])
def test_a_path_through_a_file_or_a_loop_of_links_is_rejected(media: Path, path: str) -> None:
    (media / "one.mp4").symlink_to("two.mp4")
    (media / "two.mp4").symlink_to("one.mp4")
    response, _ = ask(media, "probe", path)
    assert response == GONE


async def test_links_within_the_library_are_followed(prober: OwnProber, media: Path) -> None:
    (media / "link.mp4").symlink_to("sub/film.mp4")
    (media / "folder").symlink_to(media / "sub")
    for path in ("link.mp4", "folder/film.mp4"):
        result = await prober.probe(object_ref(media, path))
        assert isinstance(result, Metadata)
        assert result.title == INSIDE


async def test_no_title_from_outside_is_read_while_a_folder_is_swapped(
    prober: OwnProber, media: Path
) -> None:
    film = object_ref(media, "sub/film.mp4")
    titles: list[str | None] = []
    with swapping(media):
        for _ in range(300):
            result = await prober.probe(film)
            if isinstance(result, Metadata):
                titles.append(result.title)
            else:
                assert (result.reason, result.lasting) == ("The file is gone.", False)
    assert set(titles) <= {INSIDE}
    result = await prober.probe(film)
    assert isinstance(result, Metadata)  # it can be probed after the swaps


def test_no_file_from_outside_is_listed_while_a_folder_is_swapped(media: Path) -> None:
    for number in range(20):
        (media.parent / f"outside/private {number}.mp4").write_bytes(b"private")
    storage = LocalStorage(media)
    ends = time.monotonic() + 3
    with swapping(media):
        while time.monotonic() < ends:
            paths = {entry.path for entry in storage.list_entries()}
            assert not [path for path in paths if "private" in path]
    storage.close()


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(path))


def make_device(path: Path) -> None:
    try:
        os.mknod(path, 0o666 | 0o020000, os.makedev(1, 3))  # /dev/null, a character device
    except PermissionError:
        pytest.skip("to make a device takes a right that is not given here")


KINDS = {"fifo": os.mkfifo, "socket": make_socket, "device": make_device, "folder": os.mkdir}


@pytest.mark.parametrize("kind", KINDS)
async def test_probing_opens_only_regular_files(
    prober: OwnProber, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path may have at most 108 bytes
    KINDS[kind](tmp_path / "film.mp4")
    with opens_in(tmp_path) as opened:
        async with asyncio.timeout(300):
            result = await prober.probe(tmp_path / "film.mp4")
            replaced = await prober.probe(ObjectRef(str(tmp_path), "film.mp4", "1-1"))
    assert result == ProbeFailure("This is not a regular file.", "failed", lasting=True)
    assert replaced == ProbeFailure("The file is gone.", "failed", lasting=False)
    assert not opened


@pytest.mark.parametrize(("task", "name"), [("poster", "film.png"), ("captions", "film.srt")])
@pytest.mark.parametrize("kind", KINDS)
def test_only_regular_sidecars_are_opened(
    media: Path, monkeypatch: pytest.MonkeyPatch, kind: str, task: str, name: str
) -> None:
    monkeypatch.chdir(media)
    fields = request_for(media, task)
    (media / "sub" / name).unlink()
    KINDS[kind](media / "sub" / name)
    with opens_in(media / "sub") as opened:
        response, _ = ask(media, task, **fields)
    assert response == {"problem": f"The file {name} is gone.", "lasting": False}
    assert name not in opened


# Revisions


@pytest.mark.parametrize("task", TASKS)
def test_another_revision_than_the_requested_one_is_rejected(media: Path, task: str) -> None:
    fields = request_for(media, task)
    os.utime(media / "sub/film.mp4", (AT + 1, AT + 1))
    assert ask(media, task, **fields) == (GONE, b"")


# What reading a file may end with while the file changes.
MEANWHILE = {
    "it is read": None,
    "it seems damaged": UnreadableError("It is damaged."),
    "reading fails": ValueError(),
    "reading takes too much memory": MemoryError(),
}


@pytest.mark.parametrize("error", MEANWHILE.values(), ids=MEANWHILE.keys())
def test_a_file_that_changes_during_a_read_is_rejected(
    media: Path, monkeypatch: pytest.MonkeyPatch, error: Exception | None
) -> None:
    fields = request_for(media, "probe")

    def read(*_: object) -> dict[str, Any]:
        os.utime(media / "sub/film.mp4")
        if error:
            raise error
        return read_metadata(io.BytesIO(film), len(film))

    film = (media / "sub/film.mp4").read_bytes()
    monkeypatch.setattr(probe, "read_metadata", read)
    assert ask(media, "probe", **fields) == (GONE, b"")


async def test_a_replaced_film_is_reported_as_gone(prober: OwnProber, media: Path) -> None:
    """The old revision is gone; the new one can be probed."""
    film = object_ref(media, "sub/film.mp4")
    assert isinstance(await prober.probe(film), Metadata)
    new = await asyncio.to_thread(ffmpeg, media / "new.mp4", "-i", media / "sub/film.mp4")
    new.rename(media / "sub/film.mp4")
    assert await prober.probe(film) == ProbeFailure("The file is gone.", "failed", lasting=False)
    assert isinstance(await prober.probe(object_ref(media, "sub/film.mp4")), Metadata)
