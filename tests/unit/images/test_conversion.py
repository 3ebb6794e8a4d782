"""Conversion of untrusted image files."""

import struct
import zlib
from contextlib import suppress
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from service.images.conversion import (
    BACKGROUND,
    FORMATS,
    MAX_PIXELS,
    ImageError,
    fit_within,
    image_from_file,
)

RED, BLUE = (255, 0, 0), (0, 0, 255)


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    file = BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def converted(data: bytes, max_width: int = 1280, max_height: int = 2560) -> Image.Image:
    picture = image_from_file(BytesIO(data), max_width, max_height)
    assert picture.mode == "RGB"
    return picture


def problem(data: bytes) -> str:
    with pytest.raises(ImageError) as error:
        image_from_file(BytesIO(data), 1280, 2560)
    return str(error.value)


def halves(width: int = 64, height: int = 32) -> Image.Image:
    """Return a picture whose left half is red and whose right half is blue."""
    picture = Image.new("RGB", (width, height), RED)
    picture.paste(BLUE, (width // 2, 0, width, height))
    return picture


def colour(picture: Image.Image, across: float, down: float) -> Any:
    return picture.getpixel((int(picture.width * across), int(picture.height * down)))


# Exif 2.32 §4.6.4, Orientation: the sides of the displayed image that row 0 and column 0 are.
# Column 0 is red.
ORIENTATIONS = [
    (1, (64, 32), (0.25, 0.5)),  # top, left
    (2, (64, 32), (0.75, 0.5)),  # top, right
    (3, (64, 32), (0.75, 0.5)),  # bottom, right
    (4, (64, 32), (0.25, 0.5)),  # bottom, left
    (5, (32, 64), (0.5, 0.25)),  # left, top
    (6, (32, 64), (0.5, 0.25)),  # right, top
    (7, (32, 64), (0.5, 0.75)),  # right, bottom
    (8, (32, 64), (0.5, 0.75)),  # left, bottom
]


@pytest.mark.parametrize(("orientation", "size", "red"), ORIENTATIONS)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_an_image_is_rotated_by_its_exif_orientation(
    kind: str, orientation: int, size: tuple[int, int], red: tuple[float, float]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = converted(encoded(halves(), kind, exif=exif))
    assert picture.size == size
    red_part = colour(picture, *red)
    blue_part = colour(picture, 1 - red[0], 1 - red[1])
    assert red_part[0] - red_part[2] > 150
    assert blue_part[2] - blue_part[0] > 150


def test_damaged_exif_data_do_not_prevent_the_conversion() -> None:
    plain = encoded(halves(), "JPEG")
    garbage = b"Exif\0\0neither of the two orders of bytes"
    segment = b"\xff\xe1" + (len(garbage) + 2).to_bytes(2, "big") + garbage  # ITU-T T.81 §B.2.4.6
    picture = converted(plain[:2] + segment + plain[2:])
    assert picture.size == (64, 32)
    assert picture.tobytes() == converted(plain).tobytes()


def test_a_rotated_image_fits_the_bounds() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert converted(encoded(halves(400, 200), "PNG", exif=exif), 50, 1000).size == (50, 100)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_transparent_parts_show_the_background(kind: str) -> None:
    picture = Image.new("RGBA", (40, 20), (255, 255, 255, 0))
    picture.paste((255, 0, 0, 255), (0, 0, 20, 20))
    result = converted(encoded(picture, kind, lossless=True))
    assert colour(result, 0.25, 0.5) == pytest.approx(RED, abs=2)
    assert colour(result, 0.75, 0.5) == pytest.approx(BACKGROUND, abs=2)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_images_of_all_colour_modes_are_converted(mode: str) -> None:
    if mode == "I;16":
        picture = Image.new("I;16", (40, 20), 0x8000)
        expected = 128
    else:
        picture = Image.new("RGB", (40, 20), (255, 255, 255)).convert(mode)
        expected = 255
    result = converted(encoded(picture, "JPEG" if mode == "CMYK" else "PNG"))
    assert colour(result, 0.5, 0.5) == pytest.approx((expected,) * 3, abs=2)


def test_an_image_is_never_enlarged() -> None:
    assert converted(encoded(halves(3000, 1500), "JPEG")).size == (1280, 640)
    assert converted(encoded(halves(30, 20), "JPEG")).size == (30, 20)


def png(width: int, height: int, mode: int = 2) -> bytes:
    """Return a PNG (ISO/IEC 15948) that claims a size and has almost no data."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, mode, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("width", "height", "pixels"),
    [
        (100_000, 100_000, "100000 by 100000 pixels, 10000 million"),
        (MAX_PIXELS // 100 + 1, 100, "1000001 by 100 pixels, 100 million"),
    ],
)
def test_an_image_that_claims_to_be_huge_is_refused_before_it_is_decoded(
    monkeypatch: pytest.MonkeyPatch, width: int, height: int, pixels: str
) -> None:
    def decode(*_: Any) -> None:
        pytest.fail("it was decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", decode)
    sentence = f"It has {pixels}: at most 100 million are converted."
    assert problem(png(width, height)) == sentence


def test_a_large_jpeg_is_converted_as_it_is_decoded_in_a_part_of_its_size() -> None:
    large = Image.new("L", (12_000, 9_000), 200)  # 108 million pixels
    assert large.width * large.height > MAX_PIXELS
    assert converted(encoded(large, "JPEG")).size == (1280, 960)


@pytest.mark.parametrize("kind", FORMATS)
def test_an_image_of_each_format_is_converted(kind: str) -> None:
    picture = converted(encoded(halves(), kind))
    assert picture.size == (64, 32)
    assert colour(picture, 0.25, 0.5) == pytest.approx(RED, abs=8)
    assert colour(picture, 0.75, 0.5) == pytest.approx(BLUE, abs=8)


# ISO/IEC 23008-12 §10.2 and ISO/IEC 14496-12 §4.3: the box of a HEIC image.
HEIC = struct.pack(">I4s4sI4s", 20, b"ftyp", b"heic", 0, b"mif1") + bytes(100)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (encoded(halves(), "PPM"), "no image of a kind that is converted"),
        (b"<svg/>", "(JPEG, PNG, WebP, GIF, BMP, TIFF and AVIF), or it is damaged."),
        (b"", "or it is damaged"),
        (HEIC, "It is a HEIC image, which is not converted"),
        (encoded(halves(), "PNG")[:60], "It is damaged."),
    ],
)
def test_the_reason_why_an_image_is_not_converted_is_reported(data: bytes, expected: str) -> None:
    assert expected in problem(data)


@pytest.mark.parametrize("kind", FORMATS)
@given(st.data())
def test_a_damaged_image_is_converted_or_refused(kind: str, data: st.DataObject) -> None:
    whole = bytearray(encoded(halves(), kind))
    positions = st.integers(0, len(whole) - 1)
    for position, value in data.draw(
        st.lists(st.tuples(positions, st.integers(0, 255)), max_size=5)
    ):
        whole[position] = value
    with suppress(ImageError):
        result = image_from_file(BytesIO(whole[: data.draw(positions) + 1]), 64, 64)
        assert result.mode == "RGB"
        assert max(result.size) <= 64


@given(*[st.integers(1, 100_000)] * 2, *[st.integers(1, 4096)] * 2)
def test_a_fitted_size_is_within_the_bounds_and_never_enlarged(
    width: int, height: int, max_width: int, max_height: int
) -> None:
    result = fit_within(width, height, max_width, max_height)
    assert 1 <= result[0] <= min(width, max_width)
    assert 1 <= result[1] <= min(height, max_height)
    if width <= max_width and height <= max_height:
        assert result == (width, height)
    else:  # it fills one of the bounds exactly
        assert result[0] == max_width or result[1] == max_height
