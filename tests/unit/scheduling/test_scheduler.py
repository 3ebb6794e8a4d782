import asyncio
import dataclasses
import errno
import json
import sys
import threading
from collections.abc import AsyncIterator, Collection
from pathlib import Path
from typing import Any

import pytest
from support.given_sources import GivenSources

from service import supervisor as supervisor_module
from service.artefact_store.folder import FolderArtefactStore
from service.artefact_store.keys import artefact_name
from service.artefacts.builder import ArtefactBuilder
from service.artefacts.executors import Executors
from service.artefacts.job_queue import Job
from service.artefacts.metadata import ArtefactKind
from service.artefacts.source import ArtefactSource
from service.artefacts.status import POSSIBLE, ArtefactState
from service.metrics import Metrics
from service.models import Chapter, Metadata, ProbeState, Stream, Video
from service.naming.sidecars import Sidecars
from service.scheduling import inventory
from service.scheduling import scheduler as module
from service.scheduling.reader import ArtefactReader
from service.scheduling.scheduler import ArtefactScheduler
from service.storage.base import Entry
from service.storage.media_root import MediaRoot, StoreRef
from service.supervisor import Supervisor
from service.workers import playback_activity as playback_module
from service.workers.playback_activity import PlaybackActivity
from service.workers.pool import Executor, WorkerPool

TIMEOUT = 120  # seconds, after which a test that waits for something fails
FILM = (Stream(kind="video", codec="h264"), Stream(kind="audio", codec="aac"))

# A worker that records its requests, waits while the file `hold` exists, and runs the file `do`.
WORKER = """
import json, os, pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
for line in sys.stdin:
    request = json.loads(line)
    name = f"{request['task']} {pathlib.Path(request['path']).name}"
    with open(folder / "requests", "a") as file:
        file.write(name + "\\n")
    while (folder / "hold").exists():
        time.sleep(0.01)
    exec((folder / "do").read_text())
    sys.stdout.flush()
"""
POSTER = """
print(json.dumps({"facts": json.dumps({"source": "frame", "sizes": [[1, 1]]}), "bytes": [1]}))
sys.stdout.write("x")
"""
NOTHING = """print(json.dumps({"facts": "null"}))"""
CRASH = """
import signal
os.kill(os.getpid(), signal.SIGSEGV) if "bad" in name else print(json.dumps({"facts": "null"}))
"""


def film(path: str, revision: str = "1-1", **more: Any) -> Video:
    described: dict[str, Any] = {"metadata": metadata(), "state": ProbeState.PROBED, **more}
    return Video(
        path=path, title=path, content_type="video/mp4", revision=revision, modified=1.0,
        **{"size": 1, **described},
    )  # fmt: skip


def metadata(*streams: Stream, chapters: tuple[Chapter, ...] = ()) -> Metadata:
    present = streams or FILM
    return Metadata(container="mp4", duration=1.0, bit_rate=1, streams=present, chapters=chapters)


