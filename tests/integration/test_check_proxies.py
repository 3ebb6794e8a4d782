"""The `check` command through real proxies, well and badly set."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.real_proxies import real_proxy
from support.server import Server, content, serve, write

from service.check.results import FailedError, Problem, State
from service.check.run import connect, run
from service.check.session import Options
from service.check.ways.http1 import Budget

pytestmark = pytest.mark.slow

# Varnish stores what may be stored, and passes on the rest as it came.
_UNSTORED = 'sub vcl_recv { if (req.url !~ "[?&]v=") { return (pipe); } }'

WELL: dict[str, str] = {
    "HAProxy": "",
    "Varnish": _UNSTORED,
    "Varnish, as it is": "",
    "Apache": "",
    "Caddy": "reverse_proxy UPSTREAM",
    # As `advice.toml` says about compression
    "HAProxy, text compressed": "compression algo gzip\n    compression type text/html",
    "Varnish, text compressed": (
        "sub vcl_backend_response {"
        ' if (beresp.http.Content-Type ~ "^text/") { set beresp.do_gzip = true; } }'
    ),
    "Apache, films excepted": "SetOutputFilter DEFLATE\nSetEnv no-gzip 1",
    "Caddy, text compressed": "encode gzip\nreverse_proxy UPSTREAM",
}

# What is found for ranges in Varnish's tutorials, without `hash_data(req.http.X-Range)`.
_BY_URL_ALONE = """
sub vcl_recv { set req.http.X-Range = req.http.Range; unset req.http.Range; return (hash); }
sub vcl_backend_fetch { if (bereq.http.X-Range) { set bereq.http.Range = bereq.http.X-Range; } }
sub vcl_backend_response {
    if (beresp.status == 206) {
        set beresp.http.X-Content-Range = beresp.http.Content-Range;
        unset beresp.http.Content-Range;
        set beresp.status = 200;
    }
    set beresp.ttl = 1h;
    return (deliver);
}
sub vcl_deliver {
    if (resp.http.X-Content-Range) {
        set resp.http.Content-Range = resp.http.X-Content-Range;
        set resp.status = 206;
    }
}
"""

BADLY: list[tuple[str, str, set[Problem]]] = [
    ("HAProxy", "http-request del-header Range", {Problem.RANGE_DROPPED}),
    ("HAProxy", "http-request del-header If-Range", {Problem.IF_RANGE_IGNORED}),
    ("HAProxy", "http-response del-header ETag", {Problem.ETAG_MISSING}),
    ("HAProxy", "http-response set-status 200 if { status 206 }", {Problem.STATUS_REWRITTEN}),
    ("HAProxy", "http-request deny deny_status 405 if METH_HEAD", {Problem.HEAD_HIDDEN}),
    (
        "HAProxy",
        "http-response set-header Cache-Control max-age=86400",
        {Problem.CACHE_CONTROL_REWRITTEN},
    ),
    ("HAProxy", "compression algo gzip\n    compression type video/mp4", {Problem.COMPRESSED}),
    (
        "Varnish",
        "sub vcl_backend_response { set beresp.do_gzip = true; }",
        {Problem.LENGTH_MISSING},
    ),
    (
        "Varnish",
        'sub vcl_recv { set req.url = regsub(req.url, "[?].*", ""); }',
        {Problem.QUERY_DROPPED, Problem.CACHE_CONTROL_REWRITTEN},
    ),
    # Varnish 7.1 fails then to judge several ranges.
    ("Varnish", "sub vcl_recv { return (pass); }", {Problem.RANGE_REFUSED}),
    ("Varnish", _BY_URL_ALONE, {Problem.PARTIAL_CACHED}),
    ("Apache", "RequestHeader unset If-Range", {Problem.IF_RANGE_IGNORED}),
    ("Apache", "SetOutputFilter DEFLATE", {Problem.COMPRESSED}),
    ("Apache", 'Header edit ETag "^" "W/"', {Problem.ETAG_WEAK}),
    ("Caddy", "reverse_proxy UPSTREAM {\nheader_up -Range\n}", {Problem.RANGE_DROPPED}),
    (
        "Caddy",
        "encode {\ngzip\nmatch {\nheader Content-Type video/*\n}\n}\nreverse_proxy UPSTREAM",
        {Problem.COMPRESSED},
    ),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    media = tmp_path_factory.mktemp("proxies") / "media"
    media.mkdir()
    write(media, "film.mp4", content())
    with serve(media) as running:
        yield running


def problems(url: str, against: str) -> dict[Problem, str]:
    try:
        session = connect(Options(url, against=against), (), Budget(64 * 1024**2, 300))
    except FailedError as error:
        return {error.problem: str(error)}
    found = run(session)
    return {one.problem: one.detail for one in found if one.state == State.FAILED and one.problem}


def check_through(server: Server, name: str, folder: Path, lines: str) -> dict[Problem, str]:
    port = int(server.base.rpartition(":")[2])
    folder.chmod(0o755)
    with real_proxy(name.partition(",")[0], port, folder, lines) as base:
        return problems(f"{base}/media/film.mp4", f"{server.base}/media/film.mp4")


@pytest.mark.parametrize("name", WELL)
def test_the_service_passes_through_a_proxy_that_is_set_well(
    server: Server, tmp_path: Path, name: str
) -> None:
    assert check_through(server, name, tmp_path, WELL[name]) == {}


@pytest.mark.parametrize(("name", "lines", "named"), BADLY)
def test_what_is_set_badly_is_named(
    server: Server, tmp_path: Path, name: str, lines: str, named: set[Problem]
) -> None:
    found = check_through(server, name, tmp_path, lines)
    assert found.keys() == named, found
