import gc
import threading
from collections.abc import Iterator

import pytest

from service.garbage import Freezer, collections_paused


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    gc.unfreeze()
    assert gc.isenabled()


def test_no_collection_begins_until_the_last_pause_has_ended() -> None:
    ended = threading.Event()
    inside = threading.Event()

    def other() -> None:
        with collections_paused():
            inside.set()
            ended.wait()

    thread = threading.Thread(target=other)
    with collections_paused():
        thread.start()
        inside.wait()
    assert not gc.isenabled()  # the other one goes on
    ended.set()
    thread.join()
    assert gc.isenabled()


def test_a_pause_ends_with_an_error() -> None:
    with pytest.raises(ValueError, match="wrong"), collections_paused():
        raise ValueError("wrong")
    assert gc.isenabled()


def test_many_new_objects_are_frozen_and_few_are_not() -> None:
    freezer = Freezer()
    gc.unfreeze()
    freezer.count(999, 999)
    assert gc.get_freeze_count() == 0
    freezer.count(1, 1000)  # 1,000 in all
    assert gc.get_freeze_count() > 0
    gc.unfreeze()
    freezer.count(24_999, 100_000)
    assert gc.get_freeze_count() == 0
    freezer.count(1, 100_000)  # a quarter
    assert gc.get_freeze_count() > 0
