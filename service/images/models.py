"""What stands for a video where it does not play: its poster, and its storyboard, which players
show beside the pointer on the time line. Values and text alone: making them is for poster.py and
storyboard.py, in a process of their own."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """A WebP (RFC 9649) of `width` by `height` pixels."""

    width: int
    height: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Poster:
    """The picture that stands for a video, in one size or more, of ascending width."""

    source: Literal["frame", "cover", "sidecar"]
    images: tuple[EncodedImage, ...]


@dataclass(frozen=True, slots=True)
class StoryboardGrid:
    """Which part of which sheet shows which time.

    Tiles are `width` by `height` pixels, row by row, `columns` a row and `rows` a sheet; the last
    sheet ends with the row of its last tile. Tile n shows from starts[n], in seconds, to where the
    next one begins, the last to `duration`. starts begins with 0 and ascends.
    """

    width: int
    height: int
    columns: int
    rows: int
    starts: tuple[float, ...]
    duration: float


@dataclass(frozen=True, slots=True)
class Storyboard:
    """Small pictures of a video at times throughout, many on each sheet; the sheets are WebP."""

    grid: StoryboardGrid
    sheets: tuple[bytes, ...]


def storyboard_webvtt(grid: StoryboardGrid, sheet_url: Callable[[int], str]) -> str:
    """Give a cue for each tile: the sheet's URL and the tile's place on it.

    `sheet_url` gives the URL of a sheet by its number, from 0. The format is WebVTT's, the place a
    spatial fragment (Media Fragments URI 1.0 §4.2.2), as players read it from a metadata track.
    """
    lines = ["WEBVTT", ""]
    ends = (*grid.starts[1:], grid.duration)
    for number, (start, end) in enumerate(zip(grid.starts, ends, strict=True)):
        sheet, index = divmod(number, grid.columns * grid.rows)
        row, column = divmod(index, grid.columns)
        area = (column * grid.width, row * grid.height, grid.width, grid.height)
        end = max(end, start + 0.001)  # noqa: PLW2901 - WebVTT §4.1: later than the start
        lines += [
            f"{_timestamp(start)} --> {_timestamp(end)}",
            f"{sheet_url(sheet)}#xywh={','.join(map(str, area))}",
            "",
        ]
    return "\n".join(lines)


def _timestamp(seconds: float) -> str:
    """Give a WebVTT timestamp (WebVTT §4.1): two digits of hours, or more."""
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02}.{milliseconds % 1000:03}"
