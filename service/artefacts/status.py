"""The progress of artefacts."""

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from service.artefacts.metadata import (
    ArtefactMetadata,
    BuildFailure,
    CaptionsMetadata,
    FragmentedMetadata,
    PosterMetadata,
    RemuxMetadata,
    SoundMetadata,
    StoryboardMetadata,
    problems_of,
)
from service.artefacts.packed_fragments import FragmentsMetadata
from service.models import Chapter, Track


class ArtefactState(StrEnum):
    """The progress of building an artefact."""

    NONE = "none"  # the video cannot have this kind of artefact
    POSSIBLE = "possible"  # it is made when a viewer asks for it
    WAITING = "waiting"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ArtefactStatus:
    """The progress of one artefact of one video."""

    state: ArtefactState
    problem: str | None = None
    metadata: PosterMetadata | CaptionsMetadata | RemuxMetadata | FragmentedMetadata | None = None
    """Not of a storyboard: 10,000 of them would take 40 MB."""
    sheets: int = 0
    """Of a storyboard."""
    progress: float | None = None
    """Of a large file that is being made here: from 0 to 1."""

    @property
    def has_only_state(self) -> bool:
        """Whether there is nothing else to say of it."""
        return self.metadata is None and self.problem is None and self.progress is None

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Of a poster's pictures: width and height in pixels, the narrowest first."""
        return self.metadata.sizes if isinstance(self.metadata, PosterMetadata) else ()

    @property
    def still_sizes(self) -> tuple[tuple[int, int], ...] | None:
        """Of a still's pictures, as `sizes`; None if the poster is also the still."""
        return self.metadata.still if isinstance(self.metadata, PosterMetadata) else None

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
        """Of a header: its metadata, or why there is none."""
        return self.metadata if isinstance(self.metadata, RemuxMetadata) else None

    @property
    def forms(self) -> tuple[FragmentsMetadata, ...]:
        """Of a header or of fragments: the fragmented forms."""
        match self.metadata:
            case RemuxMetadata():
                return self.metadata.all_fragments
            case FragmentedMetadata():
                return self.metadata.forms
        return ()

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
        case RemuxMetadata(declined=str()) | FragmentedMetadata(declined=str()):
            return ArtefactStatus(ArtefactState.NONE, metadata=metadata)
        case _:
            return ArtefactStatus(ArtefactState.READY, metadata=metadata)
