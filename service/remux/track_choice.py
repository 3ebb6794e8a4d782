"""Which tracks of a Matroska file become those of the MP4, and which files stay as they are."""

from collections.abc import Sequence

from service.matroska.tracks import MediaTrack
from service.matroska.window import DeclinedError

# FFmpeg's names by codec ID (RFC 9559 "Matroska Codec" registry). Their frames are the same in MP4.
_PICTURES = {
    "V_MPEG4/ISO/AVC": "h264",
    "V_MPEGH/ISO/HEVC": "hevc",
    "V_VP9": "vp9",
    "V_AV1": "av1",
}
_SOUNDS = {"A_AAC": "aac", "A_MPEG/L3": "mp3", "A_OPUS": "opus", "A_FLAC": "flac"}
# Heard in Safari only
_RARE_SOUNDS = {"A_AC3": "ac3", "A_EAC3": "eac3"}

CODEC_IDS = {name: codec_id for codec_id, name in (_PICTURES | _SOUNDS | _RARE_SOUNDS).items()}
"""The codec IDs of these codecs."""

# What browsers play in Matroska, and not, or not all of them, in MP4
_MATROSKA_PICTURES = {"V_VP8": "VP8"}
_MATROSKA_SOUNDS = {"A_VORBIS": "Vorbis", "A_PCM": "uncompressed"}


def codec_of(track: MediaTrack) -> str:
    """Return FFmpeg's name of a track's codec; empty if the track is not copied into MP4."""
    sounds = _SOUNDS | _RARE_SOUNDS
    if track.kind == "video":
        return _PICTURES.get(track.codec_id, "")
    # Older files have profiles in it, such as A_AAC/MPEG4/LC and A_AC3/BSID9.
    return sounds.get(track.codec_id) or sounds.get(track.codec_id.partition("/")[0], "")


def plays_everywhere(track: MediaTrack) -> bool:
    """Return whether all browsers play the track's sound in MP4."""
    return track.kind == "audio" and codec_of(track) in _SOUNDS.values()


def choose_tracks(tracks: Sequence[MediaTrack], *, makes_sound: bool = False) -> list[MediaTrack]:
    """Return the picture, and the sounds in order of preference. Raises DeclinedError.

    Browsers play the first sound. It is one that all of them play, by preference a default one.
    With `makes_sound` it is made of another one, so it need not be in the file.
    """
    videos = [track for track in tracks if track.kind == "video"]
    film = next((v for v in videos if codec_of(v) or v.codec_id in _MATROSKA_PICTURES), None)
    if videos and film is None:
        raise DeclinedError("has no picture of a codec that browsers play in MP4")
    if film is not None and film.codec_id in _MATROSKA_PICTURES:
        name = _MATROSKA_PICTURES[film.codec_id]
        raise DeclinedError(f"has {name} video, which browsers play in Matroska")
    if film is not None and film.obstacle:
        raise DeclinedError(f"has a picture that {film.obstacle}")
    if film is not None and codec_of(film) in {"h264", "hevc"} and film.private[:1] != b"\x01":
        raise DeclinedError("has a picture that is stored as in a transport stream")
    sounds = [track for track in tracks if track.kind == "audio" and codec_of(track)]
    usable = [track for track in sounds if not track.obstacle]
    if makes_sound and film is None:
        raise DeclinedError("has no picture")
    if not makes_sound and not any(map(plays_everywhere, usable)):
        _check_lost_sound(tracks)
    usable.sort(key=lambda track: (not plays_everywhere(track), not track.is_default))
    if film is None and not usable:
        raise DeclinedError("has no sound of a codec that browsers play in MP4")
    return [*([film] if film else []), *usable]


def _check_lost_sound(tracks: Sequence[MediaTrack]) -> None:
    """Decline a file if the MP4 would lack the only sound that browsers play."""
    for track in tracks:
        if track.kind != "audio":
            continue
        if plays_everywhere(track) and track.obstacle:
            raise DeclinedError(f"has sound that {track.obstacle}")
        for prefix, name in _MATROSKA_SOUNDS.items():
            if track.codec_id.startswith(prefix):
                raise DeclinedError(f"has {name} sound, which more browsers play in Matroska")
