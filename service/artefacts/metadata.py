"""What is derived from a video, by kinds, and what is kept of it beside the bytes.
Law: values only; they are stored as JSON, and read back or made again."""

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Literal

from service.artefact_store.keys import artefact_name
from service.images.models import StoryboardGrid
from service.models import Chapter, FrozenModel, Track, Video
from service.sidecars import NO_SIDECARS, Sidecars
from service.storage.base import Entry

# FFmpeg's names of subtitles that are text; others are pictures.
TEXT_CODECS = frozenset({"mov_text", "subrip", "webvtt", "ass", "ssa", "text"})


class ArtefactKind(StrEnum):
    """What can be derived, in the order in which it is made."""

    POSTER = "poster"
    CAPTIONS = "captions"
    STORYBOARD = "storyboard"


class ArtefactState(StrEnum):
    """How far that has come."""

    NONE = "none"  # there is nothing of the kind to be had from this video
    WAITING = "waiting"
    READY = "ready"
    FAILED = "failed"


class BuildFailure(FrozenModel):
    """Why it cannot be made."""

    problem: str
    """A sentence for the reader."""
    decoder: str
    """The decoders' version: another one may do better."""


class PosterMetadata(FrozenModel):
    """Of a poster. Its pictures are the bytes of the same numbers."""

    source: Literal["frame", "cover", "sidecar"]
    sizes: tuple[tuple[int, int], ...]
    """Width and height in pixels, the narrowest first."""


class StoryboardMetadata(FrozenModel):
    """Of a storyboard. Its sheets are the bytes."""

    layout: StoryboardGrid
    sheets: int


class CaptionsMetadata(FrozenModel):
    """Of captions. The tracks' texts, as WebVTT, are the bytes of the same numbers."""

    tracks: tuple[Track, ...]
    chapters: tuple[Chapter, ...] = ()
    problems: tuple[str, ...] = ()
    """Sentences: which text is not shown, and why."""


ArtefactMetadata = PosterMetadata | StoryboardMetadata | CaptionsMetadata | BuildFailure | None
"""None: there is nothing of the kind to be had from this video."""

_MODELS: dict[
    ArtefactKind, type[PosterMetadata] | type[StoryboardMetadata] | type[CaptionsMetadata]
] = {
    ArtefactKind.POSTER: PosterMetadata,
    ArtefactKind.STORYBOARD: StoryboardMetadata,
    ArtefactKind.CAPTIONS: CaptionsMetadata,
}


def dump_metadata(metadata: ArtefactMetadata) -> bytes:
    """Give what `read_facts` reads."""
    return b"null" if metadata is None else metadata.model_dump_json().encode()


def load_metadata(kind: ArtefactKind, data: bytes) -> ArtefactMetadata:
    """Read what was kept. Raises ValueError for what is not of this kind, or of this release."""
    if data == b"null":
        return None
    try:
        return _MODELS[kind].model_validate_json(data)
    except ValueError:
        return BuildFailure.model_validate_json(data)


def blob_count(metadata: ArtefactMetadata) -> int:
    """Give how many pieces of bytes are kept with them. Raises ValueError for a problem."""
    match metadata:
        case PosterMetadata():
            return len(metadata.sizes)
        case CaptionsMetadata():
            return len(metadata.tracks)
        case StoryboardMetadata():
            return metadata.sheets
        case BuildFailure():
            raise ValueError("a problem is no facts")
    return 0


@dataclass(frozen=True, slots=True)
class ArtefactStatus:
    """How far one kind of thing has come for one video."""

    state: ArtefactState
    problem: str | None = None
    metadata: PosterMetadata | CaptionsMetadata | None = None
    """What pages tell of it. Of a storyboard they do not: 10,000 of them would take 40 MB."""
    sheets: int = 0
    """Of a storyboard."""

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Of a poster's pictures: width and height in pixels, the narrowest first."""
        return self.metadata.sizes if isinstance(self.metadata, PosterMetadata) else ()

    @property
    def tracks(self) -> tuple[Track, ...]:
        return self.metadata.tracks if isinstance(self.metadata, CaptionsMetadata) else ()

    @property
    def problems(self) -> tuple[str, ...]:
        """Which texts are not shown, and why."""
        return self.metadata.problems if isinstance(self.metadata, CaptionsMetadata) else ()

    @property
    def chapters(self) -> tuple[Chapter, ...]:
        return self.metadata.chapters if isinstance(self.metadata, CaptionsMetadata) else ()


NONE, WAITING = ArtefactStatus(ArtefactState.NONE), ArtefactStatus(ArtefactState.WAITING)


@lru_cache(maxsize=1024)
def status_of(metadata: ArtefactMetadata) -> ArtefactStatus:
    """Say how far it has come where these are the facts: one object for all that are equal."""
    match metadata:
        case None:
            return NONE
        case BuildFailure():
            return ArtefactStatus(ArtefactState.FAILED, problem=metadata.problem)
        case StoryboardMetadata():
            return ArtefactStatus(ArtefactState.READY, sheets=metadata.sheets)
        case _:
            return ArtefactStatus(ArtefactState.READY, metadata=metadata)


@dataclass(frozen=True, slots=True)
class ArtefactSource:
    """A video that things are derived from, and what each is kept under; None: not to be had."""

    video: Video
    sidecars: Sidecars
    poster: str | None
    captions: str | None
    storyboard: str | None

    @classmethod
    def of(cls, video: Video, sidecars: Sidecars = NO_SIDECARS) -> "ArtefactSource":
        """Tell what there is to be derived from a video, as far as it is known."""
        streams = video.metadata.streams if video.metadata else ()
        kinds = {stream.kind for stream in streams}
        image, texts = sidecars.image, sidecars.texts
        has_text = any(stream.codec in TEXT_CODECS for stream in streams)
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
        )

    def name(self, kind: ArtefactKind) -> str | None:
        """Give what something is kept under; None: it is not to be had."""
        name: str | None = getattr(self, kind)
        return name
