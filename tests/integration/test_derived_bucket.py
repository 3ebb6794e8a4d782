"""Artefacts in a real object store that replicas share."""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import obstore
import pytest
from support.api_client import KINDS, wait_until_derived
from support.faulty_store import Fault, faulty
from support.ffmpeg_fixtures import AAC, H264, PICTURE, SOUND, ffmpeg
from support.object_store import Bucket, Swift
from support.raw_http import ask
from support.server import Server, serve, until, write

from service.artefact_store.bucket import BucketArtefactStore
from service.artefact_store.keys import artefact_name
from service.storage.object_store.config import open_store
from service.storage.object_store.sync_client import SyncObjectClient

pytestmark = pytest.mark.slow

HOUR = 3600
SRT = b"1\n00:00:01,000 --> 00:00:02,500\nGr\xfc\xdfe\n"


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    file = tmp_path_factory.mktemp("films") / "film.mp4"
    picture = ("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=10:duration=6")
    return ffmpeg(file, *picture, "-c:v", "libx264", "-g", "10").read_bytes()


@pytest.fixture
def media(tmp_path: Path, film: bytes) -> Path:
    """Create a folder of six films, one with captions."""
    folder = tmp_path / "media"
    for number in range(6):
        write(folder, f"{number}.mp4", film, HOUR + number)
    write(folder, "0.de.srt", SRT)
    return folder


PATHS = [f"{number}.mp4" for number in range(6)]
ARTEFACTS = 2 * len(PATHS) + 1  # a poster and a storyboard of each film, and the captions of one


