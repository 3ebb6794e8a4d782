"""Which videos of a folder have cards of their own in a rail."""

import pytest
from support.catalogues import catalogue_of
from support.named_videos import named_video

from service.browsing.rails import loose_videos

SERIES = [f"Harbor.Lights.S01E{number:02}.mkv" for number in range(1, 31)]
OTHER_SERIES = ["Tides.S01E01.mkv", "Tides.S01E02.mkv"]
OTHERS = ["Wedding.mp4", "Xmas.mp4", "Zoo.mp4"]


@pytest.mark.parametrize("folder", ["", "TV"])
def test_videos_after_many_episodes_have_cards(folder: str) -> None:
    prefix = f"{folder}/" if folder else ""
    names = [*SERIES, *OTHER_SERIES, *OTHERS]
    catalogue = catalogue_of([named_video(f"{prefix}{name}") for name in names])
    assert [one.title for one in catalogue.series.inside(folder)] == ["Harbor Lights", "Tides"]
    for limit, expected in ((9, OTHERS), (2, OTHERS[:2])):
        found = loose_videos(catalogue, folder, limit)
        assert [one.path for one in found] == [f"{prefix}{name}" for name in expected]


def test_an_only_episode_has_a_card() -> None:
    names = ["Harbor.Lights.S01E01.mkv", *OTHERS]
    found = loose_videos(catalogue_of(map(named_video, names)), "", 9)
    assert [one.path for one in found] == names
