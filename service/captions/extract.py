"""The captions and chapters of a video as WebVTT, from its sidecars and its container."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, Literal

import av
from av.stream import Disposition

from service.captions import chapters, embedded, subrip, webvtt
from service.captions.encodings import decode_text
from service.captions.languages import english_name, is_non_language, own_name, parse_language
from service.captions.size_limit import TrackSizeLimit
from service.captions.webvtt import CaptionsError
from service.models import Chapter, Track
from service.probing.chapters import read_chapters
from service.probing.metadata import OPTIONS, TEXT_OPTIONS
from service.sidecars import is_chapters, name_tags

MAX_SIDECAR_BYTES: Final = 10 << 20
"""Bytes of one sidecar; the text of a long film has 100 kB."""
MAX_TOTAL_SIDECAR_BYTES: Final = 16 << 20
"""Bytes of all sidecars of one video."""
MAX_LABEL_LENGTH: Final = 100
MAX_NAME_LENGTH: Final = 60

_FORCED: Final = frozenset({"forced", "foreign"})
_HEARING_IMPAIRED: Final = frozenset({"sdh", "cc", "hoh"})
_HINDI_OR_HEARING_IMPAIRED: Final = "hi"
_DESCRIPTIONS: Final = "descriptions"
_DEFAULT: Final = "default"

TrackKind = Literal["subtitles", "captions", "descriptions"]


@dataclass(frozen=True, slots=True)
class Captions:
    """The captions and chapters of a video."""

    tracks: tuple[tuple[Track, str], ...]
    """Each with its WebVTT file, including a track of chapters."""
    chapters: tuple[Chapter, ...]
    problems: tuple[str, ...]
    """Sentences that say why part of a file or of the video is not shown."""


@dataclass(frozen=True, slots=True)
class _TrackInfo:
    """What a file name or a container says about a track."""

    language: str | None
    kind: TrackKind
    forced: bool
    name_tags: tuple[str, ...] = ()
    """What else tells it apart, for people."""

    def label(self) -> str:
        """Return the language's own name and the other details, such as Deutsch (forced)."""
        name, details = (
            ("" if self.language is None else own_name(self.language)),
            [*self.name_tags],
        )
        if details and (not name or _names_language(details[0], self.language or "")):
            name = details.pop(0)  # a title that names the language itself
        lower_title = " ".join((name, *details)).casefold()
        marks = {
            "forced": self.forced,
            "SDH": self.kind == "captions",
            _DESCRIPTIONS: self.kind == "descriptions",
        }
        details += [
            mark for mark, is_so in marks.items() if is_so and mark.casefold() not in lower_title
        ]
        name = name or "Subtitles"
        if details and name.endswith(")"):
            name = f"{name[:-1]}, {', '.join(details)})"  # Português (Brasil, SDH)
        elif details:
            name = f"{name} ({', '.join(details)})"
        return name[:MAX_LABEL_LENGTH]

    def name(self) -> str:
        """Return a name for URLs, not yet unique, such as de.forced."""
        parts = [self.language.lower() if self.language else "captions"]
        parts += ["forced"] * self.forced + ["sdh"] * (self.kind == "captions")
        parts += [_DESCRIPTIONS] * (self.kind == "descriptions")
        parts += filter(None, map(_slug, self.name_tags))
        return ".".join(parts)[:MAX_NAME_LENGTH].rstrip(".-")


