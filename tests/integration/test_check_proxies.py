"""The `check` command through real proxies, well and badly set."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.badly_set_proxies import BADLY, problems
from support.real_proxies import real_proxy
from support.server import Server, content, serve, write

from service.check.results import Problem
from service.check.session import Options

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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    media = tmp_path_factory.mktemp("proxies") / "media"
    media.mkdir()
    write(media, "film.mp4", content())
    with serve(media) as running:
        yield running


def check_through(server: Server, name: str, folder: Path, lines: str) -> dict[Problem, str]:
    port = int(server.base.rpartition(":")[2])
    folder.chmod(0o755)
    with real_proxy(name.partition(",")[0], port, folder, lines) as base:
        against = f"{server.base}/media/film.mp4"
        return problems(Options(f"{base}/media/film.mp4", against=against))


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
