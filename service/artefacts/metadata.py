"""The kinds of artefacts, their stored metadata, and their sources."""

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Literal

from service.artefact_store.keys import LARGE_KINDS
from service.artefacts.packed_fragments import FragmentsMetadata
from service.images.models import StoryboardGrid
from service.models import Chapter, FrozenModel, Track


class ArtefactKind(StrEnum):
    """The kinds of artefacts, in the order in which they are built."""

    POSTER = "poster"
    REMUX = "remux"
    CAPTIONS = "captions"
    STORYBOARD = "storyboard"
    SOUND = "sound"
    COPIED = "copied"


LARGE = frozenset(kind for kind in ArtefactKind if kind in LARGE_KINDS)
SMALL = frozenset(ArtefactKind) - LARGE


class ArtefactState(StrEnum):
    """The progress of building an artefact."""

    NONE = "none"  # the video cannot have this kind of artefact
    POSSIBLE = "possible"  # it is made when a viewer asks for it
    WAITING = "waiting"
    READY = "ready"
    FAILED = "failed"


class BuildFailure(FrozenModel):
    """The reason why an artefact cannot be built."""

    problem: str
    """A sentence for people."""
    decoder: str
    """The version of the decoders; another one may succeed."""


class PosterMetadata(FrozenModel):
    """The metadata of a poster. Its images are the blobs, in the same order."""

    source: Literal["frame", "cover", "sidecar"]
    sizes: tuple[tuple[int, int], ...]
    """Width and height in pixels, the narrowest first."""
    problems: tuple[str, ...] = ()
    """Sentences that say why other images are not the poster."""


class StoryboardMetadata(FrozenModel):
    """The metadata of a storyboard. Its sheets are the blobs."""

    layout: StoryboardGrid
    sheets: int


class CaptionsMetadata(FrozenModel):
    """The metadata of captions. The tracks as WebVTT are the blobs, in the same order."""

    tracks: tuple[Track, ...]
    chapters: tuple[Chapter, ...] = ()
    problems: tuple[str, ...] = ()
    """Sentences that say which text is not shown or may be wrong, and why."""


class RemuxMetadata(FrozenModel):
    """The metadata of a header that makes a Matroska file an MP4. The header is the first blob.

    Of the fragmented form, if there is one, the blobs are what precedes the file, the interleaving,
    and the headers, compressed.
    """

    declined: str | None = None
    """Why there is none, from the verb of a sentence about the file on."""
    layout: str = ""
    """The name of the layout, as in a revision."""
    size: int = 0
    """Bytes of the header."""
    content_type: str = ""
    """Without parameters."""
    codecs: tuple[str, ...] = ()
    """RFC 6381 codecs parameters of the first picture and sound; empty if one is unknown."""
    streams: tuple[int, ...] = ()
    """The indexes of the file's streams that the MP4 has, in its order."""
    fragments: FragmentsMetadata | None = None
    """None if there is no fragmented form."""


class CopyMetadata(RemuxMetadata):
    """The metadata of an MP4 into which the frames of a file were copied.

    Its header is the blob, and its media data are the large file.
    """

    media: int = 0
    """Bytes of the large file."""
    transcoded: tuple[int, ...] = ()
    """Which of its tracks are transcoded, by number: their sound is AAC."""
    damaged: int = 0
    """Packets of sound that could not be decoded, and are silent."""
    jumps: int = 0
    """How often the clock of the file jumps, which the MP4's does not."""


class SoundMetadata(RemuxMetadata):
    """The metadata of an MP4 with sound that was made for it.

    Its header and its interleaving are the blobs, and the sound is the large file. The second
    stream is what the sound was made of.
    """

    digest: str = ""
    """Of the sound, in hexadecimal digits."""
    damaged: int = 0
    """How many packets of sound could not be decoded."""


ArtefactMetadata = (
    PosterMetadata | RemuxMetadata | StoryboardMetadata | CaptionsMetadata | BuildFailure | None
)
"""None: the video cannot have this kind of artefact."""

