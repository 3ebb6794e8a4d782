"""The poster of a video: an image file beside it, else its cover, else its most detailed key frame.

Run it in a worker process only, as it decodes untrusted files."""

from collections.abc import Iterable
from io import BytesIO
from itertools import islice
from typing import Any, BinaryIO, Literal, NamedTuple

from PIL import Image

from service.images.conversion import (
    ImageError,
    encode_webp,
    fit_within,
    image_from_file,
    image_from_frame,
)
from service.images.models import EncodedImage, Poster
from service.images.video_reader import VideoReader
from service.probing.metadata import UnreadableError

WIDTHS = (480, 1280)
"""Maximum pixels: for a card on the library page and for the player, on high-density screens."""

MAX_HEIGHT = 2 * WIDTHS[-1]
"""Maximum pixels: a 9:16 portrait video still gets the full width."""

QUALITY = 80
"""Of WebP: the defaults of Pillow and of libwebp's tools are 75 to 80."""

SAMPLE_TENTHS = range(1, 10)
"""Tenths of the duration where key frames are sampled: not at the start, which often fades in, nor
at the very end."""

MIN_ENTROPY = 3.0
"""Bits of luma per pixel. 3 equals eight equally common shades: black with camera noise, a title on
black and a fade have fewer, real scenes 5 to 7.5."""

MAX_FRAMES = 300
"""Decoded in sequence when no key frame reaches MIN_ENTROPY: more than x264's default distance
between key frames (250)."""

MAX_DECODED_PIXELS = MAX_FRAMES * 1920 * 1080
"""Total pixels of those frames."""


class Sidecar(NamedTuple):
    """An image file beside a video."""

    file: BinaryIO
    name: str


_Source = Literal["frame", "cover", "sidecar"]
_Found = tuple[_Source, Image.Image]


def poster(
    video: BinaryIO, image: Sidecar | None = None, still: Sidecar | None = None
) -> Poster | None:
    """Return the poster of `video` and its still; `image` and `still` are the files for them.

    Images that cannot be converted are skipped, and the poster says why. Return None for audio
    without a cover. Raises UnreadableError, MemoryError and OSError.
    """
    problems: list[str] = []
    own_still = _converted(still, problems) if still else None
    shown = (_converted(image, problems) if image else None) or own_still
    if shown is not None:
        found: _Found = "sidecar", shown
        if own_still is not None and not is_upright(own_still):
            return _poster(found, own_still, problems)
        return _poster(found, _frame_instead_of(shown, video), problems)
    with VideoReader.open(video) as reader:
        cover = _cover(reader, problems)
        if not reader.has_video():
            if cover is None and problems:
                raise UnreadableError(" ".join(problems))
            return None if cover is None else _poster(cover, cover[1], problems)
        if cover is not None and not is_upright(cover[1]):
            return _poster(cover, cover[1], problems)
        frame = _representative_frame(reader)
    if cover is not None:
        return _poster(cover, frame, problems)
    if frame is None:
        raise UnreadableError(" ".join([*problems, "No picture of this video could be decoded."]))
    return _poster(("frame", frame), frame, problems)


def is_upright(image: Image.Image) -> bool:
    """Return whether an image is no still of a film in landscape format, as most films are."""
    return image.width <= image.height


def _frame_instead_of(image: Image.Image, video: BinaryIO) -> Image.Image | None:
    """Return a frame of a video if the image is no still of it, else the image.

    Return None if the video cannot be read: it has a poster even so.
    """
    if not is_upright(image):
        return image
    try:
        with VideoReader.open(video) as reader:
            return _representative_frame(reader) if reader.has_video() else image
    except UnreadableError:
        return None


def _cover(reader: VideoReader, problems: list[str]) -> _Found | None:
    for cover in reader.attached_covers():
        if image := _converted(Sidecar(BytesIO(cover), "The cover inside the file"), problems):
            return "cover", image
    if not reader.has_video():
        for stream, frame in reader.unmarked_covers():
            return "cover", image_from_frame(frame, stream, WIDTHS[-1], MAX_HEIGHT)
    return None


def _converted(sidecar: Sidecar, problems: list[str]) -> Image.Image | None:
    try:
        return image_from_file(sidecar.file, WIDTHS[-1], MAX_HEIGHT)
    except ImageError as error:
        problems.append(f"{sidecar.name} is not shown: {error}")
        return None


def _poster(found: _Found, still: Image.Image | None, problems: list[str]) -> Poster:
    source, image = found
    if still is not None and is_upright(still):
        still = image  # the film is upright, or has no picture
    return Poster(
        source,
        _encoded(image),
        None if still is image else () if still is None else _encoded(still),
        tuple(problems),
    )


def _encoded(image: Image.Image) -> tuple[EncodedImage, ...]:
    sizes = {fit_within(*image.size, width, MAX_HEIGHT) for width in WIDTHS}
    return tuple(
        EncodedImage(*size, encode_webp(image.resize(size, Image.Resampling.LANCZOS), QUALITY))
        for size in sorted(sizes)
    )


def _representative_frame(reader: VideoReader) -> Image.Image | None:
    image, entropy = _most_detailed(reader, _key_frames(reader))
    if entropy >= MIN_ENTROPY:
        return image
    # Short videos often have only one key frame, and fade in from it.
    stream = reader.stream
    pixels = max(1, stream.codec_context.width * stream.codec_context.height)
    frames = islice(reader.frames(), max(1, min(MAX_FRAMES, MAX_DECODED_PIXELS // pixels)))
    other, other_entropy = _most_detailed(reader, islice(frames, 0, None, 10))
    return other if other_entropy > entropy else image


def _key_frames(reader: VideoReader) -> Iterable[Any]:
    duration = reader.duration() or 0.0
    seen = set()
    for tenth in SAMPLE_TENTHS:
        time = duration * tenth / 10
        packet = reader.key_packet(time, time)
        if packet is None or (packet.pts, packet.pos) in seen:
            continue
        seen.add((packet.pts, packet.pos))
        frame = reader.decode(packet)
        if frame is not None:
            yield frame


def _most_detailed(reader: VideoReader, frames: Iterable[Any]) -> tuple[Image.Image | None, float]:
    """Return the first frame with the highest entropy as an image, and that entropy.

    The entropy is that of the luma, in bits per pixel: 0 for a uniform image, low for a dark one
    or a fade, high for a wide range of shades. Intact frames come before corrupt ones.
    """
    best, best_entropy, best_intact = None, -1.0, False
    for frame in frames:
        image = image_from_frame(frame, reader.stream, WIDTHS[-1], MAX_HEIGHT)
        entropy = image.convert("L").entropy()
        intact = not frame.is_corrupt
        if (intact, entropy) > (best_intact, best_entropy):
            best, best_entropy, best_intact = image, entropy, intact
    return best, best_entropy
