"""How a flood from one address affects other addresses and the disk, under the default limits."""

import contextlib
import http.client
import math
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import http2_frames as http2
from support.http_contract import fill
from support.raw_http import TRUSTING, ask, connect, open_socket
from support.server import until
from support.stack import Stack, container, docker, pause, running

pytestmark = [pytest.mark.slow, pytest.mark.stack]

HALF_OPEN = 10_000
MAX_CONNECTIONS = 1024  # of one address: four for each of 256 answers
WINDOWS = 3
WINDOW_REQUESTS = 100
TRIES = 10  # of a comparison, as the machine may be busy

MAX_LOGGED = 200 * 1024  # bytes a second, for one address that sends as fast as it can
HEAD = "Host: x\r\nUser-Agent: " + "a" * 5000


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    media = tmp_path_factory.mktemp("floods") / "media"
    fill(media)
    with running(media, CONNECTIONS_PER_CLIENT="256", REQUESTS_PER_CLIENT="100") as stack:
        yield stack


def connections(stack: Stack) -> int:
    """Return how many connections the edge has open."""
    text = ask(stack.operator, "/edge/metrics").body.decode()
    name = 'reelay_edge_connections{state="active"}'
    (value,) = (line.split()[1] for line in text.splitlines() if line.startswith(name))
    return int(value)


@contextlib.contextmanager
def half_open(stack: Stack) -> Iterator[None]:
    """Hold HALF_OPEN half-open connections from another container."""
    source = (Path(__file__).parents[1] / "support/half_open.py").read_text(encoding="utf-8")
    with container(
        stack, "--entrypoint", "python", "--ulimit", "nofile=20000:20000",
        f"{stack.project}-service", "-c", source, "nginx", str(HALF_OPEN),
    ) as name:  # fmt: skip
        until(lambda: "held" in docker("logs", name) or None, "all are open", pause=0.5)
        yield
    # Wait until they are closed, so that the next measurement starts as this one did.
    until(lambda: connections(stack) < MAX_CONNECTIONS / 2 or None, "they are closed", pause=0.5)


def quantile(ask_once: Callable[[], None], of: float, requests: int = WINDOW_REQUESTS) -> float:
    """Return a quantile of the seconds that requests take."""
    took = []
    for _ in range(requests):
        began = time.monotonic()
        ask_once()
        took.append(time.monotonic() - began)
        time.sleep(0.01)
    return sorted(took)[math.ceil(requests * of) - 1]


class TestHalfOpen:
    def test_ten_thousand_half_open_connections_do_not_slow_other_clients(
        self, limited: Stack
    ) -> None:
        base = f"https://{limited.address('nginx')}:8443"

        def ask_once() -> None:
            answer = ask(base, "/media/file.mp4", {"Range": "bytes=0-999"})
            assert (answer.status, len(answer.body)) == (206, 1000)
            plain = ask(base.replace("https:", "http:").replace("8443", "8080"), "/")
            assert plain.status == 308

        ask_once()
        results = []
        for _ in range(TRIES):
            quiet = [quantile(ask_once, 0.99) for _ in range(WINDOWS)]
            with half_open(limited):
                assert connections(limited) <= MAX_CONNECTIONS + 50  # and a few other connections
                loaded = [quantile(ask_once, 0.99) for _ in range(WINDOWS)]
            quiet += [quantile(ask_once, 0.99) for _ in range(WINDOWS)]
            results.append((statistics.median(quiet), statistics.median(loaded)))
            if results[-1][1] <= 2 * results[-1][0]:
                return
        raise AssertionError(f"p99 in seconds, without and with them: {results}")


