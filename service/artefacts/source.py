"""Which artefacts a video can have, and their names in the store."""

from dataclasses import dataclass

from service.artefact_store.keys import artefact_name
from service.artefacts.metadata import ArtefactKind
from service.models import Video
from service.playability.browser_support import lacks_sound, may_be_copied, may_be_remuxed
from service.sidecars import NO_SIDECARS, Sidecars
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
    sound: str | None = None
    copied: str | None = None

    @classmethod
    def of(cls, video: Video, sidecars: Sidecars = NO_SIDECARS) -> "ArtefactSource":
        """Return which artefacts a video can have, as far as it has been probed."""
        streams = video.metadata.streams if video.metadata else ()
        # Pictures of ciphertext would be noise.
        kinds = {stream.kind for stream in streams if not stream.encryption}
        image, texts = sidecars.image, sidecars.texts
        has_text = "subtitle" in kinds  # pictures, too: that they are not shown is a problem
        has_chapters = bool(video.metadata and video.metadata.chapters)

        def name(kind: ArtefactKind, *with_: Entry) -> str:
            parts = (part for entry in with_ for part in (entry.path, entry.revision))
            return artefact_name(kind, video.path, video.revision, *parts)

        return cls(
            video,
            sidecars,
            poster=name(ArtefactKind.POSTER, *([image] if image else []))
            if image or kinds & {"video", "attachment"}
            else None,
            captions=name(ArtefactKind.CAPTIONS, *texts)
            if texts or has_text or has_chapters
            else None,
            storyboard=name(ArtefactKind.STORYBOARD) if "video" in kinds else None,
            remux=name(ArtefactKind.REMUX)
            if video.metadata and may_be_remuxed(video.path, video.metadata)
            else None,
            sound=name(ArtefactKind.SOUND)
            if video.metadata and lacks_sound(video.metadata)
            else None,
            copied=name(ArtefactKind.COPIED)
            if video.metadata and may_be_copied(video.metadata)
            else None,
        )

    def name(self, kind: ArtefactKind) -> str | None:
        """Return the name of an artefact; None if the video cannot have this kind."""
        name: str | None = getattr(self, kind)
        return name
