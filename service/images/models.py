"""Posters and storyboards as values, and a storyboard as WebVTT."""

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
    """The image that represents a video, in one or more sizes of ascending width, and its still.

    The still is what a player shows before it plays. It is upright only if the film is upright.
    """

    source: Literal["frame", "cover", "sidecar"]
    images: tuple[EncodedImage, ...]
    still: tuple[EncodedImage, ...] | None = None
    """None if the poster is also the still; empty if there is none."""
    problems: tuple[str, ...] = ()
    """Sentences that say why other images are not shown."""


@dataclass(frozen=True, slots=True)
class StoryboardGrid:
    """The position and time of each tile of a storyboard.

    Tiles are `width` by `height` pixels, in rows of `columns`, with `rows` on a sheet; the last
    sheet ends with the row of its last tile. Tile n covers the time from starts[n], in seconds,
    to the next start, or to `duration`. starts begins with 0 and ascends.
    """

    width: int
    height: int
    columns: int
    rows: int
    starts: tuple[float, ...]
    duration: float


@dataclass(frozen=True, slots=True)
class Storyboard:
    """Small images from the whole length of a video, tiled on WebP sheets."""

    grid: StoryboardGrid
    sheets: tuple[bytes, ...]


def storyboard_webvtt(grid: StoryboardGrid, sheet_url: Callable[[int], str]) -> str:
    """Return WebVTT with a cue for each tile: the sheet's URL and the tile's area on it.

    `sheet_url` returns the URL of a sheet by its number, from 0. The area is a spatial fragment
    (Media Fragments URI 1.0 §4.2.2), as players read it from a metadata track.
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
    """Return a WebVTT timestamp (WebVTT §4.1), with at least two digits of hours."""
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02}.{milliseconds % 1000:03}"