class Bench:
    """A scheduler, and a worker that runs the test's code."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.do(NOTHING)
        self.metrics = Metrics()
        self.derived = FolderArtefactStore(folder / "derived", 1 << 30)
        self.playback = PlaybackActivity()
        self.running: list[tuple[Supervisor, ArtefactScheduler, ArtefactReader, WorkerPool]] = []

    def start(
        self, root: MediaRoot | None = None, kinds: Collection[ArtefactKind] = tuple(ArtefactKind)
    ) -> ArtefactScheduler:
        """Start a scheduler as the service does."""
        command = (sys.executable, "-c", WORKER, str(self.folder))
        pool = WorkerPool(command=command)
        executors = Executors(Executor(pool), Executor(pool))
        root = root or MediaRoot(self.folder)
        builder = ArtefactBuilder(root, self.derived, executors, self.metrics, kinds)
        scheduler = ArtefactScheduler(builder, self.derived, executors, self.playback, self.metrics)
        supervisor = Supervisor(self.metrics.background_failures)
        scheduler.start(supervisor)
        reader = ArtefactReader(scheduler, builder, self.derived)
        self.running.append((supervisor, scheduler, reader, pool))
        return scheduler

    @property
    def reader(self) -> ArtefactReader:
        """The reader of the scheduler that was started last."""
        return self.running[-1][2]

    async def stop(self) -> None:
        """Stop all started schedulers."""
        for supervisor, scheduler, reader, pool in self.running:
            await supervisor.stop()
            scheduler.close()
            reader.close()
            await pool.close()
        self.running.clear()

    def do(self, source: str) -> None:
        new = self.folder / "do.new"  # a worker may be about to read it
        new.write_text(source)
        new.rename(self.folder / "do")

    def hold(self) -> None:
        (self.folder / "hold").touch()

    def release(self) -> None:
        (self.folder / "hold").unlink()

    def requests(self) -> list[str]:
        file = self.folder / "requests"
        return file.read_text().splitlines() if file.exists() else []

    async def until(self, condition: Any) -> None:
        async with asyncio.timeout(TIMEOUT):
            while not condition():  # noqa: ASYNC110 # the condition changes in another process
                await asyncio.sleep(0.01)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    (tmp_path / "hold").unlink(missing_ok=True)
    await bench.stop()


def sources(*videos: Video) -> GivenSources:
    return GivenSources(map(ArtefactSource.of, videos))


def done(scheduler: ArtefactScheduler, *paths: str) -> bool:
    states = {scheduler.status(path, kind).state for path in paths for kind in ArtefactKind}
    return ArtefactState.WAITING not in states


# Which artefacts a video has


def entry(path: str, revision: str = "1-1") -> Entry:
    return Entry(path, 1, revision, 1.0, 1.0)


@pytest.mark.parametrize(
    ("video", "sidecars", "expected"),
    [
        (film("a.mp4"), Sidecars(), {"poster", "storyboard"}),
        (film("a.mp3", metadata=metadata(FILM[1])), Sidecars(), set()),
        (
            film("a.mp3", metadata=metadata(FILM[1], Stream(kind="attachment", codec="png"))),
            Sidecars(),
            {"poster"},
        ),
        (film("a.mp3", metadata=metadata(FILM[1])), Sidecars(entry("a.jpg")), {"poster"}),
        (
            film("a.mkv", metadata=metadata(*FILM, Stream(kind="subtitle", codec="subrip"))),
            Sidecars(),
            {"poster", "captions", "storyboard"},
        ),
        (
            # Pictures have no text, which is a problem of the captions.
            film("a.mkv", metadata=metadata(*FILM, Stream(kind="subtitle", codec="dvd_subtitle"))),
            Sidecars(),
            {"poster", "captions", "storyboard"},
        ),
        (
            film("a.mp4", metadata=metadata(*FILM, chapters=(Chapter(start=0, end=1, title="A"),))),
            Sidecars(),
            {"poster", "captions", "storyboard"},
        ),
        (
            film("a.mp4"),
            Sidecars(None, entry("a.chapters.vtt")),
            {"poster", "captions", "storyboard"},
        ),
        (
            film("a.mp4", metadata=None, state=ProbeState.FAILED, problem="Damaged."),
            Sidecars(entry("a.jpg"), None, (entry("a.en.vtt"),)),
            {"poster", "captions"},
        ),
    ],
)
def test_a_video_has_the_artefacts_that_its_streams_and_sidecars_allow(
    video: Video, sidecars: Sidecars, expected: set[str]
) -> None:
    source = ArtefactSource.of(video, sidecars)
    assert {kind.value for kind in ArtefactKind if source.name(kind)} == expected


def test_an_artefact_name_changes_only_with_its_sources() -> None:
    image, text = entry("a.jpg"), entry("a.en.vtt")
    one = ArtefactSource.of(film("a.mp4"), Sidecars(image, None, (text,)))
    assert one == ArtefactSource.of(film("a.mp4"), Sidecars(image, None, (text,)))
    other_image = ArtefactSource.of(film("a.mp4"), Sidecars(entry("a.jpg", "2-2"), None, (text,)))
    assert other_image.poster != one.poster
    assert (other_image.captions, other_image.storyboard) == (one.captions, one.storyboard)
    other_text = ArtefactSource.of(film("a.mp4"), Sidecars(image, text))
    assert other_text.poster == one.poster
    other_film = ArtefactSource.of(film("a.mp4", "2-2"), Sidecars(image, None, (text,)))
    kinds = [kind for kind in ArtefactKind if one.name(kind)]
    names = {source.name(kind) for source in (one, other_film) for kind in kinds}
    assert len(names) == 6


def test_posters_of_earlier_releases_are_found_where_they_are_the_same() -> None:
    """Pictures beside or in a file may be upright: their still is made, and has another name."""
    video, image = film("a.mp4"), entry("a.jpg")
    frame = artefact_name("poster", video.path, video.revision)
    assert ArtefactSource.of(video).poster == frame
    earlier = artefact_name("poster", video.path, video.revision, image.path, image.revision)
    names = {
        ArtefactSource.of(video, sidecars).poster
        for sidecars in (Sidecars(image), Sidecars(still=image), Sidecars(image, still=image))
    }
    assert len(names) == 3
    assert not names & {frame, earlier}


# Order


async def test_posters_come_before_storyboards_and_requested_artefacts_first(
    bench: Bench,
) -> None:
    bench.hold()
    scheduler = bench.start()
    scheduler.set_sources(sources(*(film(f"{number}.mp4") for number in range(4))))
    await bench.until(bench.requests)
    first = bench.requests()[0]
    for path, kind in (
        ("2.mp4", ArtefactKind.STORYBOARD),
        ("3.mp4", ArtefactKind.STORYBOARD),
        ("3.mp4", ArtefactKind.POSTER),
        ("2.mp4", ArtefactKind.STORYBOARD),  # repeated: now the last request
        ("gone.mp4", ArtefactKind.POSTER),
        ("2.mp4", ArtefactKind.CAPTIONS),  # there are none
    ):
        scheduler.request(path, kind)
    bench.release()
    await bench.until(lambda: done(scheduler, "0.mp4", "1.mp4", "2.mp4", "3.mp4"))
    requests = bench.requests()
    assert requests[:4] == [first, "storyboard 2.mp4", "poster 3.mp4", "storyboard 3.mp4"]
    rest = [name.split()[0] for name in requests[4:]]
    assert rest == ["poster"] * (8 - 4 - 2) + ["storyboard"] * 2
    assert len(set(requests)) == 8


MATROSKA = metadata().model_copy(update={"container": "matroska,webm"})


async def test_a_header_is_made_after_the_posters(bench: Bench) -> None:
    scheduler = bench.start()
    scheduler.set_sources(sources(film("a.mkv", metadata=MATROSKA)))
    await bench.until(lambda: done(scheduler, "a.mkv"))
    assert bench.requests() == ["poster a.mkv", "remux a.mkv", "storyboard a.mkv"]


async def test_of_an_object_a_header_is_made_only_if_a_viewer_needs_it(bench: Bench) -> None:
    scheduler = bench.start(MediaRoot(store=StoreRef("s3://bucket", 10)))
    scheduler.set_sources(sources(film("a.mkv", metadata=MATROSKA)))
    await bench.until(lambda: len(bench.requests()) == 2)
    assert scheduler.status("a.mkv", ArtefactKind.REMUX).state is ArtefactState.WAITING
    assert scheduler.progress(ArtefactKind.REMUX) == (0, 0)
    scheduler.request("a.mkv", ArtefactKind.REMUX)
    await bench.until(lambda: done(scheduler, "a.mkv"))
    assert bench.requests() == ["poster a.mkv", "storyboard a.mkv", "remux a.mkv"]


async def test_no_artefact_of_a_removed_video_is_built(bench: Bench) -> None:
    bench.hold()
    scheduler = bench.start()
    scheduler.set_sources(sources(film("0.mp4"), film("1.mp4")))
    await bench.until(bench.requests)
    scheduler.request("1.mp4", ArtefactKind.STORYBOARD)
    scheduler.set_sources(sources(film("2.mp4")))
    await bench.until(lambda: scheduler.progress(ArtefactKind.STORYBOARD) == (0, 1))
    bench.release()
    await bench.until(lambda: done(scheduler, "2.mp4"))
    assert set(bench.requests()[1:]) == {"poster 2.mp4", "storyboard 2.mp4"}


async def test_a_full_store_takes_only_requested_artefacts(bench: Bench) -> None:
    bench.derived = FolderArtefactStore(bench.folder / "derived", 100_000)
    bench.derived.save("poster", "0" * 32, b"", [bytes(97_000)])
    scheduler = bench.start()
    scheduler.set_sources(sources(film("0.mp4"), film("1.mp4")))
    await bench.until(lambda: scheduler.progress(ArtefactKind.POSTER) == (0, 2))
    scheduler.request("1.mp4", ArtefactKind.STORYBOARD)
    await bench.until(
        lambda: scheduler.status("1.mp4", ArtefactKind.STORYBOARD).state is ArtefactState.NONE
    )
    assert bench.requests() == ["storyboard 1.mp4"]


async def test_background_builds_pause_during_playback_and_requested_ones_do_not(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(playback_module, "_YIELD_SECONDS", 3600)
    bench.playback.record()
    bench.hold()
    scheduler = bench.start()
    scheduler.set_sources(sources(film("0.mp4"), film("1.mp4")))
    await bench.until(bench.requests)
    for path in ("0.mp4", "1.mp4"):
        scheduler.request(path, ArtefactKind.STORYBOARD)
    bench.release()
    # The job in progress and the requested ones; the other poster waits.
    await bench.until(lambda: scheduler.progress(ArtefactKind.STORYBOARD) == (0, 0))
    assert [name.split()[0] for name in bench.requests()] == ["poster", "storyboard", "storyboard"]
    assert scheduler.progress(ArtefactKind.POSTER) == (0, 1)


async def test_the_look_at_the_store_pauses_while_requests_are_answered(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inventory, "_AT_A_TIME", 1)
    monkeypatch.setattr(playback_module, "_ANSWERING_SECONDS", 3600)
    monkeypatch.setattr(playback_module, "_LOCK_YIELD_SECONDS", 3600)
    bench.playback.record_request()
    bench.hold()
    scheduler = bench.start()
    scheduler.set_sources(sources(film("0.mp4"), film("1.mp4")))
    await bench.until(bench.requests)
    # Each film has a poster and a storyboard. The first of these four is being made.
    assert sum(scheduler.progress(kind)[1] for kind in ArtefactKind) == 1


# Large files

WRITE = """
if request["task"] == "copied":
    with open(request["output"], "r+b") as output:
        output.write(b"half")
        output.flush()
        while (folder / "half").exists():
            time.sleep(0.01)
        output.write(b"half")
    facts = {"layout": "c0123456789abcdef", "size": 6, "media": 8}
    print(json.dumps({"facts": json.dumps(facts), "bytes": [6]}))
    sys.stdout.write("header")
