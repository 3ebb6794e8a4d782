"""Slow, stalled, aborted and changed responses, metrics, logs and the drain."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from support.raw_http import ask, connect
from support.raw_http import begin as begin_at
from support.server import BLOCK, Server, content, serve, until, write

LARGE = 48 * BLOCK  # more than the kernel's buffers between two sockets hold
DATA = content(LARGE)


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("exchange") / "media"
    write(folder, "large.mp4", DATA)
    return folder


@pytest.fixture(scope="module")
def server(media: Path) -> Iterator[Server]:
    with serve(media, STALL_TIMEOUT="600") as running:
        yield running


@pytest.fixture(scope="module")
def impatient(media: Path) -> Iterator[Server]:
    """Run a service that disconnects a client after eight seconds without progress."""
    with serve(media, STALL_TIMEOUT="8") as running:
        yield running


def begin(server: Server, target: str = "/media/large.mp4") -> socket.socket:
    """Send a request without reading the response. The socket's buffer is small."""
    return begin_at(server.base, target)


def read_all(client: socket.socket) -> bytes:
    """Read until the server closes the connection or the declared length is read."""
    response = http.client.HTTPResponse(client)
    response.begin()
    return response.read()


def test_a_stalled_client_is_disconnected(impatient: Server) -> None:
    before = impatient.metric('reelay_broken_responses_total{outcome="stalled"}')
    with begin(impatient) as client:
        line = impatient.wait_for_log(outcome="stalled", path="/media/large.mp4")
        assert line["status"] == 200
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            read_all(client)
    assert impatient.metric('reelay_broken_responses_total{outcome="stalled"}') == before + 1


@pytest.mark.slow
def test_a_slow_client_that_keeps_reading_is_not_disconnected(impatient: Server) -> None:
    with begin(impatient) as client:
        started, received = time.monotonic(), bytearray()
        while time.monotonic() - started < 20:  # more than twice the stall timeout
            received += client.recv(128 * 1024, socket.MSG_WAITALL)
            time.sleep(0.25)
        assert len(received) < LARGE / 4  # the rest exceeds the kernel's buffers
        while piece := client.recv(1024 * 1024):
            received += piece
            if received.endswith(DATA[-8:]):
                break
    assert bytes(received).partition(b"\r\n\r\n")[2] == DATA


@pytest.mark.parametrize("target", ["/media/large.mp4", "/api/videos/large.mp4", "/"])
def test_a_target_may_be_in_absolute_form(server: Server, target: str) -> None:
    """RFC 9112 §3.2.2: a server must accept the absolute form."""
    host, port = server.base.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as client:
        head = f"HEAD http://video.example{target} HTTP/1.1\r\nHost: video.example\r\n\r\n"
        client.sendall(head.encode())
        response = http.client.HTTPResponse(client, method="HEAD")
        response.begin()
    assert response.status == 200


def test_an_aborted_response_is_counted_and_its_file_closed(server: Server) -> None:
    before = server.metric('reelay_broken_responses_total{outcome="aborted"}')
    with begin(server) as client:
        client.recv(1000)
    until(
        lambda: server.metric('reelay_broken_responses_total{outcome="aborted"}') > before or None,
        "the abort is counted",
    )

    def closed() -> bool | None:
        folder = Path(f"/proc/{server.process.pid}/fd")
        links = []
        for descriptor in folder.iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                links.append(descriptor.readlink().name)
        return "large.mp4" not in links or None

    until(closed, "the file is closed")
    until(lambda: server.in_progress() == 0 or None, "no response is in progress")


def test_hundreds_of_aborts_leak_no_descriptors(server: Server) -> None:
    def descriptors() -> int:
        return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))

    before = descriptors()
    for _ in range(300):
        with begin(server) as client:
            client.recv(100)
    until(lambda: descriptors() <= before + 3 or None, "descriptors are closed")


@pytest.mark.parametrize("change", ["shrink", "rewrite", "grow"])
def test_a_file_that_changes_under_a_response_closes_the_connection(
    server: Server, media: Path, change: str
) -> None:
    data, other = content(LARGE, 7), content(LARGE, 8)
    file = write(media, f"{change}.mp4", data)
    with begin(server, f"/media/{change}.mp4") as client:
        head = client.recv(64 * 1024)
        with file.open("r+b") as handle:
            if change == "shrink":
                handle.truncate(BLOCK)
            elif change == "rewrite":
                handle.write(other)
            else:
                handle.seek(0, os.SEEK_END)
                handle.write(b"more")
        rest = b""
        while piece := client.recv(1024 * 1024):
            rest += piece
    received = (head + rest).partition(b"\r\n\r\n")[2]
    assert len(received) < LARGE
    assert data.startswith(received)  # a prefix of the old version, without a byte of the new one
    assert server.wait_for_log(path=f"/media/{change}.mp4")["outcome"] == "changed"


