"""Leases for replicas that share a bucket."""

import threading
import time
from collections.abc import Iterator

import obstore
import pytest
from obstore.store import MemoryStore
from structlog.testing import capture_logs

from service.artefact_store import leases as module
from service.artefact_store.leases import LeaseManager
from service.storage.object_store.sync_client import SyncObjectClient

NAME = "0" * 32
KEY = f"claims/{NAME}"
TIMEOUT = 120  # seconds, after which a test that waits for something fails


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Return the seconds of the monotonic clock, which the test sets."""
    now = [1000.0]
    with monkeypatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: now[0])
        yield now


def await_renewal(store: MemoryStore) -> None:
    """Wait until the owner of the lease renews it."""
    before = obstore.get(store, KEY).bytes().to_bytes()
    deadline = time.perf_counter() + TIMEOUT
    while obstore.get(store, KEY).bytes().to_bytes() == before:
        assert time.perf_counter() < deadline
        threading.Event().wait(0.01)


def test_a_lease_is_exclusive_until_it_is_released(store: MemoryStore) -> None:
    one, other = LeaseManager(SyncObjectClient(store)), LeaseManager(SyncObjectClient(store))
    lease = one.acquire(NAME)
    assert lease is not None
    assert other.acquire(NAME) is None
    assert one.acquire(NAME) is None
    another = other.acquire("1" * 32)
    assert another is not None
    another()
    lease()
    other_lease = other.acquire(NAME)
    assert other_lease is not None
    other_lease()


def test_a_lease_that_is_not_renewed_expires_by_the_observers_clock(
    store: MemoryStore, clock: list[float]
) -> None:
    obstore.put(store, KEY, b"of a killed process")
    leases = LeaseManager(SyncObjectClient(store))
    clock[0] += 1e6  # its age does not count: this manager has not seen it before
    assert leases.acquire(NAME) is None
    clock[0] += module._LEASE_TTL - 1  # noqa: SLF001
    assert leases.acquire(NAME) is None
    clock[0] += 1
    lease = leases.acquire(NAME)
    assert lease is not None
    assert LeaseManager(SyncObjectClient(store)).acquire(NAME) is None
    lease()


def test_a_renewed_lease_does_not_expire(
    store: MemoryStore, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_RENEW_INTERVAL", 0.01)
    lease = LeaseManager(SyncObjectClient(store)).acquire(NAME)
    assert lease is not None
    other = LeaseManager(SyncObjectClient(store))
    for _ in range(5):
        await_renewal(store)
        assert other.acquire(NAME) is None
        clock[0] += module._LEASE_TTL  # noqa: SLF001 # without a renewal, it would expire now
    lease()
    assert other.acquire(NAME) is not None


def test_an_unexpected_error_does_not_end_the_renewals(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Faulty(SyncObjectClient):
        """A store whose first renewal fails."""

        puts = 0

        def put(self, key: str, data: bytes) -> None:
            self.puts += 1
            if self.puts == 1:
                raise RuntimeError("unexpected")
            super().put(key, data)

    monkeypatch.setattr(module, "_RENEW_INTERVAL", 0.01)
    bucket = Faulty(store)
    with capture_logs() as lines:
        lease = LeaseManager(bucket).acquire(NAME)
        assert lease is not None
        await_renewal(store)
        lease()
    assert [(line["event"], line["key"]) for line in lines] == [
        ("a claim could not be renewed", KEY)
    ]
    assert lines[0]["exc_info"]


def test_only_one_of_many_concurrent_replicas_acquires_a_lease(store: MemoryStore) -> None:
    start, results = threading.Barrier(8), []

    def acquire() -> None:
        leases = LeaseManager(SyncObjectClient(store))
        start.wait(TIMEOUT)
        results.append(leases.acquire(NAME))

    threads = [threading.Thread(target=acquire) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    acquired = [release for release in results if release is not None]
    assert len(acquired) == 1
    acquired[0]()


def test_a_lost_response_does_not_lose_the_lease(store: MemoryStore) -> None:
    class Forgetful(SyncObjectClient):
        """A client whose first response is lost, so that it repeats the request."""

        def create(self, key: str, data: bytes) -> bool:
            super().create(key, data)
            return super().create(key, data)

    lease = LeaseManager(Forgetful(store)).acquire(NAME)
    assert lease is not None
    lease()


def test_leases_of_dead_processes_are_evicted(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    obstore.put(store, KEY, b"of a killed process")
    leases = LeaseManager(SyncObjectClient(store))
    leases.evict()
    assert leases.acquire(NAME) is None
    monkeypatch.setattr(time, "time", lambda: 1e11)
    leases.evict()
    lease = leases.acquire(NAME)
    assert lease is not None
    lease()
