"""Proxies in front of the edge, and the header fields that the service gets about viewers."""

import json
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from support.raw_http import Answer, answers_to, ask, open_socket
from support.server import until
from support.stack import ROOT, Stack, container, docker
from support.trusted_proxies import VIEWER, YEAR, client_of, fresh

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def recorder(trusting: Stack) -> Iterator[str]:
    """Replace the service by a recording backend, under the same name."""
    source = (ROOT / "tests/support/recording_backend.py").read_text(encoding="utf-8")
    with container(
        trusting, "--network-alias", "service", "--entrypoint", "python",
        f"{trusting.project}-service", "-c", source, network="backend",
    ) as name:  # fmt: skip
        trusting.compose("stop", "service")
        ready = {"X-Forwarded-Proto": "https"}
        until(lambda: ask(trusting.base, "/", ready).body == b"0123456789" or None, "it answers")
        yield name
    trusting.up()


def recorded_requests(recorder: str, mark: str) -> list[dict[str, Any]]:
    """Return the requests with this mark that the backend received."""

    def marked() -> list[dict[str, Any]] | None:
        requests = [json.loads(line) for line in docker("logs", recorder).splitlines()]
        return [one for one in requests if ["x-mark", mark] in one["fields"]] or None

    requests: list[dict[str, Any]] = until(marked, "the backend has recorded it")
    return requests


class TestBalancer:
    """A real balancer in front: viewer, TLS, balancer, edge."""

    def published(self, balancer: str, port: int) -> str:
        return docker("port", balancer, str(port)).rpartition(":")[2]

    def test_viewers_are_served_through_the_balancer(self, trusting: Stack, balancer: str) -> None:
        base = f"https://localhost:{self.published(balancer, 9443)}"
        target = fresh()
        first: Answer = until(lambda: ask(base, "/media/file.mp4"), "the balancer answers")
        assert first.status == 200
        assert ask(base, "/media/file.mp4", {"Range": "bytes=5-9"}).span() == (5, 9)
        # The balancer appends this machine, which the edge trusts, to the viewer's addresses.
        ask(base, target, {"X-Forwarded-For": f"10.9.9.9, {VIEWER}"})
        assert client_of(trusting, target) == VIEWER
        page = ask(base, "/")
        assert page.headers["Strict-Transport-Security"] == f"max-age={YEAR}"
        assert "Alt-Svc" not in page.headers

    def test_http_is_redirected_once_without_a_loop(self, balancer: str) -> None:
        base = f"http://localhost:{self.published(balancer, 9080)}"
        answer = ask(base, "/watch/a", {"X-Forwarded-Proto": "https"})  # which it replaces
        assert (answer.status, answer.headers["Location"]) == (308, "https://localhost/watch/a")


class TestForwardedRequests:
    @pytest.mark.parametrize("scheme", ["http", "https"])
    @pytest.mark.parametrize(
        "case",
        [
            ("GET", "/page", ""),
            ("POST", "/page", ""),
            ("GET", "/media/{}.mp4", "bytes=0-"),  # a block
            ("GET", "/media/{}.mp4", "bytes=0-4"),  # a part of one
            ("GET", "/media/{}.mp4", "bytes=2-"),  # a block from its middle
            ("GET", "/media/{}.mp4", "bytes=-5"),  # not from the cache
            ("GET", "/download/{}.mp4", "bytes=3-"),
        ],
    )
    def test_the_service_gets_only_trusted_forwarded_fields(
        self, trusting: Stack, recorder: str, scheme: str, case: tuple[str, str, str]
    ) -> None:
        method, target, span = case
        name = secrets.token_hex(8)
        marked = f"{target.format(name)}?{'x' if target == '/page' else ''}"
        sent = {"X-Forwarded-For": f"10.9.9.9, {VIEWER}, 192.0.2.1", "X-Forwarded-Proto": "https",
                "X-Forwarded-Host": "evil.test", "X-Forwarded-Port": "1", "X-Real-IP": "10.9.9.9",
                "Forwarded": "for=10.9.9.9", "X-Mark": name, "Host": "a.example:81"}  # fmt: skip
        # Fields that the internal servers of the edge send to each other
        sent |= {"X-Joined-Response": "whole a", "X-Range-Base": "4096", "X-Fetch-Charge": "0 9 a",
                 "X-Cache-Zone": "peer_cache", "X-Block-Owner": "edge_0"}  # fmt: skip
        if span:
            sent["Range"] = span
        base = trusting.base if scheme == "https" else trusting.unencrypted
        assert ask(base, marked.rstrip("?"), sent, method).status in {200, 206}
        requests = recorded_requests(recorder, name)
        for one in requests:
            fields = [tuple(field) for field in one["fields"]]
            received = dict(fields)
            assert len(received) == len(fields)  # no field is repeated
            assert received["x-forwarded-for"] == VIEWER
            assert received["x-forwarded-proto"] == "https"
            assert received["host"] == "a.example:81"
            assert not received.keys() & {
                "x-forwarded-host",
                "x-forwarded-port",
                "x-real-ip",
                "forwarded",
                "x-joined-response",
                "x-range-base",
                "x-fetch-charge",
                "x-cache-zone",
                "x-block-owner",
            }

    @pytest.mark.parametrize("target", ["/page?x", "/media/{}.mp4", "/download/{}.mp4"])
    def test_a_request_belongs_to_its_callers_trace_or_to_one_of_its_own(
        self, trusting: Stack, recorder: str, target: str
    ) -> None:
        """W3C Trace Context §3.2: an invalid parent is ignored, and a new trace begins."""
        parent = f"-{'a' * 32}-{'b' * 16}-01"
        for given, kept in ((f"00{parent}", True), (f"0{parent}", False), ("", False)):
            name = secrets.token_hex(8)
            sent = {"X-Forwarded-Proto": "https", "X-Mark": name, "Range": "bytes=0-4"}
            answer = ask(
                trusting.base, target.format(name), sent | ({"traceparent": given} if given else {})
            )
            identity = answer.headers["X-Request-ID"]
            own = f"00-{identity}-{identity[:16]}-01"
            for one in recorded_requests(recorder, name):
                received = [value for field, value in one["fields"] if field == "traceparent"]
                assert received == [given if kept else own]

    def test_the_service_gets_no_body(self, trusting: Stack, recorder: str) -> None:
        for target in ("/page", "/media/body.mp4", "/download/body.mp4"):
            mark = secrets.token_hex(8)
            head = (
                f"GET {target} HTTP/1.1\r\nHost: x\r\nX-Mark: {mark}\r\nContent-Length: 5\r\n"
                "Connection: close\r\n\r\n"
            )
            with open_socket(trusting.base) as client:
                assert answers_to(client, f"{head}hello".encode(), 1) == [200]
            requests = recorded_requests(recorder, mark)
            for one in requests:
                names = {name for name, _ in one["fields"]}
                assert not names & {"content-length", "transfer-encoding", "expect"}
                assert one["body"] == ""
