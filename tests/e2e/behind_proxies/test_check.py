"""The `check` command through four proxies and the stack."""

from pathlib import Path

import pytest
from support.real_proxies import real_proxy
from support.stack import Stack

from service.check.results import State
from service.check.run import connect, run
from service.check.session import Options
from service.check.ways.http1 import Budget

pytestmark = [pytest.mark.stack, pytest.mark.slow]

# The edge leads viewers to https unless a proxy that it trusts says that they came by it.
PROXIES = {
    "HAProxy": "http-request set-header X-Forwarded-Proto https",
    "Varnish": 'sub vcl_recv { set req.http.X-Forwarded-Proto = "https"; return (pipe); }',
    "Apache": "RequestHeader set X-Forwarded-Proto https",
    "Caddy": "reverse_proxy UPSTREAM {\nheader_up X-Forwarded-Proto https\n}",
}


# A proxy knows no routes, so each is asked on one of them.
@pytest.mark.parametrize(
    ("name", "route"), list(zip(PROXIES, ["media", "download"] * 2, strict=True)), ids=PROXIES
)
def test_the_stack_passes_through_a_proxy(
    trusting: Stack, tmp_path: Path, name: str, route: str
) -> None:
    tmp_path.chmod(0o755)
    port = int(trusting.ports["HTTP"])
    with real_proxy(name, port, tmp_path, PROXIES[name]) as base:
        options = Options(f"{base}/{route}/file.mp4", is_insecure=True,
                          against=f"{trusting.base}/download/file.mp4")  # fmt: skip
        found = list(run(connect(options, (), Budget(64 * 1024**2, 300))))
    assert [one for one in found if one.state in {State.FAILED, State.NOTE}] == []