else:
    print(json.dumps({"facts": "null"}))
"""


def copied(path: str, **more: Any) -> ArtefactSource:
    stream = metadata().model_copy(update={"container": "mpegts"})
    source = ArtefactSource.of(film(path, **{"metadata": stream, **more}))
    return dataclasses.replace(source, copied=artefact_name("copied", path))


async def copied_films(bench: Bench, *paths: str, **more: Any) -> ArtefactScheduler:
    """Start with films that may be copied, once their other artefacts are there."""
    scheduler = bench.start()
    scheduler.set_sources(GivenSources(copied(path, **more) for path in paths))
    await bench.until(
        lambda: all(
            scheduler.status(path, ArtefactKind.STORYBOARD).state is ArtefactState.NONE
            for path in paths
        )
    )
    return scheduler


async def test_a_large_file_is_made_when_asked_for_and_its_progress_is_known(bench: Bench) -> None:
    bench.do(WRITE)
    (bench.folder / "half").touch()
    scheduler = await copied_films(bench, "a.ts", "b.ts", size=600 * 1024**2)  # not unasked
    for path in ("a.ts", "b.ts"):
        assert scheduler.status(path, ArtefactKind.COPIED) == POSSIBLE
    assert not any("copied" in request for request in bench.requests())
    scheduler.request("a.ts", ArtefactKind.COPIED)
    await bench.until(lambda: scheduler.status("a.ts", ArtefactKind.COPIED).progress)
    status = scheduler.status("a.ts", ArtefactKind.COPIED)
    assert status.state is ArtefactState.WAITING
    assert status.progress == pytest.approx(4 / (600 * 1024**2))
    # What is being made counts, and delays no other artefact.
    assert bench.derived.size > 600 * 1024**2
    scheduler.set_sources(
        GivenSources(copied(path, size=600 * 1024**2) for path in ("a.ts", "c.ts"))
    )
    await bench.until(
        lambda: scheduler.status("c.ts", ArtefactKind.POSTER).state is ArtefactState.NONE
    )
    (bench.folder / "half").unlink()
    await bench.until(
        lambda: scheduler.status("a.ts", ArtefactKind.COPIED).state is ArtefactState.READY
    )
    artefact = bench.derived.open_large("copied", artefact_name("copied", "a.ts"))
    assert artefact is not None
    assert artefact.blobs[0].read(0, 10) == b"header"
    assert artefact.large.read(0, 10) == b"halfhalf"
    assert bench.derived.size < 1_000_000


async def test_a_large_file_that_is_being_made_holds_up_no_other_artefact(bench: Bench) -> None:
    bench.do(WRITE)
    (bench.folder / "half").touch()
    scheduler = await copied_films(bench, "a.ts")
    await bench.until(lambda: scheduler.status("a.ts", ArtefactKind.COPIED).progress)
    name = artefact_name("copied", "a.ts")
    # Of those that share a lock file
    assert bench.derived.acquire(name[:2] + "0" * 30) is not None
    assert bench.derived.acquire(f"large-{name}") is None
    (bench.folder / "half").unlink()
    await bench.until(
        lambda: scheduler.status("a.ts", ArtefactKind.COPIED).state is ArtefactState.READY
    )


SOUND = """
if request["task"] == "sound":
    with open(request["output"], "r+b") as output:
        output.write(b"aac" * 2050)
        output.flush()
        while (folder / "half").exists():
            time.sleep(0.01)
    facts = {"layout": "s0123456789abcdef", "digest": "00"}
    print(json.dumps({"facts": json.dumps(facts), "bytes": [6, 5]}))
    sys.stdout.write("headertable")
