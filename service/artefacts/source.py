"""Which artefacts a video can have, and their names in the store."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from service.artefact_store.keys import artefact_name
from service.artefacts.metadata import ArtefactKind
from service.browsers.playable_forms import (
    lacks_sound,
    may_be_copied,
    may_be_remuxed,
    silent_sounds,
)
from service.models import Metadata, ProbeState, Video
from service.mp4.moov import LONG_INDEX_BYTES
from service.naming.sidecars import NO_SIDECARS, Sidecars
from service.storage.base import Entry


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
    sounds: Mapping[int, str] = field(default_factory=dict)
    """Of sounds besides the default one, by their numbers in the file, from 1."""

    @classmethod
    def of(cls, video: Video, sidecars: Sidecars = NO_SIDECARS) -> "ArtefactSource":
        """Return which artefacts a video can have, as far as it has been probed."""
        streams = video.metadata.streams if video.metadata else ()
        # Pictures of ciphertext would be noise.
        kinds = {stream.kind for stream in streams if not stream.encryption}
        texts = sidecars.texts
        has_text = "subtitle" in kinds  # pictures, too: that they are not shown is a problem
        has_chapters = bool(video.metadata and video.metadata.chapters)

        def name(kind: ArtefactKind, *parts: str) -> str:
            return artefact_name(kind, video.path, video.revision, *parts)

        silent = silent_sounds(video.metadata) if video.metadata else ()

        return cls(
            video,
            sidecars,
            poster=name(ArtefactKind.POSTER, *_picture_parts(sidecars, kinds))
            if sidecars.image or sidecars.still or kinds & {"video", "attachment"}
            else None,
            captions=name(ArtefactKind.CAPTIONS, *_parts(*texts))
            if texts or has_text or has_chapters
            else None,
            storyboard=name(ArtefactKind.STORYBOARD) if "video" in kinds else None,
            remux=name(ArtefactKind.REMUX)
            if video.metadata and may_be_remuxed(video.path, video.metadata)
            else None,
            fragments=name(ArtefactKind.FRAGMENTS)
            if video.metadata and _has_long_index(video.metadata)
            else None,
            sound=name(ArtefactKind.SOUND)
            if video.metadata and lacks_sound(video.metadata)
            else None,
            copied=name(ArtefactKind.COPIED)
            if video.metadata and may_be_copied(video.metadata)
            else None,
            sounds={number: sound_name(video.path, video.revision, number) for number in silent},
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


def _picture_parts(sidecars: Sidecars, kinds: set[str]) -> list[str]:
    """Return what distinguishes the pictures of a video, apart from the video.

    A frame alone has no part: it is the same as before there were stills.
    """
    pictures = {"poster": sidecars.image, "still": sidecars.still}
    parts = [[role, *_parts(entry)] for role, entry in pictures.items() if entry]
    if not parts and "attachment" in kinds:
        return ["cover"]
    return [part for some in parts for part in some]
