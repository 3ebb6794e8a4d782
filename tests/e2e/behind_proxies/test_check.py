"""The `check` command through four proxies and the stack, well and badly set."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.badly_set_proxies import BADLY, problems
from support.real_proxies import real_proxy
from support.stack import Stack

from service.check.results import Problem, State
from service.check.run import connect, run
from service.check.session import Options
from service.check.ways.http1 import Budget

pytestmark = [pytest.mark.stack, pytest.mark.slow]

PROXIES = {
    "HAProxy": "",
    "Varnish": "sub vcl_recv { return (pipe); }",
    "Apache": "",
    "Caddy": "reverse_proxy UPSTREAM",
}


def as_https(name: str, lines: str) -> str:
    """Add what tells the edge that viewers came by https: else it redirects them there."""
    match name:
        case "HAProxy":
            return f"http-request set-header X-Forwarded-Proto https\n    {lines}"
        case "Varnish":  # it joins subroutines of one name
            return f'sub vcl_recv {{ set req.http.X-Forwarded-Proto = "https"; }}\n{lines}'
        case "Apache":
            return f"RequestHeader set X-Forwarded-Proto https\n{lines}"
    before, directive, block = lines.partition("reverse_proxy UPSTREAM")
    block = block.strip().removeprefix("{").removesuffix("}")
    return f"{before}{directive} {{\nheader_up X-Forwarded-Proto https\n{block}\n}}"


@contextmanager
def film_behind(
    stack: Stack, name: str, lines: str, folder: Path, route: str = "media"
) -> Iterator[Options]:
    """Run a proxy in front of the stack; yield how to check a film through it."""
    folder.chmod(0o755)
    port = int(stack.ports["HTTP"])
    with real_proxy(name, port, folder, as_https(name, lines)) as base:
        yield Options(f"{base}/{route}/file.mp4", is_insecure=True,
                      against=f"{stack.base}/download/file.mp4")  # fmt: skip


# A proxy knows no routes, so each is asked on one of them.
@pytest.mark.parametrize(
    ("name", "route"), list(zip(PROXIES, ["media", "download"] * 2, strict=True)), ids=PROXIES
)
def test_the_stack_passes_through_a_proxy(
    trusting: Stack, tmp_path: Path, name: str, route: str
) -> None:
    with film_behind(trusting, name, PROXIES[name], tmp_path, route) as options:
        found = list(run(connect(options, (), Budget(64 * 1024**2, 300))))
    assert [one for one in found if one.state in {State.FAILED, State.NOTE}] == []


@pytest.mark.parametrize(("name", "lines", "named"), BADLY)
def test_what_is_set_badly_in_front_of_the_stack_is_named(
    trusting: Stack, tmp_path: Path, name: str, lines: str, named: set[Problem]
) -> None:
    with film_behind(trusting, name, lines, tmp_path) as options:
        found = problems(options)
    assert found.keys() == named, found
