"""The cost of slow clients and of clients that never finish a request, also for others."""

import json
import resource
import selectors
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import pytest
from support.api_client import wait_until_derived
from support.ffmpeg_fixtures import mp4
from support.object_store import Bucket
from support.raw_http import ask
from support.server import BLOCK, Server, content, serve, until, write

pytestmark = pytest.mark.slow

DATA = content(8 * BLOCK)  # more than the kernel's buffers hold for a client that reads nothing

SLOW = 1000
HEADERLESS = 500
MAX_MEMORY = 128 * 1024  # bytes by which the process may grow per slow client

PAUSING = 1000
FAST_BYTES = BLOCK  # bytes read promptly: enough for large chunks
MAX_MEMORY_FOR_PAUSING = 200 * 1024**2  # bytes of growth in total: 150 MiB were measured

STORE_CLIENTS = 100
MAX_MEMORY_FOR_STORE = 768 * 1024  # bytes per client: chunk and buffer; 280 KiB were measured

REQUEST = b"GET /media/large.mp4 HTTP/1.1\r\nHost: x\r\n\r\n"
INCOMPLETE_REQUEST = b"GET /media/large.mp4 HTTP/1.1\r\nHost: x\r\nX-Endless: "


@pytest.fixture(scope="module", autouse=True)
def descriptor_limit() -> Iterator[None]:
    """Raise the limit on open files of this process to its maximum."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture
def media(tmp_path: Path) -> Path:
    write(tmp_path / "media", "large.mp4", DATA)
    return tmp_path / "media"


@pytest.fixture
def server(media: Path) -> Iterator[Server]:
    """Run the service. It disconnects no client of these tests, however slow the machine is."""
    with serve(media, LOG_LEVEL="warning", STALL_TIMEOUT="300") as running:
        yield running


def begin(server: Server, clients: ExitStack, request: bytes, buffer: int | None) -> socket.socket:
    host, port = server.base.removeprefix("http://").split(":")
    client = clients.enter_context(socket.socket())
    if buffer is not None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    client.settimeout(60)
    client.connect((host, int(port)))
    client.sendall(request)
    return client


def open_descriptors(server: Server) -> int:
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


def request_ranges(server: Server, times: int) -> None:
    """Request ranges as another viewer, and check each response."""
    for number in range(times):
        start = number * 100_003 % (len(DATA) - 65536)
        headers = {"Range": f"bytes={start}-{start + 65535}"}
        answer = ask(server.base, "/media/large.mp4", headers)
        assert answer.status == 206
        first, last = answer.span()
        assert answer.body == DATA[first : last + 1]
        assert first == start


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
@pytest.mark.parametrize("buffer", [4096, None], ids=["small buffers", "default buffers"])
def test_a_slow_client_costs_little_memory_and_others_are_served(
    server: Server, buffer: int | None
) -> None:
    with ExitStack() as stack:  # warm up: first-time costs are not counted
        for _ in range(20):
            begin(server, stack, REQUEST, buffer)
        request_ranges(server, 20)
    until(lambda: server.in_progress() == 0 or None, "all responses have ended")
    before = server.resident()
    with ExitStack() as stack:
        clients = [begin(server, stack, REQUEST, buffer) for _ in range(SLOW)]
        for _ in range(5):
            for client in clients:
                assert client.recv(1024)
            request_ranges(server, 10)
            time.sleep(0.5)
        assert server.in_progress() == SLOW
        growth = (server.resident() - before) / SLOW
    assert growth <= MAX_MEMORY
    until(lambda: server.in_progress() == 0 or None, "all responses have ended")


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_a_slow_client_costs_one_chunk_after_its_block_was_evicted(
    bucket: Bucket, tmp_path: Path
) -> None:
    bucket.put("large.ts", content(STORE_CLIENTS * BLOCK), age=3600)
    cache_size = str(2 * BLOCK)
    with (
        serve(
            tmp_path, environ=bucket.environ(), MEDIA=bucket.url, BLOCK_CACHE=cache_size
        ) as server,
        ExitStack() as stack,
    ):
        requests = (
            f"GET /media/large.ts HTTP/1.1\r\nHost: x\r\nRange: bytes={number * BLOCK}-\r\n\r\n"
            for number in range(STORE_CLIENTS)
        )
        for number in range(8):  # the service adapts its chunk size to the fast store
            span = {"Range": f"bytes={number * BLOCK}-{(number + 1) * BLOCK - 1}"}
            assert ask(server.base, "/media/large.ts", span).status == 206
        before = server.resident()
        clients = [begin(server, stack, request.encode(), 4096) for request in requests]
        for client in clients:
            assert client.recv(1024)
        time.sleep(2)  # the service finishes reading ahead for them
        growth = (server.resident() - before) / len(clients)
    assert growth <= MAX_MEMORY_FOR_STORE


def read_more(clients: dict[socket.socket, int], length: int) -> None:
    """Read `length` more bytes of every body concurrently, and compare them."""
    goals = {client: taken + length for client, taken in clients.items()}
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client, selectors.EVENT_READ)
        while goals:
            for key, _ in selector.select(60):
                assert isinstance(key.fileobj, socket.socket)
                client = key.fileobj
                start = clients[client]
                piece = client.recv(min(goals[client] - start, 256 * 1024))
                assert piece
                assert piece == DATA[start : start + len(piece)]
                clients[client] += len(piece)
                if clients[client] == goals[client]:
                    selector.unregister(client)
                    del goals[client]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_players_that_read_fast_and_then_pause_cost_little_memory(server: Server) -> None:
    request_ranges(server, 20)
    before = server.resident()
    with ExitStack() as stack:
        clients = {}
        for _ in range(PAUSING):
            client = begin(server, stack, REQUEST, None)
            head = client.recv(4096, socket.MSG_PEEK).partition(b"\r\n\r\n")[0]
            assert client.recv(len(head) + 4).endswith(b"\r\n\r\n")
            clients[client] = 0
        read_more(clients, FAST_BYTES)
        time.sleep(1)
        growths = [server.resident() - before]
        for _ in range(3):  # as players do when their buffer has room again
            read_more(clients, BLOCK // 4)
            time.sleep(1)
            request_ranges(server, 10)
            growths.append(server.resident() - before)
        assert server.in_progress() == PAUSING
    assert max(growths) <= MAX_MEMORY_FOR_PAUSING
    until(lambda: server.in_progress() == 0 or None, "all responses have ended")


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's, and so is the stall timeout")
def test_disconnected_slow_clients_leave_no_memory_allocated(media: Path) -> None:
    with serve(media, LOG_LEVEL="warning", STALL_TIMEOUT="20") as server, ExitStack() as stack:
        request_ranges(server, 20)
        before, growths = server.resident(), []
        for _ in range(2):
            for _ in range(SLOW // 2):
                begin(server, stack, REQUEST, 4096)
            until(lambda: server.in_progress() == SLOW // 2 or None, "all responses have started")
            growths.append((server.resident() - before) / (SLOW // 2))
            until(lambda: server.in_progress() == 0 or None, "all are disconnected")
    assert max(growths) <= MAX_MEMORY


def is_disconnected(client: socket.socket) -> bool:
    """Send one more byte, which extends no limit; return whether the connection is closed."""
    try:
        client.sendall(b"x")
        return client.recv(1, socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def test_a_client_with_endless_headers_is_disconnected_and_others_are_served(
    server: Server,
) -> None:
    before = open_descriptors(server)
    with ExitStack() as stack:
        left = [begin(server, stack, INCOMPLETE_REQUEST, None) for _ in range(HEADERLESS)]

        def all_are_disconnected() -> bool:
            left[:] = [client for client in left if not is_disconnected(client)]
            request_ranges(server, 10)
            return not left

        until(all_are_disconnected, "all are disconnected", pause=0.5)
        until(lambda: open_descriptors(server) < before + 10 or None, "descriptors are returned")
    request_ranges(server, 10)


# Artefacts


CUE = b"\n\n%d\n00:%02d:%02d,000 --> 01:00:00,000\n" + b"&" * 10_000
LONGEST_CAPTIONS = b"".join(CUE % (n, n // 60, n % 60) for n in range(1040))
"""10 MiB that become 52 as WebVTT."""


def write_films(media: Path, *sidecars: dict[str, bytes]) -> list[str]:
    """Write films with sidecars, whose data is given by extension; return the films' paths."""
    film = mp4(media.parent / "film.mp4").read_bytes()
    for number, files in enumerate(sidecars):
        write(media, f"{number}.mp4", film)
        for extension, data in files.items():
            write(media, f"{number}.{extension}", data)
    return [f"{number}.mp4" for number in range(len(sidecars))]


