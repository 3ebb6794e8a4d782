"""Problems with the choice of tracks: sound and pictures that are missing or differ in browsers."""

from collections.abc import Iterator, Sequence

from service.browsers import browser_support
from service.browsers.issue import Issue
from service.browsers.names import codec_name
from service.browsers.track_choice import SAFARI, Rule, are_different, default_sound, rules
from service.models import Metadata, Stream


def check_sound(path: str, metadata: Metadata) -> Iterator[Issue]:
    """Yield the problems with the sound of a file."""
    first = default_sound(metadata)
    if first is None:
        return
    streams, engines = metadata.streams, rules(path, metadata)
    sounding = [(rule, rule.sounding(streams)) for rule in engines]
    heard = [rule for rule, track in sounding if track]
    silent = [rule for rule, track in sounding if not track]
    # If only Safari plays it, its codec is the reason. A browser that refuses the file is more.
    is_refused = any(rule.refuses(streams) for rule in silent)
    if all(rule.browsers == SAFARI for rule in heard) and (
        issue := None if is_refused else browser_support.check_audio(first, metadata)
    ):
        yield issue
        return
    if silent:
        by_choice = any(_skips_a_playable_track(rule, streams) for rule in silent)
        sentences = [_silence(rule, metadata) for rule in silent]
        if heard:
            sentences.append(f"{_names(heard)} {_verb(heard, 'play')} its sound.")
        yield Issue(
            "track_choice" if by_choice else "audio_codec",
            "warning",
            " ".join(sentences),
            f"{_names(silent)} cannot play the sound"
            + (f"; {_names(heard)} can." if heard else "."),
        )
        return
    others = [(rule, track) for rule, track in sounding if track and rule.browsers != SAFARI]
    if are_different([track for _, track in others]):
        yield Issue(
            "track_choice",
            "hint",
            "Browsers play different sound tracks: "
            + "; ".join(f"{_names([rule])} {_track(track, streams)}" for rule, track in others)
            + ".",
        )


def check_film(path: str, metadata: Metadata) -> Iterator[Issue]:
    """Yield the problems with which video track browsers show."""
    film = metadata.film
    engines = [rule for rule in rules(path, metadata) if film and film.codec in rule.pictures]
    chosen = [(rule, rule.choose("video", metadata.streams)) for rule in engines]
    unseen = [rule for rule, stream in chosen if stream is None]
    if unseen:
        yield Issue(
            "track_choice",
            "warning",
            f"{_names(unseen)} {_verb(unseen, 'show')} no picture: the video track is not enabled.",
            f"{_names(unseen)} {_verb(unseen, 'show')} no picture.",
        )
    still = [rule for rule, stream in chosen if stream and stream.kind == "attachment"]
    if still:
        yield Issue(
            "track_choice",
            "warning",
            f"{_names(still)} {_verb(still, 'show')} a single picture instead of the film, "
            "as it is the first video track.",
            f"{_names(still)} {_verb(still, 'show')} a single picture instead of the film.",
        )
    seen = [
        (rule, stream) for rule, stream in chosen
        if stream and stream.kind == "video" and rule.browsers != SAFARI
    ]  # fmt: skip
    if are_different([stream for _, stream in seen]):
        yield Issue(
            "track_choice",
            "hint",
            "Browsers show different video tracks: "
            + "; ".join(f"{_names([rule])} stream {stream.index}" for rule, stream in seen)
            + ".",
        )


def _skips_a_playable_track(rule: Rule, streams: Sequence[Stream]) -> bool:
    return not rule.refuses(streams) and any(
        stream.kind == "audio" and stream.codec in rule.sound for stream in streams
    )


def _silence(rule: Rule, metadata: Metadata) -> str:
    """Return the sentence that says why an engine plays no sound."""
    streams, names = metadata.streams, _names([rule])
    tracks = [stream for stream in streams if stream.kind == "audio"]
    if refused := rule.refused_sound(streams):
        verb = _verb([rule], "refuse")
        return f"{names} {verb} the file because of its {codec_name(refused.codec)} sound."
    fails = "refuse" if metadata.film is None else "are silent"
    start = f"{names} {_verb([rule], fails)}"
    start += " the file" if metadata.film is None else ""
    chosen = rule.choose("audio", streams)
    if chosen:
        return (
            f"{start}: the first sound track there is {codec_name(chosen.codec)}, "
            "which is chosen but not decoded."
        )
    playable = [stream for stream in tracks if stream.codec in rule.sound]
    if playable:
        return f"{start}: {_track(playable[0], streams)} is not enabled."
    codecs = dict.fromkeys(codec_name(stream.codec) for stream in tracks)
    container = "MP4" if metadata.index_at_front is not None else "Matroska"
    return f"{start}: {' and '.join(codecs)} sound is not played there in {container}."


def _track(track: Stream, streams: Sequence[Stream]) -> str:
    """Return a name of a sound track, such as `sound track 2 (AC-3, fra)`."""
    tracks = [stream for stream in streams if stream.kind == "audio"]
    details = [codec_name(track.codec), *([track.language] if track.language else [])]
    return f"sound track {tracks.index(track) + 1} ({', '.join(details)})"


def _names(engines: Sequence[Rule]) -> str:
    names = [name for rule in engines for name in rule.browsers]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _verb(engines: Sequence[Rule], plural: str) -> str:
    """Return a verb for one browser or for several."""
    if sum(len(rule.browsers) for rule in engines) > 1:
        return plural
    return "is silent" if plural == "are silent" else f"{plural}s"
