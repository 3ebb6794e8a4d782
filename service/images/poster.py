"""The poster of a video: an image file beside it, else its cover, else its most detailed key frame.

Run it in a worker process only, as it decodes untrusted files."""

from collections.abc import Iterable
from io import BytesIO
from itertools import islice
from typing import Any, BinaryIO, Literal

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


def poster(video: BinaryIO, sidecar: BinaryIO | None = None, name: str = "") -> Poster | None:
    """Return the poster of `video`; `sidecar` is an image file found beside it, with its `name`.

    Images that cannot be converted are skipped, and the poster says why. Return None for audio
    without a cover. Raises UnreadableError, MemoryError and OSError.
    """
    problems: list[str] = []
    if sidecar is not None and (image := _converted(sidecar, name, problems)):
        return _poster("sidecar", image, problems)
    with VideoReader.open(video) as reader:
        for cover in reader.attached_covers():
            if image := _converted(BytesIO(cover), "The cover inside the file", problems):
                return _poster("cover", image, problems)
        if not reader.has_video():
            found = _unmarked_cover(reader, problems)
            if found is None and problems:
                raise UnreadableError(" ".join(problems))
            return found
        image = _representative_frame(reader)
    if image is None:
        raise UnreadableError(" ".join([*problems, "No picture of this video could be decoded."]))
    return _poster("frame", image, problems)


def _unmarked_cover(reader: VideoReader, problems: list[str]) -> Poster | None:
    for stream, frame in reader.unmarked_covers():
        return _poster("cover", image_from_frame(frame, stream, WIDTHS[-1], MAX_HEIGHT), problems)
    return None


def _converted(file: BinaryIO, name: str, problems: list[str]) -> Image.Image | None:
    try:
        return image_from_file(file, WIDTHS[-1], MAX_HEIGHT)
    except ImageError as error:
        problems.append(f"{name} is not the poster: {error}" if name else str(error))
        return None


def _poster(
    source: Literal["frame", "cover", "sidecar"], image: Image.Image, problems: list[str]
) -> Poster:
    sizes = {fit_within(*image.size, width, MAX_HEIGHT) for width in WIDTHS}
    return Poster(
        source,
        tuple(
            EncodedImage(*size, encode_webp(image.resize(size, Image.Resampling.LANCZOS), QUALITY))
            for size in sorted(sizes)
        ),
        tuple(problems),
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
