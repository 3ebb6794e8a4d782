"""Does a browser play it, and well? Pure: from what is known of a file to findings, each with the
command that would fix it. What browsers play is in browsers.py, commands are in remedy.py."""

from collections.abc import Iterator

from service.models import Finding, Metadata, Stream
from service.playability import browsers
from service.playability import ffmpeg_fix as remedy
from service.playability.ffmpeg_fix import Encoding

CODES = (
    "unreadable",
    "container",
    "video_codec",
    "audio_codec",
    "pixel_format",
    "sample_entry",
    "interlaced",
    "index_at_end",
    "high_bit_rate",
    "low_bit_rate",
    "sparse_key_frames",
    "variable_frame_rate",
)
"""Every code that a finding may have."""

LEAST_SECONDS = 1.0
"""Of film that a block should hold. A player asks again for each block, and each question costs a
round trip: at more than one a second, far viewers get less than their line could carry."""

MOST_SECONDS = 60.0
"""Of film that a block should hold. Blocks are fetched whole: whoever looks into a film for some
seconds makes the edge fetch that much, and the first byte of a cold block waits for its last."""

MOST_KEY_FRAME_INTERVAL = 10.0
"""Seconds. A seek decodes from the key frame before; x264 makes 250 frames of it at most, which is
10 s of a film. Half a second's tolerance is for frame rates of film (24 per second)."""

_TOLERANCE = 0.5

_FRAME_RATES = (24, 25, 30, 50, 60)


def findings(path: str, known: Metadata | str | None, block: int) -> tuple[Finding, ...]:
    """Give what viewers of a file would notice, the worst first.

    `path` is what the commands are to call the file. `known` is what probing told, or the sentence
    that says why it failed, or None before. `block` is the most that an answer to a player holds,
    in bytes.
    """
    if known is None:
        return ()
    if isinstance(known, str):
        return (Finding(code="unreadable", severity="unplayable", sentence=known),)
    found = list(_of(path, known, block))
    order = ("unplayable", "warning", "hint")
    return tuple(sorted(found, key=lambda finding: order.index(finding.severity)))


def _of(path: str, metadata: Metadata, block: int) -> Iterator[Finding]:
    # Browsers show the first picture and play the first sound.
    picture = next((stream for stream in metadata.streams if stream.kind == "video"), None)
    sound = next((stream for stream in metadata.streams if stream.kind == "audio"), None)
    if verdict := browsers.of_container(path, metadata):
        yield _finding(verdict, remedy.command(path, metadata))
    if picture and (verdict := browsers.of_picture(picture)):
        yield _finding(verdict, remedy.command(path, metadata, _anew(picture)))
    if sound and (verdict := browsers.of_sound(sound, metadata)):
        yield _finding(verdict, remedy.command(path, metadata, _anew(sound)))
    if picture:
        yield from _of_frames(path, metadata, picture)
        yield from _of_rate(path, metadata, picture, block)
    if metadata.index_at_front is False:
        yield _of_index(path, metadata)


def _finding(verdict: browsers.Verdict, command: str) -> Finding:
    return Finding(
        code=verdict.code,
        severity=verdict.severity,
        sentence=verdict.sentence,
        command=command,
    )


def _anew(stream: Stream) -> Encoding:
    return Encoding(frozenset({stream.index}))


def _of_index(path: str, metadata: Metadata) -> Finding:
    if metadata.fast_start:
        return Finding(
            code="index_at_end",
            severity="hint",
            sentence="The index is at the end. Players are served the file as if it were in front; "
            "what is downloaded starts late elsewhere.",
            command=remedy.command(path, metadata),
        )
    return Finding(
        code="index_at_end",
        severity="warning",
        sentence="The index is at the end: it must be fetched from there before playing begins.",
        command=remedy.command(path, metadata),
    )


def _of_frames(path: str, metadata: Metadata, picture: Stream) -> Iterator[Finding]:
    again = remedy.command(path, metadata, _anew(picture))
    if picture.codec_string and picture.codec_string.startswith("hev1."):
        # ISO/IEC 14496-15 §8.4.1; Apple's HLS authoring specification §1.10 asks for hvc1.
        yield Finding(
            code="sample_entry",
            severity="warning",
            sentence="HEVC is marked as hev1, which Safari refuses; as hvc1 it would play there.",
            command=remedy.command(path, metadata),
        )
    if picture.interlaced:
        yield Finding(
            code="interlaced",
            severity="warning",
            sentence="The picture is interlaced: browsers show combs where something moves.",
            command=again,
        )
    interval = picture.key_frame_interval
    if interval is not None and interval > MOST_KEY_FRAME_INTERVAL + _TOLERANCE:
        yield Finding(
            code="sparse_key_frames",
            severity="warning",
            sentence=f"There are up to {interval:.0f} seconds between key frames: seeks are slow.",
            command=again,
        )
    if picture.variable_frame_rate:
        rate = _frame_rate(picture)
        yield Finding(
            code="variable_frame_rate",
            severity="hint",
            sentence="The frame rate varies: it plays, but stepping and editing may be inexact.",
            command=remedy.command(
                path, metadata, Encoding(frozenset({picture.index}), frame_rate=rate)
            ),
        )


def _frame_rate(picture: Stream) -> int:
    """Give the least usual rate that loses nothing on average."""
    average = picture.frame_rate or 0
    return next((rate for rate in _FRAME_RATES if rate >= 0.99 * average), _FRAME_RATES[-1])


def _of_rate(path: str, metadata: Metadata, picture: Stream, block: int) -> Iterator[Finding]:
    if not metadata.bit_rate:
        return
    seconds = block * 8 / metadata.bit_rate
    rate = f"{metadata.bit_rate / 1e6:.1f} Mbit/s"
    if seconds < LEAST_SECONDS:
        # Seven tenths leave room for the sound, and for what a second may have above the average.
        encoding = Encoding(frozenset({picture.index}), most_bits=int(block * 8 * 0.7))
        yield Finding(
            code="high_bit_rate",
            severity="warning",
            sentence=f"At {rate} a block holds less than a second: viewers need fast lines, and "
            "players ask often. A larger REELAY_MAX_PARTIAL_SIZE would help the latter.",
            command=remedy.command(path, metadata, encoding),
        )
    elif seconds > MOST_SECONDS and (metadata.duration or 0) > seconds:
        yield Finding(
            code="low_bit_rate",
            severity="hint",
            sentence=f"At {rate} a block holds {seconds:.0f} seconds: to look at a few of them "
            "takes all. A smaller REELAY_MAX_PARTIAL_SIZE would help.",
        )