else:
    print(json.dumps({"facts": "null"}))
"""
SILENT = metadata(
    Stream(index=0, kind="video", codec="h264"), Stream(index=1, kind="audio", codec="dts")
).model_copy(update={"container": "matroska,webm", "duration": 3.0})


async def test_sound_is_made_unasked_and_its_progress_is_by_its_length(bench: Bench) -> None:
    bench.do(SOUND)
    (bench.folder / "half").touch()
    scheduler = bench.start()
    source = ArtefactSource.of(film("a.mkv", metadata=SILENT))
    assert source.sound is not None
    scheduler.set_sources(GivenSources([source]))
    await bench.until(lambda: scheduler.status("a.mkv", ArtefactKind.SOUND).progress)
    # 160 kbit/s and 2.5 % more: 3 s have 61,500 bytes, of which 6,150 are there.
    progress = scheduler.status("a.mkv", ArtefactKind.SOUND).progress
    assert progress == pytest.approx(0.1)
    (bench.folder / "half").unlink()
    await bench.until(
        lambda: scheduler.status("a.mkv", ArtefactKind.SOUND).state is ArtefactState.READY
    )
    artefact = bench.derived.open_large("sound", source.sound)
    assert artefact is not None
    assert [blob.read(0, 10) for blob in artefact.blobs] == [b"header", b"table"]
    assert artefact.large.length == 6150


async def test_no_sound_is_made_if_that_is_switched_off(bench: Bench) -> None:
    bench.do(SOUND)
    scheduler = bench.start(kinds=[kind for kind in ArtefactKind if kind != ArtefactKind.SOUND])
    scheduler.set_sources(sources(film("a.mkv", metadata=SILENT)))
    await bench.until(
        lambda: scheduler.status("a.mkv", ArtefactKind.STORYBOARD).state is ArtefactState.NONE
    )
    assert scheduler.status("a.mkv", ArtefactKind.SOUND).state is ArtefactState.NONE
    scheduler.request("a.mkv", ArtefactKind.SOUND)
    assert not any("sound" in request for request in bench.requests())


async def test_short_films_are_copied_unasked_but_not_those_of_a_bucket(bench: Bench) -> None:
    bench.do(WRITE)
    scheduler = await copied_films(bench, "a.ts")
    await bench.until(
        lambda: scheduler.status("a.ts", ArtefactKind.COPIED).state is ArtefactState.READY
    )
    await bench.stop()
    bench.derived = FolderArtefactStore(bench.folder / "other", 1 << 30)
    scheduler = bench.start(MediaRoot(store=StoreRef("s3://bucket", 10)))
    scheduler.set_sources(GivenSources([copied("a.ts")]))
    await bench.until(lambda: len(bench.requests()) == 5)
    assert bench.requests()[3:] == ["poster a.ts", "storyboard a.ts"]
    assert scheduler.status("a.ts", ArtefactKind.COPIED) is POSSIBLE


async def test_a_film_that_does_not_fit_is_refused_in_a_sentence_and_may_be_asked_for_again(
    bench: Bench,
) -> None:
    bench.do(WRITE)
    scheduler = await copied_films(bench, "a.ts", size=2 * 1024**3)
    for _ in range(2):
        scheduler.retry("a.ts", ArtefactKind.COPIED)
        await bench.until(
            lambda: scheduler.status("a.ts", ArtefactKind.COPIED).state is ArtefactState.FAILED
        )
        problem = scheduler.status("a.ts", ArtefactKind.COPIED).problem
        assert problem is not None
        assert "REELAY_DERIVED_SIZE" in problem
    assert not any("copied" in request for request in bench.requests())


async def test_a_worker_that_dies_leaves_nothing_of_its_large_file(bench: Bench) -> None:
    dies = """os.kill(os.getpid(), 9) if request["task"] == "copied" else """
    bench.do(f"import signal\n{dies}print(json.dumps({{'facts': 'null'}}))")
    scheduler = await copied_films(bench, "a.ts")
    await bench.until(
        lambda: scheduler.status("a.ts", ArtefactKind.COPIED).state is ArtefactState.FAILED
    )
    assert [file for file in bench.folder.rglob("unfinished/*") if file.is_file()] == []
    bench.derived.evict()
    assert bench.derived.size < 1_000_000


# Failures


class Timers:
    """Timers that fire only when the test calls `fire`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        self._call_later = loop.call_later
        self._handles: list[asyncio.TimerHandle] = []
        monkeypatch.setattr(loop, "call_later", self._intercept)

    def _intercept(self, delay: float, callback: Any, *args: Any, **options: Any) -> Any:
        if getattr(callback, "__module__", "") != module.__name__:
            return self._call_later(delay, callback, *args, **options)
        handle = self._call_later(3600, callback, *args, **options)
        self._handles.append(handle)
        return handle

    def __len__(self) -> int:
        return sum(not handle.cancelled() for handle in self._handles)

    def fire(self) -> None:
        handles, self._handles = self._handles, []
        for handle in handles:
            if not handle.cancelled():
                handle._run()  # noqa: SLF001 # as the loop does
                handle.cancel()


