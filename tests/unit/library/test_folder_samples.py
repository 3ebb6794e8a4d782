import pytest

from service.library.catalogue import Catalogue
from service.library.folder_samples import sample_videos
from service.models import ProbeState, Video


def catalogue(*paths: str) -> Catalogue:
    return Catalogue(
        Video(
            path=path,
            title=path,
            content_type="video/mp4",
            size=1,
            revision="1-1",
            modified=0,
            state=ProbeState.PENDING,
        )
        for path in paths
    )


SERIES = [f"s/{show}/{season}/{part}" for show in "ab" for season in "12" for part in "xyz"]


@pytest.mark.parametrize(
    ("paths", "folder", "expected"),
    [
        (["f/1", "f/2", "f/3", "f/4"], "f", ["f/1", "f/2", "f/3"]),  # its own, by name
        (["f/1", "f/a/1", "f/b/1"], "f", ["f/1", "f/a/1", "f/b/1"]),  # then of each in it
        (["f/a/1", "f/a/2", "f/b/1", "f/b/2"], "f", ["f/a/1", "f/a/2", "f/b/1"]),
        (SERIES, "s", ["s/a/1/x", "s/a/2/x", "s/b/1/x"]),  # from as many parts as there is room
        (SERIES, "s/b/2", ["s/b/2/x", "s/b/2/y", "s/b/2/z"]),
        (["f/a/b/c/1", "f/a/b/c/2"], "f", ["f/a/b/c/1", "f/a/b/c/2"]),  # however deep
        (["f/1", "g/1"], "f", ["f/1"]),
        (["g/1", "1"], "", ["1", "g/1"]),  # the root
    ],
)
def test_a_folder_is_stood_for_by_its_own_videos_and_some_of_each_part(
    paths: list[str], folder: str, expected: list[str]
) -> None:
    assert [video.path for video in sample_videos(catalogue(*paths), folder, 3)] == expected


def test_none_are_none() -> None:
    assert sample_videos(catalogue("f/1"), "f", 0) == []


def test_folders_may_be_as_deep_as_paths_can_be() -> None:
    deep = "a/" * 2000 + "1"
    assert [video.path for video in sample_videos(catalogue(deep), "a", 3)] == [deep]


def test_of_many_folders_no_more_are_looked_into_than_there_is_room_for() -> None:
    class Counted(Catalogue):
        asked = 0

        def page_at(self, *asked: object, **more: object) -> object:  # type: ignore[override]
            Counted.asked += 1
            return super().page_at(*asked, **more)  # type: ignore[arg-type]

    many = Counted(catalogue(*(f"f/{number}/1" for number in range(5000))).videos)
    assert len(sample_videos(many, "f", 3)) == 3
    assert Counted.asked == 4
