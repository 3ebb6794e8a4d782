"""Which containers and codecs browsers play.

A file is unplayable if neither Chromium nor Firefox plays it. It has a warning if one of the widely
used browsers does not play it, or only with some hardware.

Sources: MDN, "Media container formats" and the guides to video and audio codecs used on the web;
caniuse.com (hevc, av1, mpeg4, webm, ogg-vorbis, ogv); WebKit's release notes. Chromium was
tested in version 156 on Debian without hardware decoders on 2026-11-21."""

from dataclasses import dataclass
from typing import Literal

from service import models
from service.models import Metadata, Stream
from service.playability.names import codec_name, container_name

Severity = Literal["unplayable", "warning", "hint"]


@dataclass(frozen=True, slots=True)
class CompatibilityIssue:
    """Why some or all browsers do not play a file."""

    code: str
    severity: Severity
    sentence: str


WEBM = frozenset({"vp8", "vp9", "av1", "opus", "vorbis"})
"""The codecs of WebM (WebM Container Guidelines)."""

# Audio-only containers that all browsers play.
_AUDIO_FILES = frozenset({"mp3", "flac", "wav", "aac"})

# Containers whose names say little to viewers, in other words.
_DESCRIPTIONS = {
    "mpegts": "an MPEG transport stream",
    "mpeg": "an MPEG program stream, as on DVDs",
    "mxf": "MXF, as of professional cameras",
    "dv": "DV, as of camcorders with tape",
    "wtv": "a recording of Windows Media Center",
    "amr": "AMR, as of voice recorders",
}

# Containers that Safari alone plays (caniuse.com: aiff; WebKit's MIMETypeRegistry: caf).
_SAFARI_ONLY = frozenset({"aiff", "caf"})

_3GPP_BRAND = "3gp"
"""The start of the brands of 3GPP TS 26.244 §5.4. Firefox refuses files with such a major brand,
whatever is in them (nsMediaSniffer.cpp; measured in Firefox 153 on 2026-11-29: 3gp5 is refused, but
not 3ge6, 3gg6, 3gr6, 3gs7, 3g2b and 30 other brands)."""

# Codecs that all browsers play.
_UNIVERSAL = frozenset(
    {"h264", "vp8", "vp9", "aac", "mp3", "opus", "vorbis", "flac"}
    # These are for WAV; check_audio handles other containers.
    | {"pcm_s16le", "pcm_s24le", "pcm_u8", "pcm_f32le"}
)

_PARTIAL = {
    # caniuse.com/hevc: Safari; Chromium and Firefox where the device has a decoder for it.
    "hevc": "HEVC plays in some browsers only: in Chrome, Edge and Firefox if the device can.",
    # caniuse.com/av1: Safari on devices with a decoder for it (iPhone 15 Pro, M3) alone.
    "av1": "AV1 does not play in every browser: in Safari only on new devices.",
    # MDN, web audio codecs: Safari and Edge. Chromium plays the picture in silence.
    "ac3": "AC-3 sound plays in some browsers only: Chrome and Firefox are silent.",
    "eac3": "E-AC-3 sound plays in some browsers only: Chrome and Firefox are silent.",
    "alac": "Apple Lossless sound plays in Safari only: Chrome and Firefox are silent.",
}


# ITU-T H.264 Annex A, profile_idc: Baseline, Main, Extended and High are 4:2:0 of 8 bits.
_COMMON_H264 = frozenset({"42", "4D", "58", "64"})


def is_mp4(metadata: Metadata) -> bool:
    """Return whether the container is MP4 or QuickTime, which FFmpeg does not distinguish."""
    return models.is_mp4(metadata.container)


def is_3gpp(metadata: Metadata) -> bool:
    """Return whether the container is MP4 with a major brand of 3GPP."""
    return is_mp4(metadata) and (metadata.brand or "").startswith(_3GPP_BRAND)


def is_matroska(metadata: Metadata) -> bool:
    """Return whether the container is Matroska or WebM, which FFmpeg does not distinguish."""
    return "matroska" in metadata.container.split(",")


def is_universal_webm(path: str, metadata: Metadata) -> bool:
    """Return whether a file is WebM that all browsers play. `path` tells it from Matroska."""
    codecs = {stream.codec for stream in metadata.streams if stream.kind in {"video", "audio"}}
    return path.lower().endswith((".webm", ".weba")) and codecs <= WEBM


def may_be_remuxed(path: str, metadata: Metadata) -> bool:
    """Return whether browsers may play a file better as MP4: Matroska, Flash video, or WebM that
    lacks an index.

    Where the clock of a file does not begin at 0, browsers differ in what they show.
    """
    if not has_header(metadata):
        return False
    if metadata.container == "flv":
        return True
    is_complete = metadata.has_seek_index is not False and metadata.duration is not None
    return not (is_universal_webm(path, metadata) and is_complete and metadata.start == 0)


# Pictures that browsers play in MP4, and containers that say when each is shown or decoded.
_COPIED_PICTURES = frozenset({"h264", "hevc", "av1", "vp9"})
_COPIED_CONTAINERS = frozenset(
    {"mpegts", "mpeg", "avi", "asf", "mxf", "nut", "matroska,webm", "flv"}
)
# Sound that more browsers play in Matroska than in MP4
_MATROSKA_SOUNDS = ("vorbis", "pcm_")


