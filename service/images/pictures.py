"""From a decoded frame, or a picture's file, to the picture as it is to be seen: upright, with
square pixels, in sRGB. A size is a claim of the file's, and read before anything is decoded."""

import struct
import warnings
from functools import lru_cache
from io import BytesIO
from typing import Any, BinaryIO

from av.filter import Graph
from av.sidedata.sidedata import Type as SideDataType
from PIL import Image

from service.images import tone_mapping as tone

MOST_PIXELS = 40_000_000
"""Of a picture's file: above 8K (33 million). Decoded and made smaller it takes some 500 MB."""

GROUND = (17, 17, 17)
"""What is seen through a transparent picture: dark, as a player is."""

_WILDEST_ASPECT = 16
"""Of a pixel. Real ones lie within 1:2 and 2:1; what is beyond this is damage, and not followed."""

_QUARTER = 90  # degrees

_SMALLEST_HD = 720
"""Lines from which video that does not say so is BT.709 and not BT.601: as Chromium takes it."""

# AVColorSpace (libavutil/pixfmt.h, as in ITU-T H.273 §8.3), of those that swscale knows
_RGB, _BT709, _BT470BG, _BT2020 = 0, 1, 5, 9
_MATRICES = {_RGB, _BT709, 4, _BT470BG, 6, 7, _BT2020}

# AVColorTransferCharacteristic (H.273 §8.2)
_TRANSFERS: dict[int, tone.Transfer] = {16: "pq", 18: "hlg"}

# By whether the display matrix exchanges x and y, and mirrors what is then x, and y
_TURNS = {
    (False, True, False): Image.Transpose.FLIP_LEFT_RIGHT,
    (False, False, True): Image.Transpose.FLIP_TOP_BOTTOM,
    (False, True, True): Image.Transpose.ROTATE_180,
    (True, False, False): Image.Transpose.TRANSPOSE,
    (True, True, False): Image.Transpose.ROTATE_270,  # Pillow turns anticlockwise
    (True, False, True): Image.Transpose.ROTATE_90,
    (True, True, True): Image.Transpose.TRANSVERSE,
}

