"""Posters and storyboards of real files made by FFmpeg, checked by their pixels."""

import colorsys
import struct
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw
from support.ffmpeg_fixtures import ffmpeg

from service.images import video_reader
from service.images.models import Poster, Storyboard
from service.images.poster import Sidecar, poster
from service.images.storyboard import MAX_SHEET_BYTES, MAX_TILES, storyboard
from service.probing.metadata import UnreadableError

Colour = tuple[int, int, int]

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
BLACK = (0, 0, 0)

# The colours are marked as BT.709, so that decoders do not have to guess.
BT709 = ("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709")
AS_709 = "scale=out_color_matrix=bt709:out_range=tv:flags=accurate_rnd,format=yuv420p"
H264 = ("-vf", AS_709, *BT709, "-c:v", "libx264", "-preset", "ultrafast", "-crf", "10")
TESTSRC = ("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=10:duration=4")


def film(path: Path, pictures: list[Image.Image], rate: str, *arguments: str) -> Path:
    """Make a video of these frames at a frame rate."""
    width, height = pictures[0].size
    raw = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", rate)
    stdin = b"".join(picture.tobytes() for picture in pictures)
    return ffmpeg(path, *raw, "-i", "-", *(arguments or H264), stdin=stdin)


def plain(colour: Colour, size: tuple[int, int] = (160, 90)) -> Image.Image:
    return Image.new("RGB", size, colour)


