"""A mount that hangs under some files: their viewers wait, and nobody else."""

import select
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.raw_http import ask
from support.server import Server, content, serve, until, write

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")

SIZE = 500_000  # more than one piece
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
    """Ask for a film, and read nothing yet."""
    host, port = server.base.removeprefix("http://").split(":")
    client = clients.enter_context(socket.create_connection((host, int(port)), timeout=60))
    client.sendall(f"GET /media/{name} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    return client


def has_body(client: socket.socket) -> bool:
    """Whether anything of the film has come."""
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


def under_way(server: Server) -> int:
    return round(server.metric("reelay_responses_in_progress")) - 1  # without the question itself


def others_are_answered(server: Server, names: tuple[str, ...]) -> None:
    """Be every other viewer, some times."""
    for _ in range(5):
        for name in names:
            assert ask(server.base, f"/media/{name}").body == FILMS[name], name
        assert ask(server.base, "/healthz").status == 200
        assert ask(server.base, "/").status == 200
        assert ask(server.base, "/media/none.mp4").status == 404


def open_of(server: Server, folder: Path) -> list[str]:
    """Give what the process has open of a folder."""
    found = []
    for descriptor in Path(f"/proc/{server.process.pid}/fd").iterdir():
        try:
            found.append(str(descriptor.readlink()))
        except OSError:
            continue  # closed meanwhile
    return [name for name in found if name.startswith(str(folder))]


@pytest.mark.parametrize("call", ["open", "fstat", "preadv", "pread", "*"])
def test_a_file_that_hangs_holds_up_its_own_viewers_alone(
    server: Server, media: Path, call: str
) -> None:
    held = media.parent / "held"
    held.write_text(f"{call} hung/slow.mp4")
    with ExitStack() as stack:
        waiting = [begin(server, stack, "hung/slow.mp4") for _ in range(WAITING)]
        with ExitStack() as leaving:
            for _ in range(LEAVING):
                begin(server, leaving, "hung/slow.mp4")
            until(lambda: under_way(server) == WAITING + LEAVING or None, "all have asked")
        until(lambda: under_way(server) == WAITING or None, "who has left is not waited for")
        others_are_answered(server, tuple(FILMS))
        assert not any(has_body(client) for client in waiting)
        held.unlink()
        for client in waiting:
            assert body(client) == SLOW
    until(lambda: under_way(server) == 0 or None, "all are gone")
    until(lambda: not open_of(server, media / "hung") or None, "its files are closed")


def test_a_file_that_cannot_be_closed_holds_up_nobody(server: Server, media: Path) -> None:
    held = media.parent / "held"
    held.write_text("close hung/slow.mp4")
    with ExitStack() as stack:
        # By the first ones' closing, its threads are taken.
        first = [begin(server, stack, "hung/slow.mp4") for _ in range(WAITING)]
        until(lambda: len(open_of(server, media / "hung")) > 1 or None, "it is open")
        others_are_answered(server, tuple(FILMS))
        held.unlink()
        assert all(body(client) == SLOW for client in first)
    until(lambda: not open_of(server, media / "hung") or None, "its files are closed")


def test_a_folder_that_hangs_holds_up_its_own_viewers_alone(server: Server, media: Path) -> None:
    held = media.parent / "held"
    held.write_text("* hung/*")
    with ExitStack() as stack:
        names = [f"hung/{number}.mp4" for number in range(WAITING)]
        waiting = [begin(server, stack, name) for name in names]
        until(lambda: under_way(server) == WAITING or None, "all have asked")
        others_are_answered(server, ("warm.mp4", "new/to/all.mp4"))
        assert not any(has_body(client) for client in waiting)
        held.unlink()
        for client in waiting:
            assert body(client) == SLOW
