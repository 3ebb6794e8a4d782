"""Conversion of decoded frames and image files to upright sRGB images with square pixels."""

import struct
from functools import lru_cache
from io import BytesIO
from typing import Any, BinaryIO

from av.filter import Graph
from av.sidedata.sidedata import Type as SideDataType
from PIL import Image, UnidentifiedImageError

from service.images import tone_mapping

MAX_PIXELS = 100_000_000
"""Pixels of an image file that are decoded: scans of covers and 8K frames have less. Decoding and
resizing takes up to 8 bytes for each. The size in the header is checked before."""

MAX_JPEG_PIXELS = 500_000_000
"""Pixels of a JPEG, which is decoded in a half, a quarter or an eighth of its size (libjpeg's
scale_denom): twice the largest of phones (200 million)."""

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
"""Pillow's names of the formats of image files that are converted."""

_READ = f"{', '.join(FORMATS[:-1])} and {FORMATS[-1]}".replace("WEBP", "WebP")

Image.MAX_IMAGE_PIXELS = None  # Pillow would refuse images at 179 million pixels; see above

BACKGROUND = (17, 17, 17)
"""The colour behind transparent images: dark, like the player."""

_MAX_PIXEL_ASPECT = 16
"""Of a pixel. Real ones lie between 1:2 and 2:1; a value beyond this is damaged and ignored."""

_QUARTER = 90  # degrees

_MIN_HD_HEIGHT = 720
"""Lines from which unmarked video counts as BT.709 instead of BT.601, as in Chromium."""

# AVColorSpace (libavutil/pixfmt.h, as in ITU-T H.273 §8.3), of those that swscale knows
_RGB, _BT709, _BT470BG, _BT2020 = 0, 1, 5, 9
_MATRICES = {_RGB, _BT709, 4, _BT470BG, 6, 7, _BT2020}

# AVColorTransferCharacteristic (H.273 §8.2)
_TRANSFERS: dict[int, tone_mapping.Transfer] = {16: "pq", 18: "hlg"}

# Keys: whether the display matrix swaps x and y, then mirrors x, then mirrors y
_TRANSPOSES = {
    (False, True, False): Image.Transpose.FLIP_LEFT_RIGHT,
    (False, False, True): Image.Transpose.FLIP_TOP_BOTTOM,
    (False, True, True): Image.Transpose.ROTATE_180,
    (True, False, False): Image.Transpose.TRANSPOSE,
    (True, True, False): Image.Transpose.ROTATE_270,  # Pillow turns anticlockwise
    (True, False, True): Image.Transpose.ROTATE_90,
    (True, True, True): Image.Transpose.TRANSVERSE,
}

