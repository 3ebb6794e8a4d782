"""What a viewer costs in memory, as docs/scaling.md states it."""

from contextlib import ExitStack

import pytest
from support.container_memory import private_memory
from support.http_contract import Origin
from support.raw_http import ask, connect
from support.server import BLOCK, content, write
from support.stack import Stack

pytestmark = [pytest.mark.slow, pytest.mark.stack]

VIEWERS = 300
MAX_AT_SERVICE = 64 * 1024  # nothing at all: the edge asks it once for each block


@pytest.mark.parametrize(
    ("first", "most"),
    [(0, 320 * 1024), (7, 448 * 1024)],
    ids=["whole blocks", "parts of blocks"],
)
def test_a_viewer_who_waits_within_a_block_costs_little_memory(
    origin: Origin, stack: Stack, first: int, most: int
) -> None:
    write(stack.media, "watched.mp4", content(3 * BLOCK, 5))
    headers = {"Range": f"bytes={first}-"}
    for _ in range(2):
        assert ask(origin.base, "/media/watched.mp4", headers).status == 206
    before = {name: private_memory(stack, name) for name in ("nginx", "service")}
    with ExitStack() as clients:
        for _ in range(VIEWERS):
            viewer = connect(f"https://{stack.address('nginx')}:8443")
            clients.callback(viewer.close)
            viewer.request("GET", "/media/watched.mp4", headers=headers)
            answer = viewer.getresponse()
            assert (answer.status, answer.headers["X-Cache"]) == (206, "HIT")
            assert len(answer.read(64 * 1024)) == 64 * 1024  # and then plays that
        grown = {name: private_memory(stack, name) - before[name] for name in before}
    assert grown["nginx"] / VIEWERS < most
    assert grown["service"] / VIEWERS < MAX_AT_SERVICE
