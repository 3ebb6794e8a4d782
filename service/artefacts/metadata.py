"""The kinds of artefacts, and their stored metadata."""

from enum import StrEnum
from typing import Literal

from service.artefact_store.keys import LARGE_KINDS
from service.artefacts.packed_fragments import BLOBS, FragmentsMetadata
from service.images.models import StoryboardGrid
from service.models import Chapter, Track
from service.records.frozen_model import FrozenModel


class ArtefactKind(StrEnum):
    """The kinds of artefacts, in the order in which they are built."""

    POSTER = "poster"
    REMUX = "remux"
    FRAGMENTS = "fragments"
    CAPTIONS = "captions"
    STORYBOARD = "storyboard"
    SOUND = "sound"
    COPIED = "copied"


LARGE = frozenset(kind for kind in ArtefactKind if kind in LARGE_KINDS)
SMALL = frozenset(ArtefactKind) - LARGE


class BuildFailure(FrozenModel):
    """The reason why an artefact cannot be built."""

    problem: str
    """A sentence for people."""
    decoder: str
    """The version of the decoders; another one may succeed."""


class PosterMetadata(FrozenModel):
    """The metadata of a poster. The blobs are its images, then those of the still."""

    source: Literal["frame", "cover", "sidecar"]
    sizes: tuple[tuple[int, int], ...]
    """Width and height in pixels, the narrowest first."""
    still: tuple[tuple[int, int], ...] | None = None
    """The sizes of the still; None if the poster is also the still."""
    problems: tuple[str, ...] = ()
    """Sentences that say why other images are not shown."""


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
    """The metadata of a header that makes a Matroska file an MP4, or mends the open GOPs of an MP4.
    The header is the first blob. If gaps of the sound are filled, or an MP4 is mended, the
    interleaving and what is inserted come next.

    Of the fragmented form, if there is one, the blobs are what precedes the file, the interleaving,
    and the headers, compressed. If there is a form for decoders that cannot begin at the key frames
    of open GOPs, the last three blobs are its header, its interleaving and what it inserts.
    """

    declined: str | None = None
    """Why there is none: the end of a sentence that begins with "The file"."""
    layout: str = ""
    """The name of the layout, as in a revision."""
    size: int = 0
    """Bytes of the header."""
    content_type: str = "video/mp4"
    """Without parameters."""
    codecs: tuple[str, ...] = ()
    """RFC 6381 codecs parameters of the first picture and sound; empty if one is unknown."""
    streams: tuple[int, ...] = ()
    """The indexes of the file's streams that the MP4 has, in its order."""
    fragments: FragmentsMetadata | None = None
    """None if there is no fragmented form."""
    other_fragments: tuple[FragmentsMetadata, ...] = ()
    """The fragmented forms with the MP4's other sounds."""
    has_silence: bool = False
    """Whether silence is inserted into gaps of the sound (service/remux/silence.py), or new starts
    of pictures into an MP4 (service/fragments/mended_mp4.py)."""
    seekable: str | None = None
    """The layout for decoders that cannot begin at the key frames of open GOPs
    (service/remux/open_gops.py); None if there is none."""

    @property
    def first_blobs(self) -> int:
        """How many blobs a header has: itself, and the silence."""
        return 3 if self.has_silence else 1

    @property
    def all_fragments(self) -> tuple[FragmentsMetadata, ...]:
        """The fragmented forms, in the order of their blobs."""
        return (self.fragments, *self.other_fragments) if self.fragments else ()


class FragmentedMetadata(FrozenModel):
    """The metadata of the fragmented forms of an MP4, whose blobs are those of the forms."""

    declined: str | None = None
    """Why there are none: the end of a sentence that begins with "The file"."""
    forms: tuple[FragmentsMetadata, ...] = ()


class CopyMetadata(RemuxMetadata):
    """The metadata of an MP4 into which the frames of a file were copied.

    Its header is the first blob, and its media data are the large file. The fragmented forms are of
    the media data.
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

    Its header and its interleaving are the first blobs, and the sound is the large file. The second
    stream is what the sound was made of. The fragmented form is of the file with the sound.
    """

    digest: str = ""
    """Of the sound, in hexadecimal digits."""
    damaged: int = 0
    """How many packets of sound could not be decoded."""


ArtefactMetadata = (
    PosterMetadata
    | RemuxMetadata
    | FragmentedMetadata
    | StoryboardMetadata
    | CaptionsMetadata
    | BuildFailure
    | None
)
"""None: the video cannot have this kind of artefact."""

_MODELS: dict[
    ArtefactKind,
    type[PosterMetadata]
    | type[RemuxMetadata]
    | type[FragmentedMetadata]
    | type[StoryboardMetadata]
    | type[CaptionsMetadata],
] = {
    ArtefactKind.SOUND: SoundMetadata,
    ArtefactKind.COPIED: CopyMetadata,
    ArtefactKind.REMUX: RemuxMetadata,
    ArtefactKind.FRAGMENTS: FragmentedMetadata,
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
            return len(metadata.sizes) + len(metadata.still or ())
        case SoundMetadata():
            return 0 if metadata.declined else 2 + BLOBS * len(metadata.all_fragments)
        case RemuxMetadata():
            if metadata.declined:
                return 0
            forms = BLOBS * len(metadata.all_fragments) + (3 if metadata.seekable else 0)
            return metadata.first_blobs + forms
        case FragmentedMetadata():
            return BLOBS * len(metadata.forms)
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
        case RemuxMetadata(declined=str(reason)) | FragmentedMetadata(declined=str(reason)):
            return (f"The file {reason}.",)
        case SoundMetadata(damaged=int(count)) if count:
            return (f"Parts of its sound are damaged: {count} packets are silent.",)
        case PosterMetadata() | CaptionsMetadata():
            return metadata.problems
    return ()
