"""The library over a bucket of a real object store: listing, probing and artefacts."""

import asyncio
import io
import json
import subprocess
import sys
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.api_client import KINDS, video, wait_until_derived
from support.counting_proxy import CountingProxy
from support.faulty_store import Fault, faulty
from support.ffmpeg_fixtures import AAC, H264, ffmpeg
from support.made_sound import film as film_with_clicks
from support.made_sound import make
from support.object_store import Bucket, Swift
from support.own_prober import OwnProber
from support.raw_http import ask
from support.server import Server, environment, serve, until
from support.swift_container import path_of

from service.models import Metadata
from service.probing.prober import ProbeFailure
from service.storage.media_root import ObjectRef, StoreRef
from service.storage.object_store.config import revision_of

pytestmark = pytest.mark.slow

MIB = 1 << 20
SRT = b"1\n00:00:01,000 --> 00:00:02,500\nGr\xfc\xdfe\n"


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Create a film whose moov is at the end, after 20 MB of media data."""
    file = tmp_path_factory.mktemp("films") / "film.mp4"
    picture = ("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=10:duration=20")
    sound = ("-f", "lavfi", "-i", "sine=duration=20")
    return ffmpeg(file, *picture, *sound, *H264, "-g", "10", *AAC).read_bytes()


@pytest.fixture(scope="module")
def matroska(film: bytes, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the same film in Matroska."""
    folder = tmp_path_factory.mktemp("matroska")
    (folder / "film.mp4").write_bytes(film)
    return ffmpeg(folder / "film.mkv", "-i", folder / "film.mp4", "-c", "copy").read_bytes()


def png(colour: str) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (300, 200), colour).save(data, "PNG")
    return data.getvalue()


def serve_bucket(
    bucket: Bucket, tmp_path: Path, derived: str | None = None
) -> AbstractContextManager[Server]:
    """Serve a bucket; store artefacts in a folder or at the `derived` URL."""
    return serve(
        tmp_path / "media",
        environ=bucket.environ(),
        MEDIA=bucket.url,
        DERIVED=derived or str(tmp_path / "derived"),
        RESCAN_INTERVAL="1",
    )


def listed(server: Server) -> dict[str, Any]:
    answer = ask(server.base, "/api/videos?limit=100")
    assert answer.status == 200
    return {video["path"]: video for video in json.loads(answer.body)["videos"]}


def add_listed_objects(bucket: Bucket, count: int) -> None:
    """Add `count` objects to the bucket's listing."""
    folder = bucket.swift.container.log.parent
    script = Path(__file__).parents[1] / "support/swift_container.py"
    subprocess.run([sys.executable, script, folder, bucket.name, str(count)], check=True)


def test_ten_thousand_objects_and_a_new_one_are_listed(
    bucket: Bucket, tmp_path: Path, film: bytes
) -> None:
    add_listed_objects(bucket, 10_000)
    with serve_bucket(bucket, tmp_path) as server:
        answer = json.loads(ask(server.base, "/api/videos?limit=1").body)
        assert answer["total"] == 10_000
        last = video(server, path_of(9_999))
        assert last["size"] == 1000
        bucket.put("new.mp4", film)
        until(
            lambda: ask(server.base, "/api/videos/new.mp4").status == 200 or None,
            "the new one is listed",
        )
        assert json.loads(ask(server.base, "/api/videos?limit=1").body)["total"] == 10_001


def test_films_are_probed_and_artefacts_use_their_sidecars(
    bucket: Bucket, tmp_path: Path, film: bytes
) -> None:
    bucket.put("a b/Grüße.mp4", film)
    bucket.put("a b/Grüße.de.srt", SRT)
    bucket.put("a b/Grüße.png", png("red"))
    bucket.put("broken.mp4", bytes(100_000))
    bucket.put("notes.txt", b"no film")
    local = tmp_path / "local"
    local.mkdir()
    (local / "Grüße.mp4").write_bytes(film)
    with serve_bucket(bucket, tmp_path) as server, serve(local) as reference:
        videos = wait_until_derived(server, "a b/Grüße.mp4", "broken.mp4")
        assert set(listed(server)) == {"a b/Grüße.mp4", "broken.mp4"}
        assert videos["broken.mp4"]["state"] == "failed"
        assert "zeros" in videos["broken.mp4"]["problem"]
        item = videos["a b/Grüße.mp4"]
        reference_item = wait_until_derived(reference, "Grüße.mp4")["Grüße.mp4"]
        assert item["metadata"] == reference_item["metadata"]
        assert {item[kind]["state"] for kind in KINDS} == {"ready"}
        (track,) = item["captions"]["tracks"]
        assert "Grüße" in ask(server.base, track["url"]).body.decode()
        picture = Image.open(
            io.BytesIO(ask(server.base, item["poster"]["pictures"][0]["url"]).body)
        )
        assert picture.size == (300, 200)
        tiles = [ask(running.base, entry["storyboard"]["url"]).body.decode().count("#xywh")
                 for running, entry in ((server, item), (reference, reference_item))]  # fmt: skip
        assert tiles[0] == tiles[1] > 10


