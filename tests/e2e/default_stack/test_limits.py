"""The limits of one client, which do not affect other clients."""

import contextlib
import http.client
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from support import http2_frames as http2
from support.edge_pages import BROWSER, check_edge_page
from support.http_contract import Origin
from support.raw_http import Answer, answers_to, ask, connect, open_socket
from support.server import BLOCK, content, until, write
from support.stack import Stack, running

pytestmark = [pytest.mark.slow, pytest.mark.stack]

# In nginx: one every half second, and a burst of ten.
RATE = 2
BURST = 5 * RATE + 1

TARGETS = ["/", "/api/videos", "/media/large.mp4", "/download/large.mp4", "/static/style.css"]
STATUS_FROM_INSIDE = """
import http.client, ssl, sys
connection = http.client.HTTPSConnection("nginx", 8443, context=ssl._create_unverified_context())
connection.request("HEAD", sys.argv[1])
print(connection.getresponse().status)
"""


# Opens that many connections to the two ports of the edge in turn, sends a request on half of them,
# and keeps all open. Prints the results of one more on each port, and of one after all are closed.
ONE_MORE_FROM_INSIDE = """
import socket, ssl, sys, time
context = ssl._create_unverified_context()
REQUEST = b"HEAD /static/style.css HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n"
def answer(port):
    client = socket.create_connection(("nginx", port), 30)
    try:
        if port == 8443:
            client = context.wrap_socket(client)
        client.sendall(REQUEST)
        return client, client.recv(12).decode() or "closed"
    except OSError:
        return client, "closed"
kept = []
for number in range(int(sys.argv[1])):
    port = 8443 if number % 2 else 8080
    if number % 4 < 2:
        client, status = answer(port)
        assert status != "closed"
    else:
        client = socket.create_connection(("nginx", port))
    kept.append(client)
time.sleep(0.5)
print(answer(8443)[1], answer(8080)[1], sep=",")
for client in kept:
    client.close()
for _ in range(100):
    time.sleep(0.1)
    if answer(8443)[1] != "closed":
        print("answered")
        break
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Run a stack with small limits that trusts this machine as a proxy."""
    media = tmp_path_factory.mktemp("limits") / "media"
    write(media, "large.mp4", content(48 * BLOCK))  # more than the buffers on the way
    with running(media) as stack:
        stack.configure(TRUSTED_PROXIES=stack.gateway)
        yield stack


@pytest.fixture(scope="module")
def few_connections(small: Stack) -> Stack:
    small.configure(CONNECTIONS_PER_CLIENT="4", REQUESTS_PER_CLIENT="0")
    return small


@pytest.fixture(scope="module")
def few_requests(small: Stack) -> Stack:
    small.configure(CONNECTIONS_PER_CLIENT="0", REQUESTS_PER_CLIENT=str(RATE))
    return small


def is_refusal(answer: Answer) -> bool:
    """Return whether this is a 429; check that it is well formed (RFC 6585 §4, RFC 9457)."""
    if answer.status != 429:
        return False
    assert answer.headers["Retry-After"] == "1"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert b'"status":429' in answer.body
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    return True


@contextlib.contextmanager
def in_progress(stack: Stack, count: int, **headers: str) -> Iterator[None]:
    """Keep that many answers in progress without reading, each on its own connection."""
    fields = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    request = f"GET /download/large.mp4 HTTP/1.1\r\nHost: x\r\n{fields}\r\n".encode()
    with contextlib.ExitStack() as clients:
        for _ in range(count):
            client = clients.enter_context(open_socket(stack.base))
            client.sendall(request)
            assert client.recv(12) == b"HTTP/1.1 200"
        yield


def recovers(stack: Stack, **headers: str) -> bool:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    target = "/static/style.css"
    return bool(until(lambda: ask(stack.base, target, fields).status == 200 or None, "it recovers"))