@pytest.fixture
def shared(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """Configure services to use the bucket; return it."""
    for name, value in bucket.environ().items():
        monkeypatch.setenv(name, value)
    return bucket


def video(server: Server, path: str) -> Any:
    return json.loads(ask(server.base, f"/api/videos/{path}").body)


def keys(bucket: Bucket, prefix: str = "") -> set[str]:
    objects = {
        entry["path"] for page in obstore.list(bucket.store, prefix or None) for entry in page
    }
    return {key for key in objects if not key.startswith(("claims/", "used/"))}


def derivations(server: Server) -> float:
    return server.metric("reelay_derivations_total")


def artefact_bytes(server: Server, videos: dict[str, Any]) -> dict[str, bytes]:
    """Return the bytes of every poster, track and storyboard, by its URL."""
    urls = []
    for video in videos.values():
        urls += [picture["url"] for picture in video["poster"]["pictures"]]
        urls += [track["url"] for track in video["captions"]["tracks"]]
        urls.append(video["storyboard"]["url"])
    answers = {url: ask(server.base, url) for url in urls}
    assert {answer.status for answer in answers.values()} == {200}
    return {url: answer.body for url, answer in answers.items()}


def test_two_replicas_build_each_artefact_once(media: Path, shared: Bucket) -> None:
    with ExitStack() as stack:
        replicas = [stack.enter_context(serve(media, DERIVED=shared.url)) for _ in range(2)]
        first, second = (wait_until_derived(replica, *PATHS) for replica in replicas)
        assert first == second
        bodies = [artefact_bytes(replica, first) for replica in replicas]
        assert bodies[0] == bodies[1]
        builds = [derivations(replica) for replica in replicas]
        probed = [replica.metric("reelay_probes_total") for replica in replicas]
    assert min(builds) > 0
    # Swift's check and write are not atomic: two replicas may acquire a lease within milliseconds.
    assert ARTEFACTS <= sum(builds) <= ARTEFACTS + 2
    # Both may probe a file at the same time: a probe costs less than a lease.
    assert len(PATHS) <= sum(probed) <= 2 * len(PATHS)
    assert len(keys(shared)) == ARTEFACTS + len(PATHS)
    assert not (media.parent / "derived").exists()


def test_a_new_replica_starts_with_all_artefacts(media: Path, shared: Bucket) -> None:
    with serve(media, DERIVED=shared.url) as server:
        before = wait_until_derived(server, *PATHS)
        bodies = artefact_bytes(server, before)
    with serve(media, DERIVED=shared.url) as server:
        assert wait_until_derived(server, *PATHS) == before
        assert artefact_bytes(server, before) == bodies
        assert server.metric("reelay_probes_total") == 0
        assert derivations(server) == 0


def test_artefacts_in_memory_are_served_while_the_store_hangs(media: Path, shared: Bucket) -> None:
    with serve(media, DERIVED=shared.url) as server:
        wait_until_derived(server, *PATHS)
    with (
        faulty(shared.swift) as store,
        serve(media, DERIVED=shared.url, environ=shared.swift.environ(store.endpoint)) as server,
    ):
        videos = wait_until_derived(server, *PATHS)
        urls = [picture["url"] for path in PATHS for picture in videos[path]["poster"]["pictures"]]
        sheet = videos["0.mp4"]["storyboard"]["url"].replace(".vtt", "/0.webp")
        cached = [ask(server.base, url) for url in (urls[0], sheet)]
        assert {answer.status for answer in cached} == {200}
        hold = Fault("hold")
        store.faults.append(hold)
        with ThreadPoolExecutor(len(urls)) as threads:
            others = [threads.submit(ask, server.base, url) for url in urls[1:]]
            # The service sends its maximum of concurrent requests to the store.
            until(lambda: hold.times <= 1_000_000 - 8 or None, "the others wait")
            again = [ask(server.base, url) for url in (urls[0], sheet)]
            assert not any(other.done() for other in others)
            store.released.set()
            assert {other.result().status for other in others} <= {200, 404, 503}
        assert [(answer.status, answer.body) for answer in again] == [
            (200, answer.body) for answer in cached
        ]


def test_the_next_replica_builds_what_a_killed_one_had_leased(media: Path, shared: Bucket) -> None:
    for path in PATHS[1:]:
        (media / path).unlink()
    (media / "0.de.srt").unlink()

    def leases() -> set[str]:
        return {entry["path"] for page in obstore.list(shared.store, "claims") for entry in page}

    with serve(media, DERIVED=shared.url) as server:
        until(lambda: leases() or None, "a lease is acquired", pause=0)
        server.process.kill()
        server.process.wait()
    assert len(leases()) == 1
    with serve(media, DERIVED=shared.url) as server:
        item = wait_until_derived(server, PATHS[0])[PATHS[0]]
        assert {item[kind]["state"] for kind in KINDS} == {"ready", "none"}
    assert leases() == set()


def test_two_stores_share_a_prefix_its_quota_and_its_leases(swift: Swift) -> None:
    bucket = swift.bucket()
    bucket.put("poster/of somebody else", b"x")
    url, environ = f"{bucket.url}/kept/here", bucket.environ()
    first, second = (
        BucketArtefactStore(SyncObjectClient(open_store(url, environ)), 20_000) for _ in range(2)
    )
    names = [artefact_name("poster", str(number)) for number in range(30)]
    for name in names:
        assert first.save("poster", name, b"{}", [name.encode() * 30])  # about 1,000 bytes
    time.sleep(1)  # the store rounds modification times up to whole seconds
    for name in names[:5]:
        assert second.load("poster", name) == b"{}"
    second.evict()
    assert second.size <= 18_000  # nine tenths of the quota
    left = [key.rpartition("/")[2] for key in keys(bucket) if key.startswith("kept/here/poster/")]
    assert 15 <= len(left) < 20
    assert set(names[:5]) <= set(left)  # they were used recently
    assert "poster/of somebody else" in keys(bucket)
    assert first.load("poster", names[0]) == b"{}"
    second.save("poster", names[0], b'{"anew": 1}')
    release_first = first.acquire(names[0])
    assert release_first is not None
    assert first.load("poster", names[0]) == b'{"anew": 1}'
    assert second.acquire(names[0]) is None
    release_first()
    release_second = second.acquire(names[0])
    assert release_second is not None
    release_second()


def test_a_large_file_is_uploaded_in_parts_and_read_by_ranges(swift: Swift) -> None:
    bucket = swift.bucket()
    store = BucketArtefactStore(
        SyncObjectClient(open_store(f"{bucket.url}/kept", bucket.environ())), 1 << 30
    )
    name = artefact_name("copied", "film")
    data = os.urandom(3 * 8 * 1024**2 + 12345)  # three whole parts, and a short one
    file = store.create_large(len(data), evict=True)
    file.path.write_bytes(data)
    assert store.save_large("copied", name, file, b"{}", [b"the header"])
    file.discard()
    artefact = store.open_large("copied", name)
    assert artefact is not None
    assert artefact.metadata == b"{}"
    assert artefact.blobs[0].read(0, 100) == b"the header"
    assert artefact.large.length == len(data)
    for start in (0, 8 * 1024**2 - 3, len(data) - 3):
        assert artefact.large.read(start, 6) == data[start : start + 6]


def test_a_film_is_copied_into_a_bucket_that_replicas_share(tmp_path: Path, shared: Bucket) -> None:
    folder = tmp_path / "films"
    folder.mkdir()
    film = ffmpeg(tmp_path / "film.mp4", *PICTURE, *SOUND, *H264, *AAC)
    ffmpeg(folder / "film.ts", "-i", film, "-c", "copy")
    with serve(folder, DERIVED=shared.url) as server:
        until(lambda: video(server, "film.ts").get("representation") == "copied", "it is copied")
        url = video(server, "film.ts")["media_url"]
        whole = ask(server.base, url).body
        assert whole[4:8] == b"ftyp"
    with serve(folder, DERIVED=shared.url) as server:
        # Another replica sends it, before the library has looked at anything.
        for first, last in ((0, 99), (len(whole) // 2, len(whole) // 2 + 999), (7, len(whole) - 1)):
            answer = ask(server.base, url, {"Range": f"bytes={first}-{last}"})
            assert answer.status == 206
            assert answer.body == whole[first : first + len(answer.body)]
        until(lambda: video(server, "film.ts").get("media_url") == url, "it is known")
        assert server.metric('reelay_derivations_total{kind="copied"') == 0


@pytest.mark.parametrize("harm", ["damaged", "cut off", "lost"])
def test_a_damaged_artefact_is_rebuilt_identically(media: Path, shared: Bucket, harm: str) -> None:
    with serve(media, DERIVED=shared.url) as server:
        url = wait_until_derived(server, *PATHS)[PATHS[0]]["poster"]["pictures"][0]["url"]
        good = ask(server.base, url).body
        key = f"poster/{url.partition('?v=')[2].partition('&')[0]}"
        record = bytes(obstore.get(shared.store, key).bytes())
    if harm == "lost":
        obstore.delete(shared.store, key)
    else:
        at = record.index(good) + 50
        spoilt = record[:at] + bytes([record[at] ^ 255]) + record[at + 1 :]
        obstore.put(shared.store, key, spoilt if harm == "damaged" else record[:-1])
    with serve(media, DERIVED=shared.url) as server:
        until(lambda: ask(server.base, url).status == 200 or None, "it is ready again")
        assert ask(server.base, url).body == good
        assert derivations(server) == 1
    assert bytes(obstore.get(shared.store, key).bytes()) == record
