"""Faults of the object store: viewers get the right bytes or an error."""

import http.client
import json
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from hashlib import md5
from pathlib import Path

import pytest
from support.faulty_store import Fault, FaultyStore, Request, faulty
from support.mp4_boxes import FTYP, box, moov, table, track
from support.object_store import Bucket, Swift
from support.raw_http import Answer, ask, connect
from support.server import BLOCK, Server, content, serve, until

pytestmark = pytest.mark.slow

SIZE = 3 * BLOCK + 500
DATA = content(SIZE)


@dataclass
class Film:
    """A film in a store behind a faulty proxy, and the service that serves it."""

    name: str
    bucket: Bucket
    store: FaultyStore
    server: Server

    def get(self, first: int, last: int, pin: str = "") -> Answer:
        target = f"/media/{self.name}{pin and f'?v={pin}'}"
        return ask(self.server.base, target, {"Range": f"bytes={first}-{last}"})

    def outcomes(self, outcome: str) -> float:
        return self.server.metric(
            f'reelay_store_requests_total{{outcome="{outcome}",request="get"}}'
        )

    def replace(self, data: bytes) -> None:
        self.bucket.put(self.name, data, age=1800)


@pytest.fixture(scope="module")
def all_films(swift: Swift, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Film]:
    """Serve a bucket through the faulty proxy."""
    swift.start()
    bucket = swift.bucket()
    media = tmp_path_factory.mktemp("faults") / "media"
    with faulty(swift) as store:
        environ = bucket.environ(store.endpoint)
        with serve(media, MEDIA=bucket.url, STORE_TIMEOUT="10", environ=environ) as server:
            yield Film("", bucket, store, server)
            store.released.set()


@pytest.fixture
def film(all_films: Film, request: pytest.FixtureRequest) -> Iterator[Film]:
    """Create a film for one test, so that none of its blocks are cached."""
    # It is not an MP4, so it is not probed for a moov.
    name = f"{md5(request.node.name.encode(), usedforsecurity=False).hexdigest()}.ts"
    all_films.bucket.put(name, DATA)
    all_films.store.faults = []
    all_films.store.released.clear()
    yield replace(all_films, name=name)
    all_films.store.faults = []
    all_films.store.released.set()


def read_truncated(answer: http.client.HTTPResponse) -> bytes:
    """Read until the body is cut off; return the received bytes."""
    with pytest.raises(http.client.IncompleteRead) as caught:
        answer.read()
    return caught.value.partial


@pytest.mark.parametrize(
    "fault",
    [
        Fault("status", 503, times=2),
        Fault("status", 500, times=1),
        Fault("refuse", times=2),
        Fault("truncate", 1000, times=1),
        Fault("truncate", 0, times=1),
        Fault("truncate", BLOCK - 1, times=1),
    ],
    ids=lambda fault: f"{fault.kind} {fault.value}",
)
def test_a_temporary_fault_is_retried(film: Film, fault: Fault) -> None:
    before = film.outcomes("complete")
    film.store.faults = [fault]
    answer = film.get(0, BLOCK - 1)
    assert answer.status == 206
    assert answer.body == DATA[:BLOCK]
    assert fault.times == 0
    assert film.outcomes("complete") == before + 1


@pytest.mark.parametrize(
    ("fault", "status", "outcome"),
    [
        (Fault("status", 503), 502, "failed"),
        (Fault("status", 403), 502, "denied"),
        (Fault("status", 400), 502, "failed"),
        (Fault("refuse"), 502, "failed"),
        (Fault("hold"), 504, "timeout"),
        (Fault("shift", 1), 502, "wrong"),
        (Fault("shift", -100), 502, "wrong"),
        (Fault("whole"), 502, "wrong"),
    ],
    ids=lambda value: f"{value.kind} {value.value}" if isinstance(value, Fault) else None,
)
def test_a_fault_before_the_first_byte_is_a_problem_response(
    film: Film, fault: Fault, status: int, outcome: str
) -> None:
    before = film.outcomes(outcome)
    film.store.faults = [fault]
    answer = film.get(BLOCK + 1000, BLOCK + 1999)
    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert json.loads(answer.body)["status"] == status
    assert film.outcomes(outcome) == before + 1
    film.store.faults = []
    film.store.released.set()
    assert film.get(BLOCK + 1000, BLOCK + 1999).body == DATA[BLOCK + 1000 : BLOCK + 2000]


def test_an_unreachable_store_is_a_problem_response(film: Film) -> None:
    film.get(0, 9)  # metadata of the object is reused for a second
    film.bucket.swift.proxy.stop()
    try:
        answer = film.get(BLOCK, BLOCK + 9)
        assert answer.status in {502, 504}
        assert answer.headers["Content-Type"] == "application/problem+json"
    finally:
        film.bucket.swift.start()
    recovered = until(
        lambda: (answer := film.get(BLOCK, BLOCK + 9)).status == 206 and answer, "it recovers"
    )
    assert recovered.body == DATA[BLOCK : BLOCK + 10]


def test_two_of_three_object_servers_may_fail(film: Film) -> None:
    swift = film.bucket.swift
    for node in swift.objects[:2]:
        node.stop()
    try:
        for number in range(3):
            answer = film.get(number * BLOCK, (number + 1) * BLOCK - 1)
            assert answer.body == DATA[number * BLOCK : (number + 1) * BLOCK]
    finally:
        swift.start()


