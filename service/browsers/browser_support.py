"""Which containers and codecs browsers play.

A file is unplayable if neither Chromium nor Firefox plays it. It has a warning if one of the widely
used browsers does not play it, or only with some hardware.

Sources: MDN, "Media container formats" and the guides to video and audio codecs used on the web;
caniuse.com (hevc, av1, mpeg4, webm, ogg-vorbis, ogv); WebKit's release notes. Chromium was
tested in version 156 on Debian without hardware decoders on 2026-11-21."""

from service import models
from service.browsers.issue import Issue
from service.browsers.names import codec_name, container_name
from service.models import Metadata, Stream

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
    "hevc": (
        "HEVC plays in some browsers only: in Chrome, Edge and Firefox if the device can.",
        "Chrome, Edge and Firefox play the picture on some devices only; Safari plays it on all.",
    ),
    # caniuse.com/av1: Safari on devices with a decoder for it (iPhone 15 Pro, M3) alone.
    "av1": (
        "AV1 does not play in every browser: in Safari only on new devices.",
        "Safari plays the picture on new devices only; Chrome, Edge and Firefox play it on all.",
    ),
    # MDN, web audio codecs: Safari and Edge. Chromium plays the picture in silence.
    "ac3": (
        "AC-3 sound plays in some browsers only: Chrome and Firefox are silent.",
        "Chrome and Firefox cannot play the sound; Safari and Edge can.",
    ),
    "eac3": (
        "E-AC-3 sound plays in some browsers only: Chrome and Firefox are silent.",
        "Chrome and Firefox cannot play the sound; Safari and Edge can.",
    ),
    "alac": (
        "Apple Lossless sound plays in Safari only: Chrome and Firefox are silent.",
        "Chrome and Firefox cannot play the sound; Safari can.",
    ),
}
"""Codecs that some browsers play: the sentences for the owner and for viewers."""


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


def has_header(metadata: Metadata) -> bool:
    """Return whether a header may make an MP4 of a file of this container."""
    return is_matroska(metadata) or metadata.container == "flv"


def check_container(path: str, metadata: Metadata) -> Issue | None:
    """Return the problem with a container, or None. `path` distinguishes WebM from Matroska."""
    if is_3gpp(metadata):
        return Issue(
            "container",
            "warning",
            "3GPP plays in some browsers only: Firefox refuses it, but not the same film as MP4.",
            "Firefox does not play 3GPP files; Chrome, Edge and Safari do.",
        )
    if is_mp4(metadata) or metadata.container in _AUDIO_FILES:
        return None
    if is_matroska(metadata):
        if is_universal_webm(path, metadata):
            return None
        # Chromium and recent Firefox (media.mkv.enabled) play it; Safari plays only WebM.
        return Issue(
            "container",
            "warning",
            "Matroska plays in some browsers only: Safari and older versions of Firefox refuse it.",
            "Safari and older versions of Firefox do not play Matroska files; Chrome and Edge do.",
        )
    if metadata.container == "ogg":
        return Issue(
            "container",
            "warning",
            "Ogg plays in some browsers only: older Safari refuses it.",
            "Older versions of Safari do not play Ogg files; other browsers do.",
        )
    name = _DESCRIPTIONS.get(metadata.container) or container_name(metadata.container)
    if metadata.container in _SAFARI_ONLY:
        return Issue(
            "container",
            "unplayable",
            f"The file is {name}, which plays in Safari only: Chrome and Firefox refuse it.",
            f"The file is {name}: Chrome, Edge and Firefox do not play it; Safari does.",
        )
    sentence = f"The file is {name}, which browsers do not play as it is."
    return Issue("container", "unplayable", sentence, sentence)


def check_video(stream: Stream) -> Issue | None:
    """Return the problem with the codec of a video stream, or None."""
    if stream.codec in _PARTIAL:
        return Issue("video_codec", "warning", *_PARTIAL[stream.codec])
    if stream.codec not in _UNIVERSAL:
        name = codec_name(stream.codec)
        return Issue(
            "video_codec",
            "unplayable",
            f"Browsers do not play {name} video.",
            f"Browsers cannot play the picture: it is {name}.",
        )
    if stream.codec == "h264" and not _is_common_h264(stream):
        # Chromium decodes these in software; MDN lists only Baseline, Main and High.
        return Issue(
            "pixel_format",
            "warning",
            "H.264 with more than 8 bits, or with colour beyond 4:2:0, plays in some browsers "
            "only: not in Firefox, nor in Safari.",
            "Firefox and Safari cannot play the picture; Chrome and Edge can.",
        )
    if stream.codec_string and stream.codec_string.startswith(("vp09.01.", "vp09.03.")):
        # VP9 bitstream specification §7.2: profiles 1 and 3 are beyond 4:2:0.
        return Issue(
            "pixel_format",
            "warning",
            "VP9 with colour beyond 4:2:0 plays in some browsers only: devices rarely decode it.",
            "Some browsers cannot play the picture.",
        )
    return None


def _is_common_h264(stream: Stream) -> bool:
    if stream.bit_depth is not None and stream.bit_depth > 8:  # noqa: PLR2004 - bits
        return False
    return stream.codec_string is None or stream.codec_string[5:7] in _COMMON_H264


def check_audio(stream: Stream, metadata: Metadata) -> Issue | None:
    """Return the problem with the codec of an audio stream, or None."""
    if stream.codec in _PARTIAL:
        return Issue("audio_codec", "warning", *_PARTIAL[stream.codec])
    if stream.codec.startswith("pcm_") and metadata.container != "wav":
        return Issue(
            "audio_codec",
            "warning",
            "Uncompressed sound plays in some browsers only, unless the file is WAV.",
            "Some browsers cannot play the sound.",
        )
    if stream.codec not in _UNIVERSAL:
        name = codec_name(stream.codec)
        return Issue(
            "audio_codec",
            "unplayable",
            f"Browsers do not play {name} sound.",
            f"Browsers cannot play the sound: it is {name}.",
        )
    return None
