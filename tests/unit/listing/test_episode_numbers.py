import pytest

from service.listing.parsed_titles import episode_number
from service.models import ParsedName


# The same as in tests/unit/static/episode_number.test.js.
@pytest.mark.parametrize(
    ("season", "episodes", "aired", "expected"),
    [
        (1, (2,), None, "S1 E2"),
        (1, (2, 3), None, "S1 E2\N{EN DASH}3"),
        (1, (2, 4), None, "S1 E2, 4"),
        (None, (3,), None, "E3"),
        (None, (3, 4, 5), None, "E3\N{EN DASH}5"),
        (0, (1,), None, "Special 1"),
        (0, (1, 2), None, "Special 1\N{EN DASH}2"),
        (None, (), "1994-05-01", "1994-05-01"),
    ],
)
def test_the_number_of_an_episode(
    season: int | None, episodes: tuple[int, ...], aired: str | None, expected: str
) -> None:
    name = ParsedName(series="Show", season=season, episodes=episodes, aired=aired)
    assert episode_number(name) == expected