def test_a_response_continues_after_its_file_is_replaced_by_rename(
    server: Server, media: Path
) -> None:
    old = content(LARGE, 9)
    file = write(media, "renamed.mp4", old)
    new = write(media, "other", content(LARGE, 10))
    with begin(server, "/media/renamed.mp4") as client:
        head = client.recv(64 * 1024)
        new.rename(file)
        body = bytearray(head.partition(b"\r\n\r\n")[2])
        while len(body) < LARGE:
            body += client.recv(1024 * 1024)
    assert body == old


def test_a_connection_serves_many_requests(server: Server) -> None:
    connection = connect(server.base)
    for start in range(0, 5 * BLOCK, BLOCK):
        connection.request("GET", "/media/large.mp4", headers={"Range": f"bytes={start}-"})
        response = connection.getresponse()
        assert response.read() == DATA[start : start + BLOCK]
    connection.close()


def test_a_websocket_is_refused(server: Server) -> None:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",  # RFC 6455 §1.3
    }
    assert ask(server.base, "/media/large.mp4", upgrade).status == 403
    assert not [line for line in server.lines if "Traceback" in line]


def test_connections_closed_by_clients_are_freed(media: Path) -> None:
    with serve(media) as server:
        folder = Path(f"/proc/{server.process.pid}/fd")
        before = len(list(folder.iterdir()))
        for _ in range(200):
            ask(server.base, "/healthz")
        until(lambda: len(list(folder.iterdir())) < before + 10 or None, "they are closed")


def test_an_unread_request_body_is_not_buffered(server: Server) -> None:
    before = server.resident()
    host, port = server.base.removeprefix("http://").split(":")
    head = b"GET /media/large.mp4 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with contextlib.ExitStack() as clients:
        for _ in range(8):
            client = clients.enter_context(socket.create_connection((host, int(port)), timeout=2))
            with contextlib.suppress(OSError):  # unread, or the connection is closed
                client.sendall(head)
                for _ in range(14):
                    client.sendall(b"100000\r\n" + bytes(0x100000) + b"\r\n")
        assert server.resident() - before < 40 * BLOCK


@pytest.mark.parametrize(
    ("sent", "is_kept"),
    [("abc-123_x.y", True), ("x" * 64, True), ("x" * 65, False), ("a b", False), ("ä", False)],
)
def test_a_valid_request_id_is_kept(server: Server, sent: str, is_kept: bool) -> None:  # noqa: FBT001
    answer = ask(server.base, "/healthz", {"X-Request-ID": sent.encode().decode("latin-1")})
    used = answer.headers["X-Request-ID"]
    assert (used == sent) == is_kept
    assert is_kept or re.fullmatch("[0-9a-f]{32}", used)
    assert server.wait_for_log(request_id=used)["route"] == "healthz"


def test_a_log_line_does_not_grow_with_the_request(server: Server) -> None:
    answer = ask(server.base, "/media/" + "x" * 9000, {"Range": "bytes=" + "0-0," * 1500})
    line = server.wait_for_log(request_id=answer.headers["X-Request-ID"])
    assert len(json.dumps(line)) < 1500


def test_unknown_methods_and_paths_create_no_new_series(server: Server) -> None:
    for i in range(5):
        ask(server.base, f"/nowhere/{i}", method=f"MADEUP{i}")
        ask(server.base, f"/media/{i}.mp4")
    text = ask(server.base, "/metrics").body.decode()
    assert "MADEUP" not in text
    assert "nowhere" not in text
    assert ".mp4" not in text
    assert 'reelay_requests_total{method="other",route="unmatched",status="501"} 5.0' in text


def test_metrics_count_the_responses(media: Path) -> None:
    with serve(media) as server:
        for headers in ({"Range": "bytes=0-"}, {"Range": "bytes=0-9,20-29"}, {"Range": "bytes=-0"}):
            ask(server.base, "/media/large.mp4", headers)
        series = server.metric
        assert series('reelay_requests_total{method="GET",route="media",status="206"}') == 2
        assert series('reelay_requests_total{method="GET",route="media",status="416"}') == 1
        assert series('reelay_ranges_total{kind="single"}') == 1
        assert series('reelay_ranges_total{kind="multiple"}') == 1
        assert series('reelay_ranges_total{kind="unsatisfiable"}') == 1
        assert series("reelay_capped_responses_total") == 1
        assert series('reelay_sent_bytes_total{route="media"}') > BLOCK
        assert series('reelay_time_to_first_byte_seconds_count{route="media"}') == 3
        assert series("reelay_build_info") == 1