@pytest.mark.parametrize("kind", ["truncate", "stall"])
def test_a_fault_after_the_first_byte_closes_the_connection(film: Film, kind: str) -> None:
    outcome = {"truncate": "failed", "stall": "timeout"}[kind]
    before = film.outcomes(outcome)
    film.store.faults = [Fault(kind, 0, when=lambda request: request.first >= BLOCK)]
    connection = connect(film.server.base)
    connection.request("GET", f"/download/{film.name}")
    answer = connection.getresponse()
    assert answer.status == 200
    assert answer.headers["Content-Length"] == str(SIZE)
    assert read_truncated(answer) == DATA[:BLOCK]
    connection.close()
    line = film.server.wait_for_log(path=f"/download/{film.name}", outcome="failed")
    assert (line["status"], line["bytes"]) == (200, BLOCK)
    # One request was read ahead; a second may have been sent after it failed.
    assert film.outcomes(outcome) - before in {1, 2}
    film.store.faults = []
    film.store.released.set()
    assert film.get(BLOCK, 2 * BLOCK - 1).body == DATA[BLOCK : 2 * BLOCK]


def test_a_store_that_ignores_conditions_never_mixes_versions(film: Film) -> None:
    first = film.get(0, 9)
    new = content(SIZE, 2)
    film.replace(new)
    film.store.faults = [Fault("unconditional")]
    pin = first.headers["ETag"].strip('"')
    gone = film.get(BLOCK, BLOCK + 9, pin)
    assert gone.status == 410
    assert film.get(BLOCK, BLOCK + 9).body == new[BLOCK : BLOCK + 10]


@pytest.mark.parametrize("blocks", [12, 1], ids=["of the same length", "shortened"])
@pytest.mark.parametrize("faults", [[], [Fault("unconditional")]], ids=["", "conditions ignored"])
def test_replacing_an_object_ends_its_response(
    film: Film, faults: list[Fault], blocks: int
) -> None:
    data = content(12 * BLOCK)  # more than the kernel's buffers and the read-ahead hold
    film.bucket.put(film.name, data, age=2400)
    film.store.faults = list(faults)
    connection = connect(film.server.base)
    connection.request("GET", f"/download/{film.name}")
    answer = connection.getresponse()
    assert answer.status == 200
    received = answer.read(1000)
    film.replace(content(blocks * BLOCK, 2))
    received += read_truncated(answer)
    connection.close()
    assert received == data[: len(received)]
    film.server.wait_for_log(path=f"/download/{film.name}", status=200, outcome="changed")


def test_a_replaced_object_is_gone_if_pinned_and_new_otherwise(film: Film) -> None:
    first = film.get(0, 9)
    assert first.status == 206
    new = content(SIZE, 2)
    film.replace(new)
    # Opened less than a second ago, so only the request for the block notices the new version.
    unpinned = film.get(2 * BLOCK, 2 * BLOCK + 9)
    assert (unpinned.status, unpinned.body) == (206, new[2 * BLOCK : 2 * BLOCK + 10])
    assert unpinned.headers["ETag"] != first.headers["ETag"]
    assert film.get(0, 9, first.headers["ETag"].strip('"')).status == 410


def test_a_removed_object_is_not_found(film: Film) -> None:
    film.get(0, 9)
    film.bucket.delete(film.name)
    assert film.get(BLOCK, BLOCK + 9).status == 404


def test_an_object_replaced_before_a_retry_is_new(film: Film) -> None:
    new = content(SIZE, 2)

    def replaced(request: Request) -> bool:
        if request.method == "GET":
            film.replace(new)
        return False

    # The retry requests the old version, which the store no longer has.
    film.store.faults = [Fault("truncate", 0, times=1), Fault("refuse", times=1, when=replaced)]
    changed = film.outcomes("changed")
    answer = film.get(0, 9)
    assert (answer.status, answer.body) == (206, new[:10])
    assert film.outcomes("changed") == changed + 1


def test_a_film_replaced_before_its_moov_was_read_is_new_at_once(film: Film) -> None:
    def film_with_moov(seed: int) -> bytes:
        media = box(b"mdat", content(BLOCK, seed))
        return FTYP + media + moov(track(table([len(FTYP) + 8])))

    film = replace(film, name=film.name.replace(".ts", ".mp4"))
    film.replace(film_with_moov(1))
    old = ask(film.server.base, f"/download/{film.name}", method="HEAD")
    film.replace(film_with_moov(2))
    answer = ask(film.server.base, f"/media/{film.name}")
    moov_length = len(moov(track(table([0]))))
    assert answer.status == 200
    assert answer.body[len(FTYP) + moov_length :] == film_with_moov(2)[len(FTYP) : -moov_length]
    assert film.get(0, 9, old.headers["ETag"].strip('"') + "-f3").status == 410


@pytest.mark.parametrize("length", [1025, 8200, 22_500])
def test_a_name_longer_than_any_key_is_not_found_without_a_request(film: Film, length: int) -> None:
    failed = film.server.metric("reelay_store_requests_total")
    assert replace(film, name="!" * (length - 3) + ".ts").get(0, 9).status == 404
    assert film.server.metric("reelay_store_requests_total") == failed


def test_shutdown_answers_requests_that_wait_for_the_store(swift: Swift, tmp_path: Path) -> None:
    bucket = swift.bucket()
    bucket.put("film.ts", DATA)
    with (
        faulty(swift) as store,
        ThreadPoolExecutor(1) as viewer,
        serve(
            tmp_path / "media",
            MEDIA=bucket.url,
            STORE_TIMEOUT="60",
            DRAIN_TIMEOUT="2",
            environ=bucket.environ(store.endpoint),
        ) as server,
    ):
        store.faults = [Fault("hold")]
        waiting = viewer.submit(ask, server.base, "/media/film.ts", {"Range": "bytes=0-9"})
        until(lambda: store.object_requests() or None, "the store has a request")
        server.process.send_signal(signal.SIGTERM)
        assert server.ended() == 0
        answer = waiting.result()
        store.released.set()
        assert answer.status == 503  # the edge then tries another replica
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert not [line for line in server.lines if '"level": "error"' in line]
