"""The state in a folder or a bucket, and its key."""

import threading
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from service.access.bucket_state import BucketState
from service.access.control import StateError, load_key, read_generation, sign_out_everywhere
from service.access.state import FolderState, State
from service.storage.object_store.sync_client import SyncObjectClient


@pytest.fixture(params=["folder", "bucket"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> State:
    if request.param == "folder":
        return FolderState(tmp_path / "state")
    return BucketState(SyncObjectClient(MemoryStore()))


def test_values_are_written_read_listed_and_removed(state: State, tmp_path: Path) -> None:
    assert state.read("links/a.json") is None
    assert state.names("links") == []
    state.write("links/a.json", b"1")
    state.write("links/a.json", b"2")
    assert state.read("links/a.json") == b"2"
    assert state.names("links") == ["a.json"]
    state.delete("links/a.json")
    state.delete("links/a.json")
    assert state.names("links") == []
    assert list(tmp_path.rglob(".*")) == []


def test_a_value_is_created_once(state: State) -> None:
    assert state.create("key", b"first")
    assert not state.create("key", b"second")
    assert state.read("key") == b"first"


def test_other_users_cannot_read_the_state(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    load_key(FolderState(folder), None)
    assert folder.stat().st_mode & 0o007 == 0
    assert (folder / "key").stat().st_mode & 0o037 == 0


def test_replicas_that_start_at_once_have_the_same_key(tmp_path: Path) -> None:
    keys: list[bytes] = []
    barrier = threading.Barrier(8)

    def start() -> None:
        barrier.wait()
        keys.append(load_key(FolderState(tmp_path), None))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 8
    assert len(set(keys)) == 1


@pytest.mark.parametrize("text", ["", "abc", "0" * 63, "0" * 65, "A" * 64, "zz" * 32])
def test_a_damaged_key_is_reported(tmp_path: Path, text: str) -> None:
    (tmp_path / "key").write_text(text, encoding="utf-8")
    with pytest.raises(StateError, match="the key is damaged"):
        load_key(FolderState(tmp_path), None)


def test_a_state_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    with pytest.raises(StateError, match="cannot be read or made"):
        load_key(FolderState(file), None)


def test_everybody_is_signed_out_by_a_number(tmp_path: Path) -> None:
    state = FolderState(tmp_path)
    assert read_generation(state) == 0
    sign_out_everywhere(state)
    sign_out_everywhere(state)
    assert read_generation(state) == 2