def quadrants(width: int = 320, height: int = 180) -> Image.Image:
    """Return an image whose corners are red, green, blue and white in reading order."""
    picture = plain(RED, (width, height))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((width // 2, 0, width, height // 2), GREEN)
    draw.rectangle((0, height // 2, width // 2, height), BLUE)
    draw.rectangle((width // 2, height // 2, width, height), WHITE)
    return picture


def sidecar_of(path: Path | None) -> Sidecar | None:
    return Sidecar(BytesIO(path.read_bytes()), path.name) if path else None


def poster_of(path: Path, sidecar: Path | None = None, still: Path | None = None) -> Poster:
    with path.open("rb") as video:
        result = poster(video, sidecar_of(sidecar), sidecar_of(still))
    assert result is not None
    return result


def storyboard_of(path: Path, duration: float | None = None) -> Storyboard:
    with path.open("rb") as video:
        result = storyboard(video, duration)
    assert result is not None
    return result


def image(data: bytes) -> Image.Image:
    picture = Image.open(BytesIO(data))
    assert picture.format == "WEBP"
    return picture.convert("RGB")


def largest(path: Path) -> Image.Image:
    return image(poster_of(path).images[-1].data)


def at(picture: Image.Image, across: float, down: float) -> Any:
    return picture.getpixel((int(picture.width * across), int(picture.height * down)))


def corners(picture: Image.Image) -> list[Colour]:
    return [at(picture, across, down) for down in (0.2, 0.8) for across in (0.2, 0.8)]


def alike(colour: Colour, other: Colour, tolerance: int = 24) -> bool:
    """Return whether two colours differ by no more than two lossy codecs may cause."""
    return all(abs(a - b) <= tolerance for a, b in zip(colour, other, strict=True))


def assert_corners(picture: Image.Image, expected: list[Colour]) -> None:
    result = corners(picture)
    assert all(map(alike, result, expected)), result


def tiles(storyboard: Storyboard) -> Iterator[tuple[float, float, Image.Image]]:
    """Yield the start, the end and the image of each tile, cropped from its sheet."""
    grid, sheets = storyboard.grid, [image(sheet) for sheet in storyboard.sheets]
    ends = (*grid.starts[1:], grid.duration)
    for number, (start, end) in enumerate(zip(grid.starts, ends, strict=True)):
        sheet, cell = divmod(number, grid.columns * grid.rows)
        left = cell % grid.columns * grid.width
        top = cell // grid.columns * grid.height
        assert left + grid.width <= sheets[sheet].width
        assert top + grid.height <= sheets[sheet].height
        yield start, end, sheets[sheet].crop((left, top, left + grid.width, top + grid.height))


def with_matrix(path: Path, a: int, b: int, c: int, d: int) -> Path:
    """Write a display matrix into the track header (ISO/IEC 14496-12 §8.3.2) of an MP4."""
    content = bytearray(path.read_bytes())
    offset = content.index(b"tkhd") + 44  # version 0
    values = (a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    assert struct.unpack_from(">9i", content, offset) == (
        1 << 16,
        0,
        0,
        0,
        1 << 16,
        0,
        0,
        0,
        1 << 30,
    )
    struct.pack_into(">9i", content, offset, *values)
    path.write_bytes(content)
    return path


# Choice of the poster


def test_a_poster_has_two_widths_of_one_picture(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", [quadrants(1920, 1080)], "1")
    result = poster_of(path)
    assert result.source == "frame"
    assert [(picture.width, picture.height) for picture in result.images] == [
        (480, 270),
        (1280, 720),
    ]
    for picture in result.images:
        decoded = image(picture.data)
        assert decoded.size == (picture.width, picture.height)
        assert_corners(decoded, [RED, GREEN, BLUE, WHITE])


def test_a_small_frame_is_not_enlarged(tmp_path: Path) -> None:
    (only,) = poster_of(film(tmp_path / "a.mp4", [quadrants(320, 180)], "1")).images
    assert (only.width, only.height) == (320, 180)


def test_a_film_with_a_dark_beginning_has_no_dark_poster(tmp_path: Path) -> None:
    noise = Image.effect_noise((160, 90), 60).convert("RGB")
    pictures = [plain(BLACK)] * 330 + [noise] * 770  # longer than the frames decoded in a row
    path = film(tmp_path / "a.mp4", pictures, "10", *H264, "-g", "20")
    assert largest(path).convert("L").entropy() > 5  # black has no entropy


def test_a_fade_from_the_only_key_frame_yields_no_dark_poster(tmp_path: Path) -> None:
    picture = Image.linear_gradient("L").resize((160, 90)).convert("RGB")
    fade = [picture.point(lambda value, step=step: value * step // 40) for step in range(41)]
    only_one = ("-g", "1000", "-x264-params", "scenecut=0")
    path = film(tmp_path / "a.mp4", fade, "10", *H264, *only_one)
    picture = largest(path)
    assert at(picture, 0.5, 0.05)[0] < 40
    assert at(picture, 0.5, 0.95)[0] > 200


def test_a_detailed_frame_is_preferred_to_a_title(tmp_path: Path) -> None:
    title = plain(WHITE)  # brightness alone does not count
    ImageDraw.Draw(title).text((60, 40), "THE FILM", BLACK)
    shades = Image.linear_gradient("L").resize((160, 90)).convert("RGB")
    pictures = [title] * 480 + [shades] * 40 + [title] * 480
    path = film(tmp_path / "a.mp4", pictures, "10", *H264, "-g", "10")
    assert [at(largest(path), 0.5, down)[0] for down in (0.25, 0.75)] == [
        pytest.approx(64, abs=24),
        pytest.approx(191, abs=24),
    ]


def test_a_single_black_frame_is_the_poster(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", [plain(BLACK)], "25")
    assert alike(at(largest(path), 0.5, 0.5), BLACK)
    only = storyboard_of(path)
    assert only.grid.starts == (0.0,)
    assert (only.grid.columns, only.grid.rows) == (1, 1)
    assert len(list(tiles(only))) == 1


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mp3"])
def test_a_cover_is_preferred_to_a_frame(tmp_path: Path, name: str) -> None:
    cover = tmp_path / "cover.png"
    quadrants(600, 600).save(cover)
    video = ("-i", film(tmp_path / "video.mp4", [plain(BLACK)], "1"))
    audio = ("-f", "lavfi", "-i", "sine=duration=1")
    both = ("-i", cover, "-map", "0", "-map", "1", "-c:v", "copy")
    matroska = ("-attach", cover, "-metadata:s:t", "mimetype=image/png", "-c", "copy")
    arguments: dict[str, tuple[str | Path, ...]] = {
        "a.mp4": (*video, *both, "-disposition:v:1", "attached_pic"),
        "a.mkv": (*video, *matroska, "-metadata:s:t", "filename=cover.png"),
        "a.mp3": (*audio, *both),
    }
    path = ffmpeg(tmp_path / name, *arguments[name])
    result = poster_of(path)
    assert result.source == "cover"
    assert [(picture.width, picture.height) for picture in result.images] == [
        (480, 480),
        (600, 600),
    ]
    assert_corners(image(result.images[-1].data), [RED, GREEN, BLUE, WHITE])


def test_a_sidecar_is_preferred_to_everything(tmp_path: Path) -> None:
    sidecar = tmp_path / "poster.jpg"
    quadrants(100, 150).save(sidecar, quality=95)
    result = poster_of(film(tmp_path / "a.mp4", [plain(BLACK)], "1"), sidecar)
    assert result.source == "sidecar"
    assert [(picture.width, picture.height) for picture in result.images] == [(100, 150)]
    assert_corners(image(result.images[0].data), [RED, GREEN, BLUE, WHITE])


def jpeg(path: Path, colour: Colour, size: tuple[int, int]) -> Path:
    plain(colour, size).save(path, quality=95)
    return path


def test_the_still_is_the_poster_unless_that_is_upright_and_the_film_is_not(
    tmp_path: Path,
) -> None:
    wide = film(tmp_path / "wide.mp4", [quadrants()], "1")
    tall = film(tmp_path / "tall.mp4", [quadrants(180, 320)], "1")
    upright = jpeg(tmp_path / "upright.jpg", RED, (200, 300))
    thumb = jpeg(tmp_path / "thumb.jpg", GREEN, (320, 180))
    still = poster_of(wide, upright).still
    assert still is not None
    assert_corners(image(still[-1].data), [RED, GREEN, BLUE, WHITE])
    still = poster_of(wide, upright, thumb).still
    assert still is not None
    assert alike(at(image(still[-1].data), 0.5, 0.5), GREEN)
    # An upright "still" is none.
    still = poster_of(wide, thumb, upright).still
    assert still is None
    still = poster_of(wide, upright, upright).still
    assert still is not None
    assert_corners(image(still[-1].data), [RED, GREEN, BLUE, WHITE])
    assert poster_of(wide).still is None
    assert poster_of(wide, thumb).still is None
    only_thumb = poster_of(wide, None, thumb)
    assert (only_thumb.source, only_thumb.still) == ("sidecar", None)
    # An upright film has an upright still.
    assert poster_of(tall).still is None
    assert poster_of(tall, upright).still is None


def test_an_upright_cover_is_no_still_of_a_film_and_is_that_of_sound(tmp_path: Path) -> None:
    cover = jpeg(tmp_path / "cover.jpg", BLUE, (200, 300))
    song = ("-f", "lavfi", "-i", "sine=duration=1")
    attached = ("-map", "0", "-map", "1", "-c:v", "copy", "-disposition:v:1", "attached_pic")
    video = film(tmp_path / "video.mp4", [quadrants()], "1")
    result = poster_of(ffmpeg(tmp_path / "a.mp4", "-i", video, "-i", cover, *attached))
    assert result.source == "cover"
    assert result.still is not None
    assert_corners(image(result.still[-1].data), [RED, GREEN, BLUE, WHITE])
    maps = ("-map", "0", "-map", "1", "-c:v", "copy", "-disposition:v:0", "attached_pic")
    sound = ffmpeg(tmp_path / "a.m4a", *song, "-i", cover, *maps)
    assert poster_of(sound).still is None
    assert poster_of(sound, cover).still is None


def test_a_film_that_cannot_be_decoded_has_its_upright_poster_and_no_still(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(bytes(1000))
    result = poster_of(broken, jpeg(tmp_path / "poster.jpg", RED, (200, 300)))
    assert (len(result.images), result.still) == (1, ())


def test_a_damaged_cover_and_a_damaged_sidecar_are_skipped(tmp_path: Path) -> None:
    cover, sidecar = tmp_path / "cover.jpg", tmp_path / "poster.png"
    Image.effect_noise((600, 600), 60).save(cover)
    video = film(tmp_path / "video.mp4", [quadrants()], "1")
    maps = ("-map", "0", "-map", "1", "-c", "copy", "-disposition:v:1", "attached_pic")
    path = ffmpeg(tmp_path / "a.mp4", "-i", video, "-i", cover, *maps)
    content = path.read_bytes()
    offset = content.index(cover.read_bytes())
    path.write_bytes(content[: offset + 100] + bytes(1000) + content[offset + 1100 :])
    sidecar.write_bytes(cover.read_bytes()[:5000])
    result = poster_of(path, sidecar)
    assert result.source in {"cover", "frame"}  # JPEG decoders tolerate different damage
    content = content[:offset] + bytes(1000) + content[offset + 1000 :]
    path.write_bytes(content)
    result = poster_of(path, sidecar)
    assert result.source == "frame"
    assert_corners(image(result.images[-1].data), [RED, GREEN, BLUE, WHITE])


def test_audio_alone_has_neither_poster_nor_storyboard(tmp_path: Path) -> None:
    path = ffmpeg(tmp_path / "a.m4a", "-f", "lavfi", "-i", "sine=duration=1")
    with path.open("rb") as video:
        assert poster(video) is None
        assert storyboard(video) is None


# Geometry and colours

TURNED = [
    # ISO/IEC 14496-12 §6.2.2: (x, y) is shown at (ax + cy, bx + dy); x to the right, y down
    ((0, 1, -1, 0), [BLUE, RED, WHITE, GREEN]),  # right becomes down: clockwise
    ((-1, 0, 0, -1), [WHITE, BLUE, GREEN, RED]),
    ((0, -1, 1, 0), [GREEN, WHITE, RED, BLUE]),  # right becomes up: anticlockwise
    ((-1, 0, 0, 1), [GREEN, RED, WHITE, BLUE]),  # right becomes left: mirrored
    ((1, 0, 0, -1), [BLUE, WHITE, RED, GREEN]),
    ((0, 1, 1, 0), [RED, BLUE, GREEN, WHITE]),
    ((0, -1, -1, 0), [WHITE, GREEN, BLUE, RED]),
]


@pytest.mark.parametrize(("matrix", "expected"), TURNED)
def test_posters_and_tiles_are_upright(
    tmp_path: Path, matrix: tuple[int, int, int, int], expected: list[Colour]
) -> None:
    path = with_matrix(film(tmp_path / "a.mp4", [quadrants(320, 180)], "1"), *matrix)
    size = (180, 320) if matrix[0] == 0 else (320, 180)
    picture = largest(path)
    assert picture.size == size
    assert_corners(picture, expected)
    ((_, _, tile),) = tiles(storyboard_of(path))
    assert tile.size == (size[0] // 2, size[1] // 2)
    assert_corners(tile, expected)


@pytest.mark.parametrize(
    ("aspect", "size"),
    [("4/3", (427, 180)), ("1/2", (160, 180)), ("1/1", (320, 180)), ("1/10000", (320, 180))],
)
def test_pixels_are_made_square(tmp_path: Path, aspect: str, size: tuple[int, int]) -> None:
    arguments = list(H264)
    arguments[1] = f"{AS_709},setsar={aspect}:max=10000"
    path = film(tmp_path / "a.mp4", [quadrants(320, 180)], "1", *arguments)
    picture = largest(path)
    assert picture.size == size
    assert_corners(picture, [RED, GREEN, BLUE, WHITE])


def test_an_anamorphic_film_is_stretched_before_it_is_rotated(tmp_path: Path) -> None:
    arguments = list(H264)
    arguments[1] = f"{AS_709},setsar=2/1"
    path = film(tmp_path / "a.mp4", [quadrants(100, 100)], "1", *arguments)
    assert largest(with_matrix(path, 0, 1, -1, 0)).size == (100, 200)


COLOURS = [
    pytest.param(matrix, full, pixels, id=f"{matrix}-{full}-{pixels}")
    for matrix in ("bt709", "smpte170m", "bt2020nc")
    for full in ("tv", "pc")
    for pixels in ("yuv420p", "yuv444p10le")
]


@pytest.mark.parametrize(("matrix", "full", "pixels"), COLOURS)
def test_colours_equal_those_that_were_encoded(
    tmp_path: Path, matrix: str, full: str, pixels: str
) -> None:
    # FFmpeg's scaler uses older names for the matrices.
    name = {"bt709": "bt709", "smpte170m": "smpte170m", "bt2020nc": "bt2020"}[matrix]
    path = film(
        tmp_path / "a.mp4",
        [quadrants()],
        "1",
        *("-vf", f"scale=out_color_matrix={name}:out_range={full},format={pixels}"),
        *("-colorspace", matrix, "-color_range", full, "-color_trc", "bt709"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-crf", "10"),
    )
    assert_corners(largest(path), [RED, GREEN, BLUE, WHITE])


def test_rgb_stays_rgb(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", [quadrants()], "1", "-c:v", "libx264rgb", "-crf", "10")
    assert_corners(largest(path), [RED, GREEN, BLUE, WHITE])


@pytest.mark.parametrize(
    ("height", "matrix"), [(576, "smpte170m"), (720, "bt709")], ids=["SD", "HD"]
)
def test_an_unknown_matrix_is_chosen_by_resolution(
    tmp_path: Path, height: int, matrix: str
) -> None:
    green = (0, 160, 0)  # the wrong matrix yields a green of 187, without clipping
    path = film(
        tmp_path / "a.mp4",
        [plain(green, (320, height))],
        "1",
        *("-vf", f"scale=out_color_matrix={matrix},format=yuv420p,setparams=colorspace=unknown"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-crf", "10"),
    )
    assert alike(at(largest(path), 0.5, 0.5), green, 6)


def hdr(path: Path, transfer: str, codes: list[int]) -> Path:
    """Make a film of grey stripes with 10-bit code values of limited range."""
    width, height = 32 * len(codes), 64
    row = b"".join(struct.pack("<H", code) * 32 for code in codes)
    grey = struct.pack("<H", 512) * (width * height // 4)
    raw = ("-f", "rawvideo", "-pix_fmt", "yuv420p10le", "-s", f"{width}x{height}", "-r", "1")
    info = ("-colorspace", "bt2020nc", "-color_primaries", "bt2020", "-color_trc", transfer)
    x265 = f"log-level=none:crf=4:colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc"
    encoder = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", x265)
    return ffmpeg(path, *raw, "-i", "-", *info, *encoder, stdin=row * height + grey * 2)


def stripes(path: Path, count: int) -> list[int]:
    picture = largest(path)
    colours = [at(picture, (number + 0.5) / count, 0.5) for number in range(count)]
    assert all(max(colour) - min(colour) <= 6 for colour in colours)  # grey has no colour cast
    return [colour[1] for colour in colours]


def test_pq_is_displayed_at_its_intended_brightness(tmp_path: Path) -> None:
    codes = [64 + 876 * step // 16 for step in range(17)]
    shades = stripes(hdr(tmp_path / "a.mp4", "smpte2084", codes), 17)
    assert shades == sorted(shades)
    assert shades[0] <= 4
    assert shades[-1] >= 250
    # ITU-R BT.2408 table 1: HDR reference white, 203 cd/m², is 58 % of PQ; the grey card, 26 cd/m²,
    # is 38 %. 26 / 203 in sRGB is 100. White is below full brightness, to leave room for
    # 1000 cd/m², but above a level at which a page would look grey.
    grey, white = stripes(
        hdr(tmp_path / "b.mp4", "smpte2084", [64 + 876 * 38 // 100, 64 + 876 * 58 // 100]), 2
    )
    assert grey == pytest.approx(100, abs=4)
    assert 215 <= white <= 245


def test_hlg_is_displayed_at_its_intended_brightness(tmp_path: Path) -> None:
    codes = [64 + 876 * step // 16 for step in range(17)]
    shades = stripes(hdr(tmp_path / "a.mp4", "arib-std-b67", codes), 17)
    assert shades == sorted(shades)
    assert shades[0] <= 4
    assert shades[-1] >= 250
    # The same table: white is 75 % of HLG, and the grey card is 38 %.
    grey, white = stripes(
        hdr(tmp_path / "b.mp4", "arib-std-b67", [64 + 876 * 38 // 100, 64 + 876 * 75 // 100]), 2
    )
    assert grey == pytest.approx(100, abs=4)
    assert 215 <= white <= 245


# Storyboards


def colour_at(second: float) -> Colour:
    """Return the colour that encodes a time: its hue, of which 24 seconds are a full circle."""
    red, green, blue = colorsys.hsv_to_rgb(second / 24 % 1, 1, 1)
    return round(red * 255), round(green * 255), round(blue * 255)


def film_of_times(path: Path, duration: int, interval: int, *arguments: str) -> Path:
    """Make a film of two frames a second whose colours encode the time, with regular key frames."""
    pictures = [plain(colour_at(frame / 2)) for frame in range(2 * duration)]
    group = ("-g", str(2 * interval), "-keyint_min", str(2 * interval))
    return film(path, pictures, "2", *H264, *group, "-x264-params", "scenecut=0", *arguments)


def last_key_frame(time: float, interval: int) -> float:
    return time // interval * interval


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("a.mp4", ()),
        ("a.mp4", ("-movflags", "frag_keyframe+empty_moov")),
        ("a.mkv", ()),
        ("a.mkv", ("-f", "matroska", "-live", "1")),  # neither cues nor a duration
    ],
)
def test_a_tile_shows_the_last_key_frame_before_the_middle_of_its_time(
    tmp_path: Path, name: str, arguments: tuple[str, ...]
) -> None:
    duration, interval = 400, 1  # a tile covers 3 seconds: 400 / 150, rounded up to whole seconds
    result = storyboard_of(film_of_times(tmp_path / name, duration, interval, *arguments))
    assert result.grid.duration == pytest.approx(duration, abs=0.6)
    assert result.grid.starts == tuple(float(3 * number) for number in range(134))
    for start, end, tile in tiles(result):
        expected = colour_at(last_key_frame((start + end) / 2, interval))
        assert alike(at(tile, 0.5, 0.5), expected), start
    assert len(result.sheets) == 2
    assert all(len(sheet) <= MAX_SHEET_BYTES for sheet in result.sheets)
    assert [image(sheet).size for sheet in result.sheets] == [(1600, 900), (1600, 360)]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("a.ts", ()), ("a.mpg", ("-c:v", "mpeg2video", "-vf", "fps=24", "-g", "24", "-q:v", "2"))],
)
def test_a_file_without_an_index_uses_key_frames_near_the_tile_times(
    tmp_path: Path, name: str, arguments: tuple[str, ...]
) -> None:
    result = storyboard_of(film_of_times(tmp_path / name, 60, 1, *arguments))
    assert result.grid.starts[0] == 0
    assert len(result.grid.starts) > 40
    # From a second before the tile's time to a second after it; 24 seconds are the full circle.
    for start, _, tile in tiles(result):
        red, green, blue = at(tile, 0.5, 0.5)
        tile_time = 24 * colorsys.rgb_to_hsv(red, green, blue)[0]
        assert (tile_time - start + 1.5) % 24 <= 1.5 + 1 + 1.5, start


B_FRAMES = ("-c:v", "libx264", "-g", "9999", "-sc_threshold", "0")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("a.ts", (*B_FRAMES, "-c:a", "mp2")),
        ("a.m2ts", (*B_FRAMES, "-c:a", "aac", "-mpegts_m2ts_mode", "1")),
        ("a.vob", (*B_FRAMES, "-c:a", "mp2", "-f", "vob")),
        ("a.mpg", ("-c:v", "mpeg2video", "-g", "600", "-sc_threshold", "1000000000")),
        ("a.nut", B_FRAMES),
        ("a.flv", B_FRAMES),
    ],
)
def test_a_short_video_with_one_key_frame_has_one_tile(
    tmp_path: Path, name: str, arguments: tuple[str, ...]
) -> None:
    sound = ("-f", "lavfi", "-i", "sine=duration=4")
    path = ffmpeg(tmp_path / name, *TESTSRC, *sound, "-pix_fmt", "yuv420p", *arguments, "-r", "25")
    assert storyboard_of(path).grid.starts == (0.0,)
    assert poster_of(path).source == "frame"


@pytest.mark.parametrize("name", ["a.h264", "a.m2v", "a.hevc"])
def test_a_stream_without_a_container_has_a_poster(tmp_path: Path, name: str) -> None:
    assert poster_of(ffmpeg(tmp_path / name, *TESTSRC)).source == "frame"


def test_a_video_with_few_key_frames_has_as_few_tiles(tmp_path: Path) -> None:
    result = storyboard_of(film_of_times(tmp_path / "a.mp4", 60, 20))
    # Key frames at 0, 20 and 40 s are first shown in the seconds that begin there.
    assert result.grid.starts == (0.0, 20.0, 40.0)
    assert (result.grid.columns, result.grid.rows) == (3, 1)
    colours = [at(tile, 0.5, 0.5) for _, _, tile in tiles(result)]
    assert all(map(alike, colours, [colour_at(second) for second in (0, 20, 40)]))


def test_a_false_duration_adds_no_tiles(tmp_path: Path) -> None:
    result = storyboard_of(film_of_times(tmp_path / "a.mp4", 10, 2), duration=1e9)
    assert 1 <= len(result.grid.starts) <= MAX_TILES
    assert result.grid.duration == 1e9


def test_a_sheet_of_noise_stays_within_its_maximum_size(tmp_path: Path) -> None:
    noise = [Image.effect_noise((160, 90), 90).convert("RGB") for _ in range(110)]
    result = storyboard_of(film(tmp_path / "a.mp4", noise, "1", *H264, "-g", "1"))
    assert len(result.grid.starts) == 110
    assert all(len(sheet) <= MAX_SHEET_BYTES for sheet in result.sheets)


def test_the_resolution_may_change_within_a_film(tmp_path: Path) -> None:
    landscape = film(tmp_path / "1.h264", [plain(RED, (160, 90))] * 4, "1", *H264, "-g", "1")
    portrait = film(tmp_path / "2.h264", [plain(BLUE, (90, 160))] * 4, "1", *H264, "-g", "1")
    both = tmp_path / "both.h264"
    both.write_bytes(landscape.read_bytes() + portrait.read_bytes())
    path = ffmpeg(tmp_path / "a.ts", "-r", "1", "-i", both, "-c", "copy")
    result = list(tiles(storyboard_of(path)))
    assert {tile.size for _, _, tile in result} == {(160, 90)}
    assert alike(at(result[0][2], 0.5, 0.5), RED)
    assert alike(at(result[-1][2], 0.5, 0.5), BLUE)
    assert alike(at(result[-1][2], 0.1, 0.5), BLACK)


# All formats


FORMATS = [
    ("a.mkv", ("-c:v", "libx265", "-x265-params", "log-level=none", "-pix_fmt", "yuv420p10le")),
    ("a.webm", ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8")),
    ("a.webm", ("-c:v", "libvpx", "-deadline", "realtime")),
    ("a.mp4", ("-c:v", "libaom-av1", "-cpu-used", "8", "-usage", "realtime")),
    ("a.mov", ("-c:v", "prores_ks", "-pix_fmt", "yuva444p10le")),
    ("a.ogv", ("-c:v", "libtheora", "-q:v", "8")),
    ("a.ts", ("-c:v", "mpeg2video", "-q:v", "2", "-flags", "+ilme+ildct")),
    ("a.mts", ("-c:v", "libx264", "-flags", "+ilme+ildct", "-x264-params", "tff=1")),
]


@pytest.mark.parametrize(("name", "arguments"), FORMATS)
def test_all_formats_are_decoded(tmp_path: Path, name: str, arguments: tuple[str, ...]) -> None:
    path = film(tmp_path / name, [quadrants()] * 30, "10", "-g", "10", *arguments)
    picture = largest(path)
    assert picture.size == (320, 180)
    pairs = zip(corners(picture), [RED, GREEN, BLUE, WHITE], strict=True)
    assert all(alike(result, expected, 40) for result, expected in pairs), corners(picture)
    for _, _, tile in tiles(storyboard_of(path)):
        assert tile.size == (160, 90)
        assert alike(at(tile, 0.2, 0.2), RED, 40)


def test_the_same_file_yields_the_same_bytes(tmp_path: Path) -> None:
    path = ffmpeg(tmp_path / "a.mp4", *TESTSRC, *H264, "-g", "10")
    assert poster_of(path) == poster_of(path)
    assert storyboard_of(path) == storyboard_of(path)


def test_the_readable_part_of_a_truncated_file_is_shown(tmp_path: Path) -> None:
    path = film_of_times(tmp_path / "a.mp4", 60, 2, "-movflags", "+faststart")
    content = path.read_bytes()
    media = content.index(b"mdat")
    path.write_bytes(content[: media + (len(content) - media) // 2])
    result = storyboard_of(path)
    assert 10 <= len(result.grid.starts) <= 20  # about half of the 30 key frames
    assert result.grid.duration == pytest.approx(60, abs=0.5)
    for start, _, tile in tiles(result):
        assert alike(at(tile, 0.5, 0.5), colour_at(last_key_frame(start + 0.5, 2))), start
    assert poster_of(path).source == "frame"


def test_the_part_within_the_read_limit_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without cues and duration it is read sequentially.
    live = (*H264, "-qp", "1", "-g", "5", "-f", "matroska", "-live", "1")
    path = ffmpeg(tmp_path / "a.mkv", *TESTSRC, *live)
    monkeypatch.setattr(video_reader, "MAX_BYTES_READ", path.stat().st_size // 2)
    result = storyboard_of(path)
    assert result.grid.duration == pytest.approx(2, abs=0.7)  # of four seconds
    assert len(result.grid.starts) in {2, 3}
    assert len(list(tiles(result))) == len(result.grid.starts)


@pytest.mark.parametrize("content", [b"", bytes(5000), b"This is text.\n" * 500])
def test_a_file_that_is_no_video_is_unreadable(tmp_path: Path, content: bytes) -> None:
    for make in (poster, storyboard):
        with pytest.raises(UnreadableError, match=r"^[A-Z][^.]+\.$"):
            make(BytesIO(content))


def test_a_video_without_decodable_frames_is_unreadable(tmp_path: Path) -> None:
    path = ffmpeg(tmp_path / "a.mp4", *TESTSRC, *H264, "-movflags", "+faststart")
    content = path.read_bytes()
    media = content.index(b"mdat") + 4
    damaged = content[:media] + bytes(len(content) - media)
    for make in (poster, storyboard):
        with pytest.raises(UnreadableError, match="could be decoded"):
            make(BytesIO(damaged))
