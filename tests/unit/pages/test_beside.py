"""Whether the next video plays by itself."""

import pytest
from support.catalogues import catalogue_of
from support.named_videos import named_video

from service.pages.beside import is_continued

LIBRARY = [
    named_video("TV/Harbour.S01E01.mkv"),
    named_video("TV/Harbour.S01E02.mkv"),
    named_video("TV/Tides.S01E01.mkv"),
    named_video("TV/Tides.S01E02.mkv"),
    named_video("Live/1 Opening.mp4", track="1", album="Live"),
    named_video("Live/2 Encore.mp4", track="2", album="Live"),
    named_video("Other/1 Prelude.mp4", track="1"),
    named_video("Other/2 Finale.mp4", track="2"),
    named_video("Films/Harbour.1999.1080p.mkv"),
    named_video("Films/Tides.2001.1080p.mkv"),
]


@pytest.mark.parametrize(
    ("path", "following", "expected"),
    [
        ("TV/Harbour.S01E01.mkv", "TV/Harbour.S01E02.mkv", True),
        ("TV/Harbour.S01E02.mkv", "TV/Tides.S01E01.mkv", False),
        ("Live/1 Opening.mp4", "Live/2 Encore.mp4", True),
        ("Live/2 Encore.mp4", "Other/1 Prelude.mp4", False),
        ("Films/Harbour.1999.1080p.mkv", "Films/Tides.2001.1080p.mkv", False),
    ],
)
def test_a_video_goes_on_with_the_next_one_of_its_series_or_album(
    path: str, following: str, *, expected: bool
) -> None:
    assert is_continued(catalogue_of(LIBRARY), path, following) is expected
