"""The storyboard of a video, from one key frame per tile. Run it in a worker process only."""

from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO

from PIL import Image, ImageOps

from service.images.conversion import encode_webp, image_from_frame
from service.images.models import Storyboard, StoryboardGrid
from service.images.video_reader import VideoReader
from service.probing.metadata import UnreadableError

MAX_TILE_SIDE = 160
"""Pixels of a tile's longer side."""

MAX_TILES = 150
"""Of one video: in two hours one every 48 seconds, 4 pixels apart on a 600-pixel timeline."""

COLUMNS, ROWS = 10, 10
"""Tiles on a sheet: every device can show 1600 pixels of width."""

MAX_SHEET_BYTES = 300_000
"""Of a sheet: a player loads it whole to show one tile."""

QUALITIES = (70, 50, 30, 10, 0)
"""Of WebP, tried in this order until a sheet is small enough. Only noise needs the last."""


def storyboard(video: BinaryIO, duration: float | None = None) -> Storyboard | None:
    """Return the storyboard of `video`. Its `duration` is in seconds; None reads it from the file.

    Each tile shows the key frame at the middle of its interval, or the last one before; in a file
    without an index, the first one from the start of its interval on. Intervals with the same key
    frame share one tile. Frames that cannot be decoded are skipped. If no key frame is found, the
    first frame that can be decoded is the only tile.

    Return None if there is no video stream, or its duration is unknown. Raises UnreadableError,
    MemoryError and OSError.
    """
    with VideoReader.open(video) as reader:
        if not reader.has_video():
            return None
        duration = duration or reader.duration()
        if duration is None:
            return None
        starts = []
        tiles: list[Image.Image] = []
        for start, tile in _tiles(reader, duration):
            starts.append(start)
            tiles.append(tile if not tiles else _fit_to(tile, tiles[0].size))
    if not tiles:
        raise UnreadableError("No picture of this video could be decoded.")
    width, height = tiles[0].size
    columns = min(COLUMNS, len(tiles))
    rows = min(ROWS, -(-len(tiles) // columns))
    grid = StoryboardGrid(width, height, columns, rows, (0.0, *starts[1:]), duration)
    per_sheet = columns * rows
    sheets = (tiles[first : first + per_sheet] for first in range(0, len(tiles), per_sheet))
    return Storyboard(grid, tuple(_sheet(sheet, columns) for sheet in sheets))


def tile_intervals(duration: float) -> list[tuple[float, float]]:
    """Return the start and end of each tile, in the shortest whole seconds that fit."""
    interval = max(1, -int(-duration // MAX_TILES))
    count = max(1, -int(-duration // interval))
    return [
        (float(number * interval), min(float((number + 1) * interval), duration))
        for number in range(count)
    ]


def _tiles(reader: VideoReader, duration: float) -> Iterator[tuple[float, Image.Image]]:
    """Yield the start time and the image of each tile."""
    last, found = None, False
    for start, end in tile_intervals(duration):
        packet = reader.key_packet((start + end) / 2, start)
        if packet is None or (packet.pts, packet.pos) == last:
            continue
        last = (packet.pts, packet.pos)
        frame = reader.decode(packet)
        if frame is not None and not frame.is_corrupt:
            found = True
            yield start, image_from_frame(frame, reader.stream, MAX_TILE_SIDE, MAX_TILE_SIDE)
    if not found:
        # A short transport stream has one key frame, at its start, and no seek leads back to it.
        for frame in islice(reader.frames(), 1):
            yield 0.0, image_from_frame(frame, reader.stream, MAX_TILE_SIDE, MAX_TILE_SIDE)


def _fit_to(tile: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return `tile` padded to `size`: the frame size may change within a video."""
    return tile if tile.size == size else ImageOps.pad(tile, size)


def _sheet(tiles: list[Image.Image], columns: int) -> bytes:
    width, height = tiles[0].size
    sheet = Image.new("RGB", (columns * width, -(-len(tiles) // columns) * height))
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        sheet.paste(tile, (column * width, row * height))
    for quality in QUALITIES:
        encoded = encode_webp(sheet, quality)
        if len(encoded) <= MAX_SHEET_BYTES:
            break
    return encoded