_MODELS: dict[
    ArtefactKind,
    type[PosterMetadata]
    | type[RemuxMetadata]
    | type[StoryboardMetadata]
    | type[CaptionsMetadata]
    | type[CopyMetadata]
    | type[SoundMetadata],
] = {
    ArtefactKind.SOUND: SoundMetadata,
    ArtefactKind.COPIED: CopyMetadata,
    ArtefactKind.REMUX: RemuxMetadata,
    ArtefactKind.POSTER: PosterMetadata,
    ArtefactKind.STORYBOARD: StoryboardMetadata,
    ArtefactKind.CAPTIONS: CaptionsMetadata,
}


def dump_metadata(metadata: ArtefactMetadata) -> bytes:
    """Return the bytes that `load_metadata` reads."""
    return b"null" if metadata is None else metadata.model_dump_json().encode()


def load_metadata(kind: ArtefactKind, data: bytes) -> ArtefactMetadata:
    """Parse stored metadata. Raises ValueError if they are of another kind or release."""
    if data == b"null":
        return None
    try:
        return _MODELS[kind].model_validate_json(data)
    except ValueError:
        return BuildFailure.model_validate_json(data)


def blob_count(metadata: ArtefactMetadata) -> int:
    """Return the number of blobs. Raises ValueError for a failure, which has none."""
    match metadata:
        case PosterMetadata():
            return len(metadata.sizes)
        case SoundMetadata():
            return 0 if metadata.declined else 2
        case RemuxMetadata():
            if metadata.declined:
                return 0
            return 4 if metadata.fragments else 1
        case CaptionsMetadata():
            return len(metadata.tracks)
        case StoryboardMetadata():
            return metadata.sheets
        case BuildFailure():
            raise ValueError("a failure has no blobs")
    return 0


def problems_of(metadata: ArtefactMetadata) -> tuple[str, ...]:
    """Return sentences that say what could not be derived, and why."""
    match metadata:
        case BuildFailure():
            return (metadata.problem,)
        case RemuxMetadata(declined=str(reason)):
            return (f"The file {reason}.",)
        case SoundMetadata(damaged=int(count)) if count:
            return (f"Parts of its sound are damaged: {count} packets are silent.",)
        case PosterMetadata() | CaptionsMetadata():
            return metadata.problems
    return ()


@dataclass(frozen=True, slots=True)
class ArtefactStatus:
    """The progress of one artefact of one video."""

    state: ArtefactState
    problem: str | None = None
    metadata: PosterMetadata | CaptionsMetadata | RemuxMetadata | None = None
    """Not of a storyboard: 10,000 of them would take 40 MB."""
    sheets: int = 0
    """Of a storyboard."""
    progress: float | None = None
    """Of a large file that is being made here: from 0 to 1."""

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Of a poster's pictures: width and height in pixels, the narrowest first."""
        return self.metadata.sizes if isinstance(self.metadata, PosterMetadata) else ()

    @property
    def tracks(self) -> tuple[Track, ...]:
        return self.metadata.tracks if isinstance(self.metadata, CaptionsMetadata) else ()

    @property
    def problems(self) -> tuple[str, ...]:
        """What is left out, not shown or may be wrong, and why."""
        has_problems = isinstance(self.metadata, PosterMetadata | CaptionsMetadata | SoundMetadata)
        return problems_of(self.metadata) if has_problems else ()

    @property
    def remux(self) -> RemuxMetadata | None:
        """Of a header: what it is of, or why there is none."""
        return self.metadata if isinstance(self.metadata, RemuxMetadata) else None

    @property
    def chapters(self) -> tuple[Chapter, ...]:
        return self.metadata.chapters if isinstance(self.metadata, CaptionsMetadata) else ()


NONE, WAITING = ArtefactStatus(ArtefactState.NONE), ArtefactStatus(ArtefactState.WAITING)
POSSIBLE = ArtefactStatus(ArtefactState.POSSIBLE)


@lru_cache(maxsize=1024)
def status_of(metadata: ArtefactMetadata) -> ArtefactStatus:
    """Return the status of an artefact with these metadata; the same object for equal ones."""
    match metadata:
        case None:
            return NONE
        case BuildFailure():
            return ArtefactStatus(ArtefactState.FAILED, problem=metadata.problem)
        case StoryboardMetadata():
            return ArtefactStatus(ArtefactState.READY, sheets=metadata.sheets)
        case RemuxMetadata(declined=str()):
            return ArtefactStatus(ArtefactState.NONE, metadata=metadata)
        case _:
            return ArtefactStatus(ArtefactState.READY, metadata=metadata)