def test_open_metrics_have_the_ids_of_requests_as_exemplars_but_none_of_a_report(
    server: Server,
) -> None:
    ask(server.base, "/media/missing.mp4", {"X-Request-ID": "of-a-film"})
    report = ask(server.base, "/viewing-reports", {"X-Request-ID": "of-a-report"}, "POST", b"{}")
    assert report.status == 204
    # As Prometheus 3 asks.
    accept = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.4"

    def exemplars() -> dict[str, set[str]]:
        answer = ask(server.base, "/metrics", {"Accept": accept})
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
        found: dict[str, set[str]] = {}
        families = text_string_to_metric_families(answer.body.decode())  # type: ignore[no-untyped-call]
        for family in families:
            for sample in family.samples:
                if sample.exemplar:
                    route = sample.labels.get("route", "")
                    found.setdefault(route, set()).add(sample.exemplar.labels["request_id"])
        return found

    # A request is counted after its response.
    until(lambda: "of-a-film" in exemplars().get("media", ()), "the request is an exemplar")
    counted = '_count{route="viewing_reports"}'
    until(lambda: counted in ask(server.base, "/metrics").body.decode() or None, "so is the report")
    text = ask(server.base, "/metrics", {"Accept": "text/plain;version=0.0.4,*/*"})
    assert text.headers["Content-Type"].startswith("text/plain")
    assert b"request_id" not in text.body
    assert "viewing_reports" not in exemplars()


class TestStop:
    def test_shutdown_finishes_responses_and_accepts_no_connections(self, media: Path) -> None:
        with serve(media, DRAIN_DELAY="10", STALL_TIMEOUT="600") as server:
            with begin(server) as client:
                client.recv(1000)
                server.process.send_signal(signal.SIGTERM)
                server.wait_for_log("stopping")
                # Requests are still answered until load balancers notice.
                assert ask(server.base, "/readyz").status == 503
                assert ask(server.base, "/healthz").status == 200
                assert ask(server.base, "/media/large.mp4", {"Range": "bytes=0-9"}).status == 206

                def refused() -> bool | None:
                    try:
                        socket.create_connection(client.getpeername(), 60).close()
                    except ConnectionRefusedError:
                        return True
                    return None

                until(refused, "connections are refused")
                received = 0
                while piece := client.recv(1024 * 1024):
                    received += len(piece)
                assert received + 1000 > LARGE
            assert server.ended() == 0
            assert not server.logged("cut what had not ended")

    def test_a_log_that_cannot_be_written_fails_nothing(self, media: Path) -> None:
        reading, writing = os.pipe()
        try:
            with serve(media, log=writing, STALL_TIMEOUT="600", DRAIN_TIMEOUT="600") as server:
                os.close(reading)  # as if the disk of the log were full
                with begin(server) as client:
                    received = bytearray(client.recv(1000))
                    assert ask(server.base, "/watch/large.mp4").status == 200
                    server.process.send_signal(signal.SIGTERM)
                    while piece := client.recv(1024 * 1024):
                        received += piece
                    assert received.endswith(DATA[-1000:])
                assert server.ended() == 0
        finally:
            os.close(writing)

    def test_shutdown_ends_within_the_drain_timeout(self, media: Path) -> None:
        with serve(media, DRAIN_TIMEOUT="2", STALL_TIMEOUT="600") as server:
            with begin(server) as client:
                client.recv(1000)
                server.process.send_signal(signal.SIGTERM)
                assert server.ended() == 0
                assert server.logged("cut what had not ended")

    def test_a_stalled_client_does_not_interrupt_others_during_shutdown(self, media: Path) -> None:
        with serve(media, DRAIN_TIMEOUT="600", STALL_TIMEOUT="8") as server:
            with begin(server), begin(server) as viewer:
                received = bytearray(viewer.recv(1000))
                server.process.send_signal(signal.SIGTERM)
                server.wait_for_log("stopping")
                started = time.monotonic()
                while not server.logged(outcome="stalled"):  # the stalled client is cut meanwhile
                    # At this rate on any machine: slower readers stall, too, as much is in the
                    # kernel's buffer.
                    while len(received) < min(LARGE, 3 * BLOCK * (time.monotonic() - started)):
                        received += viewer.recv(64 * 1024)
                    time.sleep(0.02)
                while piece := viewer.recv(1024 * 1024):
                    received += piece
            assert bytes(received).partition(b"\r\n\r\n")[2] == DATA
            assert server.ended() == 0

    def test_idle_connections_do_not_delay_shutdown(self, media: Path) -> None:
        with serve(media, DRAIN_TIMEOUT="600") as server:
            connection = connect(server.base)
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            server.process.send_signal(signal.SIGTERM)
            assert server.ended() == 0
            connection.close()

    def test_a_second_signal_ends_the_process_at_once(self, media: Path) -> None:
        with serve(media, DRAIN_TIMEOUT="600", STALL_TIMEOUT="600") as server:
            with begin(server) as client:
                client.recv(1000)
                server.process.send_signal(signal.SIGTERM)
                server.wait_for_log("stopping")
                server.process.send_signal(signal.SIGTERM)
                assert server.ended() == 128 + signal.SIGTERM
