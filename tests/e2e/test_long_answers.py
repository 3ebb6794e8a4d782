"""The edge's cost of an answer depends on neither its length nor the speed of its client."""

import contextlib
import hashlib
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import TypeVar

import pytest
from support.curl import VERSIONS, Curl, curl_container
from support.raw_http import ask, connect
from support.server import content, write
from support.service_counters import Fetched
from support.stack import Stack, restart_edge, running

pytestmark = [pytest.mark.slow, pytest.mark.stack]

Result = TypeVar("Result")

BLOCK = 64 * 1024  # the smallest allowed: an answer has the most parts
RUN = 48 * BLOCK  # requested at a time by the second joiner
LONG_RUN = 48 * RUN  # and by the third: nginx/docker-entrypoint.d/10-settings.envsh
SIZE = LONG_RUN + 2 * RUN + 3 * BLOCK + 4321


@cache
def film_bytes() -> bytes:
    return content(SIZE, 5)


MIB = 2**20
MAX_MEMORY = 64 * MIB  # bytes, for all answers together
MAX_DESCRIPTORS = 16  # for one answer
SLOW_CLIENTS = 50
# A busy edge has more open at a time, also for health checks: the least of some attempts counts.
ATTEMPTS = 3


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    media = tmp_path_factory.mktemp("long-answers") / "media"
    write(media, "runs.mp4", film_bytes())
    for attempt in range(ATTEMPTS):
        sparse(media, f"long-{attempt}.mp4", 3200 * BLOCK)
    for version in VERSIONS:
        sparse(media, f"slow-{version}.mp4", 10 * 2**30)
    with running(media, MAX_PARTIAL_SIZE=str(BLOCK)) as stack:
        yield stack


@pytest.fixture(scope="module")
def curl(stack: Stack) -> Iterator[Curl]:
    with curl_container(stack) as client:
        yield client


def sparse(folder: Path, name: str, size: int) -> None:
    """Write a sparse file of zeros."""
    file = write(folder, name, b"")
    subprocess.run(["truncate", f"--size={size}", file], check=True)
    subprocess.run(["touch", "--date=1 hour ago", file], check=True)


def usage(stack: Stack) -> tuple[int, int]:
    """Return the private memory in bytes and the open descriptors of nginx's processes."""
    script = """
        for process in /proc/[0-9]*; do
            [ "$(cat $process/comm 2>/dev/null)" = nginx ] || continue
            awk '/^RssAnon/ { print $2 }' $process/status
            ls $process/fd | wc -l
        done"""
    numbers = [int(word) for word in stack.run("nginx", "sh", "-c", script).split()]
    return sum(numbers[::2]) * 1024, sum(numbers[1::2])


def growth(stack: Stack, work: Callable[[], Result]) -> tuple[Result, int, int]:
    """Return the result of `work`, and the largest increase of usage while it runs."""
    before = usage(stack)
    samples = [before]
    with ThreadPoolExecutor(1) as threads:
        future = threads.submit(work)
        while not future.done():
            samples.append(usage(stack))
    memory, descriptors = (max(column) for column in zip(*samples, strict=True))
    return future.result(), memory - before[0], descriptors - before[1]


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (0, SIZE - 1),
        (0, RUN - 1),
        (1, RUN),
        (RUN - 1, RUN),
        (BLOCK - 1, 2 * RUN),
        (RUN, 2 * RUN - 1),
        (LONG_RUN - 1, LONG_RUN),
        (LONG_RUN - RUN - 5, LONG_RUN + RUN + 5),
        (7, SIZE - 1),
        (SIZE - 1, SIZE + 5),
    ],
)
def test_a_range_of_many_runs_is_exact(stack: Stack, first: int, last: int) -> None:
    answer = ask(stack.base, "/download/runs.mp4", {"Range": f"bytes={first}-{last}"})
    end = min(last, SIZE - 1)
    assert (answer.status, answer.span()) == (206, (first, end))
    assert answer.body == film_bytes()[first : end + 1]


def test_a_resumed_download_fetches_no_earlier_block(stack: Stack) -> None:
    """The download starts in the second-last block of a long run."""
    data = content(LONG_RUN + 2 * BLOCK, 8)
    write(stack.media, "resumed.mp4", data)
    fetched = Fetched(stack)
    first = LONG_RUN - 2 * BLOCK + 5
    answer = ask(stack.base, "/download/resumed.mp4", {"Range": f"bytes={first}-"})
    assert (answer.status, answer.span()) == (206, (first, len(data) - 1))
    assert answer.body == data[first:]
    assert fetched.media_requests == 4


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("route", ["media", "download"])
def test_a_whole_file_of_many_runs_is_exact(curl: Curl, route: str, version: str) -> None:
    answer = curl.get(version, f"/{route}/runs.mp4", {})
    assert (answer.status, answer.headers["content-length"]) == (200, str(SIZE))
    assert answer.body == film_bytes()


