"""Which pictures belong to a folder, and which to a film in it."""

import pytest

from service.library.files import match_files
from service.storage.base import Entry


def entries(*paths: str) -> list[Entry]:
    return [Entry(path, 1, "1-1", 1.0, 1.0) for path in paths]


@pytest.mark.parametrize(
    ("videos", "expected"),
    [
        (["Films/Harbor (1999)/Harbor.mkv"], True),
        (["Films/Harbor (1999)/Harbor.mkv", "Films/Harbor (1999)/Trailer.mkv"], False),
        # A season that has one episode so far, by the name of the folder or of the file.
        (["Shows/Harbor/Season 01/Pilot.mkv"], False),
        (["Shows/Harbor/S02/1.mkv"], False),
        (["Shows/Harbor Lights/Harbor.Lights.S01E01.mkv"], False),
        (["Shows/Harbor Lights/1x01 Pilot.mkv"], False),
    ],
)
def test_the_picture_of_a_folder_is_that_of_its_film_and_not_of_an_episode(
    videos: list[str], *, expected: bool
) -> None:
    folder = videos[0].rpartition("/")[0]
    found = match_files(folder, entries(*videos, f"{folder}/folder.jpg", f"{folder}/fanart.jpg"))
    assert found.image is not None
    assert found.image.path == f"{folder}/folder.jpg"
    assert [file.entry.path for file in found.files] == videos
    for _, sidecars in found.files:
        assert (sidecars.image is not None, sidecars.still is not None) == (expected, expected)


def test_a_folder_of_folders_has_a_picture_too() -> None:
    found = match_files("Show", entries("Show/poster.jpg"))
    assert found.files == ()
    assert found.image is not None
    assert found.image.path == "Show/poster.jpg"
