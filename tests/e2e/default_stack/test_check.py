"""The `check` command through the edge: TLS, HTTP/2, the cache, and the service behind them."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.curl import curl_container
from support.http_contract import Origin
from support.stack import Stack

from service.check.results import State
from service.check.run import connect, run
from service.check.session import Options
from service.check.ways.http1 import Budget

pytestmark = pytest.mark.stack


# The second time, blocks come from the cache. Both routes share them.
@pytest.mark.parametrize(("route", "times"), [("media", 2), ("download", 1)])
def test_the_stack_passes(stack: Stack, origin: Origin, route: str, times: int) -> None:
    options = Options(
        f"{origin.base}/{route}/file.mp4",
        against=f"{stack.base}/download/file.mp4",
        http_port=stack.ports["HTTP"],
        is_insecure=True,  # its certificate is signed by itself
    )
    for _ in range(times):
        results = list(run(connect(options, (), Budget(64 * 1024**2, 300))))
        unusual = {one.check: one.detail for one in results if one.state != State.OK}
        assert unusual.pop("HTTP/3", "No curl").startswith("No curl")
        assert unusual == {"other origins": "--origin names no site."}


def test_http3_is_tried_by_a_curl_that_has_it(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with curl_container(stack) as curl:
        # The edge's own curl, where the edge has another name and port than here.
        there = f"--connect-to {urlsplit(stack.base).netloc}:nginx:8443"
        script = tmp_path / "curl"
        script.write_text(f'#!/bin/sh\nexec docker exec {curl.name} curl {there} "$@"\n')
        script.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
        options = Options(f"{stack.base}/media/file.mp4", is_insecure=True)
        results = list(run(connect(options, (), Budget(64 * 1024**2, 300))))
    (http3,) = (one for one in results if one.check == "HTTP/3")
    assert (http3.state, http3.detail) == (State.OK, "206")
