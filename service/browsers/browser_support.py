"""Which containers and codecs browsers play.

A file is unplayable if neither Chromium nor Firefox plays it. It has a warning if one of the widely
used browsers does not play it, or only with some hardware.

Sources: MDN, "Media container formats" and the guides to video and audio codecs used on the web;
caniuse.com (hevc, av1, mpeg4, webm, ogg-vorbis, ogv); WebKit's release notes. Chromium was
tested in version 156 on Debian without hardware decoders on 2026-11-21."""

from service import models
from service.browsers.issue import Issue
from service.browsers.names import codec_name, container_name
from service.browsers.track_choice import common_sound
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


def may_be_remuxed(path: str, metadata: Metadata) -> bool:
    """Return whether browsers may play a file better as MP4: Matroska, Flash video, WebM that lacks
    an index, or an MP4 that a header mends.

    Where the clock of a file does not begin at 0, browsers differ in what they show. Viewers can
    choose among several sounds only in MP4.
    """
    if is_mp4(metadata):
        return _may_be_mended(path, metadata)
    if not has_header(metadata):
        return False
    if metadata.container == "flv":
        return True
    is_complete = metadata.has_seek_index is not False and metadata.duration is not None
    has_choice = len(metadata.sounds) > 1
    is_fine = is_complete and metadata.start == 0 and not has_choice
    return not (is_universal_webm(path, metadata) and is_fine)


def _may_be_mended(path: str, metadata: Metadata) -> bool:
    """Return whether a header may mend an MP4, and nothing else is made of it: its open GOPs, or
    that Chromium and Firefox do not play the same sound.
    """
    film = metadata.film
    if film is None or film.codec not in _SOUND_FOR or lacks_sound(metadata):
        return False
    if metadata.fragmented or metadata.compressed_index:
        return False
    if any(stream.encryption for stream in metadata.streams):
        return False
    heard = common_sound(path, metadata)
    is_heard = not metadata.sounds or (heard is not None and heard.codec in MP4_SOUNDS)
    return film.open_gops is True or not is_heard


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

    Of Matroska and Flash video that is so only if no header makes an MP4 of them, and of MP4 only
    if it lacks sound, and none can be made for the file as it is.
    """
    if is_mp4(metadata):
        return lacks_sound(metadata)
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
MP4_SOUNDS = frozenset({"aac", "mp3", "opus", "flac"})
_PLAYED_AS_IT_IS = MP4_SOUNDS | {"vorbis"}
MAX_SOUNDS = 64
"""Sounds of a film among which viewers can choose. Pages and responses have a limited length."""

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


def silent_sounds(metadata: Metadata) -> tuple[int, ...]:
    """Return the numbers, from 1, of the sounds that browsers do not play and that can be made for
    them on request.

    If browsers play none of the film's sounds, the default one is not among these: it is made
    without a request.
    """
    film = metadata.film
    if film is None or film.codec not in _SOUND_FOR or len(metadata.sounds) == 1:
        return ()
    if not has_header(metadata) and not is_mp4(metadata):
        return ()
    if any(stream.encryption for stream in metadata.streams):
        return ()
    first = next((s for s in metadata.sounds if s.default), next(iter(metadata.sounds), None))
    made = first if lacks_sound(metadata) else None
    return tuple(
        number
        for number, stream in enumerate(metadata.sounds[:MAX_SOUNDS], 1)
        if stream.codec not in MP4_SOUNDS and stream is not made
    )


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