def may_be_copied(metadata: Metadata) -> bool:
    """Return whether the frames of a file may be copied into an MP4 that browsers play, where they
    do not play the file.

    Of Matroska and Flash video that is so only if no header makes an MP4 of them.
    """
    film = metadata.film
    if metadata.container not in _COPIED_CONTAINERS or film is None or film.encryption:
        return False
    if film.codec not in _COPIED_PICTURES or any(stream.encryption for stream in metadata.streams):
        return False
    sounds = [stream.codec for stream in metadata.streams if stream.kind == "audio"]
    if not is_matroska(metadata):
        return True
    return not any(codec.startswith(_MATROSKA_SOUNDS) for codec in sounds)


# Sound that all browsers play in MP4, and sound that most play in Matroska
_MP4_SOUNDS = frozenset({"aac", "mp3", "opus", "flac"})
_PLAYED_AS_IT_IS = _MP4_SOUNDS | {"vorbis"}
_SOUND_FOR = frozenset({"h264", "hevc", "av1", "vp9"})
"""Pictures that sound is made for."""


def lacks_sound(metadata: Metadata) -> bool:
    """Return whether a film plays in silence, for which sound can be made.

    Its pictures play in MP4, a header can make it one, and no browser plays its sound.
    """
    film = metadata.film
    if film is None or film.codec not in _SOUND_FOR:
        return False
    if not has_header(metadata) and not is_mp4(metadata):
        return False
    if any(stream.encryption for stream in metadata.streams):
        return False
    sounds = {stream.codec for stream in metadata.streams if stream.kind == "audio"}
    return bool(sounds) and not sounds & _PLAYED_AS_IT_IS


def has_header(metadata: Metadata) -> bool:
    """Return whether a header may make an MP4 of a file of this container."""
    return is_matroska(metadata) or metadata.container == "flv"


def check_container(path: str, metadata: Metadata) -> CompatibilityIssue | None:
    """Return the problem with a container, or None. `path` distinguishes WebM from Matroska."""
    if is_3gpp(metadata):
        return CompatibilityIssue(
            "container",
            "warning",
            "3GPP plays in some browsers only: Firefox refuses it, but not the same film as MP4.",
        )
    if is_mp4(metadata) or metadata.container in _AUDIO_FILES:
        return None
    if is_matroska(metadata):
        if is_universal_webm(path, metadata):
            return None
        # Chromium and recent Firefox (media.mkv.enabled) play it; Safari plays only WebM.
        return CompatibilityIssue(
            "container",
            "warning",
            "Matroska plays in some browsers only: Safari and older versions of Firefox refuse it.",
        )
    if metadata.container == "ogg":
        return CompatibilityIssue(
            "container", "warning", "Ogg plays in some browsers only: older Safari refuses it."
        )
    name = _DESCRIPTIONS.get(metadata.container) or container_name(metadata.container)
    if metadata.container in _SAFARI_ONLY:
        return CompatibilityIssue(
            "container",
            "unplayable",
            f"The file is {name}, which plays in Safari only: Chrome and Firefox refuse it.",
        )
    return CompatibilityIssue(
        "container", "unplayable", f"The file is {name}, which browsers do not play as it is."
    )


def check_video(stream: Stream) -> CompatibilityIssue | None:
    """Return the problem with the codec of a video stream, or None."""
    if stream.codec in _PARTIAL:
        return CompatibilityIssue("video_codec", "warning", _PARTIAL[stream.codec])
    if stream.codec not in _UNIVERSAL:
        name = codec_name(stream.codec)
        return CompatibilityIssue(
            "video_codec", "unplayable", f"Browsers do not play {name} video."
        )
    if stream.codec == "h264" and not _is_common_h264(stream):
        # Chromium decodes these in software; MDN lists only Baseline, Main and High.
        return CompatibilityIssue(
            "pixel_format",
            "warning",
            "H.264 with more than 8 bits, or with colour beyond 4:2:0, plays in some browsers "
            "only: not in Firefox, nor in Safari.",
        )
    if stream.codec_string and stream.codec_string.startswith(("vp09.01.", "vp09.03.")):
        # VP9 bitstream specification §7.2: profiles 1 and 3 are beyond 4:2:0.
        return CompatibilityIssue(
            "pixel_format",
            "warning",
            "VP9 with colour beyond 4:2:0 plays in some browsers only: devices rarely decode it.",
        )
    return None


def _is_common_h264(stream: Stream) -> bool:
    if stream.bit_depth is not None and stream.bit_depth > 8:  # noqa: PLR2004 - bits
        return False
    return stream.codec_string is None or stream.codec_string[5:7] in _COMMON_H264


def check_audio(stream: Stream, metadata: Metadata) -> CompatibilityIssue | None:
    """Return the problem with the codec of an audio stream, or None."""
    if stream.codec in _PARTIAL:
        return CompatibilityIssue("audio_codec", "warning", _PARTIAL[stream.codec])
    if stream.codec.startswith("pcm_") and metadata.container != "wav":
        return CompatibilityIssue(
            "audio_codec",
            "warning",
            "Uncompressed sound plays in some browsers only, unless the file is WAV.",
        )
    if stream.codec not in _UNIVERSAL:
        name = codec_name(stream.codec)
        return CompatibilityIssue(
            "audio_codec", "unplayable", f"Browsers do not play {name} sound."
        )
    return None
