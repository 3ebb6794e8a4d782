import pytest
from support.catalogues import catalogue_of
from support.videos import make_video

from service.catalogue.catalogue import Catalogue
from service.library.folder_samples import sample_videos


def catalogue(*paths: str) -> Catalogue:
    return catalogue_of(map(make_video, paths))


SERIES = [f"s/{show}/{season}/{part}" for show in "ab" for season in "12" for part in "xyz"]


@pytest.mark.parametrize(
    ("paths", "folder", "expected"),
    [
        (["f/1", "f/2", "f/3", "f/4"], "f", ["f/1", "f/2", "f/3"]),  # its own videos, by name
        (
            ["f/1", "f/a/1", "f/b/1"],
            "f",
            ["f/1", "f/a/1", "f/b/1"],
        ),  # then videos of each subfolder
        (["f/a/1", "f/a/2", "f/b/1", "f/b/2"], "f", ["f/a/1", "f/a/2", "f/b/1"]),
        (
            SERIES,
            "s",
            ["s/a/1/x", "s/a/2/x", "s/b/1/x"],
        ),  # from as many subfolders as the limit allows
        (SERIES, "s/b/2", ["s/b/2/x", "s/b/2/y", "s/b/2/z"]),
        (["f/a/b/c/1", "f/a/b/c/2"], "f", ["f/a/b/c/1", "f/a/b/c/2"]),  # at any depth
        (["f/1", "g/1"], "f", ["f/1"]),
        (["g/1", "1"], "", ["1", "g/1"]),  # the root
    ],
)
def test_samples_are_a_folders_own_videos_and_some_of_each_subfolder(
    paths: list[str], folder: str, expected: list[str]
) -> None:
    assert [video.path for video in sample_videos(catalogue(*paths), folder, 3)] == expected


def test_a_limit_of_zero_gives_no_samples() -> None:
    assert sample_videos(catalogue("f/1"), "f", 0) == []


def test_folders_may_be_as_deep_as_paths_can_be() -> None:
    deep = "a/" * 2000 + "1"
    assert [video.path for video in sample_videos(catalogue(deep), "a", 3)] == [deep]


def test_no_more_folders_are_read_than_samples_are_needed() -> None:
    class Counted(Catalogue):
        calls = 0

        def page_at(self, *args: object, **options: object) -> object:  # type: ignore[override]
            Counted.calls += 1
            return super().page_at(*args, **options)  # type: ignore[arg-type]

    whole = catalogue(*(f"f/{number}/1" for number in range(5000)))
    many = Counted(whole.view, whole.arrangement)
    assert len(sample_videos(many, "f", 3)) == 3
    assert Counted.calls == 4