def begin_slowly(server: Server, clients: ExitStack, urls: list[str]) -> list[socket.socket]:
    requests = (f"GET {url} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for url in urls)
    return [begin(server, clients, request, 4096) for request in requests]


def growth_for(server: Server, urls: list[str]) -> float:
    """Start slow readers; return the growth of the process in bytes per reader."""
    with ExitStack() as stack:  # warm up: first-time costs are not counted
        begin_slowly(server, stack, urls[:20])
        time.sleep(0.5)
    until(lambda: server.in_progress() == 0 or None, "all responses have ended")
    before, open_before = server.resident(), open_descriptors(server)
    with ExitStack() as stack:
        clients = begin_slowly(server, stack, urls)
        for _ in range(3):
            for client in clients:
                assert client.recv(1024)
            time.sleep(0.5)
        assert server.in_progress() == len(urls)
        growth = (server.resident() - before) / len(urls)
        assert open_descriptors(server) <= open_before + 2 * len(urls) + 10
    until(lambda: server.in_progress() == 0 or None, "all responses have ended")
    until(lambda: open_descriptors(server) <= open_before + 10 or None, "nothing is left open")
    return growth


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_a_slow_reader_of_the_longest_captions_costs_little_memory(tmp_path: Path) -> None:
    media = tmp_path / "media"
    assert 10_000_000 < len(LONGEST_CAPTIONS) < 10 << 20
    paths = write_films(media, {"srt": LONGEST_CAPTIONS}, {"srt": LONGEST_CAPTIONS})
    with serve(media, LOG_LEVEL="warning") as server:
        videos = wait_until_derived(server, *paths)
        urls = [track["url"] for path in paths for track in videos[path]["captions"]["tracks"]]
        assert len(urls) == 2
        assert "2 MiB" in videos["0.mp4"]["captions"]["problems"][0]
        response = ask(server.base, urls[0])
        assert (2 << 20) - 60_000 < len(response.body) <= 2 << 20
        middle = ask(server.base, urls[0], {"Range": "bytes=1000000-1200000"})
        assert middle.status == 206
        assert middle.body == response.body[1_000_000:1_200_001]
        assert growth_for(server, urls * 200) <= MAX_MEMORY


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_slow_readers_of_captions_in_a_bucket_cost_at_most_the_cache_size(
    bucket: Bucket, tmp_path: Path
) -> None:
    media = tmp_path / "media"
    text = b"".join(CUE % (n, n // 60, n % 60) for n in range(41))  # 2 MB as WebVTT
    languages = ("de", "en", "fr", "it", "nl", "pl", "pt")
    tracks = {f"{language}.srt": text for language in languages}
    paths = write_films(media, *[tracks] * 6)  # 84 MB in all
    with serve(media, environ=bucket.environ(), DERIVED=bucket.url, LOG_LEVEL="warning") as server:
        videos = wait_until_derived(server, *paths)
        urls = [track["url"] for path in paths for track in videos[path]["captions"]["tracks"]]
        assert len(urls) == 42
        first = ask(server.base, urls[0]).body
        for url in urls:  # fills the cache
            assert len(ask(server.base, url).body) > 2_000_000
        assert growth_for(server, urls) <= MAX_MEMORY_FOR_STORE
        assert ask(server.base, urls[0]).body == first


# Generated responses: pages, JSON


LONGEST_TITLES = b"WEBVTT\n" + b"".join(
    b"\n%02d:%02d.000 --> %02d:%02d.000\n%b\n"
    % (*divmod(n, 60), *divmod(n + 1, 60), b"\xf0\x9f\x8e\xac" * 200)
    for n in range(1000)
)
PAGES = 150
MAX_MEMORY_FOR_PAGES = 100 * 1024**2  # bytes in total: 64 MiB of responses, and slow clients


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_slow_readers_of_long_pages_cost_bounded_memory_and_others_are_served(
    tmp_path: Path,
) -> None:
    media = tmp_path / "media"
    paths = write_films(media, *[{"chapters.vtt": LONGEST_TITLES}] * 2)
    write(media, "large.mp4", DATA)
    with serve(media, LOG_LEVEL="warning") as server:
        wait_until_derived(server, *paths)
        assert 1_000_000 < len(ask(server.base, "/watch/0.mp4").body) < 2_000_000
        with ExitStack() as stack:
            begin_slowly(server, stack, ["/watch/0.mp4"] * 5)
        before = server.resident()
        with ExitStack() as stack:
            clients = begin_slowly(server, stack, ["/watch/0.mp4", "/watch/1.mp4"] * (PAGES // 2))
            answers = [client.recv(12) for client in clients]
            assert set(answers) == {b"HTTP/1.1 200", b"HTTP/1.1 503"}
            assert answers.count(b"HTTP/1.1 200") > 20
            assert server.resident() - before < MAX_MEMORY_FOR_PAGES
            request_ranges(server, 10)
            for small in ("/", "/api/videos?limit=1&sort=-size", "/watch/large.mp4", "/metrics"):
                assert ask(server.base, small).status == 200
        until(lambda: server.in_progress() == 0 or None, "all responses have ended")
        assert ask(server.base, "/watch/0.mp4").status == 200


def test_a_listing_of_long_entries_has_shorter_pages(tmp_path: Path) -> None:
    media = tmp_path / "media"
    paths = write_films(media, *[{"chapters.vtt": LONGEST_TITLES}] * 5)
    with serve(media, LOG_LEVEL="warning") as server:
        wait_until_derived(server, *paths)
        for sort in ("name", "-name", "size", "-date"):
            for folder in ("", "&folder="):
                url, listed = f"/api/videos?limit=200&sort={sort}{folder}", []
                while url:
                    answer = ask(server.base, url)
                    assert len(answer.body) < 2 * 1024**2
                    page = json.loads(answer.body)
                    assert 1 <= len(page["videos"]) < 5
                    assert page["total"] == 5
                    listed += [video["path"] for video in page["videos"]]
                    url = page["next_url"]
                assert sorted(listed) == paths
                assert len(listed) == 5


def test_the_length_of_a_playlist_is_bounded(tmp_path: Path) -> None:
    folder = "/".join(["\N{CLAPPER BOARD}" * 60] * 6)  # 1,440 bytes, three times as many in a URL
    for number in range(400):
        write(tmp_path / "media", f"{folder}/{number:03}.mp4", b"no film")
    with serve(tmp_path / "media", LOG_LEVEL="warning") as server:
        answer = ask(server.base, f"/playlists?folder={quote(folder)}")
        assert answer.status == 200
        assert 900_000 < len(answer.body) < 1_200_000
        lines = answer.body.decode().splitlines()
        assert lines[-1].partition("?")[0] == (
            f"{server.base}/download/{quote(folder)}/{len(lines) // 2 - 2:03}.mp4"
        )


def test_an_invalid_query_gets_a_short_response(server: Server) -> None:
    for wrong in (
        "&".join(f"a{n}=" for n in range(1500)),
        f"{'x' * 15_000}=",
        f"limit={'x' * 9000}",
    ):
        answer = ask(server.base, f"/api/videos?{wrong}")
        assert answer.status == 400
        assert len(answer.body) < 2000
