"""Which rails a home page has."""

from types import SimpleNamespace
from typing import Any

import pytest
from support.catalogues import catalogue_of
from support.named_videos import named_video

from service.browsing.rails import MIN_VIDEOS, choose_recent, home_folder, home_rails
from service.catalogue.catalogue import Catalogue
from service.models import ProbeState, Video


def video(path: str, state: ProbeState = ProbeState.PENDING) -> Video:
    return Video(
        path=path,
        title=path,
        content_type="video/mp4",
        size=1,
        revision="1-1",
        modified=0.0,
        state=state,
    )


def catalogue(*paths: str) -> Catalogue:
    return catalogue_of(map(video, paths))


@pytest.mark.parametrize(
    "paths",
    [
        [],
        [f"{number}.mp4" for number in range(2 * MIN_VIDEOS)],  # no folders
        [f"{number % 4}/{number}.mp4" for number in range(MIN_VIDEOS - 1)],  # few videos
        [f"Videos/{number}.mp4" for number in range(2 * MIN_VIDEOS)],  # a single folder
    ],
)
def test_a_plain_list_has_no_rails(paths: list[str]) -> None:
    library: Any = SimpleNamespace(catalogue=catalogue(*paths), recent=())
    items: Any = None  # no card is made
    assert home_rails(library, items) == []


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["a/1.mp4", "b/1.mp4"], ""),
        (["1.mp4", "a/1.mp4"], ""),
        (["all/a/1.mp4", "all/b/1.mp4"], "all"),
        (["all/videos/a/1.mp4", "all/videos/b/1.mp4"], "all/videos"),
        (["all/1.mp4", "all/a/1.mp4"], "all"),
        (["all/a/1.mp4", "1.mp4"], ""),
        ([], ""),
    ],
)
def test_the_rails_are_of_the_folders_in_the_first_folder_with_a_choice(
    paths: list[str], expected: str
) -> None:
    assert home_folder(catalogue(*paths)) == expected


@pytest.mark.parametrize(("above", "expected"), [("", ""), ("TV/", "TV")])
def test_the_seasons_of_an_only_series_have_no_rails(above: str, expected: str) -> None:
    """They are on the page of the series."""
    paths = [f"{above}Show/Season {n}/Show S0{n}E01.mp4" for n in (1, 2)]
    assert home_folder(catalogue_of(map(named_video, paths))) == expected


@pytest.mark.parametrize(
    ("paths", "limit", "expected"),
    [
        # A new season leaves room for others.
        (["s/5", "s/4", "s/3", "s/2", "f/1", "g/1"], 5, ["s/5", "s/4", "s/3", "f/1", "g/1"]),
        # Without others it has all the room, and the order stays.
        (["s/5", "s/4", "s/3", "s/2", "f/1"], 5, ["s/5", "s/4", "s/3", "s/2", "f/1"]),
        (["s/5", "s/4", "s/3", "s/2", "f/1", "s/1"], 5, ["s/5", "s/4", "s/3", "s/2", "f/1"]),
        (["5", "4", "3", "2", "1"], 4, ["5", "4", "3", "2"]),
        ([], 4, []),
    ],
)
def test_recent_videos_of_a_folder_leave_room_for_others(
    paths: list[str], limit: int, expected: list[str]
) -> None:
    assert [one.path for one in choose_recent(map(video, paths), limit)] == expected


def test_files_that_could_not_be_read_are_not_among_the_recent_videos() -> None:
    videos = [video("broken", ProbeState.FAILED), video("whole", ProbeState.PROBED)]
    assert choose_recent(videos, 4) == videos[1:]