class TestConnections:
    def test_requests_over_the_limit_are_refused_and_other_clients_served(
        self, few_connections: Stack
    ) -> None:
        stack = few_connections
        with in_progress(stack, 4):
            for target in TARGETS:
                assert is_refusal(ask(stack.base, target)), target
            assert is_refusal(ask(stack.base, "/media/large.mp4", {"Range": "bytes=0-9"}))
            page = ask(stack.base, "/", BROWSER)
            assert check_edge_page(page, 429) == "One moment, please"
            for target in TARGETS:
                assert stack.inside(STATUS_FROM_INSIDE, target).strip() == "200", target
        assert recovers(stack)

    def test_http_2_streams_count(self, few_connections: Stack) -> None:
        stack = few_connections
        with http2.connection(stack.base, window=0) as client:
            streams = [client.get("/download/large.mp4") for _ in range(4)]
            assert client.wait(*streams) == [200] * 4
            assert client.wait(client.get("/"), client.get("/media/large.mp4")) == [429] * 2
            assert is_refusal(ask(stack.base, "/"))
        assert recovers(stack)

    @pytest.mark.parametrize(
        ("one", "same", "other"),
        [
            ("203.0.113.1", "203.0.113.1", "203.0.113.2"),
            # A client with one address of a /64 has all of them (RFC 7084, RFC 4291 §2.5.1).
            ("2001:db8:1:2:3::4", "2001:db8:1:2:ffff:1:2:3", "2001:db8:1:3:3::4"),
            ("2001:db8:1:0:3::4", "2001:db8:1:0:0:1:2:3", "2001:db8:1:4::4"),
            ("2001:db8::4", "2001:db8:0:0:ffff:1:2:3", "2001:db8:0:1::4"),
            ("2001:db8:1::4", "2001:db8:1:0:ffff:1:2:3", "2001:db8:1:1::4"),
        ],
    )
    def test_viewers_behind_a_trusted_proxy_are_counted_separately(
        self, few_connections: Stack, one: str, same: str, other: str
    ) -> None:
        stack = few_connections
        with in_progress(stack, 4, X_Forwarded_For=one):
            assert is_refusal(ask(stack.base, "/", {"X-Forwarded-For": same}))
            assert ask(stack.base, "/", {"X-Forwarded-For": other}).status == 200
            assert ask(stack.base, "/").status == 200
        assert recovers(stack, X_Forwarded_For=same)


class TestWholeConnections:
    """Connections: four for each answer that an address may have in progress."""

    def test_connections_over_the_limit_are_closed_even_if_others_are_idle(
        self, few_connections: Stack
    ) -> None:
        over = few_connections.inside(ONE_MORE_FROM_INSIDE, "16").splitlines()
        assert over == ["closed,closed", "answered"]
        under = few_connections.inside(ONE_MORE_FROM_INSIDE, "14").splitlines()
        assert under == ["HTTP/1.1 200,HTTP/1.1 308", "answered"]

    def test_a_trusted_proxy_may_open_any_number_of_connections(
        self, few_connections: Stack
    ) -> None:
        with contextlib.ExitStack() as clients:
            for _ in range(40):
                clients.enter_context(open_socket(few_connections.unencrypted))
            assert ask(few_connections.base, "/static/style.css").status == 200

    def test_viewers_named_by_the_proxy_protocol_are_counted_separately(self, small: Stack) -> None:
        small.configure(CONNECTIONS_PER_CLIENT="4", PROXY_PROTOCOL="on")
        try:
            for one, same, other in [
                ("203.0.113.1", "203.0.113.1", "203.0.113.2"),
                ("2001:db8:1:2:3::4", "2001:db8:1:2:ffff:1:2:3", "2001:db8:1:3:3::4"),
            ]:
                request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

                def only_the_same_viewer_is_refused(
                    one: str = one, same: str = same, other: str = other, request: bytes = request
                ) -> bool:
                    # The first may not be accepted yet, and are closed if they stay silent long.
                    with contextlib.ExitStack() as clients:
                        hello = proxy_header(one)
                        for _ in range(16):
                            clients.enter_context(open_socket(small.unencrypted, hello=hello))
                        answers = []
                        for viewer, expected in ((same, 0), (other, 1)):
                            hello = proxy_header(viewer)
                            with open_socket(small.unencrypted, hello=hello) as client:
                                answers.append(answers_to(client, request, expected))
                    assert answers[1] == [308]
                    return answers[0] == []

                until(only_the_same_viewer_is_refused, "one more is closed")
        finally:
            small.configure(PROXY_PROTOCOL="off")


def proxy_header(viewer: str) -> bytes:
    """Return the PROXY protocol header (§2.1) for a viewer."""
    family, here = ("TCP6", "2001:db8::1") if ":" in viewer else ("TCP4", "198.51.100.1")
    return f"PROXY {family} {viewer} {here} 50000 443\r\n".encode()