# True: requests are sent repeatedly on one connection; False: each on a new one.
FLOODS: dict[str, tuple[str, str, bool]] = {
    "more requests than are permitted": ("https", f"GET / HTTP/1.1\r\n{HEAD}\r\n\r\n", True),
    "long targets": ("https", f"GET /{'b' * 8000} HTTP/1.1\r\n{HEAD}\r\n\r\n", True),
    "redirects": ("http", f"GET /{'b' * 3000} HTTP/1.1\r\n{HEAD}\r\n\r\n", True),
    "operator routes": ("https", f"GET /metrics HTTP/1.1\r\n{HEAD}\r\n\r\n", True),
    "unknown challenges": (
        "http", f"GET /.well-known/acme-challenge/x HTTP/1.1\r\n{HEAD}\r\n\r\n", True,
    ),
    "missing files": ("https", f"GET /media/no.mp4 HTTP/1.1\r\n{HEAD}\r\n\r\n", True),
    "invalid names": ("https", f"GET /media/%ff%fe HTTP/1.1\r\n{HEAD}\r\n\r\n", True),
    "no request": ("http", "BAD\r\n\r\n", False),
    "no host": ("https", "GET / HTTP/1.1\r\n\r\n", False),
    "bodies": ("https", f"POST / HTTP/1.1\r\nContent-Length: 9999\r\n{HEAD}\r\n\r\n", False),
    "no TLS": ("plain", f"GET / HTTP/1.1\r\n{HEAD}\r\n\r\n", False),
    # A ClientHello without the required compression method (RFC 8446 §4.1.2).
    "malformed handshakes": (
        "plain",
        "\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03" + "r" * 32
        + "\x00\x00\x02\x13\x01\x01\x01\x00\x00",
        False,
    ),
}  # fmt: skip
SECONDS = 2.5


def flood(base: str, data: bytes, deadline: float, *, reused: bool) -> int:
    """Send the same request as fast as it is answered; return how many were sent."""
    count = 0
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), open_socket(base) as client:
            client.settimeout(1)
            while time.monotonic() < deadline:
                client.sendall(data)
                count += 1
                if not client.recv(65536) or not reused:
                    break
    return count


