"""The storyboard's WebVTT, as players parse it."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.images.models import StoryboardGrid, storyboard_webvtt
from service.images.storyboard import MAX_TILES, tile_intervals

CUE = re.compile(r"(\d{2,}:\d\d:\d\d\.\d{3}) --> (\d{2,}:\d\d:\d\d\.\d{3})\n(\S+)\n")


def sheet_url(number: int) -> str:
    return f"/storyboards/a.mp4/{number}.webp?v=1"


def seconds(timestamp: str) -> float:
    hours, minutes, rest = timestamp.split(":")
    assert int(minutes) < 60
    assert float(rest) < 60
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


def test_a_cue_names_the_sheet_and_the_position_on_it() -> None:
    grid = StoryboardGrid(
        160, 90, columns=2, rows=2, starts=(0.0, 48.0, 96, 3600, 3648), duration=3660.5
    )
    assert storyboard_webvtt(grid, sheet_url) == (
        "WEBVTT\n"
        "\n"
        "00:00:00.000 --> 00:00:48.000\n"
        "/storyboards/a.mp4/0.webp?v=1#xywh=0,0,160,90\n"
        "\n"
        "00:00:48.000 --> 00:01:36.000\n"
        "/storyboards/a.mp4/0.webp?v=1#xywh=160,0,160,90\n"
        "\n"
        "00:01:36.000 --> 01:00:00.000\n"
        "/storyboards/a.mp4/0.webp?v=1#xywh=0,90,160,90\n"
        "\n"
        "01:00:00.000 --> 01:00:48.000\n"
        "/storyboards/a.mp4/0.webp?v=1#xywh=160,90,160,90\n"
        "\n"
        "01:00:48.000 --> 01:01:00.500\n"
        "/storyboards/a.mp4/1.webp?v=1#xywh=0,0,160,90\n"
    )


def test_a_film_shorter_than_a_millisecond_has_a_cue() -> None:
    text = storyboard_webvtt(
        StoryboardGrid(16, 9, columns=1, rows=1, starts=(0.0,), duration=0.0001), sheet_url
    )
    assert "00:00:00.000 --> 00:00:00.001\n" in text  # WebVTT §4.1: the end is after the start


@given(st.floats(min_value=0.002, max_value=1e7))
def test_cues_cover_the_film_in_order_and_without_gaps(duration: float) -> None:
    starts = tuple(start for start, _ in tile_intervals(duration))
    text = storyboard_webvtt(StoryboardGrid(160, 90, 10, 10, starts, duration), sheet_url)
    cues = CUE.findall(text)
    assert 1 <= len(cues) == len(starts) <= MAX_TILES
    assert seconds(cues[0][0]) == 0
    assert seconds(cues[-1][1]) == pytest.approx(duration, abs=0.001)
    assert all(before[1] == after[0] for before, after in pairwise(cues))
    assert all(seconds(start) < seconds(end) for start, end, _ in cues[:-1])


@given(st.floats(min_value=0.002, max_value=1e7))
def test_all_times_but_the_last_are_whole_seconds(duration: float) -> None:
    spans = tile_intervals(duration)
    lengths = {end - start for start, end in spans[:-1]}
    assert len(lengths) <= 1
    assert all(length == int(length) >= 1 for length in lengths)
    assert 0 < spans[-1][1] - spans[-1][0] <= max(lengths, default=duration)
    assert spans[-1][1] == duration


@pytest.mark.parametrize(
    ("duration", "interval"),
    [(10, 1), (150, 1), (151, 2), (300, 2), (3600, 24), (7200, 48), (7200.5, 49)],
)
def test_the_interval_grows_with_the_duration(duration: float, interval: int) -> None:
    assert tile_intervals(duration)[1] == (interval, 2 * interval)  # of at most 150 tiles