def extract_captions(name: str, video: BinaryIO, sidecars: Mapping[str, BinaryIO]) -> Captions:
    """Return the captions and chapters of the video with the file name `name`.

    `sidecars` are the files beside it by name, as service.sidecars chose them. Damaged ones
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
    """Return the texts of sidecars: WebVTT before SubRip, each sorted by name."""
    texts: dict[str, str] = {}
    remaining = MAX_TOTAL_SIDECAR_BYTES
    for sidecar in sorted(sidecars, key=lambda sidecar: (not _is_vtt(sidecar), sidecar)):
        data = sidecars[sidecar].read(MAX_SIDECAR_BYTES + 1) if remaining >= 0 else b""
        remaining -= len(data)
        if len(data) > MAX_SIDECAR_BYTES:
            problems.append(f"{sidecar}: It is larger than {MAX_SIDECAR_BYTES >> 20} MiB.")
        elif remaining < 0:
            problems.append(
                f"{sidecar}: The files are larger than {MAX_TOTAL_SIDECAR_BYTES >> 20} MiB."
            )
        else:
            texts[sidecar] = decode_text(
                data, _info_from_filename(name_tags(name, sidecar))[0].language
            )
    return texts


def _is_vtt(sidecar: str) -> bool:
    return sidecar.lower().endswith(".vtt")


def _sidecar_tracks(
    name: str, texts: Mapping[str, str], size_limit: TrackSizeLimit, problems: list[str]
) -> Iterator[tuple[Track, str]]:
    seen: set[_TrackInfo] = set()  # by WebVTT files
    for sidecar, text in texts.items():
        info, default = _info_from_filename(name_tags(name, sidecar))
        if is_chapters(name, sidecar) or (info in seen and not _is_vtt(sidecar)):
            continue
        try:
            converted = subrip.to_webvtt(text)
        except CaptionsError as error:
            problems.append(f"{sidecar}: {error}")
            continue
        if (fitting := size_limit.fit(sidecar, converted)) is None:
            continue
        if _is_vtt(sidecar):
            seen.add(info)
        yield _track(info, info.name(), "file", default=default), fitting


def _track(
    info: _TrackInfo, name: str, source: Literal["file", "container"], *, default: bool
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
            info = [_info_from_stream(stream) for stream in streams]
            cues = embedded.read_cues(container, streams) if streams else {}
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


def _info_from_filename(found: Sequence[str]) -> tuple[_TrackInfo, bool]:
    """Return what the words of a file's name tell, and whether it is shown unasked."""
    lower = [word.lower() for word in found]
    at = _language_at(lower)
    rest = [word for index, word in enumerate(lower) if index != at]
    marks = {*_FORCED, *_HEARING_IMPAIRED, _HINDI_OR_HEARING_IMPAIRED, _DESCRIPTIONS, _DEFAULT}
    kind: TrackKind = "subtitles"
    if _DESCRIPTIONS in rest:
        kind = "descriptions"
    elif not {*_HEARING_IMPAIRED, _HINDI_OR_HEARING_IMPAIRED}.isdisjoint(rest):
        kind = "captions"
    others = tuple(
        word
        for index, word in enumerate(found)
        if index != at and lower[index] not in marks and not is_non_language(word)
    )
    language = None if at is None else parse_language(lower[at])
    return _TrackInfo(language, kind, not _FORCED.isdisjoint(rest), others), _DEFAULT in rest


def _language_at(lower: Sequence[str]) -> int | None:
    """Return the place of the word that is the language.

    Three letters are often something else, so any other word goes first; `hi` next to a language is
    no Hindi.
    """
    marks = _FORCED | _HEARING_IMPAIRED | {_DESCRIPTIONS, _DEFAULT}
    places = [at for at, word in enumerate(lower) if word not in marks and parse_language(word)]
    return min(
        places,
        key=lambda at: (lower[at] == _HINDI_OR_HEARING_IMPAIRED, len(lower[at]) == 3, at),  # noqa: PLR2004
        default=None,
    )


def _info_from_stream(stream: Any) -> tuple[_TrackInfo, bool]:
    """Return what a container tells of a stream, and whether it is shown unasked."""
    tags = {key.lower(): _clean_tag(text) for key, text in stream.metadata.items()}
    has = stream.disposition
    kind: TrackKind = "subtitles"
    if has & Disposition.descriptions:
        kind = "descriptions"
    elif has & (Disposition.hearing_impaired | Disposition.captions):
        kind = "captions"
    title = tags.get("title") or tags.get("name") or ""  # QuickTime's is called name
    info = _TrackInfo(
        parse_language(tags.get("language", "")),
        kind,
        bool(has & Disposition.forced),
        (title,) if title else (),
    )
    return info, bool(has & Disposition.default)


def _clean_tag(tag: str) -> str:
    text = tag.encode(errors="surrogateescape").decode(errors="replace")
    return " ".join(re.sub("[\x00-\x1f\x7f-\x9f]", " ", text).split())[:MAX_LABEL_LENGTH]


def _names_language(title: str, language: str) -> bool:
    lower_title = title.casefold()
    primary = language.partition("-")[0]
    return any(
        name(tag).casefold() in lower_title
        for name in (own_name, english_name)
        for tag in (language, primary)
    )


def _slug(word: str) -> str:
    ascii_only = unicodedata.normalize("NFKD", word).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", ascii_only.lower()).strip("-")


def _deduplicate(found: Iterable[tuple[Track, str]]) -> Iterator[tuple[Track, str]]:
    """Make names and labels unique, and let one track at most be shown unasked."""
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
