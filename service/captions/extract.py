"""The text that is shown with a video: from the files beside it, and from within it. All of it
comes out as WebVTT, with names that stay the same. The same files give the same text anywhere."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, Literal

import av
from av.stream import Disposition

from service.captions import chapters, embedded, subrip, webvtt
from service.captions.encodings import decoded
from service.captions.languages import english_name_of, is_no_language, language_of, name_of
from service.captions.size_limit import Room
from service.captions.webvtt import CaptionsError
from service.models import Chapter, Track
from service.probing.chapters import read_chapters
from service.probing.metadata import ESCAPED, OPTIONS
from service.sidecars import is_chapters, name_tags

LARGEST: Final = 10 << 20
"""Bytes of a file beside a video; the text of a long film is 100 kB."""
LARGEST_TOGETHER: Final = 16 << 20
"""Bytes of all files beside one video."""
LONGEST_LABEL: Final = 100
LONGEST_NAME: Final = 60

_FORCED: Final = frozenset({"forced", "foreign"})
_FOR_THE_DEAF: Final = frozenset({"sdh", "cc", "hoh"})
_HINDI_OR_HEARING_IMPAIRED: Final = "hi"
_DESCRIPTIONS: Final = "descriptions"
_DEFAULT: Final = "default"

Kind = Literal["subtitles", "captions", "descriptions"]


@dataclass(frozen=True, slots=True)
class Captions:
    """What is shown with a video."""

    tracks: tuple[tuple[Track, str], ...]
    """Each with its WebVTT file; chapters are one of them."""
    chapters: tuple[Chapter, ...]
    problems: tuple[str, ...]
    """Sentences, each of a file or of the video itself, that say why something is not shown."""


@dataclass(frozen=True, slots=True)
class _Told:
    """What a name or a container tells of a track."""

    language: str | None
    kind: Kind
    forced: bool
    name_tags: tuple[str, ...] = ()
    """What else tells it apart, for people."""

    def label(self) -> str:
        """Give the language's own name, and what else tells the track: Deutsch (forced)."""
        name, more = ("" if self.language is None else name_of(self.language)), [*self.name_tags]
        if more and (not name or _says(more[0], self.language or "")):
            name = more.pop(0)  # a title that names the language itself
        said = " ".join((name, *more)).casefold()
        marks = {
            "forced": self.forced,
            "SDH": self.kind == "captions",
            _DESCRIPTIONS: self.kind == "descriptions",
        }
        more += [mark for mark, is_so in marks.items() if is_so and mark.casefold() not in said]
        name = name or "Subtitles"
        if more and name.endswith(")"):
            name = f"{name[:-1]}, {', '.join(more)})"  # Português (Brasil, SDH)
        elif more:
            name = f"{name} ({', '.join(more)})"
        return name[:LONGEST_LABEL]

    def name(self) -> str:
        """Give a name for URLs, not yet unique: de.forced."""
        parts = [self.language.lower() if self.language else "captions"]
        parts += ["forced"] * self.forced + ["sdh"] * (self.kind == "captions")
        parts += [_DESCRIPTIONS] * (self.kind == "descriptions")
        parts += filter(None, map(_slug, self.name_tags))
        return ".".join(parts)[:LONGEST_NAME].rstrip(".-")


def captions_of(name: str, video: BinaryIO, sidecars: Mapping[str, BinaryIO]) -> Captions:
    """Give all that is shown with the video of the file name `name`.

    `sidecars` are the files beside it by name, as service.sidecars chose them. Damaged ones
    are left out, and told of. Raises OSError and MemoryError.
    """
    problems: list[str] = []
    texts = _texts(name, sidecars, problems)
    named = (chapters.parse_chapters(text) for at, text in texts.items() if is_chapters(name, at))
    from_file = next(filter(None, named), ())
    room = Room(problems)
    found = list(_beside(name, texts, room, problems))
    inside, from_container = _inside(video, room, problems)
    found += inside
    if listed := from_file or from_container:
        source: Literal["file", "container"] = "file" if from_file else "container"
        track = Track(name="chapters", kind="chapters", label="Chapters", source=source)
        if text := room.fit("The chapters", chapters.to_webvtt(listed)):
            found.append((track, text))
    return Captions(tuple(_told_apart(found)), listed, tuple(problems))


def _texts(name: str, sidecars: Mapping[str, BinaryIO], problems: list[str]) -> dict[str, str]:
    """Read the files: WebVTT before SubRip, and each kind in the order of names."""
    texts: dict[str, str] = {}
    left = LARGEST_TOGETHER
    for sidecar in sorted(sidecars, key=lambda sidecar: (not _is_vtt(sidecar), sidecar)):
        data = sidecars[sidecar].read(LARGEST + 1)
        left -= len(data)
        if len(data) > LARGEST:
            problems.append(f"{sidecar}: It is larger than {LARGEST >> 20} MiB.")
        elif left < 0:
            problems.append(f"{sidecar}: The files are larger than {LARGEST_TOGETHER >> 20} MiB.")
        else:
            texts[sidecar] = decoded(data, _told_by(name_tags(name, sidecar))[0].language)
        if left < 0:
            break
    return texts


def _is_vtt(sidecar: str) -> bool:
    return sidecar.lower().endswith(".vtt")


