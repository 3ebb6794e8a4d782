"""Which artefacts a video can have, and their names in the store."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from service.artefact_store.keys import artefact_name
from service.artefacts.metadata import ArtefactKind
from service.browsers.playable_forms import (
    lacks_sound,
    may_be_copied,
    may_be_remuxed,
    silent_sounds,
)
from service.models import Metadata, ProbeState, Stream, Video
from service.mp4.moov import LONG_INDEX_BYTES
from service.naming.sidecars import NO_SIDECARS, Sidecars
from service.storage.base import Entry

_NO_SOUNDS: Mapping[int, str] = {}


class Artefact(NamedTuple):
    """An artefact of a video, without the video."""

    kind: ArtefactKind
    name: str
    sound: int
    """As in a `Job`."""
    path: str
    number: int
    """As in an `ArtefactSource`."""

    @property
    def key(self) -> tuple[ArtefactKind, str]:
        """Kind and name in the store."""
        return self.kind, self.name


@dataclass(frozen=True, slots=True)
class ArtefactSource:
    """A video, and the names of its artefacts; None for a kind that it cannot have."""

    video: Video
    sidecars: Sidecars
    poster: str | None
    captions: str | None
    storyboard: str | None
    remux: str | None = None
    fragments: str | None = None
    sound: str | None = None
    copied: str | None = None
    sounds: Mapping[int, str] = field(default_factory=lambda: _NO_SOUNDS)
    """Of sounds besides the default one, by their numbers in the file, from 1."""
    number: int = field(default=0, compare=False)
    """Of the video's row in the database; 0: it has none."""

    @classmethod
    def of(
        cls, video: Video, sidecars: Sidecars = NO_SIDECARS, number: int = 0
    ) -> "ArtefactSource":
        """Return which artefacts a video can have, as far as it has been probed."""
        form = _form(video.path, video.metadata) if video.metadata else _UNKNOWN
        texts = sidecars.texts
        has_chapters = bool(video.metadata and video.metadata.chapters)

        def name(kind: ArtefactKind, *parts: str) -> str:
            return artefact_name(kind, video.path, video.revision, *parts)

        return cls(
            video,
            sidecars,
            poster=name(ArtefactKind.POSTER, *_picture_parts(sidecars, form.kinds))
            if sidecars.image or sidecars.still or form.kinds & {"video", "attachment"}
            else None,
            # Of pictures of text, too: that they are not shown is a problem.
            captions=name(ArtefactKind.CAPTIONS, *_parts(*texts))
            if texts or "subtitle" in form.kinds or has_chapters
            else None,
            storyboard=name(ArtefactKind.STORYBOARD) if "video" in form.kinds else None,
            remux=name(ArtefactKind.REMUX) if form.remux else None,
            fragments=name(ArtefactKind.FRAGMENTS)
            if video.metadata and _has_long_index(video.metadata)
            else None,
            sound=name(ArtefactKind.SOUND) if form.sound else None,
            copied=name(ArtefactKind.COPIED) if form.copied else None,
            sounds={
                number: sound_name(video.path, video.revision, number) for number in form.silent
            }
            or _NO_SOUNDS,
            number=number,
        )

    @classmethod
    def of_folder_image(cls, image: Entry) -> "ArtefactSource":
        """Return the source of a folder's poster: the image takes the place of the video."""
        video = Video(
            path=image.path,
            title=image.path,
            content_type="image/*",
            size=image.size,
            revision=image.revision,
            modified=image.modified,
            state=ProbeState.PROBED,
        )
        return cls.of(video, Sidecars(image))

    def name(self, kind: ArtefactKind, sound: int = 0) -> str | None:
        """Return the name of an artefact; None if the video cannot have this kind.

        `sound` is as in a `Job`.
        """
        name: str | None = self.sounds.get(sound) if sound else getattr(self, kind)
        return name

    def artefacts(self) -> Iterator[Artefact]:
        """Yield all artefacts that the video can have."""
        for kind in ArtefactKind:
            if name := self.name(kind):
                yield Artefact(kind, name, 0, self.video.path, self.number)
        for sound, name in self.sounds.items():
            yield Artefact(ArtefactKind.SOUND, name, sound, self.video.path, self.number)


