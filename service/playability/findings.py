"""Findings about how well browsers play a file, each with the command that would fix it."""

from collections.abc import Iterator

from service.models import ENCRYPTED_FILE, Finding, Metadata, Stream
from service.playability import browser_support, defects, ffmpeg_fix, tracks
from service.playability.ffmpeg_fix import TranscodeOptions
from service.playability.made_findings import MadeCopy, in_order, with_copy
from service.playability.names import format_bit_rate
from service.playability.track_choice import default_sound

CODES = (
    "unreadable",
    "encrypted",
    "compressed_index",
    "truncated",
    "no_duration",
    "no_seek_index",
    "track_compression",
    "codec_tag",
    "container",
    "video_codec",
    "audio_codec",
    "track_choice",
    "pixel_format",
    "sample_entry",
    "interlaced",
    "index_at_end",
    "clock",
    "high_bit_rate",
    "low_bit_rate",
    "not_remuxed",
    "damaged_sound",
    "not_copied",
    "copyable",
    "clock_jumps",
    "sparse_key_frames",
    "variable_frame_rate",
    "left_out",
)
"""Every code that a finding can have."""

MIN_BLOCK_SECONDS = 1.0
"""Least seconds of video that a block should hold. A player sends one request per block, and each
costs a round trip: with more than one a second, distant viewers cannot use their full bandwidth."""

MAX_BLOCK_SECONDS = 60.0
"""Most seconds of video that a block should hold. The edge fetches whole blocks: even a few seconds
of playback cost a whole block, and the first byte of an uncached block waits for its last."""

MAX_KEY_FRAME_INTERVAL = 10.0
"""Seconds. A seek decodes from the previous key frame. x264 puts key frames at most 250 frames
apart, which is 10 s at 25 frames per second; the tolerance of half a second is for 24."""

MIN_CLOCK_START = 1.0
"""Seconds. Chromium's controls show whole seconds."""

_INTERVAL_TOLERANCE = 0.5

_FRAME_RATES = (24, 25, 30, 50, 60)


def findings(
    path: str,
    probed: Metadata | str | None,
    block: int,
    *,
    mp4: Metadata | None = None,
    declined: str | None = None,
) -> tuple[Finding, ...]:
    """Return what viewers of a file would notice, the worst first.

    `path` names the file in the commands. `probed` is the result of probing, or the sentence that
    says why it failed, or None before it ran. `block` is the maximum size in bytes of a response
    to a player. `mp4` is what players get instead of a Matroska file; `declined` says why they do
    not, from the verb of a sentence about the file on.
    """
    if probed is None:
        return ()
    if isinstance(probed, str):
        code = "encrypted" if probed == ENCRYPTED_FILE else "unreadable"
        return (Finding(code=code, severity="unplayable", sentence=probed),)
    results = list(_check(path, probed, mp4 or probed, block))
    if declined is not None and not any(f.severity == "unplayable" for f in results):
        results.append(_not_remuxed(declined))
    return in_order(results)


def findings_of_file(path: str, probed: Metadata | str | None, block: int) -> tuple[Finding, ...]:
    """Return the findings of a file as it is. A header makes an MP4 of most Matroska files."""
    results = findings(path, probed, block)
    if not isinstance(probed, Metadata) or browser_support.has_header(probed):
        return results
    return with_copy(results, MadeCopy(is_possible=browser_support.may_be_copied(probed)))


def _check(path: str, metadata: Metadata, served: Metadata, block: int) -> Iterator[Finding]:
    """Yield the findings about what is served. Commands are for the file, whose metadata differ."""
    video_stream = served.film
    chosen = [stream for stream in (video_stream, default_sound(served)) if stream]
    data_findings = list(defects.check_data(served, chosen))
    yield from data_findings
    if any(finding.severity == "unplayable" for finding in data_findings):
        return  # nothing else matters, and no command works
    container_issue = browser_support.check_container(path, served)
    if container_issue:
        yield _finding(container_issue, ffmpeg_fix.command(path, metadata))
    if video_stream and (issue := browser_support.check_video(video_stream)):
        yield _finding(issue, ffmpeg_fix.command(path, metadata, _reencode(video_stream)))
    # The command makes a track that browsers play the first one, and enables it alone.
    for issue in (*tracks.check_sound(path, served), *tracks.check_film(path, served)):
        yield _finding(issue, ffmpeg_fix.command(path, metadata))
    if video_stream:
        yield from _check_frames(path, metadata, video_stream)
        yield from _check_bit_rate(path, metadata, video_stream, block)
    if metadata.index_at_front is False and not metadata.compressed_index:
        yield _check_index(path, metadata)
    is_played = container_issue is None or container_issue.severity != "unplayable"
    if is_played and served is metadata:
        yield from defects.check_storage(path, metadata, chosen)
    if is_played and served.start >= MIN_CLOCK_START and not metadata.fast_start:
        yield _check_clock(path, metadata)
    for sentence in metadata.omissions:
        yield Finding(code="left_out", severity="hint", sentence=sentence)


