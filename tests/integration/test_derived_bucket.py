"""What is derived, kept in a real object store that replicas share."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import obstore
import pytest
from support.api_client import KINDS, wait_until_derived
from support.faulty_store import Fault, faulty
from support.ffmpeg_fixtures import ffmpeg
from support.object_store import Bucket as Made
from support.object_store import Swift
from support.raw_http import ask
from support.server import Server, serve, until, write

from service.artefact_store.bucket import BucketArtefactStore
from service.artefact_store.keys import artefact_name
from service.storage.object_store.config import open_store
from service.storage.object_store.sync_client import SyncObjectClient

HOUR = 3600
SRT = b"1\n00:00:01,000 --> 00:00:02,500\nGr\xfc\xdfe\n"


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    file = tmp_path_factory.mktemp("films") / "film.mp4"
    picture = ("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=10:duration=6")
    return ffmpeg(file, *picture, "-c:v", "libx264", "-g", "10").read_bytes()


@pytest.fixture
def media(tmp_path: Path, film: bytes) -> Path:
    """Give a folder of six films, one with captions."""
    folder = tmp_path / "media"
    for number in range(6):
        write(folder, f"{number}.mp4", film, HOUR + number)
    write(folder, "0.de.srt", SRT)
    return folder


PATHS = [f"{number}.mp4" for number in range(6)]
MADE = 2 * len(PATHS) + 1  # a poster and a storyboard of each, and the captions of one


@pytest.fixture
def shared(bucket: Made, monkeypatch: pytest.MonkeyPatch) -> Made:
    """Give a bucket that services started now may use."""
    for name, value in bucket.environ().items():
        monkeypatch.setenv(name, value)
    return bucket


def keys(bucket: Made, prefix: str = "") -> set[str]:
    found = {told["path"] for page in obstore.list(bucket.store, prefix or None) for told in page}
    return {key for key in found if not key.startswith(("claims/", "used/"))}


def derivations(server: Server) -> float:
    return server.metric("reelay_derivations_total")


def pictures(server: Server, told: dict[str, Any]) -> dict[str, bytes]:
    """Give every picture and text that is told of, by its address."""
    urls = []
    for video in told.values():
        urls += [picture["url"] for picture in video["poster"]["pictures"]]
        urls += [track["url"] for track in video["captions"]["tracks"]]
        urls.append(video["storyboard"]["url"])
    answers = {url: ask(server.base, url) for url in urls}
    assert {answer.status for answer in answers.values()} == {200}
    return {url: answer.body for url, answer in answers.items()}


def test_two_replicas_make_each_thing_once_and_give_the_same_bytes(
    media: Path, shared: Made
) -> None:
    with ExitStack() as stack:
        replicas = [stack.enter_context(serve(media, DERIVED=shared.url)) for _ in range(2)]
        one, other = (wait_until_derived(replica, *PATHS) for replica in replicas)
        assert one == other
        given = [pictures(replica, one) for replica in replicas]
        assert given[0] == given[1]
        made = [derivations(replica) for replica in replicas]
        probed = [replica.metric("reelay_probes_total") for replica in replicas]
    assert min(made) > 0
    # Swift looks before it writes: two that claim within the same few milliseconds both may.
    assert MADE <= sum(made) <= MADE + 2
    # Both may probe a file at the same time: a probe costs less than a lease.
    assert len(PATHS) <= sum(probed) <= 2 * len(PATHS)
    assert len(keys(shared)) == MADE + len(PATHS)
    assert not (media.parent / "derived").exists()


def test_a_new_replica_starts_warm(media: Path, shared: Made) -> None:
    with serve(media, DERIVED=shared.url) as server:
        before = wait_until_derived(server, *PATHS)
        given = pictures(server, before)
    with serve(media, DERIVED=shared.url) as server:
        assert wait_until_derived(server, *PATHS) == before
        assert pictures(server, before) == given
        assert server.metric("reelay_probes_total") == 0
        assert derivations(server) == 0


@pytest.mark.slow
def test_what_is_in_memory_does_not_wait_for_a_store_that_hangs(media: Path, shared: Made) -> None:
    with serve(media, DERIVED=shared.url) as server:
        wait_until_derived(server, *PATHS)
    with (
        faulty(shared.swift) as store,
        serve(media, DERIVED=shared.url, environ=shared.swift.environ(store.endpoint)) as server,
    ):
        told = wait_until_derived(server, *PATHS)
        urls = [picture["url"] for path in PATHS for picture in told[path]["poster"]["pictures"]]
        sheet = told["0.mp4"]["storyboard"]["url"].replace(".vtt", "/0.webp")
        seen = [ask(server.base, url) for url in (urls[0], sheet)]
        assert {answer.status for answer in seen} == {200}
        hold = Fault("hold")
        store.faults.append(hold)
        with ThreadPoolExecutor(len(urls)) as threads:
            others = [threads.submit(ask, server.base, url) for url in urls[1:]]
            # As many as the service asks for at a time wait for the store.
            until(lambda: hold.times <= 1_000_000 - 8 or None, "the others wait")
            again = [ask(server.base, url) for url in (urls[0], sheet)]
            assert not any(other.done() for other in others)
            store.released.set()
            assert {other.result().status for other in others} <= {200, 404, 503}
        assert [(answer.status, answer.body) for answer in again] == [
            (200, answer.body) for answer in seen
        ]


@pytest.mark.slow
def test_what_a_killed_replica_had_claimed_is_made_by_the_next(media: Path, shared: Made) -> None:
    for path in PATHS[1:]:
        (media / path).unlink()
    (media / "0.de.srt").unlink()

    def claimed() -> set[str]:
        return {told["path"] for page in obstore.list(shared.store, "claims") for told in page}

    with serve(media, DERIVED=shared.url) as server:
        until(lambda: claimed() or None, "something is claimed", pause=0)
        server.process.kill()
        server.process.wait()
    assert len(claimed()) == 1
    with serve(media, DERIVED=shared.url) as server:
        told = wait_until_derived(server, PATHS[0])[PATHS[0]]
        assert {told[kind]["state"] for kind in KINDS} == {"ready", "none"}
    assert claimed() == set()


def test_room_is_made_and_claims_are_had_once_in_a_prefix_of_its_own(swift: Swift) -> None:
    made = swift.bucket()
    made.put("poster/of somebody else", b"x")
    url, environ = f"{made.url}/kept/here", made.environ()
    one, other = (
        BucketArtefactStore(SyncObjectClient(open_store(url, environ)), 20_000) for _ in range(2)
    )
    names = [artefact_name("poster", str(number)) for number in range(30)]
    for name in names:
        assert one.save("poster", name, b"{}", [name.encode() * 30])  # of some 1,000 bytes
    time.sleep(1)  # the store tells when something was written by the second, rounded up
    for name in names[:5]:
        assert other.load("poster", name) == b"{}"
    other.evict()
    assert other.size <= 18_000  # nine tenths of what there may be
    left = [key.rpartition("/")[2] for key in keys(made) if key.startswith("kept/here/poster/")]
    assert 15 <= len(left) < 20
    assert set(names[:5]) <= set(left)  # they were used
    assert "poster/of somebody else" in keys(made)
    assert one.load("poster", names[0]) == b"{}"
    other.save("poster", names[0], b'{"anew": 1}')
    mine = one.acquire(names[0])
    assert mine is not None
    assert one.load("poster", names[0]) == b'{"anew": 1}'
    assert other.acquire(names[0]) is None
    mine()
    theirs = other.acquire(names[0])
    assert theirs is not None
    theirs()


@pytest.mark.slow
@pytest.mark.parametrize("harm", ["damaged", "cut off", "lost"])
def test_what_was_harmed_is_made_again_as_it_was(media: Path, shared: Made, harm: str) -> None:
    with serve(media, DERIVED=shared.url) as server:
        url = wait_until_derived(server, *PATHS)[PATHS[0]]["poster"]["pictures"][0]["url"]
        good = ask(server.base, url).body
        key = f"poster/{url.partition('?v=')[2].partition('&')[0]}"
        whole = bytes(obstore.get(shared.store, key).bytes())
    if harm == "lost":
        obstore.delete(shared.store, key)
    else:
        at = whole.index(good) + 50
        spoilt = whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :]
        obstore.put(shared.store, key, spoilt if harm == "damaged" else whole[:-1])
    with serve(media, DERIVED=shared.url) as server:
        until(lambda: ask(server.base, url).status == 200 or None, "it is there again")
        assert ask(server.base, url).body == good
        assert derivations(server) == 1
    assert bytes(obstore.get(shared.store, key).bytes()) == whole