def test_a_matroska_object_is_sent_as_mp4_once_somebody_opens_its_page(
    bucket: Bucket, tmp_path: Path, matroska: bytes
) -> None:
    bucket.put("film.mkv", matroska, age=3600)
    with serve_bucket(bucket, tmp_path) as server:
        until(
            lambda: video(server, "film.mkv")["storyboard"]["state"] == "ready" or None,
            "the other artefacts are made",
        )
        assert video(server, "film.mkv")["remux"]["state"] == "waiting"
        assert ask(server.base, "/watch/film.mkv").status == 200
        until(
            lambda: video(server, "film.mkv")["remux"]["state"] == "ready" or None,
            "its header is made",
        )
        url = video(server, "film.mkv")["media_url"]
        data = ask(server.base, url).body
        assert data.endswith(matroska)
        assert data[4:8] == b"ftyp"
        start = len(data) - len(matroska) - 7
        part = ask(server.base, url, {"Range": f"bytes={start}-{start + 20}"})
        assert part.body == data[start : start + 21]


def test_sound_is_made_for_an_object_once_somebody_opens_its_page(
    bucket: Bucket, tmp_path: Path
) -> None:
    """It is stored in a bucket, too, and read from there by ranges."""
    path = film_with_clicks(tmp_path / "film.mkv", "-ac", "2", "-c:a", "ac3")
    bucket.put("film.mkv", path.read_bytes(), age=3600)
    made = make(path, tmp_path / "made.mp4").data
    with serve_bucket(bucket, tmp_path, f"{bucket.url}/derived") as server:
        until(
            lambda: video(server, "film.mkv")["storyboard"]["state"] == "ready" or None,
            "the other artefacts are made",
        )
        assert video(server, "film.mkv")["sound"]["state"] == "possible"
        assert ask(server.base, "/watch/film.mkv").status == 200
        until(
            lambda: video(server, "film.mkv")["representation"] == "with_sound" or None,
            "its sound is made",
        )
        url = video(server, "film.mkv")["media_url"]
        assert ask(server.base, url).body == made
        for start in range(0, len(made), len(made) // 9):
            part = ask(server.base, url, {"Range": f"bytes={start}-{start + 9999}"})
            assert part.body == made[start : start + 10_000]


def test_an_object_is_copied_into_an_mp4_only_if_somebody_asks(
    bucket: Bucket, tmp_path: Path, film: bytes
) -> None:
    """It is stored in a bucket, too, and read from there by ranges."""
    (tmp_path / "film.mp4").write_bytes(film)
    path = ffmpeg(tmp_path / "film.m2ts", "-i", tmp_path / "film.mp4", "-c", "copy")
    bucket.put("film.m2ts", path.read_bytes(), age=3600)
    with serve_bucket(bucket, tmp_path, f"{bucket.url}/derived") as server:
        until(
            lambda: video(server, "film.m2ts")["storyboard"]["state"] == "ready" or None,
            "the other artefacts are made",
        )
        assert ask(server.base, "/watch/film.m2ts").status == 200
        assert video(server, "film.m2ts")["copied"]["state"] == "possible"
        asked = ask(server.base, "/copies/film.m2ts", {"Content-Length": "0"}, method="POST")
        assert asked.status == 303
        until(
            lambda: video(server, "film.m2ts")["representation"] == "copied" or None, "it is copied"
        )
        url = video(server, "film.m2ts")["media_url"]
        whole = ask(server.base, url).body
        assert whole[4:8] == b"ftyp"
        for start in range(0, len(whole), len(whole) // 9):
            part = ask(server.base, url, {"Range": f"bytes={start}-{start + 9999}"})
            assert part.body == whole[start : start + 10_000]


def test_replaced_added_and_deleted_objects_are_noticed(
    bucket: Bucket, tmp_path: Path, film: bytes
) -> None:
    bucket.put("film.mp4", film, age=3600)
    with serve_bucket(bucket, tmp_path) as server:
        before = wait_until_derived(server, "film.mp4")["film.mp4"]
        bucket.put("film.mp4", film + bytes(8), age=1800)
        until(
            lambda: video(server, "film.mp4")["revision"] != before["revision"] or None,
            "the new version is listed",
        )
        after = wait_until_derived(server, "film.mp4")["film.mp4"]
        assert after["metadata"]["duration"] == before["metadata"]["duration"]
        assert after["poster"]["pictures"][0]["url"] != before["poster"]["pictures"][0]["url"]
        bucket.put("film.png", png("blue"))
        until(
            lambda: (
                wait_until_derived(server, "film.mp4")["film.mp4"]["poster"]["pictures"][0]["width"]
                == 300
                or None
            ),
            "the sidecar image is the poster",
        )
        bucket.delete("film.mp4")
        until(lambda: listed(server) == {} or None, "it is gone")


def with_free_box(film: bytes, size: int) -> bytes:
    """Insert a `free` box of `size` bytes between the media data and the moov after it."""
    moov_offset = film.rindex(b"moov") - 4
    return (
        film[:moov_offset]
        + size.to_bytes(4, "big")
        + b"free"
        + bytes(size - 8)
        + film[moov_offset:]
    )


async def test_a_worker_reads_only_the_needed_part_of_a_film(
    bucket: Bucket, film: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = with_free_box(film, 40 * MIB)
    revision = revision_of(len(data), bucket.put("film.mp4", data))
    assert revision
    prober = OwnProber()
    with CountingProxy(bucket.swift.proxy.port) as proxy:
        for name, value in bucket.environ(proxy.endpoint).items():
            monkeypatch.setenv(name, value)
        store = StoreRef(bucket.url, 10)
        metadata = await prober.probe(ObjectRef(store, "film.mp4", revision))
        gone = await prober.probe(ObjectRef(store, "film.mp4", revision + "0"))
    await prober.close()
    assert isinstance(metadata, Metadata)
    assert metadata.index_at_front is False
    # The start, the moov, and the first frames: the media data has some MB.
    assert 100_000 < proxy.received < 2 * MIB
    assert isinstance(gone, ProbeFailure)
    assert (gone.reason, gone.lasting) == ("The file is gone.", False)


async def test_a_worker_waits_for_the_store_up_to_its_timeout(
    bucket: Bucket, film: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision = revision_of(len(film), bucket.put("film.mp4", film))
    assert revision
    prober = OwnProber(workers=2)
    with faulty(bucket.swift) as store:
        store.faults.append(Fault("hold"))
        for name, value in bucket.environ(store.endpoint).items():
            monkeypatch.setenv(name, value)
        patient, impatient = (
            asyncio.create_task(
                prober.probe(ObjectRef(StoreRef(bucket.url, timeout), "film.mp4", revision))
            )
            for timeout in (60.0, 1.0)
        )
        failed = await impatient
        assert not patient.done()
        store.released.set()
        metadata = await patient
    await prober.close()
    assert isinstance(failed, ProbeFailure)
    assert (failed.reason, failed.lasting) == (
        "The file could not be read: the store failed.",
        False,
    )
    assert isinstance(metadata, Metadata)


def test_replicas_share_probes_and_artefacts(
    bucket: Bucket, swift: Swift, tmp_path: Path, film: bytes
) -> None:
    for number in range(4):
        bucket.put(f"{number}.mp4", film + bytes(number))
    paths = [f"{number}.mp4" for number in range(4)]
    shared = swift.bucket("derived").url
    with ExitStack() as stack:
        replicas = [stack.enter_context(serve_bucket(bucket, tmp_path, shared)) for _ in range(2)]
        one, other = (wait_until_derived(replica, *paths) for replica in replicas)
        assert one == other
        builds = sum(replica.metric("reelay_derivations_total") for replica in replicas)
        assert 8 <= builds <= 10  # Swift's check and write are not atomic
    with serve_bucket(bucket, tmp_path, shared) as server:
        assert wait_until_derived(server, *paths) == one
        assert server.metric("reelay_probes_total") == 0
        assert server.metric("reelay_derivations_total") == 0


def test_a_probe_is_retried_after_the_store_failed(
    bucket: Bucket, tmp_path: Path, film: bytes
) -> None:
    swift = bucket.swift
    bucket.put("film.mp4", film)
    bucket.put("broken.mp4", bytes(100_000))
    for node in swift.objects:
        node.stop()  # the store lists the objects but cannot read them
    with serve_bucket(bucket, tmp_path) as server:
        until(lambda: video(server, "film.mp4")["problem"], "the probe fails")
        assert "the store failed" in video(server, "film.mp4")["problem"]
        swift.start()
        until(lambda: video(server, "film.mp4")["state"] == "probed" or None, "it is probed again")
        until(lambda: "zeros" in video(server, "broken.mp4")["problem"] or None, "so is this")
        before = server.metric("reelay_probes_total")
        scans = server.metric("reelay_scans_total")
        until(lambda: server.metric("reelay_scans_total") > scans + 20 or None, "20 scans are done")
        assert server.metric("reelay_probes_total") == before  # bad files stay failed


def test_the_doctor_examines_a_bucket(bucket: Bucket, tmp_path: Path, film: bytes) -> None:
    bucket.put("in/film.mp4", film)
    bucket.put("broken.mp4", bytes(100_000))
    done = subprocess.run(
        [sys.executable, "-m", "service", "doctor"],
        env=environment(tmp_path / "media", MEDIA=bucket.url) | bucket.environ(),
        cwd=Path(__file__).parents[2],
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 1, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "broken.mp4"
    assert lines[1].startswith("  unplayable: ")
    assert lines[-1].startswith("2 examined: 1 will not play")
