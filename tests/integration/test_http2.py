"""HTTP/2 in clear text, asked of the service itself: what it answers, and what it does not."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from h2.settings import SettingCodes
from support import h2c
from support.h2c import ANY_STREAM, PREFACE, Client, Header, request
from support.http_contract import DATA, Contract, Origin, fill
from support.raw_http import Answer, answers_to, open_socket
from support.server import BLOCK, SIZE, Server, content, serve

# RFC 9113 §7.
NO_ERROR, PROTOCOL_ERROR, FRAME_SIZE_ERROR = 0, 1, 6

PEERS = {"h2": h2c.ask, "curl": h2c.ask_by_curl}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    media = tmp_path_factory.mktemp("http2") / "media"
    fill(media)
    with serve(media) as running:
        yield running
        assert not [line for line in running.lines if "Traceback" in line]


@dataclass(frozen=True)
class Http2Origin(Origin):
    """One that is asked by HTTP/2."""

    peer: str = "h2"

    def ask(self, target: str, headers: Mapping[str, str], method: str = "GET") -> Answer:
        """Ask with these headers."""
        return PEERS[self.peer](self.base, target, headers, method)


class TestHttp2(Contract):
    """All that holds for HTTP/1.1."""

    @pytest.fixture(scope="class", params=PEERS)
    @staticmethod
    def origin(
        tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
    ) -> Iterator[Origin]:
        media = tmp_path_factory.mktemp("contract") / "media"
        fill(media)
        with serve(media) as server:
            yield Http2Origin(server.base, media, peer=request.param)

    def test_range_twice_in_a_head_is_malformed(self, origin: Origin) -> None:
        with Client(origin.base) as client:
            fields = [(b"range", b"bytes=0-1"), (b"range", b"bytes=3-4")]
            response = client.send([*request("/media/sub/inside.mp4"), *fields])
            client.wait(response)
        assert response.status == 200  # RFC 9110 §14.2: it is ignored
        assert response.body == content(3000, 2)

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    @pytest.mark.parametrize("value", ["bytes=0-9"])
    def test_a_name_may_come_unescaped(self, origin: Origin, method: str, value: str) -> None:
        """As of HTTP/1.1, h11 of which refuses it: RFC 3986 wants it escaped."""
        target = "/media/ümläut".encode().decode("latin-1")
        with Client(origin.base) as client:
            response = client.get(target, method, range=value)
            client.wait(response)
        assert response.reset == PROTOCOL_ERROR


def test_a_hundred_streams_are_answered_in_turns(server: Server) -> None:
    spans = {start: start + 256 * 1024 for start in range(0, 100 * 1009, 1009)}
    with Client(server.base, 0) as client:
        responses = {
            start: client.get("/download/file.mp4", flushed=False, range=f"bytes={start}-{end - 1}")
            for start, end in spans.items()
        }
        client.flush()
        while not all(response.status for response in responses.values()):
            client.read()
        client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 2**20})  # for all at once
        client.flush()
        client.wait(*responses.values())
    for start, response in responses.items():
        assert response.status == 206
        assert response.ended
        assert response.body == DATA[start : spans[start]]
    # None waits for the whole of another: all have begun by the time that one has ended.
    counts = dict.fromkeys(client.order, 0)
    for position, number in enumerate(client.order):  # noqa: B007 # the first that ended
        counts[number] += 1
        if counts[number] == client.order.count(number):
            break
    assert set(client.order[:position]) == {client.number(r) for r in responses.values()}


def test_another_client_finds_a_connection_to_ask_on_again_and_again(server: Server) -> None:
    with httpx.Client(http1=False, http2=True, timeout=60) as client:
        for start in (0, BLOCK, 2 * BLOCK, 3 * BLOCK):
            answer = client.get(
                f"{server.base}/media/file.mp4", headers={"Range": f"bytes={start}-"}
            )
            assert answer.http_version == "HTTP/2"
            assert answer.content == DATA[start : start + BLOCK]


@pytest.mark.parametrize("hello", [b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_an_upgrade_is_ignored(server: Server, hello: bytes) -> None:
    """RFC 9113 §3.1: it is obsolete; a proxy that passed it on would be led past its own rules."""
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    with open_socket(server.base) as client:
        asked = b"GET /readyz HTTP/1.1\r\nHost: x\r\n" + upgrade + b"\r\n"
        client.sendall(hello + asked)
        client.settimeout(2)
        received = b""
        while received.count(b"HTTP/1.1 200") < 1 + bool(hello):
            received += client.recv(65536)
    assert b"101" not in received.partition(b"\r\n")[0]
    assert b"upgrade" not in received.lower()


@pytest.mark.parametrize(
    "words",
    [
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" + PREFACE,
        b"PRI * HTTP/2.0\r\nUpgrade: h2c\r\n\r\n",
        b"PRI * HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_a_preface_is_a_connections_first_words(server: Server, words: bytes) -> None:
    with open_socket(server.base) as client:
        statuses = answers_to(client, words)
    assert statuses
    assert 101 not in statuses


def fields(**changes: str | None) -> list[Header]:
    """Give a request's pseudo-header fields, changed; None leaves one out."""
    pseudo = {"method": "GET", "scheme": "http", "authority": "localhost", "path": "/media/bad.mp4"}
    return [
        (b":" + name.encode(), value.encode("latin-1"))
        for name, value in (pseudo | changes).items()
        if value is not None
    ]


