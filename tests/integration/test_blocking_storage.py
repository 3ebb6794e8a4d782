"""When storage hangs for some files, only requests for those files wait."""

import select
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.raw_http import ask
from support.server import Server, content, serve, until, write

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's"),
]

SIZE = 500_000  # more than one chunk
WAITING = 40  # more than there are threads
LEAVING = 10

SLOW = content(SIZE, 1)
FILMS = {
    "warm.mp4": content(SIZE, 2),
    "hung/opened.mp4": content(SIZE, 3),
    "hung/new.mp4": content(SIZE, 4),
    "new/to/all.mp4": content(SIZE, 5),
}
OPENED = ("warm.mp4", "hung/opened.mp4")


@pytest.fixture
def media(tmp_path: Path) -> Path:
    folder = tmp_path / "media"
    write(folder, "hung/slow.mp4", SLOW)
    for name, data in FILMS.items():
        write(folder, name, data)
    for number in range(WAITING):
        write(folder, f"hung/{number}.mp4", SLOW)
    return folder


@pytest.fixture
def server(media: Path) -> Iterator[Server]:
    with serve(media, module="tests.support.hung_mount") as running:
        for name in OPENED:
            assert ask(running.base, f"/media/{name}").body == FILMS[name]
        yield running


def begin(server: Server, clients: ExitStack, name: str) -> socket.socket:
    """Request a film without reading the response."""
    host, port = server.base.removeprefix("http://").split(":")
    client = clients.enter_context(socket.create_connection((host, int(port)), timeout=60))
    client.sendall(f"GET /media/{name} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    return client


def has_body(client: socket.socket) -> bool:
    """Return whether part of the film has arrived."""
    if not select.select([client], [], [], 0)[0]:
        return False
    return bool(client.recv(65536, socket.MSG_PEEK).partition(b"\r\n\r\n")[2])


def body(client: socket.socket) -> bytes:
    received = bytearray()
    while piece := client.recv(65536):
        received += piece
    head, _, rest = bytes(received).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    return rest


def requests_in_progress(server: Server) -> int:
    return round(server.metric("reelay_responses_in_progress")) - 1  # without this request itself


def others_are_answered(server: Server, names: tuple[str, ...]) -> None:
    """Request every other page and film several times."""
    for _ in range(5):
        for name in names:
            assert ask(server.base, f"/media/{name}").body == FILMS[name], name
        assert ask(server.base, "/healthz").status == 200
        assert ask(server.base, "/").status == 200
        assert ask(server.base, "/media/none.mp4").status == 404


def open_files(server: Server, folder: Path) -> list[str]:
    """Return the files in a folder that the process has open."""
    paths = []
    for descriptor in Path(f"/proc/{server.process.pid}/fd").iterdir():
        try:
            paths.append(str(descriptor.readlink()))
        except OSError:
            continue  # closed meanwhile
    return [path for path in paths if path.startswith(str(folder))]


@pytest.mark.parametrize("call", ["open", "fstat", "preadv", "pread", "*"])
def test_a_hanging_file_delays_only_its_own_viewers(server: Server, media: Path, call: str) -> None:
    held = media.parent / "held"
    held.write_text(f"{call} hung/slow.mp4")
    with ExitStack() as stack:
        waiting = [begin(server, stack, "hung/slow.mp4") for _ in range(WAITING)]
        with ExitStack() as leaving:
            for _ in range(LEAVING):
                begin(server, leaving, "hung/slow.mp4")
            until(
                lambda: requests_in_progress(server) == WAITING + LEAVING or None,
                "all requests have started",
            )
        until(
            lambda: requests_in_progress(server) == WAITING or None, "the aborted ones have ended"
        )
        others_are_answered(server, tuple(FILMS))
        assert not any(has_body(client) for client in waiting)
        held.unlink()
        for client in waiting:
            assert body(client) == SLOW
    until(lambda: requests_in_progress(server) == 0 or None, "all requests have ended")
    until(lambda: not open_files(server, media / "hung") or None, "its files are closed")


def test_a_file_whose_close_hangs_delays_no_other_viewers(server: Server, media: Path) -> None:
    held = media.parent / "held"
    held.write_text("close hung/slow.mp4")
    with ExitStack() as stack:
        # Closing the first file descriptors occupies its threads.
        first = [begin(server, stack, "hung/slow.mp4") for _ in range(WAITING)]
        until(lambda: len(open_files(server, media / "hung")) > 1 or None, "it is open")
        others_are_answered(server, tuple(FILMS))
        held.unlink()
        assert all(body(client) == SLOW for client in first)
    until(lambda: not open_files(server, media / "hung") or None, "its files are closed")


def test_a_hanging_folder_delays_only_its_own_viewers(server: Server, media: Path) -> None:
    held = media.parent / "held"
    held.write_text("* hung/*")
    with ExitStack() as stack:
        names = [f"hung/{number}.mp4" for number in range(WAITING)]
        waiting = [begin(server, stack, name) for name in names]
        until(lambda: requests_in_progress(server) == WAITING or None, "all requests have started")
        others_are_answered(server, ("warm.mp4", "new/to/all.mp4"))
        assert not any(has_body(client) for client in waiting)
        held.unlink()
        for client in waiting:
            assert body(client) == SLOW