async def test_a_file_that_crashes_the_decoder_is_not_retried_until_it_changes(
    bench: Bench,
) -> None:
    bench.do(CRASH)
    scheduler = bench.start()
    scheduler.set_sources(sources(film("bad.mp4"), film("good.mp4")))
    await bench.until(lambda: done(scheduler, "bad.mp4", "good.mp4"))
    assert scheduler.status("good.mp4", ArtefactKind.POSTER).state is ArtefactState.NONE
    failed = scheduler.status("bad.mp4", ArtefactKind.POSTER)
    assert failed.state is ArtefactState.FAILED
    assert failed.problem
    assert sorted(bench.requests()) == sorted(
        f"{kind} {name}.mp4" for kind in ("poster", "storyboard") for name in ("bad", "good")
    )
    scheduler.request("bad.mp4", ArtefactKind.POSTER)
    again = bench.start()  # a restart, with the same folder
    again.set_sources(sources(film("bad.mp4"), film("good.mp4")))
    await bench.until(lambda: done(again, "bad.mp4", "good.mp4"))
    assert again.status("bad.mp4", ArtefactKind.POSTER) == failed
    assert len(bench.requests()) == 4
    again.set_sources(sources(film("bad.mp4", "2-2"), film("good.mp4")))
    await bench.until(lambda: len(bench.requests()) == 6)


