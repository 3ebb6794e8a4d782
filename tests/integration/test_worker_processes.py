"""The processes that open files: how they end, and what they may take."""

import asyncio
import errno
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop
from support.ffmpeg_fixtures import mp4
from support.own_prober import OwnProber
from support.probes import metadata_of, problem_of
from support.processes import is_running

from service.models import Metadata
from service.probing.metadata import read_metadata
from service.probing.prober import ProbeFailure, Prober
from service.storage.local.files import revision
from service.workers import pool
from service.workers.pool import Executor, WorkerPool
from service.workers.worker import MAX_ANSWER_BYTES, MAX_BLOB_BYTES

WORKER = (sys.executable, "-m", "service.worker")


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait longer for killed processes, which have idle priority, and keep idle ones."""
    monkeypatch.setattr(pool, "REAP_TIMEOUT", 300)
    monkeypatch.setattr(pool, "IDLE_SECONDS", 600.0)


@pytest.fixture
async def prober() -> AsyncIterator[OwnProber]:
    """Start a prober whose processes the test may end."""
    prober = OwnProber()
    yield prober
    pids = prober.pids
    await prober.close()
    assert not any(map(exists, pids))


def exists(pid: int) -> bool:
    """Return whether a process exists, including zombies."""
    return Path(f"/proc/{pid}").exists()


async def until(condition: Callable[[], Any], seconds: float = 300.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - processes set no asyncio.Event
            await asyncio.sleep(0.01)


async def hang(prober: OwnProber) -> int:
    """Stop the only worker, as if a disk did not respond; return its process identifier."""
    await until(lambda: prober.pids)
    (pid,) = prober.pids
    os.kill(pid, signal.SIGSTOP)
    return pid


@pytest.mark.parametrize(
    ("cause", "result"),
    [
        (signal.SIGSEGV, ("crashed", "lasting")),
        (signal.SIGKILL, ("crashed", "passing")),  # as the kernel does when memory runs out
        (signal.SIGPROF, ("timeout", "lasting")),  # processor time; a hanging disk uses none
    ],
)
async def test_a_killed_worker_fails_only_its_own_file(
    prober: OwnProber, tmp_path: Path, cause: signal.Signals, result: tuple[str, str]
) -> None:
    await metadata_of(prober, mp4(tmp_path / "a.mp4"))
    pid = await hang(prober)
    probing = asyncio.create_task(prober.probe(mp4(tmp_path / "b.mp4")))
    await asyncio.sleep(0.1)
    os.kill(pid, cause)
    os.kill(pid, signal.SIGCONT)
    answer = await probing
    assert isinstance(answer, ProbeFailure)
    assert (answer.outcome, "lasting" if answer.lasting else "passing") == result
    await metadata_of(prober, tmp_path / "a.mp4")
    await until(lambda: not exists(pid))


async def test_a_worker_killed_between_files_fails_none(prober: OwnProber, tmp_path: Path) -> None:
    path = mp4(tmp_path / "a.mp4")
    await metadata_of(prober, path)
    (pid,) = prober.pids
    os.kill(pid, signal.SIGKILL)
    await until(lambda: not exists(pid))
    await metadata_of(prober, path)
    assert pid not in prober.pids


async def until_read(prober: OwnProber, path: Path) -> None:
    """Probe until it succeeds: on a busy machine a process takes longer to start."""
    async with asyncio.timeout(300):
        while not isinstance(await prober.probe(path), Metadata):
            pass


async def test_a_probe_that_takes_too_long_times_out(tmp_path: Path) -> None:
    path = mp4(tmp_path / "a.mp4")
    prober = OwnProber(timeout=5)
    try:
        await until_read(prober, path)
        pid = await hang(prober)
        begun = time.monotonic()
        result = await problem_of(prober, path)
        assert time.monotonic() - begun > 4
        assert (result.outcome, result.lasting) == ("timeout", False)
        await until_read(prober, path)
        await until(lambda: not exists(pid))
    finally:
        await prober.close()


async def test_a_cancelled_probe_leaves_no_answer_for_the_next(
    prober: OwnProber, tmp_path: Path
) -> None:
    path = mp4(tmp_path / "a.mp4")
    await metadata_of(prober, path)
    pid = await hang(prober)
    other = mp4(tmp_path / "b.mp4", "-metadata", "title=Other")
    probing = asyncio.create_task(prober.probe(other))
    await asyncio.sleep(0.1)
    probing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probing
    assert (await metadata_of(prober, path)).title is None
    assert pid not in prober.pids
    await until(lambda: not exists(pid))


async def test_a_probe_may_be_cancelled_at_any_moment(prober: OwnProber, tmp_path: Path) -> None:
    path = mp4(tmp_path / "a.mp4")

    async def for_ever() -> None:
        while True:
            await prober.probe(path)

    for milliseconds in (0, 1, 2, 3, 5, 10, 50, 100, 200, 300):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(for_ever(), milliseconds / 1000)
    await metadata_of(prober, path)
    assert len(prober.pids) == 1


async def test_workers_are_started_on_demand_and_replaced_after_their_files(tmp_path: Path) -> None:
    path = mp4(tmp_path / "a.mp4")
    prober = OwnProber(workers=2, files_per_worker=2)
    try:
        assert not prober.pids
        await metadata_of(prober, path)
        first = prober.pids
        assert len(first) == 1
        await metadata_of(prober, path)
        assert not prober.pids, "a second process was started, or the first one not ended"
        await metadata_of(prober, path)
        assert len(prober.pids) == 1
        assert not prober.pids & first
    finally:
        await prober.close()


async def test_idle_workers_are_stopped_and_started_again(
    prober: OwnProber, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "IDLE_SECONDS", 0.0)
    file = tmp_path / "no.mp4"
    file.write_bytes(b"no video")
    await problem_of(prober, file)
    (pid,) = prober.pids
    await until(lambda: not prober.pids and not exists(pid))
    monkeypatch.setattr(pool, "IDLE_SECONDS", 600.0)
    await problem_of(prober, file)
    assert len(prober.pids) == 1


async def test_executors_share_processes_but_not_limits(tmp_path: Path) -> None:
    workers = WorkerPool(command=worker_answering(PROBLEM, "import time; time.sleep(0.5)"))
    one, other = (Prober(Executor(workers)) for _ in range(2))
    first, second = tmp_path / "1", tmp_path / "2"
    await one.probe(first)
    (pid,) = workers.pids
    await other.probe(first)
    assert workers.pids == {pid}, "a process was started although one was idle"
    # While one executor is busy, the other one is not kept waiting.
    await asyncio.gather(one.probe(first), other.probe(second), one.probe(second))
    assert len(workers.pids) == 2
    await workers.close()
    assert not workers.pids


async def test_the_number_of_workers_is_bounded() -> None:
    prober = OwnProber(workers=2, command=worker_answering(PROBLEM, "import time; time.sleep(0.1)"))
    counts: list[int] = []

    async def probe(number: int) -> None:
        await prober.probe(Path(f"/{number}"))
        counts.append(len(prober.pids))

    await asyncio.gather(*map(probe, range(8)))
    await prober.close()
    assert max(counts) == 2


async def test_close_stops_running_probes() -> None:
    path = Path("/film.mp4")
    prober = OwnProber(workers=2, command=worker_answering(PROBLEM, "import time; time.sleep(600)"))
    probing = [asyncio.create_task(prober.probe(path)) for _ in range(3)]
    await until(lambda: len(prober.pids) == 2)
    pids = prober.pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    async with asyncio.timeout(300):
        await asyncio.gather(prober.close(), prober.close())
    assert not any(map(exists, pids))
    assert not prober.pids
    for result in await asyncio.gather(*probing, return_exceptions=True):
        assert isinstance(result, RuntimeError)
    with pytest.raises(RuntimeError, match="closed"):
        await prober.probe(path)


# Invalid answers of a worker

PROBLEM = b'{"problem": "It is so.", "lasting": true}\n'
VALID = {"container": "mp4", "duration": 1.0, "bit_rate": 1, "streams": []}


def worker_answering(answer: bytes, before: str = "") -> tuple[str, ...]:
    """Return the command of a worker that sends this answer to every request."""
    source = (
        f"import sys\nfor _ in sys.stdin.buffer:\n {before or 'pass'}\n"
        f" sys.stdout.buffer.write({answer!r}); sys.stdout.flush()"
    )
    return (sys.executable, "-c", source)


def worker_copying(answer: Path) -> tuple[str, ...]:
    """Return the command of a worker that answers with the content of a file."""
    source = (
        "import pathlib, sys\nfor _ in sys.stdin.buffer:\n"
        " sys.stdout.buffer.write(pathlib.Path(sys.argv[1]).read_bytes()); sys.stdout.flush()"
    )
    return (sys.executable, "-c", source, str(answer))


def answer_of(size: int) -> bytes:
    """Return a valid answer of `size` bytes."""
    frame = json.dumps({"metadata": VALID | {"title": ""}}).encode() + b"\n"
    return frame.replace(b'"title": ""', b'"title": "%s"' % (b"x" * (size - len(frame))))


async def test_an_answer_may_have_the_maximum_length(tmp_path: Path) -> None:
    (tmp_path / "answer").write_bytes(answer_of(MAX_ANSWER_BYTES))
    prober = OwnProber(command=worker_copying(tmp_path / "answer"))
    result = await metadata_of(prober, tmp_path)
    assert result.title is not None
    assert len(result.title) > MAX_ANSWER_BYTES - 200
    await prober.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"\n",
        b"noise\n",
        b"\xff\n",
        b"[]\n",
        b"{}\n",
        b'{"problem": "", "lasting": true}\n',
        b'{"problem": 7, "lasting": true}\n',
        b'{"problem": "It is so.", "lasting": 1}\n',
        PROBLEM.replace(b"}", b', "bytes": [-1]}'),
        PROBLEM.replace(b"}", b', "bytes": [true]}'),
        PROBLEM.replace(b"}", b', "bytes": "3"}'),
        PROBLEM.replace(b"}", b', "bytes": [%d]}' % (MAX_BLOB_BYTES + 1)),
        b'{"metadata": {}}\n',
        json.dumps({"metadata": VALID, "problem": "both"}).encode() + b"\n",
        json.dumps({"metadata": VALID | {"unknown": 1}}).encode() + b"\n",
        json.dumps({"metadata": VALID | {"duration": "long"}}).encode() + b"\n",
        b"[" * 100_000 + b"\n",
    ],
)
async def test_an_invalid_answer_counts_as_a_crash(answer: bytes) -> None:
    prober = OwnProber(command=worker_answering(answer))
    assert (await problem_of(prober, Path("/a/b"))).outcome == "crashed"
    assert not prober.pids
    await prober.close()


async def test_an_answer_above_the_maximum_length_counts_as_a_crash(tmp_path: Path) -> None:
    (tmp_path / "answer").write_bytes(answer_of(MAX_ANSWER_BYTES * 3))
    prober = OwnProber(command=worker_copying(tmp_path / "answer"))
    assert (await problem_of(prober, Path("/a/b"))).outcome == "crashed"
    await prober.close()


@pytest.mark.parametrize(
    "command",
    [
        ("/nonexistent/program",),
        (sys.executable, "-c", "raise SystemExit(1)"),
        (sys.executable, "-c", "print('half', end='')"),
        # Its exit status is known later than that its output has ended.
        (sys.executable, "-c", "import os, time; os.close(1); time.sleep(1); os._exit(1)"),
    ],
)
async def test_a_worker_that_cannot_start_or_answer_counts_as_a_crash(
    command: tuple[str, ...],
) -> None:
    prober = OwnProber(command=command)
    for _ in range(2):
        result = await problem_of(prober, Path("/a/b"))
        assert (result.outcome, result.lasting) == ("crashed", False)
    await prober.close()


# The worker on its own


def run(source: str, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    source = f"import os, sys; from service.worker import probe, tasks, texts; {source}"
    return subprocess.run(
        [sys.executable, "-c", source, *arguments],
        check=False,
        input=stdin,
        capture_output=True,
        timeout=300,
    )


def test_the_memory_of_a_worker_is_limited() -> None:
    assert (
        run(
            "tasks.process.apply_limits(); bytearray(tasks.process.MAX_MEMORY_BYTES // 2)"
        ).returncode
        == 0
    )
    result = run(
        "tasks.process.apply_limits(); bytearray(tasks.process.MAX_MEMORY_BYTES + (1 << 20))"
    )
    assert b"MemoryError" in result.stderr


def test_a_file_that_needs_too_much_memory_is_a_problem() -> None:
    result = run(
        "tasks.process.apply_limits();"
        "probe.read_metadata = lambda *_: bytearray(2 * tasks.process.MAX_MEMORY_BYTES);"
        "place, path = os.path.split(os.path.realpath(sys.executable));"
        "print(tasks.handle_request({'task': 'probe', 'root': place, 'path': path}))"
    )
    assert b"memory" in result.stdout


def test_a_request_sets_the_memory_for_its_file_alone() -> None:
    result = run(
        "from service.workers.process import *; apply_limits();"
        "tasks_of = {'take': lambda size: (bytearray(size) and {'taken': True}, ())};"
        "size = MAX_MEMORY_BYTES + (1 << 20);"
        "more = {'memory': MAX_PICTURE_MEMORY_BYTES};"
        "requests = ({}, more, {});"
        "answers = [handle_request({'task': 'take', 'size': size} | one, tasks_of)[0]"
        " for one in requests];"
        "print(['taken' in answer for answer in answers])"
    )
    assert result.stdout == b"[False, True, False]\n", result.stderr


@pytest.mark.parametrize(
    ("hindrance", "reason"),
    [
        ("os.geteuid() or os.seteuid(65534)", "permission denied"),  # root may read every file
        (
            "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))",
            "Too many open files",
        ),
    ],
)
def test_failures_not_caused_by_the_file_are_temporary(
    tmp_path: Path, hindrance: str, reason: str
) -> None:
    path = mp4(tmp_path / "a.mp4")
    path.chmod(0)
    tmp_path.chmod(0o755)
    request = {"task": "probe", "root": ".", "path": "a.mp4"}
    source = (
        f"import json; os.chdir({str(tmp_path)!r}); {hindrance}; "
        f"print(json.dumps(tasks.handle_request({request})[0]))"
    )
    result = json.loads(run(source).stdout)
    assert reason in result["problem"]
    assert result["lasting"] is False


@pytest.mark.parametrize(
    ("hindrance", "problem"),
    [
        ("os.geteuid() or os.seteuid(65534)", "The file a.srt may not be read: permission denied."),
        ("os.unlink(texts[0][0])", "The file a.srt is gone."),
    ],
)
def test_a_sidecar_failure_is_reported_by_its_name_only(
    tmp_path: Path, hindrance: str, problem: str
) -> None:
    path, sidecar = mp4(tmp_path / "a.mp4"), tmp_path / "a.srt"
    sidecar.write_text("1\n00:00:01,000 --> 00:00:02,000\nText\n")
    tmp_path.chmod(0o755)
    sidecar.chmod(0)
    texts = [["a.srt", revision(sidecar.stat())]]
    request = {
        "task": "captions",
        "root": ".",
        "path": "a.mp4",
        "revision": revision(path.stat()),
    }
    source = (
        f"import json; texts = {texts!r}; os.chdir({str(tmp_path)!r}); {hindrance}; "
        f"print(json.dumps(tasks.handle_request({request!r} | {{'texts': texts}})[0]))"
    )
    assert json.loads(run(source).stdout) == {"problem": problem, "lasting": False}


class FailingDisk(io.FileIO):
    """A file of which only the first bytes can be read."""

    def __init__(self, path: Path, readable: int) -> None:
        super().__init__(path)
        self._readable = readable

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() + (size or 0) > self._readable:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().read(size)


@pytest.mark.parametrize("readable", [0, 1000, 20_000])
def test_a_disk_error_is_not_reported_as_damage(tmp_path: Path, readable: int) -> None:
    path = mp4(tmp_path / "a.mp4")
    size = path.stat().st_size
    assert size > readable  # the moov is at the end
    with FailingDisk(path, readable) as file, pytest.raises(OSError, match="Input/output error"):
        read_metadata(file, size)


def test_only_answers_reach_standard_output() -> None:
    result = run(
        "tasks.handle_request = lambda _: ({'said': os.write(1, b'noise')}, ()); tasks.main()",
        stdin=b'{"path": "/"}\n',
    )
    assert result.stdout == b'{"said": 5}\n'
    assert b"noise" in result.stderr


def test_a_hanging_worker_ends_itself(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x")
    request = {"task": "probe", "root": str(tmp_path), "path": "a.mp4", "wall": 1}
    result = run(
        "import time; probe.read_metadata = lambda *_: time.sleep(60); tasks.main()",
        stdin=json.dumps(request).encode() + b"\n",
    )
    assert result.returncode == -signal.SIGALRM


async def test_a_worker_has_idle_priority_and_dumps_no_core(
    prober: OwnProber, tmp_path: Path
) -> None:
    await problem_of(prober, tmp_path)
    (pid,) = prober.pids
    assert os.getpriority(os.PRIO_PROCESS, pid) == 19
    assert os.sched_getscheduler(pid) == os.SCHED_IDLE
    # A session of its own would get its own share of processor time at any priority.
    assert (os.getsid(pid), os.getpgid(pid)) == (os.getsid(0), pid)
    limits = await asyncio.to_thread(Path(f"/proc/{pid}/limits").read_text)
    core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
    assert core.split()[4:6] == ["0", "0"]


PARENT = """
import asyncio, os, sys
from pathlib import Path
from service.probing.prober import Prober
from service.workers.pool import Executor, WorkerPool

