"""The order of artefacts that are to be built, and what the waiting ones take."""

import gc
import tracemalloc
from collections.abc import Callable

import pytest
from support.videos import make_video

from service.artefacts.job_queue import Job, JobQueue
from service.artefacts.metadata import ArtefactKind
from service.artefacts.source import Artefact, ArtefactSource
from service.models import Metadata, Stream

POSTER, STORYBOARD = ArtefactKind.POSTER, ArtefactKind.STORYBOARD
FILM = Metadata(
    container="mp4", duration=1.0, bit_rate=1, streams=(Stream(kind="video", codec="h264"),)
)


def source(number: int) -> ArtefactSource:
    return ArtefactSource.of(make_video(f"{number}.mp4", metadata=FILM), number=number)


def poster(number: int) -> Artefact:
    return next(each for each in source(number).artefacts() if each.kind is POSTER)


def found(*numbers: int) -> Callable[[int, str], ArtefactSource | None]:
    return lambda number, _: source(number) if number in numbers else None


def test_jobs_that_wait_keep_their_order_and_can_be_removed() -> None:
    queue = JobQueue()
    for number in (5, 3, 9, 300):
        queue.add(poster(number))
    queue.add(poster(3))  # it waits already
    queue.discard(poster(9))
    assert queue.count(POSTER) == 3
    order = []
    while queue.has_waiting({POSTER}):
        popped = queue.pop({POSTER, STORYBOARD}, found(5, 3, 300))
        assert popped
        order.append((popped[0].source.number, popped[0].name, popped[1]))
    assert order == [(number, poster(number).name, False) for number in (5, 3, 300)]
    with pytest.raises(LookupError):
        queue.pop({POSTER}, found())
    queue.add(poster(5))
    assert queue.count(POSTER) == 1


def test_a_request_takes_a_job_out_of_those_that_wait() -> None:
    queue = JobQueue()
    queue.add(poster(1))
    queue.add(poster(2))
    queue.request(Job(POSTER, source(2), poster(2).name))
    assert (queue.count(POSTER), queue.requested(POSTER)) == (2, 1)
    popped = queue.pop({POSTER}, found(1, 2))
    assert popped
    assert (popped[0].source.number, popped[1]) == (2, True)
    assert queue.count(POSTER) == 1


def test_a_number_that_is_no_longer_listed_is_skipped_and_one_that_is_forgotten_is_removed() -> (
    None
):
    queue = JobQueue()
    queue.add(poster(1))
    queue.add(poster(2))
    assert queue.pop({POSTER}, found(2)) is None
    queue.forget_number(poster(2))
    assert not queue.has_waiting({POSTER})


def test_a_picture_without_a_number_that_changed_waits_with_its_new_name() -> None:
    queue, old = JobQueue(), Artefact(POSTER, "0" * 32, 0, "folder.jpg", 0)
    queue.add(old)
    queue.add(old._replace(name="1" * 32))
    queue.forget_number(old)  # it has none
    queue.discard(old)
    assert queue.count(POSTER) == 1


def test_a_job_that_waits_takes_few_bytes() -> None:
    queue, some = JobQueue(), poster(1)
    gc.collect()
    tracemalloc.start()
    for number in range(1, 20_001):
        queue.add(some._replace(number=number))
    gc.collect()
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert used / 20_000 < 12  # a name and a path in a dictionary take 180