MALFORMED: dict[str, list[Header]] = {
    # RFC 9113 §8.2, §8.2.1.
    "a name in upper case": [*fields(), (b"Range", b"bytes=0-1")],
    "an empty name": [*fields(), (b"", b"x")],
    "a name with a blank": [*fields(), (b"a b", b"x")],
    "a name with a colon": [*fields(), (b"a:b", b"x")],
    "a name with a line end": [*fields(), (b"a\r\nb", b"x")],
    "a value with a line feed": [*fields(), (b"x-a", b"x\ny: z")],
    "a value with a carriage return": [*fields(), (b"x-a", b"x\ry: z")],
    "a value with a null byte": [*fields(), (b"x-a", b"x\0y")],
    "a value with a blank first": [*fields(), (b"x-a", b" x")],
    "a value with a tab last": [*fields(), (b"x-a", b"x\t")],
    # §8.2.2.
    "Connection": [*fields(), (b"connection", b"close")],
    "Proxy-Connection": [*fields(), (b"proxy-connection", b"close")],
    "Keep-Alive": [*fields(), (b"keep-alive", b"timeout=5")],
    "Transfer-Encoding": [*fields(), (b"transfer-encoding", b"chunked")],
    "Upgrade": [*fields(), (b"upgrade", b"websocket")],
    "TE with more than trailers": [*fields(), (b"te", b"gzip")],
    # §8.3.
    "a pseudo-header field behind another": [*fields(path=None), (b"x-a", b"x"), *fields()[3:]],
    "a pseudo-header field twice": [*fields(), *fields()[3:]],
    "a pseudo-header field of responses": [*fields(), (b":status", b"200")],
    "a pseudo-header field that is none": [*fields(), (b":other", b"x")],
    # §8.3.1.
    "no method": fields(method=None),
    "no scheme": fields(scheme=None),
    "no path": fields(path=None),
    "an empty path": fields(path=""),
    "a path without a slash": fields(path="media/bad.mp4"),
    "a path of an asterisk for GET": fields(path="*"),
    "a path with a host": fields(path="http://localhost/media/bad.mp4"),
    "a path with a blank": fields(path="/media/bad.mp4 HTTP/1.1"),
    "a path that is not ASCII": fields(path="/media/bäd.mp4"),
    "a method with a blank": fields(method="GET /media/bad.mp4"),
    "a method that is not ASCII": fields(method="GÄT"),
    "another host": [*fields(), (b"host", b"elsewhere")],
    "no host": fields(authority=None),
    # §8.5 and RFC 8441 §3: what was not offered.
    "CONNECT": fields(method="CONNECT", scheme=None, path=None),
    "CONNECT with a protocol": [*fields(method="CONNECT"), (b":protocol", b"websocket")],
    # §8.1.1.
    "a length for no body": [*fields(), (b"content-length", b"5")],
    "a length that is none": [*fields(), (b"content-length", b"x")],
    "a length with a sign": [*fields(), (b"content-length", b"+0")],
    "two lengths": [*fields(), (b"content-length", b"0"), (b"content-length", b"00")],
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_malformed_is_nobodys_request(server: Server, name: str) -> None:
    """RFC 9113 §8.1.1: an error of the stream, which may be taken for one of the connection."""
    with Client(server.base) as client:
        # What the client still sent when the server closes, such as that it has the settings, would
        # have the kernel throw away what the client has not read yet: §5.4.1.
        client.wait(client.get("/healthz"))
        response = client.send(MALFORMED[name])
        client.wait(response)
        if client.closed:
            assert [error for _, error in client.goaways][:1] == [PROTOCOL_ERROR]
        else:
            assert response.reset == PROTOCOL_ERROR
    assert response.status == 0
    assert h2c.ask(server.base, "/healthz", {}, "GET").status == 200
    assert not server.logged(path="/media/bad.mp4")


@pytest.mark.parametrize("length", [3, 7])
def test_a_body_that_differs_from_its_length_is_malformed(server: Server, length: int) -> None:
    """RFC 9113 §8.1.1: so nobody on the way reads the rest for another request."""
    with Client(server.base, 0) as client:  # so that the answer has not ended before
        fields = [*request("/media/file.mp4"), (b"content-length", b"%d" % length)]
        response = client.send(fields, ended=False, flushed=False)
        client.h2.send_data(client.number(response), b"12345", end_stream=True)
        client.flush()
        client.wait_for_end()
    assert client.goaways[0][1] == PROTOCOL_ERROR


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("late", [False, True], ids=["at once", "behind the answer"])
def test_a_body_is_nothing_to_the_answer_and_to_other_streams(
    server: Server,
    method: str,
    late: bool,  # noqa: FBT001
) -> None:
    expected = 200 if method in {"GET", "HEAD"} else 405
    hidden = b"GET /media/hidden.mp4 HTTP/1.1\r\nHost: x\r\n\r\n"
    with Client(server.base) as client:
        response = client.send(request("/media/file.mp4", method), ended=False)
        if late:
            client.wait(response)
        number = client.number(response)
        client.socket.sendall(h2c.frame(h2c.DATA, hidden * 100, flags=1, stream=number))
        other = client.get("/media/sub/inside.mp4")
        client.wait(response, other)
        assert response.status == expected
        assert response.ended
        assert other.body == content(3000, 2)
        assert not client.goaways
    assert not server.logged(path="/media/hidden.mp4")


def test_who_sends_a_body_without_end_is_asked_to_stop(server: Server) -> None:
    """RFC 9113 §8.1: by RST_STREAM with NO_ERROR, behind a whole response."""
    with Client(server.base) as client:
        response = client.send(request("/media/file.mp4"), ended=False)
        while response.reset is None:
            assert not client.closed
            client.read()
    assert response.body == DATA
    assert response.ended
    assert response.reset == NO_ERROR


def test_a_body_uses_up_no_window(server: Server) -> None:
    """RFC 9113 §6.9: what is thrown away counts as taken; here, four times the window."""
    with Client(server.base, window=0, taking=False) as client:
        response = client.send(request("/media/file.mp4"), ended=False)
        number, sent = client.number(response), 0
        while sent < 4 * 65535:
            room = min(client.h2.local_flow_control_window(number), 16384)
            if room:
                client.h2.send_data(number, bytes(room))
                client.flush()
                sent += room
            else:
                client.read()


def test_an_odd_host_is_a_bad_request_as_in_http_1(server: Server) -> None:
    for host in ("a..b", "x" * 64 + ".example", "a b", "a@b", "a/b", ""):
        with Client(server.base) as client:
            fields = dict(request("/")) | {b":authority": host.encode("latin-1")}
            response = client.send(fields.items())
            client.wait(response)
            assert response.status == 400


def test_trailers_are_taken_and_mean_nothing(server: Server) -> None:
    with Client(server.base) as client:
        response = client.send(request("/media/sub/inside.mp4"), ended=False)
        client.h2.send_headers(client.number(response), [(b"range", b"bytes=0-1")], end_stream=True)
        client.flush()
        client.wait(response)
    assert response.status == 200
    assert response.body == content(3000, 2)


def test_a_large_table_of_headers_is_not_made_use_of(server: Server) -> None:
    """RFC 7541 §4.2: the encoder may use less than what it is allowed."""
    with Client(server.base) as client:
        client.h2.update_settings({1: 2**20})  # SETTINGS_HEADER_TABLE_SIZE
        for _ in range(100):
            response = client.get("/healthz")
            client.wait(response)
            assert response.status == 200
        assert client.h2.decoder.header_table_size <= 4096


@pytest.mark.parametrize("size", [0, 1, 1024])
def test_a_client_with_a_small_table_of_headers_understands_every_answer(
    server: Server, size: int
) -> None:
    """RFC 7541 §4.2: it is told that the table is smaller, or may not go on."""
    with Client(server.base) as client:
        client.h2.update_settings({1: size})  # SETTINGS_HEADER_TABLE_SIZE
        for _ in range(5):
            response = client.get("/healthz")
            client.wait(response)
            assert response.status == 200


def test_what_is_behind_the_hundredth_stream_is_answered_while_nobody_could_know(
    server: Server,
) -> None:
    """RFC 9113 §6.5.2: there is no bound before the server's has come."""
    with Client(server.base) as client:
        responses = [client.get("/healthz", flushed=False) for _ in range(150)]
        client.flush()
        client.wait(*responses)
        assert [response.status for response in responses] == [200] * 150
        assert client.h2.remote_settings.max_concurrent_streams == 100


def test_priorities_change_nothing(server: Server) -> None:
    """RFC 9113 §5.3.2; of streams that do not exist, Hypercorn's own takes a thousand."""
    with Client(server.base) as client:
        for number in range(3, 5003, 2):
            client.socket.sendall(h2c.frame(h2c.PRIORITY, bytes(4) + b"\x10", stream=number))
        response = client.get("/media/file.mp4")
        client.wait(response)
        assert response.body == DATA


def test_a_connection_is_for_a_thousand_requests_and_then_for_those_under_way(
    server: Server,
) -> None:
    answered = 0
    with Client(server.base) as client:
        while not client.goaways:
            responses = [client.get("/healthz", flushed=False) for _ in range(50)]
            client.flush()
            client.wait(*responses)
            assert all(response.status == 200 for response in responses)
            answered += 50
        client.wait_for_end()
    assert answered == 1000
    assert client.goaways[0] == (ANY_STREAM, NO_ERROR)
    assert client.goaways[1] == (2 * answered - 1, NO_ERROR)


@pytest.mark.parametrize("sent", [len(PREFACE), 18, 20])
def test_a_connection_that_asks_nothing_is_closed(server: Server, sent: int) -> None:
    with open_socket(server.base) as client:
        client.sendall(PREFACE[:sent])
        received = b""
        while piece := client.recv(65536):
            received += piece
    # The last of its frames is a GOAWAY.
    assert received[-17:] == h2c.frame(7, bytes(4) + bytes(4))


@pytest.mark.parametrize(("method", "target"), [("POST", "/"), ("GET", "/media/sub/inside.mp4")])
def test_a_connection_that_asks_nothing_more_is_closed(
    server: Server, method: str, target: str
) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(Client(server.base)) for _ in range(50)]
        for client in clients:
            response = client.send(request(target, method), ended=False, flushed=False)
            client.h2.send_data(client.number(response), b"12345", end_stream=True)
            client.flush()
        for client in clients:
            client.wait_for_end()
            assert client.goaways == [(1, NO_ERROR)]


