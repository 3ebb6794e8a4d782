"""The captions and chapters of a video as WebVTT, from its sidecars and its container."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, Literal

import av

from service.captions import chapters, convert, embedded, unsupported, webvtt
from service.captions.size_limit import TrackSizeLimit
from service.captions.track_info import (
    TrackInfo,
    encoding_from_filename,
    info_from_filename,
    info_from_stream,
)
from service.captions.webvtt import CaptionsError
from service.encodings.decode import decode_text
from service.languages.track_language import CHATS
from service.models import Chapter, Track
from service.naming.sidecars import CONVERTED_EXTENSIONS, extension_of, is_chapters, name_tags
from service.probing.chapters import read_chapters
from service.probing.metadata import OPTIONS, TEXT_OPTIONS

MAX_SIDECAR_BYTES: Final = 10 << 20
"""Bytes of one sidecar; the text of a long film has 100 kB."""
MAX_TOTAL_SIDECAR_BYTES: Final = 16 << 20
"""Bytes of all sidecars of one video."""


@dataclass(frozen=True, slots=True)
class Captions:
    """The captions and chapters of a video."""

    tracks: tuple[tuple[Track, str], ...]
    """Each with its WebVTT file, including a track of chapters."""
    chapters: tuple[Chapter, ...]
    problems: tuple[str, ...]
    """Sentences that say why part of a file or of the video is not shown, or may be wrong."""


def extract_captions(name: str, video: BinaryIO, sidecars: Mapping[str, BinaryIO]) -> Captions:
    """Return the captions and chapters of the video with the file name `name`.

    `sidecars` are the files beside it by name, as service.naming.sidecars chose them. Damaged ones
    are left out and listed as problems. Raises OSError and MemoryError.
    """
    problems: list[str] = []
    texts = _read_sidecars(name, sidecars, problems)
    named = [(at, text) for at, text in texts.items() if is_chapters(name, at)]
    from_file = chapters.first_chapters(named, problems)
    size_limit = TrackSizeLimit(problems)
    found = list(_sidecar_tracks(name, texts, size_limit, problems))
    embedded_tracks, from_container = _embedded_tracks(video, size_limit, problems)
    found += embedded_tracks
    if chapter_list := from_file or from_container:
        source: Literal["file", "container"] = "file" if from_file else "container"
        track = Track(name="chapters", kind="chapters", label="Chapters", source=source)
        if text := size_limit.fit("The chapters", chapters.to_webvtt(chapter_list)):
            found.append((track, text))
    return Captions(tuple(_deduplicate(found)), chapter_list, tuple(problems))


def _read_sidecars(
    name: str, sidecars: Mapping[str, BinaryIO], problems: list[str]
) -> dict[str, str]:
    """Return the texts of sidecars: the preferred extension first, each sorted by what
    the names have after the video's."""
    texts: dict[str, str] = {}
    remaining = MAX_TOTAL_SIDECAR_BYTES
    # By words: `en` comes before `en-orig`, and has the plain name.
    ordered = sorted(sidecars, key=lambda at: (_preference(at), name_tags(name, at), at))
    for sidecar in ordered:
        words = name_tags(name, sidecar)
        if extension_of(sidecar) not in CONVERTED_EXTENSIONS:
            if problem := unsupported.file_problem(sidecar, sidecars):
                problems.append(problem)
            continue
        if not CHATS.isdisjoint(map(str.lower, words)):
            problems.append(f"{sidecar}: This is what viewers wrote in a chat, and no captions.")
            continue
        data = sidecars[sidecar].read(MAX_SIDECAR_BYTES + 1) if remaining >= 0 else b""
        remaining -= len(data)
        if len(data) > MAX_SIDECAR_BYTES:
            problems.append(f"{sidecar}: It is larger than {MAX_SIDECAR_BYTES >> 20} MiB.")
        elif remaining < 0:
            problems.append(
                f"{sidecar}: The files are larger than {MAX_TOTAL_SIDECAR_BYTES >> 20} MiB."
            )
        else:
            texts[sidecar], problem = decode_text(
                data, info_from_filename(words)[0].language, encoding_from_filename(words)
            )
            if problem:
                problems.append(f"{sidecar}: {problem}")
    return texts