def _beside(
    name: str, texts: Mapping[str, str], room: Room, problems: list[str]
) -> Iterator[tuple[Track, str]]:
    known: set[_Told] = set()  # by WebVTT files
    for sidecar, text in texts.items():
        told, default = _told_by(name_tags(name, sidecar))
        if is_chapters(name, sidecar) or (told in known and not _is_vtt(sidecar)):
            continue
        try:
            converted = subrip.webvtt_of(text)
        except CaptionsError as error:
            problems.append(f"{sidecar}: {error}")
            continue
        if (fitting := room.fit(sidecar, converted)) is None:
            continue
        if _is_vtt(sidecar):
            known.add(told)
        yield _track(told, told.name(), "file", default=default), fitting


def _track(told: _Told, name: str, source: Literal["file", "container"], *, default: bool) -> Track:
    return Track(
        name=name,
        kind=told.kind,
        label=told.label(),
        language=told.language,
        forced=told.forced,
        default=default,
        source=source,
    )


def _inside(
    video: BinaryIO, room: Room, problems: list[str]
) -> tuple[list[tuple[Track, str]], tuple[Chapter, ...]]:
    try:
        with av.open(embedded.Reader(video), options=OPTIONS, **ESCAPED) as container:
            named = read_chapters(container)
            streams = embedded.streams_of(container)
            told = [_told_of(stream) for stream in streams]
            cues = embedded.cues_of(container, streams) if streams else {}
    except embedded.TooMuchTextError:
        problems.append("The text inside the video is too long to be taken out.")
        return [], named
    except av.FFmpegError as error:
        if isinstance(error, (MemoryError, OSError)):
            raise
        return [], ()  # why it cannot be opened is for the probe to say
    tracks = []
    for (what, default), (index, of_stream) in zip(told, cues.items(), strict=True):
        try:
            text = webvtt.written(of_stream)
        except CaptionsError:
            continue  # muxers add empty tracks, which nobody misses
        track = _track(what, f"embedded-{index}", "container", default=default)
        if (fitting := room.fit(f"{track.label}, inside the video", text)) is not None:
            tracks.append((track, fitting))
    return tracks, named


def _told_by(found: Sequence[str]) -> tuple[_Told, bool]:
    """Give what the words of a file's name tell, and whether it is shown unasked."""
    lower = [word.lower() for word in found]
    at = _language_at(lower)
    rest = [word for index, word in enumerate(lower) if index != at]
    marks = {*_FORCED, *_FOR_THE_DEAF, _HINDI_OR_HEARING_IMPAIRED, _DESCRIPTIONS, _DEFAULT}
    kind: Kind = "subtitles"
    if _DESCRIPTIONS in rest:
        kind = "descriptions"
    elif not {*_FOR_THE_DEAF, _HINDI_OR_HEARING_IMPAIRED}.isdisjoint(rest):
        kind = "captions"
    others = tuple(
        word
        for index, word in enumerate(found)
        if index != at and lower[index] not in marks and not is_no_language(word)
    )
    language = None if at is None else language_of(lower[at])
    return _Told(language, kind, not _FORCED.isdisjoint(rest), others), _DEFAULT in rest


def _language_at(lower: Sequence[str]) -> int | None:
    """Give the place of the word that is the language.

    Three letters are often something else, so any other word goes first; `hi` next to a language is
    no Hindi.
    """
    marks = _FORCED | _FOR_THE_DEAF | {_DESCRIPTIONS, _DEFAULT}
    places = [at for at, word in enumerate(lower) if word not in marks and language_of(word)]
    return min(
        places,
        key=lambda at: (lower[at] == _HINDI_OR_HEARING_IMPAIRED, len(lower[at]) == 3, at),  # noqa: PLR2004
        default=None,
    )


def _told_of(stream: Any) -> tuple[_Told, bool]:
    """Give what a container tells of a stream, and whether it is shown unasked."""
    tags = {key.lower(): _readable(text) for key, text in stream.metadata.items()}
    has = stream.disposition
    kind: Kind = "subtitles"
    if has & Disposition.descriptions:
        kind = "descriptions"
    elif has & (Disposition.hearing_impaired | Disposition.captions):
        kind = "captions"
    title = tags.get("title") or tags.get("name") or ""  # QuickTime's is called name
    told = _Told(
        language_of(tags.get("language", "")),
        kind,
        bool(has & Disposition.forced),
        (title,) if title else (),
    )
    return told, bool(has & Disposition.default)


def _readable(tag: str) -> str:
    text = tag.encode(errors="surrogateescape").decode(errors="replace")
    return " ".join(re.sub("[\x00-\x1f\x7f-\x9f]", " ", text).split())[:LONGEST_LABEL]


def _says(title: str, language: str) -> bool:
    said = title.casefold()
    primary = language.partition("-")[0]
    return any(
        name(tag).casefold() in said
        for name in (name_of, english_name_of)
        for tag in (language, primary)
    )


def _slug(word: str) -> str:
    ascii_only = unicodedata.normalize("NFKD", word).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", ascii_only.lower()).strip("-")


def _told_apart(found: Iterable[tuple[Track, str]]) -> Iterator[tuple[Track, str]]:
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


def _unique(text: str, known: set[str], joint: str) -> str:
    count = 1
    unique = text
    while unique in known:
        count += 1
        unique = f"{text}{joint}{count}"
    known.add(unique)
    return unique