def test_a_set_of_frames_that_make_no_sense_ends_that_connection_alone(server: Server) -> None:
    """Frames of each kind, on streams that are, were and never were, with odd flags and lengths."""
    payloads = [b"", b"\0", bytes(4), bytes(5), bytes(8), b"\xff" * 6, b"\xff" * 8, b"\xff" * 300]
    for kind in range(12):
        for payload in payloads:
            for flags in (0, 0xFF):
                for stream in (0, 1, 2, 99):
                    with Client(server.base) as client:
                        response = client.get("/healthz", flushed=False)
                        odd = h2c.frame(kind, payload, flags, stream)
                        client.socket.sendall(client.h2.data_to_send() + odd)
                        client.socket.shutdown(socket.SHUT_WR)
                        client.wait(response)
    assert h2c.ask(server.base, "/healthz", {}, "GET").status == 200


def test_headers_may_come_in_many_frames(server: Server) -> None:
    with Client(server.base) as client:
        padding = {f"x-{i}": "é" * 1000 for i in range(40)}  # more than two frames of it
        response = client.send(request("/healthz", "GET", padding))
        client.wait(response)
        assert response.status == 200


class TestTooMuch:
    """What is bounded ends the connection, and costs others nothing."""

    @pytest.fixture(autouse=True)
    def others(self, server: Server) -> Iterator[None]:
        yield
        assert h2c.ask(server.base, "/healthz", {}, "GET").status == 200

    def test_headers(self, server: Server) -> None:
        with Client(server.base) as client:
            client.send(request("/healthz", "GET", {f"x-{i}": "x" * 1000 for i in range(70)}))
            client.wait_for_end()
        assert client.goaways[0][1] != NO_ERROR

    def test_continuations(self, server: Server) -> None:
        """CVE-2024-27316."""
        endless = h2c.frame(h2c.CONTINUATION, b"", stream=1)
        with Client(server.base) as client:
            client.socket.sendall(h2c.frame(h2c.HEADERS, b"\x82", stream=1) + endless * 1000)
            client.wait_for_end()
        assert client.goaways[0][1] != NO_ERROR

    def test_a_frame(self, server: Server) -> None:
        """RFC 9113 §4.2: it is refused by its header, and not first taken whole."""
        with Client(server.base) as client:
            head = h2c.frame(h2c.HEADERS, flags=5, stream=1)[3:]
            client.socket.sendall(b"\xff\xff\xff" + head + bytes(20_000))
            client.wait_for_end()
        assert client.goaways[0][1] == FRAME_SIZE_ERROR


def test_a_file_is_served_in_full_by_curl(server: Server, tmp_path: Path) -> None:
    answer = h2c.ask_by_curl(server.base, "/media/file.mp4", {}, "GET")
    assert len(answer.body) == SIZE
    assert answer.body == DATA
