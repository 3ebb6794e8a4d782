"""What is said of the MP4s that are made of a file: in the JSON, and to findings."""

from typing import Any, TypeVar

from service.artefacts.metadata import CopyMetadata, RemuxMetadata, SoundMetadata
from service.artefacts.status import ArtefactState, ArtefactStatus
from service.browsers.served import as_mp4
from service.items.video_models import (
    ArtefactStatusItem,
    CaptionsItem,
    CopyItem,
    PosterItem,
    RemuxItem,
    SoundItem,
    StoryboardItem,
)
from service.models import Metadata
from service.playability.made_findings import MadeCopy, MadeSound


def mp4_metadata(metadata: Metadata | None, made: RemuxMetadata | None) -> Metadata | None:
    """Return the metadata of the MP4 that was made of a file; None if none was."""
    if metadata is None or made is None:
        return None
    has_sound = isinstance(made, SoundMetadata) or (
        isinstance(made, CopyMetadata) and made.transcoded[:1] == (1,)
    )
    # Into an MP4 only new starts of pictures are inserted.
    is_mended = isinstance(made, (SoundMetadata, CopyMetadata)) or made.has_silence
    return as_mp4(
        metadata, made.streams, made.codecs, has_made_sound=has_sound, is_mended=is_mended
    )


def made_sound(status: ArtefactStatus) -> MadeSound | None:
    """Return what findings need to know of the sound that is made; None if none is."""
    made = status.remux
    if isinstance(made, SoundMetadata):
        problem = f"No other can be made: the file {made.declined}." if made.declined else None
        return MadeSound(problem, made.damaged)
    if status.state is ArtefactState.NONE:
        return None
    return MadeSound(f"No other was made: {status.problem}" if status.problem else None)


def made_copy(status: ArtefactStatus) -> MadeCopy:
    """Return what findings need to know of the copy of a film."""
    made = status.remux
    return MadeCopy(
        is_possible=status.state in {ArtefactState.POSSIBLE, ArtefactState.WAITING},
        declined=made.declined if made else None,
        jumps=made.jumps if isinstance(made, CopyMetadata) else 0,
        damaged=made.damaged if isinstance(made, CopyMetadata) else 0,
    )


def copy_item(status: ArtefactStatus) -> CopyItem:
    """Return what the JSON says of the copy of a film."""
    if (plain := plain_item(CopyItem, status)) is not None:
        return plain
    made = status.remux
    return CopyItem(
        **dict(remux_item(status)),
        progress=status.progress,
        transcoded=made.transcoded if isinstance(made, CopyMetadata) else (),
    )


def sound_item(status: ArtefactStatus) -> SoundItem:
    """Return what the JSON says of the sound that is made for a film."""
    if (plain := plain_item(SoundItem, status)) is not None:
        return plain
    return SoundItem(**dict(remux_item(status)), progress=status.progress)


def remux_item(status: ArtefactStatus) -> RemuxItem:
    """Return what the JSON says of an MP4 that is made of a file."""
    if (plain := plain_item(RemuxItem, status)) is not None:
        return plain
    made = status.remux
    if made is None:
        return RemuxItem(state=status.state, problem=status.problem)
    declined = f"The file {made.declined}." if made.declined else None
    return RemuxItem(
        state=status.state,
        problems=status.problems,
        declined=declined,
        codecs=made.codecs,
        streams=made.streams,
    )


_Item = TypeVar("_Item", bound=ArtefactStatusItem)

_PLAIN: dict[tuple[type[ArtefactStatusItem], ArtefactState], Any] = {
    (model, state): model(state=state)
    for model in (PosterItem, StoryboardItem, CaptionsItem, RemuxItem, SoundItem, CopyItem)
    for state in ArtefactState
}
"""The items that have only a state: nearly all, and to make one takes microseconds."""


def plain_item(model: type[_Item], status: ArtefactStatus) -> _Item | None:
    """Return the item of a status that has only a state; None if there is more to say."""
    item: _Item | None = _PLAIN[model, status.state] if status.has_only_state else None
    return item
