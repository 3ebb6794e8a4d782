"""Which tracks browsers play of a file with several, by the rules of each engine.

tests/integration/test_track_choice.py plays the rows of Chromium and Firefox; they are those of
Chromium 156 and Firefox 153 on Debian on 2026-11-29. Chromium's rule is in its source,
media/filters/ffmpeg_demuxer.cc. Safari has not been run. Its rows follow Apple's documentation
("QuickTime File Format", track header; AVAssetTrack.isEnabled) and WebKit's source,
SourceBufferParserWebM."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from service.models import BROWSER_VIDEO, Metadata, Stream, is_mp4

Kind = Literal["video", "audio"]
Container = Literal["mp4", "quicktime", "matroska", "webm"]

_PCM_16_24 = frozenset({"pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be"})
# More than 16 bits
_LONG_PCM = frozenset({"pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_s32be"}) | {
    "pcm_f32le", "pcm_f32be", "pcm_f64le", "pcm_f64be",
}  # fmt: skip
_PCM = _PCM_16_24 | {"pcm_u8", "pcm_s32le", "pcm_f32le", "pcm_alaw", "pcm_mulaw"}
_CHROMIUM_SOUND = _PCM | {"aac", "mp3", "opus", "vorbis", "flac"}
_SAFARI_SOUND = _PCM | {"aac", "mp3", "opus", "flac", "alac", "ac3", "eac3"}
_NOTHING: frozenset[str] = frozenset()

_TRACKS = frozenset({"video", "audio", "attachment"})


@dataclass(frozen=True, slots=True)
class Rule:
    """The rule by which an engine chooses tracks in a kind of container.

    It plays the first track of each kind whose codec it knows, and skips all others.
    """

    browsers: tuple[str, ...]
    containers: frozenset[Container]
    sound: frozenset[str]
    """The sound codecs that it decodes there."""
    only_enabled: bool = False
    """Whether it skips tracks that are not enabled (ISO/IEC 14496-12 §8.3.2, track_enabled), unless
    no video or audio track in the file is."""
    undecodable: frozenset[str] = _NOTHING
    """Sound codecs that it knows and chooses, but does not decode: it is silent."""
    refused: frozenset[str] = _NOTHING
    """Sound codecs on whose account it refuses the whole file."""
    refused_first: frozenset[str] = _NOTHING
    """Sound codecs that it chooses, and then refuses the whole file."""
    pictures: frozenset[str] = BROWSER_VIDEO

    def choose(self, kind: Kind, streams: Sequence[Stream]) -> Stream | None:
        """Return the track that it chooses, or None. It may not decode the sound."""
        # A cover that is encoded as video is a video track to browsers.
        kinds = ("video", "attachment") if kind == "video" else ("audio",)
        known = (self.pictures,) if kind == "video" else self._known_sounds
        for stream in streams:
            is_known = stream.kind in kinds and any(stream.codec in some for some in known)
            if is_known and (stream.default or not self._skips_disabled(streams)):
                return stream
        return None

    @property
    def _known_sounds(self) -> tuple[frozenset[str], ...]:
        return self.sound, self.undecodable, self.refused_first

    def _skips_disabled(self, streams: Sequence[Stream]) -> bool:
        return self.only_enabled and any(
            stream.default for stream in streams if stream.kind in _TRACKS
        )

    def sounding(self, streams: Sequence[Stream]) -> Stream | None:
        """Return the sound track that viewers hear, or None."""
        chosen = self.choose("audio", streams)
        is_decoded = chosen is not None and chosen.codec in self.sound
        return chosen if is_decoded and not self._refused(chosen, streams) else None

    def refuses(self, streams: Sequence[Stream]) -> bool:
        """Return whether it refuses a file because of the codec of a sound track."""
        return self.refused_sound(streams) is not None

    def refused_sound(self, streams: Sequence[Stream]) -> Stream | None:
        """Return the sound track because of which it refuses a file, or None."""
        return self._refused(self.choose("audio", streams), streams)

    def _refused(self, chosen: Stream | None, streams: Sequence[Stream]) -> Stream | None:
        if chosen and chosen.codec in self.refused_first:
            return chosen
        if not self.refused:
            return None
        refused = (s for s in streams if s.kind == "audio" and s.codec in self.refused)
        return next(refused, None)


CHROMIUM, FIREFOX, SAFARI = ("Chrome", "Edge"), ("Firefox",), ("Safari",)

# HEVC counts as known. Without a decoder for it, Chromium skips it and plays the next track.
TABLE = (
    # MPEG layer II has the same sample entry as MP3 in MP4, and Chromium takes it for that.
    Rule(
        CHROMIUM,
        frozenset({"mp4"}),
        _CHROMIUM_SOUND,
        only_enabled=True,
        refused_first=frozenset({"mp2"}),
    ),
    Rule(CHROMIUM, frozenset({"quicktime"}), _CHROMIUM_SOUND, only_enabled=True),
    Rule(CHROMIUM, frozenset({"matroska", "webm"}), _CHROMIUM_SOUND),
    Rule(
        FIREFOX,
        frozenset({"mp4"}),
        frozenset({"aac", "mp3", "mp2", "opus", "flac"}),
        undecodable=frozenset({"alac"}),
    ),
    # Firefox cannot read QuickTime's sound descriptions of version 1 but those of AAC and MP3.
    Rule(
        FIREFOX,
        frozenset({"quicktime"}),
        frozenset({"aac", "mp3", "opus", "flac"}),
        refused=frozenset({"ac3", "eac3", "alac"}) | _LONG_PCM,
    ),
    Rule(FIREFOX, frozenset({"matroska", "webm"}), frozenset({"aac", "opus", "vorbis"})),
    Rule(SAFARI, frozenset({"mp4", "quicktime"}), _SAFARI_SOUND, only_enabled=True),
    Rule(SAFARI, frozenset({"webm"}), frozenset({"opus", "vorbis"})),
)


_RULES: dict[Container, tuple[Rule, ...]] = {
    container: tuple(rule for rule in TABLE if container in rule.containers)
    for container in get_args(Container)
}


def rules(path: str, metadata: Metadata) -> tuple[Rule, ...]:
    """Return the rules of the engines that open such a container. `path` tells WebM by its name.

    Return none for containers that hold one track of each kind, or that no browser opens.
    """
    container: Container
    if is_mp4(metadata.container):
        container = "quicktime" if metadata.brand == "qt" else "mp4"
    elif "matroska" in metadata.container.split(","):
        container = "webm" if path.lower().endswith((".webm", ".weba")) else "matroska"
    else:
        return ()
    return _RULES[container]


def default_sound(metadata: Metadata) -> Stream | None:
    """Return the sound track that the file's author has chosen: the first default one, or None."""
    tracks = [stream for stream in metadata.streams if stream.kind == "audio"]
    return next((s for s in tracks if s.default), next(iter(tracks), None))


def common_sound(path: str, metadata: Metadata) -> Stream | None:
    """Return the one sound track that a browser can be asked about, or None.

    It is the one that Chromium and Firefox both play. If both are silent, it is the default one.
    """
    chosen = [rule.sounding(metadata.streams) for rule in rules(path, metadata)
              if rule.browsers != SAFARI]  # fmt: skip
    if not any(chosen):
        return default_sound(metadata)
    return None if are_different(chosen) else chosen[0]


def are_different(tracks: Sequence[Stream | None]) -> bool:
    """Return whether not all of the tracks of a file are the same."""
    return any(track is not tracks[0] and track != tracks[0] for track in tracks)
