"""For which files something is made that browsers play: a header, sound, or a copy."""

from service.browsers.browser_support import has_header, is_matroska, is_mp4, is_universal_webm
from service.browsers.track_choice import common_sound
from service.models import Metadata


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
