import pytest

from service.images.models import StoryboardGrid
from service.pages.filmstrip import current_index, filmstrip


def of(count: int, position: float | None = None) -> StoryboardGrid:
    return StoryboardGrid(
        160, 90, 3, 2, tuple(float(2 * number) for number in range(count)), 2.0 * count
    )


def test_each_frame_has_its_position_on_its_sheet() -> None:
    strip = filmstrip(of(8), lambda number: f"/sheet/{number}", None)
    assert (strip.width, strip.height) == (160, 90)
    assert [(frame.sheet, frame.x, frame.y) for frame in strip.frames] == [
        (0, 0, 0), (0, 160, 0), (0, 320, 0), (0, 0, 90), (0, 160, 90), (0, 320, 90),
        (1, 0, 0), (1, 160, 0),
    ]  # fmt: skip
    assert [frame.link for frame in strip.frames] == ["0", "2", "4", "6", "8", "10", "12", "14"]


@pytest.mark.parametrize(
    ("tiles", "heights"),
    [(1, [90]), (3, [90]), (4, [180]), (6, [180]), (7, [180, 90]), (12, [180, 180])],
)
def test_the_last_sheet_ends_with_the_row_of_its_last_tile(tiles: int, heights: list[int]) -> None:
    sheets = filmstrip(of(tiles), str, None).sheets
    assert [sheet.height for sheet in sheets] == heights
    assert {sheet.width for sheet in sheets} == {480}
    assert [sheet.url for sheet in sheets] == ["0", "1"][: len(heights)]


@pytest.mark.parametrize(
    ("at", "expected"),
    [(None, None), (0, 0), (1.999, 0), (2, 1), (3, 1), (4, 2), (1e6, 2), (-1, None)],
)
def test_the_current_frame_is_the_last_that_has_started(
    at: float | None, expected: int | None
) -> None:
    assert current_index((0.0, 2.0, 4.0), at) == expected


def test_the_frame_at_the_requested_time_is_marked() -> None:
    assert [frame.current for frame in filmstrip(of(3), str, 2.5).frames] == [False, True, False]
    assert not any(frame.current for frame in filmstrip(of(3), str, None).frames)
