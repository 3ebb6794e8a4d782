"""Clients that hardly read, and clients that never finish asking: what they cost, and whom."""

import contextlib
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

DATA = content(8 * BLOCK)  # more than the kernels take for a client that reads nothing

SLOW = 1000
HEADERLESS = 500
MOST_MEMORY = 128 * 1024  # bytes that the process may grow by for each slow client

PAUSING = 1000
TAKEN = BLOCK  # bytes, promptly: as much as makes pieces large
MOST_FOR_PAUSING = 200 * 1024**2  # bytes that the process may grow by for all of them: 150 seen

FAR = 100
MOST_FAR = 768 * 1024  # bytes: a chunk of 400 KiB at most, and the piece; 280 KiB seen

ASKED = b"GET /media/large.mp4 HTTP/1.1\r\nHost: x\r\n\r\n"
HALF_ASKED = b"GET /media/large.mp4 HTTP/1.1\r\nHost: x\r\nX-Endless: "
KEEP_ALIVE = 5  # seconds: the most that a request's headers may take


@pytest.fixture(scope="module", autouse=True)
def descriptors() -> Iterator[None]:
    """Let this process have as many connections as it may."""
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
    with serve(media, LOG_LEVEL="warning") as running:
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


def watch(server: Server, times: int) -> None:
    """Be another viewer, of whom no span may fail or be wrong."""
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
def test_a_slow_client_costs_little_and_others_go_on(server: Server, buffer: int | None) -> None:
    with ExitStack() as stack:  # what the first of all cost is not for each
        for _ in range(20):
            begin(server, stack, ASKED, buffer)
        watch(server, 20)
    until(lambda: server.in_progress() == 0 or None, "they are gone")
    before = server.resident()
    with ExitStack() as stack:
        clients = [begin(server, stack, ASKED, buffer) for _ in range(SLOW)]
        for _ in range(5):
            for client in clients:
                assert client.recv(1024)
            watch(server, 10)
            time.sleep(0.5)
        assert server.in_progress() == SLOW
        growth = (server.resident() - before) / SLOW
    assert growth <= MOST_MEMORY
    until(lambda: server.in_progress() == 0 or None, "they are gone")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_a_slow_client_of_an_object_store_whose_block_had_to_go_costs_a_chunk(
    bucket: Bucket, tmp_path: Path
) -> None:
    bucket.put("large.ts", content(FAR * BLOCK), age=3600)
    held = str(2 * BLOCK)
    with (
        serve(tmp_path, environ=bucket.environ(), MEDIA=bucket.url, BLOCK_CACHE=held) as server,
        ExitStack() as stack,
    ):
        asked = (
            f"GET /media/large.ts HTTP/1.1\r\nHost: x\r\nRange: bytes={number * BLOCK}-\r\n\r\n"
            for number in range(FAR)
        )
        for number in range(8):  # the store is fast, as the service has to learn
            span = {"Range": f"bytes={number * BLOCK}-{(number + 1) * BLOCK - 1}"}
            assert ask(server.base, "/media/large.ts", span).status == 206
        before = server.resident()
        clients = [begin(server, stack, request.encode(), 4096) for request in asked]
        for client in clients:
            assert client.recv(1024)
        time.sleep(2)  # the service has read all that it reads ahead of them
        growth = (server.resident() - before) / len(clients)
    assert growth <= MOST_FAR


