"""Findings about how well browsers play a file, and the command that would fix them."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from service.browsers import browser_support, playable_forms, tracks
from service.browsers.issue import Issue
from service.browsers.names import format_bit_rate
from service.browsers.track_choice import default_sound
from service.browsers.transcode_options import STREAM_COPY, TranscodeOptions
from service.models import ENCRYPTED_FILE, Finding, Metadata, Stream
from service.playability import defects
from service.playability.made_findings import (
    NOTHING_MADE,
    Made,
    MadeCopy,
    MadeSound,
    in_order,
    with_copy,
    with_sound,
)
from service.playability.one_command import with_command

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
    "open_gops",
    "variable_frame_rate",
    "left_out",
)
"""Every code that a finding can have."""

Judge = Callable[[str, Metadata | str | None], tuple[Finding, ...]]
"""Returns the findings of a file by its name and the result of probing, as `findings` does."""

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
    made: Made = NOTHING_MADE,
) -> tuple[Finding, ...]:
    """Return what viewers of a file would notice, the worst first.

    `path` names the file in the commands. `probed` is the result of probing, or the sentence that
    says why it failed, or None before it ran. `block` is the maximum size in bytes of a response
    to a player. `made` is what players get instead of the file, or may get later.
    """
    if probed is None:
        return ()
    if isinstance(probed, str):
        code = "encrypted" if probed == ENCRYPTED_FILE else "unreadable"
        return (Finding(code=code, severity="unplayable", sentence=probed, viewer_sentence=probed),)
    issues = list(_check(path, probed, made.mp4 or probed, block))
    # An MP4 keeps its open GOPs, which are a finding already.
    declined = None if browser_support.is_mp4(probed) else made.declined
    if declined is not None and not any(issue.severity == "unplayable" for issue in issues):
        issues.append(_not_remuxed(declined))
    results = in_order(with_command(issues, path, probed))
    if made.sound is not None:
        results = with_sound(results, made.sound)
    return with_copy(results, made.copied)


def findings_of_file(
    path: str, probed: Metadata | str | None, block: int, *, makes_sound: bool
) -> tuple[Finding, ...]:
    """Return the findings of a file as it is, before anything is made of it.

    With `makes_sound` they say what is made for a film that lacks sound.
    """
    made = NOTHING_MADE
    if isinstance(probed, Metadata):
        made = _expected(probed, makes_sound=makes_sound)
    return findings(path, probed, block, made)


def _expected(metadata: Metadata, *, makes_sound: bool) -> Made:
    """Return what may be made of a file. A header makes an MP4 of most Matroska files."""
    if makes_sound and playable_forms.lacks_sound(metadata):
        if metadata.fragmented or metadata.compressed_index:
            return Made(copied=MadeCopy(is_possible=True))
        return Made(sound=MadeSound())
    if browser_support.has_header(metadata) or browser_support.is_mp4(metadata):
        return NOTHING_MADE
    return Made(copied=MadeCopy(is_possible=playable_forms.may_be_copied(metadata)))


def _check(path: str, metadata: Metadata, served: Metadata, block: int) -> Iterator[Issue]:
    """Yield the problems of what is served. They are fixed in the file, whose metadata differ."""
    video_stream = served.film
    chosen = [stream for stream in (video_stream, default_sound(served)) if stream]
    data_issues = list(defects.check_data(served, chosen))
    yield from data_issues
    if metadata.index_cut or any(issue.severity == "unplayable" for issue in data_issues):
        return  # nothing else matters, and no command works
    container_issue = browser_support.check_container(path, served)
    if container_issue:
        yield replace(container_issue, fix=STREAM_COPY)
    if video_stream and (issue := browser_support.check_video(video_stream)):
        yield replace(issue, fix=_reencode(video_stream))
    # The command makes a track that browsers play the first one, and enables it alone.
    for issue in (*tracks.check_sound(path, served), *tracks.check_film(path, served)):
        yield replace(issue, fix=STREAM_COPY)
    if video_stream:
        yield from _check_frames(video_stream)
        yield from _check_bit_rate(metadata, video_stream, block)
    if metadata.index_at_front is False and not metadata.compressed_index:
        yield _check_index(metadata)
    is_played = container_issue is None or container_issue.severity != "unplayable"
    if is_played and served is metadata:
        yield from defects.check_storage(metadata, chosen)
    if is_played and served.start >= MIN_CLOCK_START and not metadata.fast_start:
        yield _check_clock(metadata)
    for sentence in metadata.omissions:
        yield Issue(code="left_out", severity="hint", sentence=sentence)


def _not_remuxed(declined: str) -> Issue:
    return Issue(
        code="not_remuxed",
        severity="hint",
        sentence=f"Players get the file as it is, and not as MP4: it {declined}.",
    )


def _reencode(stream: Stream) -> TranscodeOptions:
    return TranscodeOptions(frozenset({stream.index}))


def _check_index(metadata: Metadata) -> Issue:
    if metadata.fast_start:
        return Issue(
            code="index_at_end",
            severity="hint",
            sentence="The index is at the end. Players are served the file as if it were in front; "
            "what is downloaded starts late elsewhere.",
            fix=STREAM_COPY,
        )
    return Issue(
        code="index_at_end",
        severity="warning",
        sentence="The index is at the end: it must be fetched from there before playing begins.",
        fix=STREAM_COPY,
    )


def _check_clock(metadata: Metadata) -> Issue:
    return Issue(
        code="clock",
        severity="hint",
        sentence=f"The file's own clock begins at {metadata.start:.0f} seconds, not at 0. Chromium "
        "shows that time in its controls, and cannot seek to the end of some such files.",
        fix=STREAM_COPY,
    )


def _check_frames(video_stream: Stream) -> Iterator[Issue]:
    reencode = _reencode(video_stream)
    if video_stream.codec_string and video_stream.codec_string.startswith("hev1."):
        # ISO/IEC 14496-15 §8.4.1; Apple's HLS authoring specification §1.10 asks for hvc1.
        yield Issue(
            code="sample_entry",
            severity="warning",
            sentence="HEVC is marked as hev1, which Safari refuses; as hvc1 it would play there.",
            viewer_sentence="Safari does not play this file.",
            fix=STREAM_COPY,
        )
    if video_stream.interlaced:
        yield Issue(
            code="interlaced",
            severity="warning",
            sentence="The picture is interlaced: browsers show combs where something moves.",
            fix=reencode,
        )
    interval = video_stream.key_frame_interval
    if interval is not None and interval > MAX_KEY_FRAME_INTERVAL + _INTERVAL_TOLERANCE:
        yield Issue(
            code="sparse_key_frames",
            severity="warning",
            sentence=f"There are up to {interval:.0f} seconds between key frames: seeks are slow.",
            fix=reencode,
        )
    if video_stream.open_gops:
        yield Issue(
            code="open_gops",
            severity="hint",
            sentence="Pictures after key frames need those before them (open GOPs): in Chromium "
            "without hardware decoding, seeks may end playback.",
            fix=reencode,
        )
    if video_stream.variable_frame_rate:
        rate = _frame_rate(video_stream)
        yield Issue(
            code="variable_frame_rate",
            severity="hint",
            sentence="The frame rate varies: it plays, but stepping and editing may be inexact.",
            fix=TranscodeOptions(frozenset({video_stream.index}), frame_rate=rate),
        )


def _frame_rate(video_stream: Stream) -> int:
    """Return the lowest common frame rate that is at least the average."""
    average = video_stream.frame_rate or 0
    return next((rate for rate in _FRAME_RATES if rate >= 0.99 * average), _FRAME_RATES[-1])


def _check_bit_rate(metadata: Metadata, video_stream: Stream, block: int) -> Iterator[Issue]:
    if not metadata.bit_rate:
        return
    seconds = block * 8 / metadata.bit_rate
    rate = format_bit_rate(metadata.bit_rate)
    if seconds < MIN_BLOCK_SECONDS:
        # 70 % leave room for the sound and for seconds above the average.
        options = TranscodeOptions(
            frozenset({video_stream.index}), max_bit_rate=int(block * 8 * 0.7)
        )
        yield Issue(
            code="high_bit_rate",
            severity="warning",
            sentence=f"At {rate} a block holds less than a second: viewers need fast lines, and "
            "players ask often. A larger REELAY_MAX_PARTIAL_SIZE would help the latter.",
            viewer_sentence=f"It needs a connection of at least {rate}.",
            fix=options,
        )
    elif seconds > MAX_BLOCK_SECONDS and (metadata.duration or 0) > seconds:
        yield Issue(
            code="low_bit_rate",
            severity="hint",
            sentence=f"At {rate} a block holds {seconds:.0f} seconds: to look at a few of them "
            "takes all. A smaller REELAY_MAX_PARTIAL_SIZE would help.",
        )
