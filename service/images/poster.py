"""The picture that stands for a video: an image file beside it, else its cover, else the key frame
that shows the most. Runs in a worker process: it decodes what nobody has vouched for."""

from collections.abc import Iterable
from io import BytesIO
from itertools import islice
from typing import Any, BinaryIO, Literal

from PIL import Image

from service.images.models import Picture, Poster
from service.images.pictures import fitted, picture_of_file, picture_of_frame, webp
from service.images.video_reader import Film
from service.probing.metadata import UnreadableError

WIDTHS = (480, 1280)
"""Pixels, at most: for a card in the library's page, and for the player, both on fine screens."""

TALLEST = 2 * WIDTHS[-1]
"""Pixels of height, at most: of an upright film, 9:16, no width is lost."""

QUALITY = 80
"""Of WebP: the default of Pillow and of libwebp's tools come to 75 to 80."""

TENTHS = range(1, 10)
"""Where key frames are looked at: neither at the beginning, which fades in, nor at the very end."""

BLANK = 3.0
"""Bits of luma a pixel. 3 is eight shades alike: black with the noise of a camera, a title on black
and a fade have fewer, pictures of the world 5 to 7.5."""

MOST_FRAMES = 300
"""Decoded one after the other, where no key frame shows anything: more than x264 lets pass between
key frames when nobody tells it (250)."""

MOST_DECODED = MOST_FRAMES * 1920 * 1080
"""Pixels of those frames."""


def poster(video: BinaryIO, sidecar: BinaryIO | None = None) -> Poster | None:
    """Give the poster of `video`; `sidecar` is an image file that was put beside it.

    What is damaged is passed over. None when there is nothing to be seen: sound without a cover.
    Raises UnreadableError, MemoryError and OSError.
    """
    if sidecar is not None:
        picture = picture_of_file(sidecar, WIDTHS[-1], TALLEST)
        if picture:
            return _poster("sidecar", picture)
    with Film.opened(video) as film:
        for cover in film.covers():
            picture = picture_of_file(BytesIO(cover), WIDTHS[-1], TALLEST)
            if picture:
                return _poster("cover", picture)
        if not film.has_video():
            return None
        picture = _representative(film)
    if picture is None:
        raise UnreadableError("No picture of this video could be decoded.")
    return _poster("frame", picture)


def _poster(source: Literal["frame", "cover", "sidecar"], picture: Image.Image) -> Poster:
    sizes = {fitted(*picture.size, width, TALLEST) for width in WIDTHS}
    return Poster(
        source,
        tuple(
            Picture(*size, webp(picture.resize(size, Image.Resampling.LANCZOS), QUALITY))
            for size in sorted(sizes)
        ),
    )


def _representative(film: Film) -> Image.Image | None:
    picture, shown = _best(film, _key_frames(film))
    if shown >= BLANK:
        return picture
    # Short films have but one key frame, and fade in from it.
    stream = film.stream
    pixels = max(1, stream.codec_context.width * stream.codec_context.height)
    frames = islice(film.frames(), max(1, min(MOST_FRAMES, MOST_DECODED // pixels)))
    other, more_shown = _best(film, islice(frames, 0, None, 10))
    return other if more_shown > shown else picture


def _key_frames(film: Film) -> Iterable[Any]:
    duration = film.duration() or 0.0
    seen = set()
    for tenth in TENTHS:
        time = duration * tenth / 10
        packet = film.key_packet(time, time)
        if packet is None or (packet.pts, packet.pos) in seen:
            continue
        seen.add((packet.pts, packet.pos))
        frame = film.decoded(packet)
        if frame is not None:
            yield frame


def _best(film: Film, frames: Iterable[Any]) -> tuple[Image.Image | None, float]:
    """Give the picture that shows the most, the first of several, and its bits of luma a pixel.

    That is the entropy of the brightness of its pixels: naught for a uniform picture, little for a
    dark one or one that fades in, most where there are light, shade and what is between.
    """
    best, most, best_is_whole = None, -1.0, False
    for frame in frames:
        picture = picture_of_frame(frame, film.stream, WIDTHS[-1], TALLEST)
        shown = picture.convert("L").entropy()
        whole = not frame.is_corrupt
        if (whole, shown) > (best_is_whole, most):
            best, most, best_is_whole = picture, shown, whole
    return best, most
