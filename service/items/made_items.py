"""What is said of the MP4s that are made of a file: in the JSON, and to findings."""

from service.artefacts.metadata import CopyMetadata, RemuxMetadata, SoundMetadata
from service.artefacts.status import ArtefactState, ArtefactStatus
from service.browsers.served import as_mp4
from service.items.video_models import CopyItem, RemuxItem
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
    made = status.remux
    return CopyItem(
        **dict(remux_item(status)),
        progress=status.progress,
        transcoded=made.transcoded if isinstance(made, CopyMetadata) else (),
    )


def remux_item(status: ArtefactStatus) -> RemuxItem:
    """Return what the JSON says of an MP4 that is made of a file."""
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