async def main():
    pool = WorkerPool()
    print(await Prober(Executor(pool)).probe(Path("none.mp4")), *pool.pids, flush=True)
    os._exit(0)

asyncio.run(main())
"""


async def test_a_worker_starts_from_any_folder_and_ends_with_its_parent(tmp_path: Path) -> None:
    (tmp_path / "service").mkdir()
    (tmp_path / "service/__init__.py").write_text("raise ImportError('the wrong one')")
    parent = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-P", "-c", PARENT],  # -P: the parent itself does not import from here
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=300,
    )
    output, pid = parent.stdout.rsplit(maxsplit=1)
    assert "The file is gone." in output
    await until(lambda: not is_running(int(pid)))


@pytest.mark.slow
def test_probes_timeouts_and_crashes_work_on_uvloop(tmp_path: Path) -> None:
    path = mp4(tmp_path / "a.mp4")

    async def main() -> None:
        prober = OwnProber(timeout=5)
        await until_read(prober, path)
        pids = prober.pids
        await hang(prober)
        assert (await problem_of(prober, path)).outcome == "timeout"
        await until_read(prober, path)
        pid = await hang(prober)
        probing = asyncio.create_task(prober.probe(path))
        await asyncio.sleep(0.1)
        os.kill(pid, signal.SIGKILL)
        answer = await probing
        assert isinstance(answer, ProbeFailure)
        assert answer.outcome == "crashed"
        await until_read(prober, path)
        pids |= prober.pids
        await prober.close()
        assert not any(map(exists, pids))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