class TestRate:
    @pytest.mark.parametrize("target", TARGETS)
    def test_requests_over_the_rate_are_refused_and_other_clients_served(
        self, few_requests: Stack, target: str
    ) -> None:
        stack = few_requests
        viewer = {"X-Forwarded-For": f"198.51.100.{TARGETS.index(target) + 1}"}
        started = time.monotonic()
        # All at once: on a busy machine, one after another could be slow enough.
        with ThreadPoolExecutor(40) as pool:
            statuses = pool.map(lambda _: ask(stack.base, target, viewer, "HEAD").status, range(40))
            answers = list(statuses)
        limit = BURST + RATE * (time.monotonic() - started) + 1
        assert set(answers) == {200, 429}
        assert BURST <= answers.count(200) <= limit
        assert ask(stack.base, target, {"X-Forwarded-For": "198.51.100.99"}, "HEAD").status == 200
        assert stack.inside(STATUS_FROM_INSIDE, target).strip() == "200"
        assert recovers(stack, **viewer)

    def test_a_refusal_says_when_to_retry(self, few_requests: Stack) -> None:
        stack = few_requests
        viewer = {"X-Forwarded-For": "198.51.100.200"}
        with ThreadPoolExecutor(40) as pool:
            answers = list(pool.map(lambda _: ask(stack.base, "/", viewer), range(40)))
        assert any(is_refusal(answer) for answer in answers)
        time.sleep(1)
        assert ask(stack.base, "/", viewer).status == 200

    def test_http_2_requests_count(self, few_requests: Stack) -> None:
        with http2.connection(few_requests.base) as client:
            streams = [
                client.get("/static/style.css", **{"x-forwarded-for": "198.51.100.201"})
                for _ in range(30)
            ]
            statuses = client.wait(*streams)
        assert set(statuses) == {200, 429}


def test_zero_means_no_limit(stack: Stack) -> None:
    with http2.connection(stack.base, window=0) as one, http2.connection(stack.base, 0) as other:
        streams = [one.get("/download/file.mp4") for _ in range(30)]
        assert one.wait(*streams) == [200] * 30
        streams = [other.get("/download/file.mp4") for _ in range(30)]
        assert other.wait(*streams) == [200] * 30
        connection = connect(stack.base)
        for _ in range(300):
            connection.request("GET", "/static/style.css")
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200
        connection.close()


def test_a_connection_allows_32_concurrent_streams(stack: Stack) -> None:
    """RFC 9113 §5.1.2: SETTINGS announces the limit, and further streams are refused."""
    with http2.connection(stack.base, window=0) as client:
        streams = [client.get("/download/file.mp4") for _ in range(40)]
        assert client.wait(*streams) == [200] * 32 + [None] * 8
        assert client.streams_allowed == 32


def closed_after(client: socket.socket, started: float) -> float:
    """Send a byte every second until the server closes; return the seconds since `started`."""
    client.settimeout(1)
    while time.monotonic() - started < 300:
        with contextlib.suppress(TimeoutError):
            try:
                client.sendall(b"A")
                if not client.recv(4096):
                    break
            except OSError as error:
                if isinstance(error, TimeoutError):
                    raise
                break
    return time.monotonic() - started


def status_without_body(stack: Stack) -> int | None:
    """Announce a body and send none; return the status, or None without an answer."""
    connection = connect(stack.base, timeout=120)
    try:
        connection.putrequest("POST", "/")
        connection.putheader("Content-Length", "10")
        connection.endheaders()
        return connection.getresponse().status
    except (http.client.RemoteDisconnected, ConnectionError):
        return None
    finally:
        connection.close()


def test_unfinished_requests_and_handshakes_time_out(origin: Origin, stack: Stack) -> None:
    """The timeout applies to the whole head, not to the time between two bytes."""
    with contextlib.ExitStack() as clients:
        slow = []
        for base, data in [
            (stack.base, b"GET / HTTP/1.1\r\nHost: x\r\nX-A: "),
            (stack.unencrypted, b"GET / HTTP/1.1\r\nHost: x\r\nX-A: "),
            (stack.base, b""),
            (stack.unencrypted, b"G"),
        ]:
            started = time.monotonic()
            client = clients.enter_context(open_socket(base))
            client.sendall(data)
            slow.append((client, started))
        # A client that does not finish the handshake.
        started = time.monotonic()
        address = ("localhost", stack.ports["HTTPS"])
        silent = clients.enter_context(socket.create_connection(address, timeout=120))
        with ThreadPoolExecutor(len(slow) + 1) as pool:
            status = pool.submit(status_without_body, stack)
            taken = list(pool.map(lambda one: closed_after(*one), slow))
        assert all(9 < seconds < 300 for seconds in taken), taken  # 10 s each
        assert silent.recv(1) == b""
        assert time.monotonic() - started > 9
    assert status.result() in {None, 408}  # RFC 9110 §15.5.9
    assert origin.get("/").status == 200
