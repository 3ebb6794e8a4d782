"""Properties of a file that FFmpeg tolerates, and browsers do not.

What each browser does was seen in Chromium and Firefox ESR on Debian on 2026-11-29. The tests play
such files in both."""

from collections.abc import Collection, Iterator

from service.browsers.browser_support import is_matroska, is_mp4
from service.browsers.issue import Issue
from service.browsers.transcode_options import STREAM_COPY, TranscodeOptions
from service.models import Metadata, Stream

NEVER_PLAYED = frozenset(
    {"encrypted", "compressed_index", "truncated", "codec_tag", "track_compression"}
)
"""Codes of findings about the file itself. If they are "unplayable", no browser plays the file,
whatever codecs it has."""

MIN_PLAYABLE_SECONDS = 1.0
"""A file that ends earlier is as good as empty."""

# Sample entries that Firefox accepts. It refuses the whole file for another one, even if it decodes
# the codec. The names are those of ISO/IEC 14496-15, the VP9 and the AV1 bindings.
_SAMPLE_ENTRIES = {
    "h264": {"avc1", "avc3"},
    "hevc": {"hvc1", "hev1"},
    "vp9": {"vp09"},
    "av1": {"av01"},
}
_KINDS = {"video": "picture", "audio": "sound"}
_CODEC_NAMES = {"h264": "H.264", "hevc": "HEVC", "vp9": "VP9", "av1": "AV1"}


_AS_IT_IS = "Browsers do not play this file as it is."
_CUT = "because it was cut off or is still being copied"
_NOT_IN_FIREFOX = "Firefox does not play this file; other browsers do."


def check_data(metadata: Metadata, chosen: Collection[Stream]) -> Iterator[Issue]:
    """Yield what no command fixes: data that are encrypted or missing.

    `chosen` are the streams that browsers play.
    """
    for finding in (
        _encryption(chosen, metadata),
        _cut_index() if metadata.index_cut else _truncation(metadata),
    ):
        if finding:
            yield finding


def check_storage(metadata: Metadata, chosen: Collection[Stream]) -> Iterator[Issue]:
    """Yield what a copy into another container fixes."""
    for finding in (_compressed_index(metadata), _missing_index(metadata)):
        if finding:
            yield finding
    yield from _tracks(metadata, chosen)


def _encryption(chosen: Collection[Stream], metadata: Metadata) -> Issue | None:
    """Return the finding about encrypted streams.

    Firefox refuses the file and Chromium cannot decode it, even if only one of two is encrypted.
    """
    encrypted = [stream for stream in metadata.streams if stream.encryption]
    lost = {stream.kind: stream.encryption for stream in chosen if stream.encryption}
    if lost:
        what = "picture and the sound are" if len(lost) > 1 else f"{_KINDS[min(lost)]} is"
        if "fairplay" in lost.values():
            rest = (
                "by Apple (FairPlay): only Apple's programs play it, for the account that has it."
            )
        else:
            rest = f"({lost[min(lost)]}): no browser plays it, as the file does not have the key."
        return Issue(
            code="encrypted",
            severity="unplayable",
            sentence=f"The {what} encrypted {rest}",
            viewer_sentence="It is encrypted: browsers cannot play it.",
        )
    if any(stream.kind in {"video", "audio"} for stream in encrypted):
        return Issue(
            code="encrypted",
            severity="warning",
            sentence="One of the file's further tracks is encrypted: it cannot be played.",
        )
    return None


def _compressed_index(metadata: Metadata) -> Issue | None:
    """Return the finding about a compressed index, which no browser reads."""
    if not metadata.compressed_index:
        return None
    return Issue(
        code="compressed_index",
        severity="unplayable",
        sentence="The index is compressed, as by old QuickTime: no browser reads it.",
        viewer_sentence=_AS_IT_IS,
        fix=STREAM_COPY,
    )


def _cut_index() -> Issue:
    """Return the finding about an index whose end is missing. What is left may lack a track."""
    return Issue(
        code="truncated",
        severity="warning",
        sentence=f"The end of the index is missing, {_CUT}: Firefox refuses the file, and others "
        "may lack picture or sound.",
        viewer_sentence="The end of the file is missing: Firefox does not play it, and others may "
        "lack picture or sound.",
    )


def _truncation(metadata: Metadata) -> Issue | None:
    """Return the finding about a file whose end is missing. No command brings it back."""
    until = metadata.complete_until
    if until is None:
        return None
    if until < MIN_PLAYABLE_SECONDS:
        return Issue(
            code="truncated",
            severity="unplayable",
            sentence=f"Pictures and sound are missing in the file, {_CUT}.",
            viewer_sentence="Pictures and sound are missing in the file.",
        )
    whole = f" of {_clock(metadata.duration)}" if (metadata.duration or 0) > until else ""
    return Issue(
        code="truncated",
        severity="warning",
        sentence=f"The end of the file is missing, {_CUT}: it plays for about "
        f"{_clock(until)}{whole}.",
        viewer_sentence=f"The end is missing: it plays for about {_clock(until)}{whole}.",
    )


def _clock(seconds: float | None) -> str:
    minutes, rest = divmod(int(seconds or 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _missing_index(metadata: Metadata) -> Issue | None:
    """Return the finding about a file without a duration or without an index, as of a recorder."""
    if metadata.duration is None:
        index = ", and has no index" if metadata.has_seek_index is False else ""
        return Issue(
            code="no_duration",
            severity="warning",
            sentence=f"The file does not say how long it is{index}: Chrome and Edge show no "
            "length, and jumps in a long one are slow.",
            fix=STREAM_COPY,
        )
    if metadata.has_seek_index is False and metadata.complete_until is None:
        return Issue(
            code="no_seek_index",
            severity="warning",
            sentence="The file has no index: to jump in it, a player must load what is before.",
            fix=STREAM_COPY,
        )
    return None


def _tracks(metadata: Metadata, chosen: Collection[Stream]) -> Iterator[Issue]:
    """Yield findings about how the container stores the streams that browsers play."""
    fix: TranscodeOptions | None = STREAM_COPY
    for stream in chosen:
        if (entry := stream.sample_entry) and stream.codec in _SAMPLE_ENTRIES:
            name = _CODEC_NAMES[stream.codec]
            if is_matroska(metadata):
                # A track of V_MS/VFW/FOURCC (RFC 9559): no presentation times, other parameters.
                yield Issue(
                    code="codec_tag",
                    severity="unplayable",
                    sentence=f"{name} is stored as in AVI (VFW), which no browser reads.",
                    viewer_sentence=_AS_IT_IS,
                    fix=fix,
                )
            elif is_mp4(metadata) and entry not in _SAMPLE_ENTRIES[stream.codec]:
                yield Issue(
                    code="codec_tag",
                    severity="warning",
                    sentence=f"{name} is marked as {entry}, for which Firefox refuses the file.",
                    viewer_sentence=_NOT_IN_FIREFOX,
                    fix=fix,
                )
    compression = next((s.compression for s in chosen if s.compression), None)
    if compression == "none":
        fix = None  # FFmpeg 5 does not read that
    if compression in {"header stripping", "none"}:
        yield Issue(
            code="track_compression",
            severity="warning",
            sentence="Frames are stored without their first bytes, which Firefox does not add.",
            viewer_sentence=_NOT_IN_FIREFOX,
            fix=fix,
        )
    elif compression:
        yield Issue(
            code="track_compression",
            severity="unplayable",
            sentence=f"Sound or picture is compressed once more ({compression}): no browser reads "
            "that.",
            viewer_sentence=_AS_IT_IS,
            fix=fix,
        )
