"""The filmstrip: a storyboard as a row of links into the video."""

from collections.abc import Callable
from dataclasses import dataclass

from service.images.models import StoryboardGrid
from service.pages.player import format_timestamp


@dataclass(frozen=True, slots=True)
class Sheet:
    """An image of many tiles."""

    url: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Frame:
    """A tile at `x` and `y` pixels of a sheet, and the time in seconds where it begins."""

    start: float
    link: str
    """The time as in links."""
    sheet: int
    x: int
    y: int
    current: bool


@dataclass(frozen=True, slots=True)
class Filmstrip:
    """All tiles of a video in order, each `width` by `height` pixels."""

    width: int
    height: int
    sheets: tuple[Sheet, ...]
    frames: tuple[Frame, ...]


def filmstrip(
    layout: StoryboardGrid, sheet_url: Callable[[int], str], position: float | None
) -> Filmstrip:
    """Return the tiles of a storyboard. `position` is where the video starts, in seconds."""
    per_sheet = layout.columns * layout.rows
    count = len(layout.starts)
    sheets = tuple(
        Sheet(
            sheet_url(first // per_sheet),
            layout.columns * layout.width,
            # The last sheet ends with the row of its last tile.
            -(-min(per_sheet, count - first) // layout.columns) * layout.height,
        )
        for first in range(0, count, per_sheet)
    )
    current = current_index(layout.starts, position)
    frames = []
    for number, start in enumerate(layout.starts):
        sheet, index = divmod(number, per_sheet)
        row, column = divmod(index, layout.columns)
        x, y = column * layout.width, row * layout.height
        frames.append(Frame(start, format_timestamp(start), sheet, x, y, number == current))
    return Filmstrip(layout.width, layout.height, sheets, tuple(frames))


def current_index(starts: tuple[float, ...], position: float | None) -> int | None:
    """Return the index of the last start at or before a time. None without a time or a start."""
    if position is None:
        return None
    # Links may be up to a millisecond after the start.
    started = [number for number, start in enumerate(starts) if start <= position]
    return started[-1] if started else None
