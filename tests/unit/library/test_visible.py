"""What requests by share links see of the library."""

from collections.abc import Iterator

import pytest
from support.catalogues import catalogue_of
from support.named_videos import named_video

from service.access.grants import EVERYTHING, Grant, Scope, set_grant
from service.library.visible import VisibleLibrary
from service.models import Video

PATHS = (
    "Shows/Harbor.Lights.S01E01.1080p.WEB-DL.mkv",
    "Shows/Harbor.Lights.S01E02.1080p.WEB-DL.mkv",
    "Shows Old/Harbor.Lights.S01E03.1080p.WEB-DL.mkv",
    "Films/Pangolin (1999).mp4",
    "Films/Narwhal.mp4",
)


class Whole:
    """A library as `VisibleLibrary` reads it."""

    def __init__(self) -> None:
        self.scanned = True
        self.catalogue = catalogue_of(map(named_video, PATHS))

    @property
    def recent(self) -> tuple[Video, ...]:
        return tuple(self.catalogue.videos)[::-1]

    def folder_image(self, folder: str) -> str | None:
        return f"{folder}/folder.jpg".removeprefix("/")


@pytest.fixture
def whole() -> Whole:
    return Whole()


@pytest.fixture
def visible(whole: Whole) -> Iterator[VisibleLibrary]:
    yield VisibleLibrary(whole)  # type: ignore[arg-type]
    set_grant(EVERYTHING)


def paths(visible: VisibleLibrary) -> list[str]:
    return [video.path for video in visible.catalogue.videos]


@pytest.mark.parametrize(
    ("scope", "seen"),
    [
        (None, PATHS),
        (Scope("folder", ""), PATHS),
        (Scope("folder", "Shows"), PATHS[:2]),
        (Scope("folder", "Films"), PATHS[3:]),
        (Scope("video", PATHS[4]), PATHS[4:]),
        (Scope("video", "Films/Narwhal"), ()),
        (Scope("folder", "Film"), ()),
    ],
)
def test_a_grant_shows_its_videos_alone(
    visible: VisibleLibrary, scope: Scope | None, seen: tuple[str, ...]
) -> None:
    set_grant(Grant(scope))
    assert paths(visible) == sorted(seen)
    assert [video.path for video in visible.recent] == sorted(seen)[::-1]
    total = sum(visible.catalogue.folders.counts.values())
    assert (total > 0) == bool(seen)


def test_a_link_shows_nothing_of_others(visible: VisibleLibrary) -> None:
    set_grant(Grant(Scope("folder", "Shows")))
    catalogue = visible.catalogue
    assert catalogue.get(PATHS[3]) is None
    for query in ("pangolin", "pangoln", "s1e3", "1999"):
        found = catalogue.page(query, "name", 10, None)
        assert (found.videos, found.is_approximate) == ((), False), query
    assert catalogue.neighbours(PATHS[1])[1] is None  # the next episode is in another folder
    assert visible.folder_image("Shows") == "Shows/folder.jpg"
    for folder in ("", "Films", "Shows Old"):
        assert visible.folder_image(folder) is None


def test_a_link_to_a_video_shows_no_folders_picture(visible: VisibleLibrary) -> None:
    set_grant(Grant(Scope("video", PATHS[4])))
    assert visible.folder_image("Films") is None


def test_a_catalogue_is_made_once_for_each_snapshot(visible: VisibleLibrary, whole: Whole) -> None:
    set_grant(Grant(Scope("folder", "Films")))
    first = visible.catalogue
    assert visible.catalogue is first
    whole.catalogue = catalogue_of(map(named_video, PATHS[:4]))
    assert paths(visible) == [PATHS[3]]