def take(clients: dict[socket.socket, int], length: int) -> None:
    """Have each read so many bytes more of its body, all side by side, and compare them."""
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


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_players_that_read_fast_and_then_pause_cost_little(server: Server) -> None:
    watch(server, 20)
    before = server.resident()
    with ExitStack() as stack:
        clients = {}
        for _ in range(PAUSING):
            client = begin(server, stack, ASKED, None)
            head = client.recv(4096, socket.MSG_PEEK).partition(b"\r\n\r\n")[0]
            assert client.recv(len(head) + 4).endswith(b"\r\n\r\n")
            clients[client] = 0
        take(clients, TAKEN)
        time.sleep(1)
        growths = [server.resident() - before]
        for _ in range(3):  # as players do whose buffer has room again
            take(clients, BLOCK // 4)
            time.sleep(1)
            watch(server, 10)
            growths.append(server.resident() - before)
        assert server.in_progress() == PAUSING
    assert max(growths) <= MOST_FOR_PAUSING
    until(lambda: server.in_progress() == 0 or None, "they are gone")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's, and so is the stall timeout")
def test_clients_that_were_cut_leave_no_memory_taken(media: Path) -> None:
    with serve(media, LOG_LEVEL="warning", STALL_TIMEOUT="6") as server, ExitStack() as stack:
        watch(server, 20)
        before, growths = server.resident(), []
        for _ in range(2):
            for _ in range(SLOW // 2):
                begin(server, stack, ASKED, 4096)
            until(lambda: server.in_progress() == SLOW // 2 or None, "all are answered")
            growths.append((server.resident() - before) / (SLOW // 2))
            until(lambda: server.in_progress() == 0 or None, "all are cut")
    assert max(growths) <= MOST_MEMORY


def test_a_client_that_takes_all_its_headers_time_is_cut_and_others_go_on(server: Server) -> None:
    before = open_descriptors(server)
    with ExitStack() as stack:
        started = time.monotonic()
        clients = [begin(server, stack, HALF_ASKED, None) for _ in range(HEADERLESS)]
        until(lambda: open_descriptors(server) > HEADERLESS or None, "all are accepted")
        while time.monotonic() - started < KEEP_ALIVE - 1:  # a byte now and then gains no time
            for client in clients:
                with contextlib.suppress(ConnectionError):
                    client.sendall(b"x")
            watch(server, 10)
            time.sleep(0.5)
        for client in clients:
            with contextlib.suppress(ConnectionError):
                assert client.recv(1) == b""
        assert time.monotonic() - started < 3 * KEEP_ALIVE
        until(lambda: open_descriptors(server) < before + 10 or None, "descriptors are returned")
    watch(server, 10)


# What is derived


CUE = b"\n\n%d\n00:%02d:%02d,000 --> 01:00:00,000\n" + b"&" * 10_000
LONGEST_CAPTIONS = b"".join(CUE % (n, n // 60, n % 60) for n in range(1040))
"""10 MiB that become 52 as WebVTT."""


def write_films(media: Path, *texts: dict[str, bytes]) -> list[str]:
    """Write films with texts beside them, by the endings of these; give where the films are."""
    film = mp4(media.parent / "film.mp4").read_bytes()
    for number, beside in enumerate(texts):
        write(media, f"{number}.mp4", film)
        for ending, text in beside.items():
            write(media, f"{number}.{ending}", text)
    return [f"{number}.mp4" for number in range(len(texts))]


def begin_slowly(server: Server, clients: ExitStack, urls: list[str]) -> list[socket.socket]:
    requests = (f"GET {url} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for url in urls)
    return [begin(server, clients, request, 4096) for request in requests]


def growth_for(server: Server, urls: list[str]) -> float:
    """Have slow readers, who read a little; give the bytes that the process grows by for each."""
    with ExitStack() as stack:  # what the first of all cost is not for each
        begin_slowly(server, stack, urls[:20])
        time.sleep(0.5)
    until(lambda: server.in_progress() == 0 or None, "they are gone")
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
    until(lambda: server.in_progress() == 0 or None, "they are gone")
    until(lambda: open_descriptors(server) <= open_before + 10 or None, "nothing is left open")
    return growth


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_a_slow_reader_of_the_longest_captions_costs_little(tmp_path: Path) -> None:
    media = tmp_path / "media"
    assert 10_000_000 < len(LONGEST_CAPTIONS) < 10 << 20
    paths = write_films(media, {"srt": LONGEST_CAPTIONS}, {"srt": LONGEST_CAPTIONS})
    with serve(media, LOG_LEVEL="warning") as server:
        told = wait_until_derived(server, *paths)
        urls = [track["url"] for path in paths for track in told[path]["captions"]["tracks"]]
        assert len(urls) == 2
        assert "2 MiB" in told["0.mp4"]["captions"]["problems"][0]
        whole = ask(server.base, urls[0])
        assert (2 << 20) - 60_000 < len(whole.body) <= 2 << 20
        middle = ask(server.base, urls[0], {"Range": "bytes=1000000-1200000"})
        assert middle.status == 206
        assert middle.body == whole.body[1_000_000:1_200_001]
        assert growth_for(server, urls * 200) <= MOST_MEMORY


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_slow_readers_of_many_captions_in_a_bucket_cost_what_may_be_held_and_little_more(
    bucket: Bucket, tmp_path: Path
) -> None:
    media = tmp_path / "media"
    text = b"".join(CUE % (n, n // 60, n % 60) for n in range(41))  # 2 MB as WebVTT
    languages = ("de", "en", "fr", "it", "nl", "pl", "pt")
    tracks = {f"{language}.srt": text for language in languages}
    paths = write_films(media, *[tracks] * 6)  # 84 MB in all
    with serve(media, environ=bucket.environ(), DERIVED=bucket.url, LOG_LEVEL="warning") as server:
        told = wait_until_derived(server, *paths)
        urls = [track["url"] for path in paths for track in told[path]["captions"]["tracks"]]
        assert len(urls) == 42
        first = ask(server.base, urls[0]).body
        for url in urls:  # what may be held is full then
            assert len(ask(server.base, url).body) > 2_000_000
        assert growth_for(server, urls) <= MOST_FAR
        assert ask(server.base, urls[0]).body == first


# What is made for an answer: pages, JSON


LONGEST_TITLES = b"WEBVTT\n" + b"".join(
    b"\n%02d:%02d.000 --> %02d:%02d.000\n%b\n"
    % (*divmod(n, 60), *divmod(n + 1, 60), b"\xf0\x9f\x8e\xac" * 200)
    for n in range(1000)
)
MADE = 150
MOST_MADE = 100 * 1024**2  # bytes for all: 64 MiB of answers, and what a slow client costs


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_slow_readers_of_long_pages_cost_what_may_be_held_and_others_are_answered(
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
            clients = begin_slowly(server, stack, ["/watch/0.mp4", "/watch/1.mp4"] * (MADE // 2))
            answers = [client.recv(12) for client in clients]
            assert set(answers) == {b"HTTP/1.1 200", b"HTTP/1.1 503"}
            assert answers.count(b"HTTP/1.1 200") > 20
            assert server.resident() - before < MOST_MADE
            watch(server, 10)
            for small in ("/", "/api/videos?limit=1&sort=-size", "/watch/large.mp4", "/metrics"):
                assert ask(server.base, small).status == 200
        until(lambda: server.in_progress() == 0 or None, "they are gone")
        assert ask(server.base, "/watch/0.mp4").status == 200


@pytest.mark.slow
def test_a_listing_of_long_entries_ends_before_its_limit_and_goes_on(tmp_path: Path) -> None:
    media = tmp_path / "media"
    paths = write_films(media, *[{"chapters.vtt": LONGEST_TITLES}] * 5)
    with serve(media, LOG_LEVEL="warning") as server:
        wait_until_derived(server, *paths)
        for sort in ("name", "-name", "size", "-date"):
            for folder in ("", "&folder="):
                url, seen = f"/api/videos?limit=200&sort={sort}{folder}", []
                while url:
                    answer = ask(server.base, url)
                    assert len(answer.body) < 2 * 1024**2
                    page = json.loads(answer.body)
                    assert 1 <= len(page["videos"]) < 5
                    assert page["total"] == 5
                    seen += [video["path"] for video in page["videos"]]
                    url = page["next_url"]
                assert sorted(seen) == paths
                assert len(seen) == 5


def test_a_playlist_of_long_names_is_bounded(tmp_path: Path) -> None:
    folder = "/".join(["\N{CLAPPER BOARD}" * 60] * 6)  # 1,440 bytes, three times as many in a URL
    for number in range(400):
        write(tmp_path / "media", f"{folder}/{number:03}.mp4", b"no film")
    with serve(tmp_path / "media", LOG_LEVEL="warning") as server:
        answer = ask(server.base, f"/playlists?folder={quote(folder)}")
        assert answer.status == 200
        assert 900_000 < len(answer.body) < 1_200_000
        lines = answer.body.decode().splitlines()
        assert lines[-1].partition("?")[0] == (
            f"{server.base}/media/{quote(folder)}/{len(lines) // 2 - 2:03}.mp4"
        )


def test_a_query_with_everything_wrong_gets_a_short_answer(server: Server) -> None:
    for wrong in (
        "&".join(f"a{n}=" for n in range(1500)),
        f"{'x' * 15_000}=",
        f"limit={'x' * 9000}",
    ):
        answer = ask(server.base, f"/api/videos?{wrong}")
        assert answer.status == 400
        assert len(answer.body) < 2000
