"""REELAY_HOSTS: other hosts are refused; without it any host is accepted."""

import json
from collections.abc import Iterator

import pytest
from support.raw_http import ask
from support.server import BLOCK, Server, content, serve, write

TARGETS = ("/", "/api/videos", "/media/film.mp4", "/download/film.mp4", "/static/style.css",
           "/metrics", "/_revision?path=/media/film.mp4", "/nothing")  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    media = tmp_path_factory.mktemp("hosts") / "media"
    write(media, "film.mp4", content(BLOCK))
    with serve(media, HOSTS="video.example.org, Video.LAN") as running:
        yield running


@pytest.mark.parametrize("target", TARGETS)
def test_a_foreign_host_is_misdirected(server: Server, target: str) -> None:
    """RFC 9110 §15.5.20."""
    port = server.base.rpartition(":")[2]
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example"):
        answer = ask(server.base, target, {"Host": host})
        assert answer.status == 421
        assert answer.headers["Cache-Control"] == "no-store"
        # Problem details (RFC 9457) that do not reveal the configuration.
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert json.loads(answer.body) == {
            "title": "Misdirected Request",
            "status": 421,
            "detail": "This server does not answer for this host name.",
        }
    status = {"/nothing": 404, "/_revision?path=/media/film.mp4": 204}.get(target, 200)
    for host in ("video.example.org", f"video.lan:{port}", f"127.0.0.1:{port}", "localhost"):
        assert ask(server.base, target, {"Host": host}).status == status


def test_probes_are_answered_for_any_host(server: Server) -> None:
    for target in ("/healthz", "/readyz"):
        assert ask(server.base, target, {"Host": "10.1.2.3:8000"}).status == 200
        assert ask(server.base, target, {"Host": "probe.internal.example"}).status == 200


def test_a_trusted_proxys_forwarded_host_counts(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """A proxy may send another Host than its client did."""
    media = tmp_path_factory.mktemp("proxied") / "media"
    media.mkdir()
    inner = "reelay.internal.example:8000"
    with serve(media, HOSTS="video.example.org", TRUSTED_PROXIES="127.0.0.1") as running:
        for host, forwarded, status in (
            (inner, "video.example.org", 200),
            (inner, "evil.example, video.example.org", 200),  # the proxy adds the last value
            (inner, "evil.example", 421),
            ("service:8000", "evil.example", 421),
            (inner, "", 421),
        ):
            headers = {"Host": host} | ({"X-Forwarded-Host": forwarded} if forwarded else {})
            assert ask(running.base, "/", headers).status == status
    with serve(media, HOSTS="video.example.org") as running:  # trusts no proxy
        headers = {"Host": "evil.example", "X-Forwarded-Host": "video.example.org"}
        assert ask(running.base, "/", headers).status == 421


def test_without_configured_hosts_any_host_is_answered(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    media = tmp_path_factory.mktemp("any") / "media"
    media.mkdir()
    with serve(media) as running:
        assert ask(running.base, "/", {"Host": "evil.example"}).status == 200
