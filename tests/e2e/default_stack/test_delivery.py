"""The edge counts what viewers got: from where, how it ended, and how long it took."""

import json
import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from support.ffmpeg_fixtures import ffmpeg
from support.raw_http import TRUSTING, Answer, ask, connect
from support.server import BLOCK, until
from support.stack import Stack, suspended

pytestmark = pytest.mark.stack

PREFIX = "reelay_edge_"


class EdgeCounts:
    """The changes of the edge's counters."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._before = self._read()

    def _read(self) -> dict[str, float]:
        lines = ask(self._stack.operator, "/edge/metrics").body.decode().splitlines()
        series = [line.removeprefix(PREFIX).rsplit(" ", 1) for line in lines if line[:1] != "#"]
        return {name: float(value) for name, value in series if name}

    def now(self, name: str) -> float:
        return self._read()[name]

    def changes(self) -> dict[str, float]:
        """Return the changes of media responses and their bytes, without those that are 0."""
        now = self._read()
        return {
            name.removeprefix("media_"): value - self._before[name]
            for name, value in now.items()
            if name.startswith("media_") and value != self._before[name]
        }


def responses(source: str, outcome: str) -> str:
    return f'responses_total{{source="{source}",outcome="{outcome}"}}'


def sent(source: str) -> str:
    return f'sent_bytes_total{{source="{source}"}}'


@pytest.fixture(scope="module")
def film(stack: Stack) -> tuple[str, float]:
    """Make a film of three blocks, each of 7 s; return its pinned target and its seconds a byte."""
    source = ("-f", "lavfi", "-i", "testsrc2=size=160x120:rate=2.5:duration=20")
    codec = ("-c:v", "rawvideo", "-pix_fmt", "rgb24")
    file = ffmpeg(stack.media / ".timed.mov", *source, *codec)
    file.chmod(0o644)
    os.utime(file, (time.time() - 3600,) * 2)  # one that may be changing still is not cached
    file.rename(stack.media / "timed.mov")

    def probed() -> dict[str, Any] | None:
        item: dict[str, Any] = json.loads(ask(stack.base, "/api/videos/timed.mov").body)
        return item if item.get("metadata") else None

    item = until(probed, "it is probed")
    return item["media_url"], 8 / item["metadata"]["bit_rate"]


@contextmanager
def slow_response(stack: Stack, target: str) -> Iterator[socket.socket]:
    """Ask for a block over a connection that holds few bytes."""
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plain.settimeout(60)
    plain.connect((stack.address("nginx"), 8443))
    with TRUSTING.wrap_socket(plain) as connection:
        head = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nRange: bytes=0-\r\n"
        connection.sendall(f"{head}Connection: close\r\n\r\n".encode())
        assert connection.recv(9) == b"HTTP/1.1 "
        yield connection


def test_sources_and_outcomes_are_counted(stack: Stack, film: tuple[str, float]) -> None:
    target, _ = film
    counts = EdgeCounts(stack)
    cold = counts.now('cold_block_seconds_count{source="miss"}')

    def get(span: str, target: str = target) -> Answer:
        answer = ask(stack.base, target, {"Range": f"bytes={span}"})
        assert "X-Bit-Rate" not in answer.headers
        return answer

    assert [get("0-").headers["X-Cache"] for _ in range(2)] == ["MISS", "HIT"]
    assert get("-7").headers["X-Cache"] == "BYPASS"
    assert get(f"{BLOCK * 9}-").status == 416
    expected = {
        responses("miss", "complete"): 1,
        responses("hit", "complete"): 1,
        responses("bypass", "complete"): 1,
        responses("bypass", "refused"): 1,
        sent("miss"): BLOCK,
        sent("hit"): BLOCK,
    }
    until(lambda: expected.items() <= counts.changes().items(), f"{expected}")
    assert counts.now('cold_block_seconds_count{source="miss"}') == cold + 1

    with slow_response(stack, target):
        pass
    until(lambda: counts.changes().get(responses("hit", "cut_short")) == 1, "the one that left")


@pytest.mark.slow
def test_the_time_of_a_response_is_compared_with_the_film(
    stack: Stack, film: tuple[str, float]
) -> None:
    target, seconds_per_byte = film
    names = [f'delivery_ratio_bucket{{le="{bound}"}}' for bound in ("1.25", "+Inf")]
    counts = EdgeCounts(stack)
    ratios = [counts.now(name) for name in names]
    assert ask(stack.base, target, {"Range": "bytes=0-"}).status == 206
    with slow_response(stack, target) as connection:
        time.sleep(1.3 * BLOCK * seconds_per_byte)
        while connection.recv(65536):
            pass
    until(lambda: counts.now(names[1]) == ratios[1] + 2, "the times of whole blocks are counted")
    assert counts.now(names[0]) == ratios[0] + 1


def test_a_viewer_who_waits_for_the_block_of_another_one_is_counted(
    stack: Stack, film: tuple[str, float]
) -> None:
    target, _ = film
    counts, writing = EdgeCounts(stack), 'connections{state="writing"}'
    (service,) = stack.containers("service")
    with ThreadPoolExecutor(2) as viewers:
        before = counts.now(writing)
        with suspended(service):
            span = {"Range": f"bytes={BLOCK}-"}
            answers = [viewers.submit(ask, stack.base, target, span) for _ in range(2)]
            until(lambda: counts.now(writing) >= before + 2, "both are being answered")
        assert [answer.result().headers["X-Cache"] for answer in answers] == ["MISS", "MISS"]
    expected = {
        responses("miss", "complete"): 1,
        responses("wait", "complete"): 1,
        sent("miss"): BLOCK,
        sent("wait"): BLOCK,
    }
    until(lambda: counts.changes() == expected, f"{expected}")
    assert counts.now('cold_block_seconds_count{source="wait"}') >= 1


def test_one_short_hit_in_sixteen_is_counted_for_all(stack: Stack, film: tuple[str, float]) -> None:
    """Which ones is random, so that 400 of them are counted as 400 ± 77."""
    target, _ = film
    counts = EdgeCounts(stack)
    warm = ask(stack.base, target, {"Range": "bytes=0-"})
    assert warm.status == 206
    until(counts.changes, "that response is counted")
    counts = EdgeCounts(stack)
    connection = connect(stack.base)
    for _ in range(400):
        connection.request("GET", target, headers={"Range": "bytes=5-14"})
        assert connection.getresponse().read() == warm.body[5:15]
    connection.close()
    until(lambda: counts.changes().get(sent("hit"), 0) >= 640, "at least four of them")
    hits = counts.changes()[responses("hit", "complete")]
    assert hits % 16 == 0
    assert hits < 1000