def _not_remuxed(declined: str) -> Finding:
    return Finding(
        code="not_remuxed",
        severity="hint",
        sentence=f"Players get the file as it is, and not as MP4: it {declined}.",
    )


def _finding(issue: browser_support.CompatibilityIssue, command: str) -> Finding:
    return Finding(
        code=issue.code, severity=issue.severity, sentence=issue.sentence, command=command
    )


def _reencode(stream: Stream) -> TranscodeOptions:
    return TranscodeOptions(frozenset({stream.index}))


def _check_index(path: str, metadata: Metadata) -> Finding:
    if metadata.fast_start:
        return Finding(
            code="index_at_end",
            severity="hint",
            sentence="The index is at the end. Players are served the file as if it were in front; "
            "what is downloaded starts late elsewhere.",
            command=ffmpeg_fix.command(path, metadata),
        )
    return Finding(
        code="index_at_end",
        severity="warning",
        sentence="The index is at the end: it must be fetched from there before playing begins.",
        command=ffmpeg_fix.command(path, metadata),
    )


def _check_clock(path: str, metadata: Metadata) -> Finding:
    return Finding(
        code="clock",
        severity="hint",
        sentence=f"The file's own clock begins at {metadata.start:.0f} seconds, not at 0. Chromium "
        "shows that time in its controls, and cannot seek to the end of some such files.",
        command=ffmpeg_fix.command(path, metadata),
    )


def _check_frames(path: str, metadata: Metadata, video_stream: Stream) -> Iterator[Finding]:
    reencode = ffmpeg_fix.command(path, metadata, _reencode(video_stream))
    if video_stream.codec_string and video_stream.codec_string.startswith("hev1."):
        # ISO/IEC 14496-15 §8.4.1; Apple's HLS authoring specification §1.10 asks for hvc1.
        yield Finding(
            code="sample_entry",
            severity="warning",
            sentence="HEVC is marked as hev1, which Safari refuses; as hvc1 it would play there.",
            command=ffmpeg_fix.command(path, metadata),
        )
    if video_stream.interlaced:
        yield Finding(
            code="interlaced",
            severity="warning",
            sentence="The picture is interlaced: browsers show combs where something moves.",
            command=reencode,
        )
    interval = video_stream.key_frame_interval
    if interval is not None and interval > MAX_KEY_FRAME_INTERVAL + _INTERVAL_TOLERANCE:
        yield Finding(
            code="sparse_key_frames",
            severity="warning",
            sentence=f"There are up to {interval:.0f} seconds between key frames: seeks are slow.",
            command=reencode,
        )
    if video_stream.variable_frame_rate:
        rate = _frame_rate(video_stream)
        yield Finding(
            code="variable_frame_rate",
            severity="hint",
            sentence="The frame rate varies: it plays, but stepping and editing may be inexact.",
            command=ffmpeg_fix.command(
                path, metadata, TranscodeOptions(frozenset({video_stream.index}), frame_rate=rate)
            ),
        )


def _frame_rate(video_stream: Stream) -> int:
    """Return the lowest common frame rate that is at least the average."""
    average = video_stream.frame_rate or 0
    return next((rate for rate in _FRAME_RATES if rate >= 0.99 * average), _FRAME_RATES[-1])


def _check_bit_rate(
    path: str, metadata: Metadata, video_stream: Stream, block: int
) -> Iterator[Finding]:
    if not metadata.bit_rate:
        return
    seconds = block * 8 / metadata.bit_rate
    rate = format_bit_rate(metadata.bit_rate)
    if seconds < MIN_BLOCK_SECONDS:
        # 70 % leave room for the sound and for seconds above the average.
        options = TranscodeOptions(
            frozenset({video_stream.index}), max_bit_rate=int(block * 8 * 0.7)
        )
        yield Finding(
            code="high_bit_rate",
            severity="warning",
            sentence=f"At {rate} a block holds less than a second: viewers need fast lines, and "
            "players ask often. A larger REELAY_MAX_PARTIAL_SIZE would help the latter.",
            command=ffmpeg_fix.command(path, metadata, options),
        )
    elif seconds > MAX_BLOCK_SECONDS and (metadata.duration or 0) > seconds:
        yield Finding(
            code="low_bit_rate",
            severity="hint",
            sentence=f"At {rate} a block holds {seconds:.0f} seconds: to look at a few of them "
            "takes all. A smaller REELAY_MAX_PARTIAL_SIZE would help.",
        )
