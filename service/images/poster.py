"""The picture that stands for a video: an image file beside it, else its cover, else the key frame
that shows the most. Runs in a worker process: it decodes what nobody has vouched for."""

from collections.abc import Iterable
from io import BytesIO
from itertools import islice
from typing import Any, BinaryIO, Literal

from PIL import Image

from service.images.conversion import encode_webp, fit_within, image_from_file, image_from_frame
from service.images.models import EncodedImage, Poster
from service.images.video_reader import VideoReader
from service.probing.metadata import UnreadableError

WIDTHS = (480, 1280)
"""Pixels, at most: for a card in the library's page, and for the player, both on fine screens."""

MAX_HEIGHT = 2 * WIDTHS[-1]
"""Pixels of height, at most: of an upright film, 9:16, no width is lost."""

QUALITY = 80
"""Of WebP: the default of Pillow and of libwebp's tools come to 75 to 80."""

SAMPLE_TENTHS = range(1, 10)
"""Where key frames are looked at: neither at the beginning, which fades in, nor at the very end."""

MIN_ENTROPY = 3.0
"""Bits of luma a pixel. 3 is eight shades alike: black with the noise of a camera, a title on black
and a fade have fewer, pictures of the world 5 to 7.5."""

MAX_FRAMES = 300
"""Decoded one after the other, where no key frame shows anything: more than x264 lets pass between
key frames when nobody tells it (250)."""

MAX_DECODED_PIXELS = MAX_FRAMES * 1920 * 1080
"""Pixels of those frames."""


def poster(video: BinaryIO, sidecar: BinaryIO | None = None) -> Poster | None:
    """Give the poster of `video`; `sidecar` is an image file that was put beside it.

    What is damaged is passed over. None when there is nothing to be seen: sound without a cover.
    Raises UnreadableError, MemoryError and OSError.
    """
    if sidecar is not None:
        image = image_from_file(sidecar, WIDTHS[-1], MAX_HEIGHT)
        if image:
            return _poster("sidecar", image)
    with VideoReader.open(video) as reader:
        for cover in reader.attached_covers():
            image = image_from_file(BytesIO(cover), WIDTHS[-1], MAX_HEIGHT)
            if image:
                return _poster("cover", image)
        if not reader.has_video():
            return None
        image = _representative_frame(reader)
    if image is None:
        raise UnreadableError("No picture of this video could be decoded.")
    return _poster("frame", image)


def _poster(source: Literal["frame", "cover", "sidecar"], image: Image.Image) -> Poster:
    sizes = {fit_within(*image.size, width, MAX_HEIGHT) for width in WIDTHS}
    return Poster(
        source,
        tuple(
            EncodedImage(*size, encode_webp(image.resize(size, Image.Resampling.LANCZOS), QUALITY))
            for size in sorted(sizes)
        ),
    )


def _representative_frame(reader: VideoReader) -> Image.Image | None:
    image, entropy = _most_detailed(reader, _key_frames(reader))
    if entropy >= MIN_ENTROPY:
        return image
    # Short films have but one key frame, and fade in from it.
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
    """Give the picture that shows the most, the first of several, and its bits of luma a pixel.

    That is the entropy of the brightness of its pixels: naught for a uniform picture, little for a
    dark one or one that fades in, most where there are light, shade and what is between.
    """
    best, best_entropy, best_intact = None, -1.0, False
    for frame in frames:
        image = image_from_frame(frame, reader.stream, WIDTHS[-1], MAX_HEIGHT)
        entropy = image.convert("L").entropy()
        intact = not frame.is_corrupt
        if (intact, entropy) > (best_intact, best_entropy):
            best, best_entropy, best_intact = image, entropy, intact
    return best, best_entropy