async def test_a_transient_failure_is_retried(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    timers = Timers(monkeypatch)
    bench.do('print(json.dumps({"problem": "The disk is away.", "lasting": False}))')
    scheduler = bench.start()
    scheduler.set_sources(sources(film("a.mp4")))
    await bench.until(
        lambda: scheduler.status("a.mp4", ArtefactKind.POSTER).problem == "The disk is away."
    )
    bench.do(NOTHING)
    timers.fire()
    await bench.until(
        lambda: scheduler.status("a.mp4", ArtefactKind.POSTER).state is ArtefactState.NONE
    )
    assert bench.requests().count("poster a.mp4") == 2


async def test_the_delays_of_retries_double_up_to_an_hour(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler = bench.start()
    delays: list[float] = []
    loop = asyncio.get_running_loop()

    def record(delay: float, *_: Any) -> asyncio.TimerHandle:
        delays.append(delay)
        return asyncio.TimerHandle(delay, bool, (), loop)

    monkeypatch.setattr(loop, "call_later", record)
    for number in range(8):
        job = Job(ArtefactKind.POSTER, ArtefactSource.of(film("a.mp4")), "b" * 32)
        scheduler._record_failure(job, f"It failed for the {number + 1}th time.")  # noqa: SLF001
    assert delays == [60, 120, 240, 480, 960, 1920, 3600, 3600]


async def test_background_builds_pause_when_artefacts_cannot_be_stored(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    timers = Timers(monkeypatch)
    (bench.folder / "derived").write_text("a file where the folder goes")
    scheduler = bench.start()
    scheduler.set_sources(sources(*(film(f"{number}.mp4") for number in range(4))))
    await bench.until(
        lambda: scheduler.status("0.mp4", ArtefactKind.POSTER).state is ArtefactState.FAILED
    )
    problem = scheduler.status("0.mp4", ArtefactKind.POSTER).problem
    assert problem == "It cannot be kept: see the server's log."
    scheduler.request("1.mp4", ArtefactKind.POSTER)  # a requested artefact is tried nevertheless
    await bench.until(
        lambda: scheduler.status("1.mp4", ArtefactKind.POSTER).state is ArtefactState.FAILED
    )
    assert bench.requests() == ["poster 0.mp4", "poster 1.mp4"]
    (bench.folder / "derived").unlink()
    timers.fire()  # those of the two failures and of the pause
    paths = [f"{number}.mp4" for number in range(4)]
    await bench.until(
        lambda: all(
            scheduler.status(path, kind).state is ArtefactState.NONE
            for path in paths
            for kind in ArtefactKind
        )
    )
    assert len(bench.requests()) == 8 + 2


# Late events: a timer, a load or a read of an artefact that has been replaced meanwhile


AWAY = 'print(json.dumps({"problem": "The disk is away.", "lasting": False}))'


async def test_an_outdated_retry_timer_does_not_discard_a_ready_artefact(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    timers = Timers(monkeypatch)
    bench.do(AWAY)
    scheduler = bench.start()
    scheduler.set_sources(sources(film("a.mp4")))
    await bench.until(lambda: done(scheduler, "a.mp4"))
    scheduler.set_sources(GivenSources())  # the folder disappears for a moment
    await bench.until(lambda: not scheduler._statuses)  # noqa: SLF001
    bench.do(POSTER)
    scheduler.set_sources(sources(film("a.mp4")))
    await bench.until(
        lambda: scheduler.status("a.mp4", ArtefactKind.POSTER).state is ArtefactState.READY
    )
    timers.fire()
    assert scheduler.status("a.mp4", ArtefactKind.POSTER).state is ArtefactState.READY
    assert scheduler.progress(ArtefactKind.POSTER) == (1, 1)


async def test_a_video_that_returns_and_fails_again_has_one_retry_timer_per_artefact(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    timers = Timers(monkeypatch)
    bench.do(AWAY)
    scheduler = bench.start()
    for _ in range(3):
        scheduler.set_sources(GivenSources())
        await bench.until(lambda: not scheduler._statuses)  # noqa: SLF001
        scheduler.set_sources(sources(film("a.mp4")))
        await bench.until(lambda: done(scheduler, "a.mp4"))
    assert len(timers) == 2  # one for each of the two artefacts that fail
    requests = len(bench.requests())
    timers.fire()
    await bench.until(lambda: done(scheduler, "a.mp4"))
    assert len(bench.requests()) == requests + 2


async def test_an_outdated_lease_timer_does_not_discard_a_ready_artefact(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    timers = Timers(monkeypatch)
    library = sources(film("a.mp4"))
    bench.do(POSTER)
    release = bench.derived.acquire(
        ArtefactSource.of(film("a.mp4")).name(ArtefactKind.POSTER) or ""
    )
    assert release is not None
    scheduler = bench.start()
    scheduler.set_sources(library)
    await bench.until(lambda: len(timers))
    scheduler.set_sources(GivenSources())
    await bench.until(lambda: not scheduler._in_progress)  # noqa: SLF001
    release()
    scheduler.set_sources(library)
    await bench.until(
        lambda: scheduler.status("a.mp4", ArtefactKind.POSTER).state is ArtefactState.READY
    )
    timers.fire()
    assert scheduler.status("a.mp4", ArtefactKind.POSTER).state is ArtefactState.READY


async def test_an_artefact_of_a_video_removed_meanwhile_is_not_counted(bench: Bench) -> None:
    bench.do(POSTER)
    bench.hold()
    scheduler = bench.start()
    scheduler.set_sources(sources(film("a.mp4")))
    await bench.until(bench.requests)
    scheduler.set_sources(GivenSources())
    await bench.until(lambda: scheduler.progress(ArtefactKind.STORYBOARD) == (0, 0))
    bench.release()
    await bench.until(lambda: not scheduler._in_progress)  # noqa: SLF001
    assert scheduler.progress(ArtefactKind.POSTER) == (0, 0)


class Gated(FolderArtefactStore):
    """A store whose next calls wait for the test."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, 1 << 30)
        self.gates: list[threading.Event] = []
        """One for each of the next calls; later calls do not wait."""
        self.waiting = 0

    def _pass(self) -> None:
        if self.gates:
            gate = self.gates.pop(0)
            self.waiting += 1
            assert gate.wait(TIMEOUT)

    def prefetch(self, entries: Any) -> None:
        self._pass()
        super().prefetch(entries)


class Lossy(Gated):
    """A gated store that has lost all blobs."""

    def blob(self, *_: object) -> bytes | None:
        self._pass()
        return None


async def test_a_late_failed_read_does_not_discard_a_rebuilt_artefact(
    bench: Bench,
) -> None:
    bench.do(POSTER)
    lossy = bench.derived = Lossy(bench.folder / "derived")
    scheduler = bench.start()
    scheduler.set_sources(sources(film("a.mp4")))
    await bench.until(lambda: done(scheduler, "a.mp4"))
    early, late = threading.Event(), threading.Event()
    lossy.gates = [early, late]
    reads = [
        asyncio.create_task(bench.reader.blob("a.mp4", ArtefactKind.POSTER, 0)) for _ in range(2)
    ]
    await bench.until(lambda: lossy.waiting == 2)
    early.set()
    await asyncio.wait(reads, return_when=asyncio.FIRST_COMPLETED)
    await bench.until(
        lambda: scheduler.status("a.mp4", ArtefactKind.POSTER).state is ArtefactState.READY
    )
    late.set()
    assert await asyncio.gather(*reads) == [None, None]
    assert scheduler.status("a.mp4", ArtefactKind.POSTER).state is ArtefactState.READY


async def test_a_late_load_does_not_discard_the_status_of_a_video_that_has_returned(
    bench: Bench,
) -> None:
    bench.do(POSTER)
    gated = bench.derived = Gated(bench.folder / "derived")
    scheduler = bench.start()
    scheduler.set_sources(sources(film("a.mp4")))
    await bench.until(lambda: done(scheduler, "a.mp4"))
    name = ArtefactSource.of(film("a.mp4")).name(ArtefactKind.POSTER) or ""
    before = scheduler._statuses.get(name)  # noqa: SLF001
    gate = threading.Event()
    gated.gates = [gate]
    scheduler.set_sources(sources(film("b.mp4")))
    await bench.until(lambda: gated.waiting == 1)
    scheduler.set_sources(sources(film("a.mp4"), film("b.mp4")))
    gate.set()
    await bench.until(lambda: done(scheduler, "b.mp4"))
    assert scheduler._statuses.get(name) is before  # noqa: SLF001


async def test_loading_artefacts_continues_after_an_unexpected_error(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Faulty(FolderArtefactStore):
        """A store whose first load fails."""

        loads = 0

        def load(self, kind: str, name: str) -> bytes | None:
            self.loads += 1
            if self.loads == 1:
                raise RuntimeError("unexpected")
            return super().load(kind, name)

    monkeypatch.setattr(supervisor_module, "_MIN_DELAY", 0.01)
    bench.derived = Faulty(bench.folder / "derived", 1 << 30)
    scheduler = bench.start()
    scheduler.set_sources(sources(film("a.mp4")))  # once: no other change causes another load
    await bench.until(lambda: done(scheduler, "a.mp4"))
    series = "reelay_background_failures_total"
    labels = {"task": "looking up artefacts"}
    assert bench.metrics.registry.get_sample_value(series, labels) == 1


async def test_no_timer_outlives_the_scheduler(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    timers = Timers(monkeypatch)
    (bench.folder / "derived").write_text("a file where the folder goes")
    scheduler = bench.start()
    scheduler.set_sources(sources(film("a.mp4")))
    await bench.until(lambda: len(timers))
    await bench.stop()
    assert len(timers) == 0


@pytest.mark.parametrize(
    "answer",
    [
        {"facts": json.dumps({"problem": "Made up.", "decoder": "1"})},
        {"facts": json.dumps({"source": "frame", "sizes": [[1, 1]]})},  # without bytes
        {"facts": "null", "bytes": [1]},
        {"facts": "{}"},
        {"facts": 7},
        {"facts": "null", "more": 1},
        {"problem": "", "lasting": True},
    ],
)
async def test_an_invalid_response_of_the_worker_is_a_lasting_failure(
    bench: Bench, answer: dict[str, Any]
) -> None:
    bench.do(f"sys.stdout.write({json.dumps(answer)!r} + '\\nx')")
    scheduler = bench.start()
    scheduler.set_sources(sources(film("a.mp4")))
    await bench.until(lambda: done(scheduler, "a.mp4"))
    assert scheduler.status("a.mp4", ArtefactKind.POSTER).state is ArtefactState.FAILED
    again = bench.start()
    again.set_sources(sources(film("a.mp4")))
    await bench.until(lambda: done(again, "a.mp4"))
    assert again.status("a.mp4", ArtefactKind.POSTER) == scheduler.status(
        "a.mp4", ArtefactKind.POSTER
    )
    assert len(bench.requests()) == 2


class Hanging(FolderArtefactStore):
    """A store whose reads hang until the gate opens, and then fail."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, 1 << 30)
        self.gate = threading.Event()

    def blob(self, *_: object) -> bytes | None:
        assert self.gate.wait(TIMEOUT)
        raise OSError(errno.EIO, "the store failed")

    def load(self, kind: str, name: str) -> bytes | None:
        if self.gate.is_set():
            raise OSError(errno.EIO, "the store failed")
        return super().load(kind, name)


async def test_a_hanging_store_blocks_no_other_work_and_causes_no_rebuild(bench: Bench) -> None:
    bench.do(POSTER)
    hanging = bench.derived = Hanging(bench.folder / "derived")
    scheduler = bench.start()
    scheduler.set_sources(sources(film("a.mp4")))
    await bench.until(lambda: done(scheduler, "a.mp4"))
    requests = len(bench.requests())
    waiting = [
        asyncio.create_task(bench.reader.blob("a.mp4", ArtefactKind.POSTER, 0)) for _ in range(100)
    ]
    await asyncio.sleep(0)  # all tasks have started to wait
    async with asyncio.timeout(TIMEOUT / 2):
        assert await asyncio.to_thread(lambda: "other work") == "other work"
    assert not any(task.done() for task in waiting)
    hanging.gate.set()
    assert await asyncio.gather(*waiting) == [None] * 100
    assert await bench.reader.load_metadata("a.mp4", ArtefactKind.POSTER) is None
    assert scheduler.status("a.mp4", ArtefactKind.POSTER).state is ArtefactState.READY
    assert len(bench.requests()) == requests


async def test_two_replicas_never_build_the_same_artefact_at_once(bench: Bench) -> None:
    bench.hold()
    one, other = bench.start(), bench.start()
    for scheduler in (one, other):
        scheduler.set_sources(sources(film("a.mp4")))
    await bench.until(lambda: len(bench.requests()) == 2)  # each builds one of the two artefacts
    assert len(set(bench.requests())) == 2
    bench.release()
    await bench.until(lambda: done(one, "a.mp4") and done(other, "a.mp4"))
    assert len(bench.requests()) == 2


async def test_a_video_that_gets_another_number_still_waits_and_is_built_once(
    bench: Bench,
) -> None:
    bench.hold()
    scheduler = bench.start(kinds=(ArtefactKind.POSTER,))

    def numbered(**numbers: int) -> GivenSources:
        of = ArtefactSource.of
        return GivenSources(of(film(f"{name}.mp4"), number=at) for name, at in numbers.items())

    scheduler.set_sources(numbered(a=1, b=2, c=3))
    await bench.until(lambda: bench.requests() == ["poster a.mp4"])
    await bench.until(lambda: scheduler.progress(ArtefactKind.POSTER) == (0, 3))
    scheduler.set_sources(numbered(a=4, b=5, c=6))  # their files are the same
    await bench.until(lambda: scheduler._looked_up.find(6, ""))  # noqa: SLF001
    scheduler.set_sources(numbered(a=4, b=5, d=7))  # c is gone, and its number not used again yet
    await bench.until(lambda: scheduler._looked_up.get("d.mp4"))  # noqa: SLF001
    assert scheduler.progress(ArtefactKind.POSTER) == (0, 3)
    bench.release()
    await bench.until(lambda: done(scheduler, "a.mp4", "b.mp4", "d.mp4"))
    assert sorted(bench.requests()) == ["poster a.mp4", "poster b.mp4", "poster d.mp4"]
    assert scheduler.progress(ArtefactKind.POSTER) == (0, 0)