# By Exif's orientation (Exif 2.32 §4.6.4); 1 is upright.
_ORIENTATIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def fitted(width: int, height: int, widest: int, tallest: int) -> tuple[int, int]:
    """Give the size, in pixels, that a picture has within these bounds; it is never enlarged."""
    scale = min(1.0, widest / width, tallest / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def picture_of_frame(frame: Any, stream: Any, widest: int, tallest: int) -> Image.Image:
    """Give the picture that `frame`, decoded from `stream`, shows. Mode RGB.

    Raises av.FFmpegError.
    """
    width, height = _square(frame, stream)
    if _QUARTER / 2 < abs(frame.rotation) % (2 * _QUARTER) < _QUARTER * 3 / 2:
        width, height = fitted(height, width, widest, tallest)[::-1]
    else:
        width, height = fitted(width, height, widest, tallest)
    scaled = _scaled(frame, stream, width, height)
    picture: Image.Image = scaled.to_image()
    transfer = _TRANSFERS.get(stream.codec_context.color_trc)
    if transfer:
        picture = picture.filter(tone.to_screen(transfer))
    turn = _TURNS.get(_turn(scaled))
    return picture if turn is None else picture.transpose(turn)


def picture_of_file(file: BinaryIO, widest: int, tallest: int) -> Image.Image | None:
    """Give the picture in a JPEG, PNG or WebP file, the first one if it moves. Mode RGB.

    None when there is none, or it is damaged, or larger than MOST_PIXELS.
    """
    try:
        with warnings.catch_warnings():
            # The bound here is lower than that of Pillow's warning.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(file, formats=("JPEG", "PNG", "WEBP")) as picture:
                if picture.width * picture.height > MOST_PIXELS:
                    return None
                return _opaque(picture, widest, tallest)
    except Exception:  # noqa: BLE001 - Pillow promises nothing of damaged files
        return None


def webp(picture: Image.Image, quality: int) -> bytes:
    """Give `picture` as a WebP of a quality from 0 to 100; the same bytes for the same picture."""
    written = BytesIO()
    picture.save(written, "WEBP", quality=quality, method=4)
    return written.getvalue()


def _opaque(picture: Image.Image, widest: int, tallest: int) -> Image.Image:
    orientation = _orientation(picture)
    if picture.mode.startswith("I;16"):  # Pillow would cut off, not divide
        picture = picture.convert("I").point(lambda value: value / 256).convert("L")
    elif picture.format == "JPEG":
        picture.draft("RGB", (2 * max(widest, tallest),) * 2)  # decodes no more than is needed
    transparent = picture.has_transparency_data
    seen = picture.convert("RGBA" if transparent else "RGB")
    aside = orientation in {5, 6, 7, 8}
    bounds = (tallest, widest) if aside else (widest, tallest)
    seen = seen.resize(fitted(*seen.size, *bounds), Image.Resampling.LANCZOS, reducing_gap=2.0)
    if orientation in _ORIENTATIONS:
        seen = seen.transpose(_ORIENTATIONS[orientation])
    if not transparent:
        return seen
    ground = Image.new("RGBA", seen.size, (*GROUND, 255))
    return Image.alpha_composite(ground, seen).convert("RGB")


def _orientation(picture: Image.Image) -> Any:
    try:
        return picture.getexif().get(0x0112, 1)
    except Exception:  # noqa: BLE001 - notes that are damaged are no damage to the picture
        return 1


def _turn(frame: Any) -> tuple[bool, bool, bool]:
    """Tell how `frame` is turned, as the keys of _TURNS do; by the nearest quarter of a circle.

    A frame and its side data, once seen, hold each other until there is a garbage collection. So
    this is not for frames as they are decoded, of 25 MB each in 2160p.
    """
    matrix = frame.side_data.get(SideDataType.DISPLAYMATRIX)
    if matrix is None:
        return (False, False, False)
    # ISO/IEC 14496-12 §8.2.2: x' = ax + cy, y' = bx + dy; so in libavutil/display.h
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(matrix)[:36])
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return (False, a < 0, d < 0)
    return (True, c < 0, b < 0)


def _square(frame: Any, stream: Any) -> tuple[int, int]:
    """Give the size of `frame` with square pixels."""
    aspect = float(stream.sample_aspect_ratio or 0)
    if not 1 / _WILDEST_ASPECT <= aspect <= _WILDEST_ASPECT:
        aspect = 1.0
    return max(1, round(frame.width * aspect)), frame.height


def _scaled(frame: Any, stream: Any, width: int, height: int) -> Any:
    """Give `frame` in this size, as RGB of full range, the same on every processor."""
    frame.colorspace = _matrix(frame, stream)
    graph = _scaler(
        f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:time_base=1/1:"
        f"colorspace={int(frame.colorspace)}:range={int(frame.color_range)}",
        f"w={width}:h={height}:flags=area+accurate_rnd+full_chroma_int+bitexact:threads=1",
    )
    graph.push(frame)
    return graph.pull()


@lru_cache(maxsize=1)  # frames of one video are alike, and a graph goes with its next collection
def _scaler(frames: str, scale: str) -> Graph:
    graph = Graph()
    graph.link_nodes(
        graph.add("buffer", frames),
        graph.add("scale", scale),
        graph.add("format", "pix_fmts=rgb24"),
        graph.add("buffersink"),
    ).configure()
    return graph


def _matrix(frame: Any, stream: Any) -> int:
    """Give the AVColorSpace of `frame`, or what it is likely to be."""
    if frame.format.is_rgb:
        return _RGB
    if frame.colorspace in _MATRICES - {_RGB}:
        return int(frame.colorspace)
    if stream.codec_context.color_trc in _TRANSFERS:
        return _BT2020
    return _BT709 if frame.height >= _SMALLEST_HD else _BT470BG