class TestLogs:
    @pytest.mark.parametrize("kind", FLOODS)
    def test_one_address_cannot_fill_the_disk_with_log_lines(
        self, limited: Stack, kind: str
    ) -> None:
        scheme, request, reused = FLOODS[kind]
        port = 8080 if scheme == "http" else 8443
        base = f"{'https' if scheme == 'https' else 'http'}://{limited.address('nginx')}:{port}"
        since = docker("exec", limited.containers("nginx")[0], "date", "-u", "+%FT%T.%NZ")
        began = time.monotonic()
        threads = [
            threading.Thread(
                target=flood,
                args=(base, request.encode("latin-1"), began + SECONDS),
                kwargs={"reused": reused},
            )
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.monotonic() - began
        logs = [limited.lines(name, "--since", since) for name in ("nginx", "service")]
        logged = sum(len(line) for lines in logs for line in lines)
        # The permitted burst of five seconds' requests comes on top.
        assert logged <= MAX_LOGGED * (took + 5), logged

    def test_refused_requests_are_logged_ten_times_a_second(self, limited: Stack) -> None:
        base = f"http://{limited.address('nginx')}:8080"
        since = docker("exec", limited.containers("nginx")[0], "date", "-u", "+%FT%T.%NZ")
        began = time.monotonic()
        connection = connect(base)
        for _ in range(300):
            connection.request("GET", "/refused")
            connection.getresponse().read()
        connection.close()
        took = time.monotonic() - began

        def logged() -> list[str]:
            lines = limited.lines("nginx", "--since", since)
            return [line for line in lines if "/refused" in line]

        # The edge writes them a second late at most.
        until(lambda: len(logged()) >= 10, "ten lines are written")
        assert all(line.startswith("{") for line in logged())
        # Ten in each started second of the clock.
        assert len(logged()) <= 10 * (took + 2)

    def test_every_answered_request_is_logged(self, limited: Stack) -> None:
        base = f"https://{limited.address('nginx')}:8443"
        target = "/media/file.mp4?v=1-1"  # 410 from the service

        def logged() -> int:
            return len([one for one in limited.events("nginx") if one["uri"] == target])

        before = logged()
        for _ in range(30):
            assert ask(base, target, {"Range": "bytes=0-9"}).status == 410
        until(lambda: logged() - before >= 30, "all are logged")
        assert logged() - before == 30


class TestPages:
    """The limit of pages: 10 a second, a burst of 20, and 80 more queued."""

    @pytest.mark.parametrize("target", ["/", "/watch/file.mp4", "/api/videos", "/openapi.json"])
    def test_one_client_at_most_doubles_the_latency_of_others(
        self, limited: Stack, target: str
    ) -> None:
        """One client sends from the service's container, the others from this machine."""
        base = f"http://{limited.address('service')}:8000"
        asking = (
            "import http.client, ssl, sys, threading\n"
            "def ask():\n"
            "    while True:\n"
            "        context = ssl._create_unverified_context()\n"
            "        one = http.client.HTTPSConnection('nginx', 8443, context=context)\n"
            "        one.request('GET', sys.argv[1]); one.getresponse().read(); one.close()\n"
            "for _ in range(8): threading.Thread(target=ask).start()\n"
        )

        def ask_once() -> None:
            assert ask(base, "/api/videos/file.mp4").status == 200

        image = f"{limited.project}-service"
        with container(limited, "--entrypoint", "python", image, "-c", asking, target) as greedy:
            time.sleep(3)  # the burst of 20 is over
            results = []
            for _ in range(TRIES):
                quiet, loaded = [], []
                for _ in range(WINDOWS):
                    loaded.append(quantile(ask_once, 0.5, 40))
                    pause(greedy)
                    quiet.append(quantile(ask_once, 0.5, 40))
                    docker("unpause", greedy)
                results.append((statistics.median(quiet), statistics.median(loaded)))
                if results[-1][1] <= 2 * results[-1][0]:
                    return
        raise AssertionError(f"p50 in seconds, without and with it: {results}")

    def test_media_posters_and_static_files_do_not_count_as_pages(self, limited: Stack) -> None:
        """Their 300 requests are within the general limit, and none is queued."""
        base = f"https://{limited.address('nginx')}:8443"
        time.sleep(5)  # earlier requests no longer count
        connection = http.client.HTTPSConnection(
            limited.address("nginx"), 8443, context=TRUSTING, timeout=60
        )
        began = time.monotonic()
        for number in range(100):
            for target in ("/static/style.css", "/posters/no.mp4", "/media/file.mp4"):
                connection.request("GET", f"{target}?n={number}", headers={"Range": "bytes=0-9"})
                answer = connection.getresponse()
                answer.read()
                assert answer.status in {200, 206, 404}, (target, number)
        connection.close()
        took = time.monotonic() - began
        # Thirty pages take at least (30 - 20) / 10 s.
        began = time.monotonic()
        with http2.connection(base) as client:
            streams = [client.get("/robots.txt") for _ in range(30)]
            assert client.wait(*streams) == [200] * 30
        paced = time.monotonic() - began
        assert paced > 0.8, (took, paced)

    def test_a_hundred_page_requests_are_queued_and_more_are_refused(self, limited: Stack) -> None:
        base = f"https://{limited.address('nginx')}:8443"
        time.sleep(10)  # earlier requests no longer count
        began = time.monotonic()
        with contextlib.ExitStack() as clients:
            several = [clients.enter_context(http2.connection(base)) for _ in range(5)]
            streams = [(client, client.get("/robots.txt")) for client in several for _ in range(30)]
            statuses = [client.wait(stream)[0] for client, stream in streams]
        # One plus the burst of 100 are answered, and ten a second more meanwhile.
        took = time.monotonic() - began
        assert 101 <= statuses.count(200) <= 102 + 10 * took
        assert statuses.count(429) == 150 - statuses.count(200)


class TestHosts:
    def test_an_unknown_host_is_421(self, limited: Stack) -> None:
        limited.configure(HOSTS="video.example.test")
        try:
            for base in (limited.base, limited.unencrypted, limited.operator):
                for target in ("/", "/media/file.mp4", "/metrics", "/edge/metrics"):
                    assert ask(base, target, {"Host": "evil.example"}).status == 421
            ours = {"Host": "video.example.test"}
            assert ask(limited.base, "/", ours).status == 200
            assert ask(limited.unencrypted, "/", ours).status == 308
            for host in ("video.example.test", "127.0.0.1:9145", "localhost", "nginx", "[::1]"):
                for target in ("/edge/healthz", "/edge/metrics", "/readyz", "/metrics"):
                    assert ask(limited.operator, target, {"Host": host}).status == 200
        finally:
            limited.configure(HOSTS="")

    def test_the_operator_port_accepts_the_host_of_the_certificate(self, limited: Stack) -> None:
        limited.configure(HOSTNAME="video.example.test")
        try:
            assert ask(limited.operator, "/metrics", {"Host": "evil.example"}).status == 421
            assert ask(limited.operator, "/metrics", {"Host": "video.example.test"}).status == 200
            assert ask(limited.base, "/", {"Host": "evil.example"}).status == 200
        finally:
            limited.configure(HOSTNAME="localhost")

    def test_any_host_is_answered_by_default(self, limited: Stack) -> None:
        assert ask(limited.operator, "/metrics", {"Host": "evil.example"}).status == 200
        assert ask(limited.base, "/", {"Host": "evil.example"}).status == 200