_KINDS = {kind.value: kind for kind in ArtefactKind}


def dump_artefacts(source: ArtefactSource) -> str:
    """Return kind, sound and name of each artefact, which `load_artefacts` reads."""
    return " ".join(f"{each.kind} {each.sound} {each.name}" for each in source.artefacts())


def load_artefacts(text: str, path: str, number: int) -> Iterable[Artefact]:
    """Return the artefacts of a video. Raises KeyError, ValueError if it is damaged."""
    words = iter(text.split())
    for kind, sound, name in zip(words, words, words, strict=True):
        yield Artefact(_KINDS[kind], name, int(sound), path, number)


@dataclass(frozen=True, slots=True)
class _Form:
    """What the container and the streams of a file decide."""

    kinds: frozenset[str] = frozenset()
    """Of the streams. Pictures of ciphertext would be noise."""
    remux: bool = False
    sound: bool = False
    copied: bool = False
    silent: tuple[int, ...] = ()


_UNKNOWN = _Form()

_MAX_FORMS = 1024
_forms: dict[tuple[object, ...], tuple[tuple[Stream, ...], _Form]] = {}
"""The streams, and what was found: most files of a library are of few kinds."""


def _form(path: str, metadata: Metadata) -> _Form:
    """Return what may be made of a file, from a cache if there was one with the same streams."""
    fields = {
        "container": metadata.container,
        "brand": metadata.brand,
        "fragmented": metadata.fragmented,
        "compressed_index": metadata.compressed_index,
        "has_seek_index": metadata.has_seek_index,
        "duration": None if metadata.duration is None else 1.0,
        "start": float(metadata.start != 0),
    }
    extension = path.rpartition(".")[2].lower()
    # Equal streams are the same object, and the cache keeps it: no other one gets its identity.
    key = (extension, id(metadata.streams), *fields.values())
    if (known := _forms.get(key)) is not None:
        return known[1]
    # No more than the key has, so that nothing else can decide.
    alone = Metadata.model_validate({**fields, "bit_rate": None, "streams": metadata.streams})
    named = f"film.{extension}"
    form = _Form(
        frozenset(stream.kind for stream in alone.streams if not stream.encryption),
        remux=may_be_remuxed(named, alone),
        sound=lacks_sound(alone),
        copied=may_be_copied(alone),
        silent=silent_sounds(alone),
    )
    if len(_forms) >= _MAX_FORMS:
        _forms.clear()
    _forms[key] = metadata.streams, form
    return form


def sound_name(path: str, revision: str, sound: int) -> str:
    """Return the name of what is made of a sound of a version of a file; `sound` as in a `Job`."""
    return artefact_name(ArtefactKind.SOUND, path, revision, *([str(sound)] if sound else []))


def _has_long_index(metadata: Metadata) -> bool:
    """Return whether a film is an MP4 that begins sooner in fragments."""
    is_encrypted = any(stream.encryption for stream in metadata.streams)
    is_long = (metadata.index_size or 0) > LONG_INDEX_BYTES
    return is_long and metadata.film is not None and not is_encrypted


def _parts(*entries: Entry) -> list[str]:
    return [part for entry in entries for part in (entry.path, entry.revision)]


def _picture_parts(sidecars: Sidecars, kinds: frozenset[str]) -> list[str]:
    """Return what distinguishes the pictures of a video, apart from the video.

    A frame alone has no part: it is the same as before there were stills.
    """
    pictures = {"poster": sidecars.image, "still": sidecars.still}
    parts = [[role, *_parts(entry)] for role, entry in pictures.items() if entry]
    if not parts and "attachment" in kinds:
        return ["cover"]
    return [part for some in parts for part in some]