@pytest.mark.parametrize("temperature", ["cold", "warm"])
def test_a_long_answer_takes_no_more_memory_than_a_short_one(
    stack: Stack, temperature: str
) -> None:
    for attempt in range(ATTEMPTS):
        url = f"/download/long-{attempt}.mp4"
        if temperature == "warm":
            ask(stack.base, url)
        answer, memory, descriptors = growth(stack, partial(ask, stack.base, url))
        assert answer.body == bytes(3200 * BLOCK)
        assert answer.headers["X-Cache"] == {"cold": "MISS", "warm": "HIT"}[temperature]
        if memory <= MAX_MEMORY / 4 and descriptors <= MAX_DESCRIPTORS:
            break
    assert memory <= MAX_MEMORY / 4  # one request a block would take more than this
    assert descriptors <= MAX_DESCRIPTORS


# The last one finds cached blocks.
@pytest.mark.parametrize(
    ("route", "version"), [*(("download", version) for version in VERSIONS), ("media", "3")]
)
def test_slow_clients_of_long_answers_use_little_memory(
    stack: Stack, curl: Curl, route: str, version: str
) -> None:
    command = (
        f"curl --silent --insecure {VERSIONS[version]} --limit-rate 64k --max-time 10"
        f" --output /dev/null --write-out '%{{http_code}} %{{size_download}}\\n'"
        f" {curl.base}/{route}/slow-{version}.mp4"
    )
    crowd = f"for client in $(seq {SLOW_CLIENTS}); do {command} & done; wait"
    for attempt in range(ATTEMPTS):
        if attempt:
            restart_edge(stack)
        lines, memory, descriptors = growth(stack, partial(curl.shell, crowd))
        answers = [line.split() for line in lines.splitlines()]
        assert len(answers) == SLOW_CLIENTS
        assert all(status == "200" and int(length) for status, length in answers)
        if memory <= MAX_MEMORY and descriptors <= SLOW_CLIENTS * MAX_DESCRIPTORS:
            break
    assert memory <= MAX_MEMORY
    assert descriptors <= SLOW_CLIENTS * MAX_DESCRIPTORS


@pytest.mark.parametrize("run", [0, 1, 2])
@pytest.mark.parametrize("version", ["1.1", "2"])
def test_an_answer_ends_where_a_run_is_truncated(
    stack: Stack, version: str, run: int, tmp_path: Path
) -> None:
    """Some blocks of a replaced file are cached and others are not.

    Blocks after a gap must not follow those before it.
    """
    name, blocks = f"replaced-{version}-{run}.mp4", 4 * 48
    gap = range(48 * run + 10, 48 * (run + 1))
    old = content(blocks * BLOCK, 6)
    write(stack.media, name, old)
    revision = ask(stack.base, f"/media/{name}", {"Range": "bytes=0-0"}).headers["ETag"].strip('"')
    url = f"/download/{name}?v={revision}"
    with contextlib.closing(connect(stack.base)) as client:
        for block in range(blocks):
            if block not in gap:
                span = f"bytes={block * BLOCK}-{(block + 1) * BLOCK - 1}"
                client.request("GET", url, headers={"Range": span})
                assert client.getresponse().read() == old[block * BLOCK :][:BLOCK]
    write(stack.media, name, content(blocks * BLOCK, 7), age=1800)
    output = tmp_path / "output"
    done = subprocess.run(
        ["curl", "--silent", "--insecure", VERSIONS[version], "--max-time", "300",
         "--output", output, stack.base + url], check=False,
    )  # fmt: skip
    assert done.returncode in {18, 92}  # curl(1): a partial file; a stream error in HTTP/2
    received = output.read_bytes()
    assert received == old[: len(received)]
    assert len(received) <= gap.start * BLOCK


KILL_A_WORKER = """
    for process in /proc/[0-9]*; do
        [ "$(cat $process/comm 2>/dev/null)" = nginx ] || continue
        [ ${process#/proc/} = $(cat /run/nginx/nginx.pid) ] && continue
        kill -KILL ${process#/proc/} && exit
    done"""


def test_a_killed_worker_leaves_no_gap_in_an_answer(stack: Stack, curl: Curl) -> None:
    """Answers that involved the killed worker end early; none continues after a gap."""
    ask(stack.base, "/download/runs.mp4")
    script = f"""
        for client in $(seq 40); do
            curl --silent --insecure --limit-rate 1M --max-time 12 --output worker-$client \\
                {curl.base}/download/runs.mp4 &
        done; wait; cat worker-* | wc -c; for file in worker-*; do
            size=$(stat -c %s $file); echo $size $(sha256sum <$file | cut -c1-64)
        done; rm worker-*"""
    with ThreadPoolExecutor(1) as threads:
        crowd = threads.submit(curl.shell, script)
        time.sleep(5)  # the second run is being sent
        stack.run("nginx", "sh", "-c", KILL_A_WORKER)
        total, *lines = crowd.result().splitlines()
    assert int(total)
    for size, digest in (line.split() for line in lines):
        assert digest == hashlib.sha256(film_bytes()[: int(size)]).hexdigest()