def _preference(sidecar: str) -> int:
    extension = extension_of(sidecar)
    if extension in CONVERTED_EXTENSIONS:
        return CONVERTED_EXTENSIONS.index(extension)
    return len(CONVERTED_EXTENSIONS)


def _sidecar_tracks(
    name: str, texts: Mapping[str, str], size_limit: TrackSizeLimit, problems: list[str]
) -> Iterator[tuple[Track, str]]:
    seen: dict[TrackInfo, int] = {}  # the preference of the first file of a track
    for sidecar, text in texts.items():
        info, default = info_from_filename(name_tags(name, sidecar))
        preference = _preference(sidecar)
        if is_chapters(name, sidecar) or preference > seen.get(info, preference):
            continue
        try:
            converted = convert.to_webvtt(text)
        except CaptionsError as error:
            problems.append(f"{sidecar}: {error}")
            continue
        if (fitting := size_limit.fit(sidecar, converted)) is None:
            continue
        seen.setdefault(info, preference)
        yield _track(info, info.name(), "file", default=default), fitting


def _track(
    info: TrackInfo, name: str, source: Literal["file", "container"], *, default: bool
) -> Track:
    return Track(
        name=name,
        kind=info.kind,
        label=info.label(),
        language=info.language,
        forced=info.forced,
        default=default,
        source=source,
    )


def _embedded_tracks(
    video: BinaryIO, size_limit: TrackSizeLimit, problems: list[str]
) -> tuple[list[tuple[Track, str]], tuple[Chapter, ...]]:
    try:
        with av.open(embedded.AdaptiveReader(video), options=OPTIONS, **TEXT_OPTIONS) as container:
            named = read_chapters(container)
            streams = embedded.text_streams(container, problems)
            problems += _unsupported_streams(container, streams)
            info = [info_from_stream(stream) for stream in streams]
            cues = embedded.read_cues(container, streams, problems) if streams else {}
    except embedded.TooMuchTextError:
        problems.append("The text inside the video is too long to be taken out.")
        return [], named
    except av.FFmpegError as error:
        if isinstance(error, (MemoryError, OSError)):
            raise
        return [], ()  # the probe reports why it cannot be opened
    tracks = []
    for (track_info, default), (index, stream_cues) in zip(info, cues.items(), strict=True):
        try:
            text = webvtt.serialize_webvtt(stream_cues)
        except CaptionsError:
            continue  # muxers add empty tracks
        track = _track(track_info, f"embedded-{index}", "container", default=default)
        if (fitting := size_limit.fit(f"{track.label}, inside the video", text)) is not None:
            tracks.append((track, fitting))
    return tracks, named


def _unsupported_streams(container: Any, shown: list[Any]) -> Iterator[str]:
    """Return a sentence for each stream of subtitles that is not shown."""
    for stream in container.streams:
        if stream.type == "subtitle" and stream not in shown:
            language = info_from_stream(stream)[0].language
            yield unsupported.stream_problem(stream.index, embedded.codec(stream), language)


def _deduplicate(found: Iterable[tuple[Track, str]]) -> Iterator[tuple[Track, str]]:
    """Make names and labels unique, and mark at most one track as the default."""
    names: set[str] = set()
    labels: set[str] = set()
    has_default = False
    for track, text in found:
        name = _unique(track.name, names, "-")
        label = _unique(track.label, labels, " ")
        default = track.default and not has_default
        has_default = has_default or default
        yield track.model_copy(update={"name": name, "label": label, "default": default}), text


def _unique(text: str, seen: set[str], joint: str) -> str:
    count = 1
    unique = text
    while unique in seen:
        count += 1
        unique = f"{text}{joint}{count}"
    seen.add(unique)
    return unique