# By degrees anticlockwise
_ROTATIONS = {
    90: (True, False, True),
    -90: (True, True, False),
    180: (False, True, True),
    -180: (False, True, True),
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


class ImageError(Exception):
    """An image file that cannot be converted; the message says why, as a sentence."""


def fit_within(width: int, height: int, max_width: int, max_height: int) -> tuple[int, int]:
    """Return the size in pixels that fits within these bounds; it is never enlarged."""
    scale = min(1.0, max_width / width, max_height / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def image_from_frame(frame: Any, stream: Any, max_width: int, max_height: int) -> Image.Image:
    """Return `frame`, decoded from `stream`, as an RGB image.

    Raises av.FFmpegError.
    """
    width, height = _square_pixel_size(frame, stream)
    if _QUARTER / 2 < abs(frame.rotation) % (2 * _QUARTER) < _QUARTER * 3 / 2:
        width, height = fit_within(height, width, max_width, max_height)[::-1]
    else:
        width, height = fit_within(width, height, max_width, max_height)
    scaled = _scale(frame, stream, width, height)
    image: Image.Image = scaled.to_image()
    transfer = _TRANSFERS.get(stream.codec_context.color_trc)
    if transfer:
        image = image.filter(tone_mapping.hdr_to_srgb_lut(transfer))
    transpose = _TRANSPOSES.get(_display_transform(scaled))
    return image if transpose is None else image.transpose(transpose)


def image_from_file(file: BinaryIO, max_width: int, max_height: int) -> Image.Image:
    """Return the RGB image of a file of one of FORMATS, the first frame of an animation.

    Raises ImageError.
    """
    try:
        with Image.open(file, formats=FORMATS) as image:
            size = image.size
            if image.format == "JPEG":  # decode no more than is needed
                _check_pixels(size, MAX_JPEG_PIXELS)
                longer = max(max_width, max_height)  # it may lie on its side
                width, height = fit_within(*size, longer, longer)
                image.draft("RGB", (2 * width, 2 * height))
            _check_pixels(image.size, MAX_PIXELS)
            return _flatten(image, max_width, max_height)
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(_name_format(file)) from error
    except MemoryError as error:
        raise ImageError("To convert it takes more memory than is allowed.") from error
    except Exception as error:  # Pillow may raise anything on damaged files
        raise ImageError("It is damaged.") from error


def _check_pixels(size: tuple[int, int], most: int) -> None:
    pixels = size[0] * size[1]
    if pixels > most:
        million = 1_000_000
        raise ImageError(
            f"It has {size[0]} by {size[1]} pixels, {pixels // million} million: at most "
            f"{most // million} million are converted."
        )


def _name_format(file: BinaryIO) -> str:
    """Return a sentence about an image file that Pillow does not recognise."""
    file.seek(0)
    start = file.read(12)
    # ISO/IEC 23008-12 §10.2: the brands of HEIF with HEVC.
    if start[4:8] == b"ftyp" and start[8:12] in {b"heic", b"heix", b"hevc", b"mif1", b"msf1"}:
        return f"It is a HEIC image, which is not converted; {_READ} are."
    return f"It is no image of a kind that is converted ({_READ}), or it is damaged."


def encode_webp(image: Image.Image, quality: int) -> bytes:
    """Encode `image` as WebP with a quality from 0 to 100. Equal images give equal bytes."""
    buffer = BytesIO()
    image.save(buffer, "WEBP", quality=quality, method=4)
    return buffer.getvalue()


def _flatten(image: Image.Image, max_width: int, max_height: int) -> Image.Image:
    orientation = _orientation(image)
    if image.mode.startswith("I;16"):  # Pillow would clip, not divide
        image = image.convert("I").point(lambda value: value / 256).convert("L")
    transparent = image.has_transparency_data
    mode = "RGBA" if transparent else "RGB"
    resized = image if image.mode == mode else image.convert(mode)
    sideways = orientation in {5, 6, 7, 8}
    bounds = (max_height, max_width) if sideways else (max_width, max_height)
    resized = resized.resize(
        fit_within(*resized.size, *bounds), Image.Resampling.LANCZOS, reducing_gap=2.0
    )
    if orientation in _ORIENTATIONS:
        resized = resized.transpose(_ORIENTATIONS[orientation])
    if not transparent:
        return resized
    background = Image.new("RGBA", resized.size, (*BACKGROUND, 255))
    return Image.alpha_composite(background, resized).convert("RGB")


def _orientation(image: Image.Image) -> Any:
    try:
        return image.getexif().get(0x0112, 1)
    except Exception:  # noqa: BLE001 - the image is usable without its Exif data
        return 1


def _display_transform(frame: Any) -> tuple[bool, bool, bool]:
    """Return how to turn `frame`, as a key of _TRANSPOSES, to the nearest quarter turn.

    A frame and its side data, once accessed, form a reference cycle until the next garbage
    collection. So call this with a scaled frame: a decoded one in 2160p has 25 MB.
    """
    try:
        matrix = frame.side_data.get(SideDataType.DISPLAYMATRIX)
    except ValueError:  # side data that PyAV does not know, such as Exif (FFmpeg 8)
        return _ROTATIONS.get(round(frame.rotation), (False, False, False))
    if matrix is None:
        return (False, False, False)
    # ISO/IEC 14496-12 §8.2.2: x' = ax + cy, y' = bx + dy; so in libavutil/display.h
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(matrix)[:36])
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return (False, a < 0, d < 0)
    return (True, c < 0, b < 0)


def _square_pixel_size(frame: Any, stream: Any) -> tuple[int, int]:
    """Return the size of `frame` with square pixels."""
    aspect = float(stream.sample_aspect_ratio or 0)
    if not 1 / _MAX_PIXEL_ASPECT <= aspect <= _MAX_PIXEL_ASPECT:
        aspect = 1.0
    return max(1, round(frame.width * aspect)), frame.height


def _scale(frame: Any, stream: Any, width: int, height: int) -> Any:
    """Return `frame` in this size as full-range RGB, identical on every processor."""
    frame.colorspace = _matrix(frame, stream)
    graph = _scaler(
        f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:time_base=1/1:"
        f"colorspace={int(frame.colorspace)}:range={int(frame.color_range)}",
        f"w={width}:h={height}:flags=area+accurate_rnd+full_chroma_int+bitexact:threads=1",
    )
    graph.push(frame)
    return graph.pull()


@lru_cache(maxsize=1)  # frames of one video have the same format
def _scaler(source: str, scale: str) -> Graph:
    graph = Graph()
    graph.link_nodes(
        graph.add("buffer", source),
        graph.add("scale", scale),
        graph.add("format", "pix_fmts=rgb24"),
        graph.add("buffersink"),
    ).configure()
    return graph


def _matrix(frame: Any, stream: Any) -> int:
    """Return the AVColorSpace of `frame`, or the most likely one."""
    if frame.format.is_rgb:
        return _RGB
    if frame.colorspace in _MATRICES - {_RGB}:
        return int(frame.colorspace)
    if stream.codec_context.color_trc in _TRANSFERS:
        return _BT2020
    return _BT709 if frame.height >= _MIN_HD_HEIGHT else _BT470BG
