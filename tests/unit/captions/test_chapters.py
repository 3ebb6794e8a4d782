from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.webvtt_validator import require_valid

from service.captions.chapters import parse_chapters, to_webvtt
from service.captions.webvtt import CaptionsError
from service.models import Chapter
from service.probing.chapters import MAX_CHAPTERS, MAX_TITLE_LENGTH, read_chapters


class Container:
    """A container as PyAV reports it. Damaged files can have any values."""

    def __init__(
        self,
        *chapters: tuple[int, int, dict[str, str]],
        start_time: int | None = None,
        duration: int | None = None,
    ) -> None:
        self.start_time = start_time
        self.duration = duration
        self.streams: tuple[Any, ...] = ()
        self.format = SimpleNamespace(name="matroska,webm")
        self._chapters = chapters

    def chapters(self) -> list[dict[str, Any]]:
        return [
            {"id": 1, "start": start, "end": end, "time_base": Fraction(1, 1000), "metadata": tags}
            for start, end, tags in self._chapters
        ]


def test_chapters_are_read_in_order_with_their_titles() -> None:
    container = Container((1500, 3000, {"TITLE": " B\n b "}), (0, 1500, {"title": "A"}))
    assert read_chapters(container) == (
        Chapter(start=0.0, end=1.5, title="A"),
        Chapter(start=1.5, end=3.0, title="B b"),
    )


def test_a_chapter_without_a_title_has_its_number() -> None:
    assert [
        chapter.title for chapter in read_chapters(Container((0, 1, {}), (1, 2, {"title": "\0"})))
    ] == ["1", "2"]


def test_a_chapter_without_an_end_lasts_until_the_next() -> None:
    chapters = read_chapters(Container((0, 0, {}), (2000, 2000, {})))
    assert [(chapter.start, chapter.end) for chapter in chapters] == [(0.0, 2.0)]


def test_chapter_times_start_at_the_first_frame() -> None:
    chapters = read_chapters(Container((1000, 3000, {}), (3000, 4000, {}), start_time=1_500_000))
    assert [(chapter.start, chapter.end) for chapter in chapters] == [(0.0, 1.5), (1.5, 2.5)]


def test_chapters_that_were_left_behind_when_the_film_was_moved_are_not_moved() -> None:
    chapters = read_chapters(Container((0, 3000, {}), (3000, 8000, {}), start_time=10_000_000))
    assert [(chapter.start, chapter.end) for chapter in chapters] == [(0.0, 3.0), (3.0, 8.0)]


@pytest.mark.parametrize("duration", [15_000_000, None])
def test_chapters_that_would_be_over_before_the_film_are_left_behind_only_if_they_fit(
    duration: int | None,
) -> None:
    chapters = read_chapters(
        Container((0, 4000, {}), (4000, 8000, {}), start_time=7_000_000, duration=duration)
    )
    # By FFmpeg, the duration is the time of the end: the film has 8 seconds.
    expected = [(0.0, 4.0), (4.0, 8.0)] if duration else [(0.0, 1.0)]
    assert [(chapter.start, chapter.end) for chapter in chapters] == expected


@given(st.lists(st.tuples(*[st.integers(-(2**63), 2**63 - 1)] * 2, st.text()), max_size=5))
def test_arbitrary_chapter_times_give_ordered_chapters_or_none(
    raw: list[tuple[int, int, str]],
) -> None:
    chapters = read_chapters(
        Container(*((start, end, {"title": title}) for start, end, title in raw))
    )
    assert all(0 <= chapter.start < chapter.end < 4e7 and chapter.title for chapter in chapters)
    assert [chapter.start for chapter in chapters] == sorted(chapter.start for chapter in chapters)
    if chapters:
        assert len(require_valid(to_webvtt(chapters))) == len(chapters)


def test_the_number_of_chapters_and_the_length_of_titles_are_limited() -> None:
    many = Container(
        *((at, at + 1, {"title": "x" * 2 * MAX_TITLE_LENGTH}) for at in range(MAX_CHAPTERS + 9))
    )
    chapters = read_chapters(many)
    assert len(chapters) == MAX_CHAPTERS
    assert {len(chapter.title) for chapter in chapters} == {MAX_TITLE_LENGTH}


def test_chapters_are_parsed_from_webvtt() -> None:
    text = (
        "WEBVTT\n\n1\n00:10.000 --> 00:20.000\n<c>Tom</c> &amp; <i>J</i>\n\n"
        "00:00.000 --> 00:10.000\nIn"
    )
    assert parse_chapters(text) == (
        Chapter(start=0.0, end=10.0, title="In"),
        Chapter(start=10.0, end=20.0, title="Tom & J"),
    )


@pytest.mark.parametrize("text", ["", "WEBVTT", "hello", "WEBVTT\n\n00:02.000 --> 00:01.000\nA"])
def test_a_damaged_file_has_no_chapters(text: str) -> None:
    assert parse_chapters(text) == ()


def test_chapters_are_written_as_webvtt() -> None:
    chapters = [
        Chapter(start=0.0, end=1.5, title="A <&> B"),
        Chapter(start=1.5, end=3.0, title="C"),
    ]
    text = to_webvtt(chapters)
    assert [(cue[0], cue[1], cue[3]) for cue in require_valid(text)] == [
        (0.0, 1.5, "A &lt;&amp;&gt; B"),
        (1.5, 3.0, "C"),
    ]
    assert parse_chapters(text) == tuple(chapters)
    with pytest.raises(CaptionsError):
        to_webvtt([])
