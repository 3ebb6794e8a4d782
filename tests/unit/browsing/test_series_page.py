import pytest

from service.browsing.series_page import EPISODES_PER_PAGE, season_page
from service.listing.series import Season
from service.models import ProbeState, Video


def season(count: int) -> Season:
    videos = tuple(
        Video(
            path=f"{number}.mp4",
            title=str(number),
            content_type="video/mp4",
            size=1,
            revision="1-1",
            modified=0,
            state=ProbeState.PROBED,
        )
        for number in range(count)
    )
    return Season(1, "Season 1", videos)


@pytest.mark.parametrize("count", [1, EPISODES_PER_PAGE, EPISODES_PER_PAGE + 1, 1100])
def test_each_episode_is_on_one_page_of_its_season(count: int) -> None:
    whole = season(count)
    pages = season_page(whole, 1)[0].pages
    found = [season_page(whole, number)[1] for number in range(1, pages + 1)]
    assert [video for videos in found for video in videos] == list(whole.videos)
    assert all(0 < len(videos) <= EPISODES_PER_PAGE for videos in found)
    assert season_page(whole, pages + 1)[1] == found[-1]
