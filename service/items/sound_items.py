"""The JSON of the sounds among which viewers choose, and of the forms of a film in fragments."""

from service.artefacts.packed_fragments import FragmentsMetadata
from service.items import links
from service.items.video_models import FragmentsItem, SoundChoiceItem
from service.models import Video
from service.protocol.revisions import remuxed_revision
from service.served.sounds import Sound


def sound_choice_item(video: Video, sound: Sound) -> SoundChoiceItem:
    """Return a sound of a video."""
    stream = sound.stream
    url, seekable_url = (
        None if revision is None else links.media_revision(video.path, revision)
        for revision in (sound.revision, sound.seekable)
    )
    return SoundChoiceItem(
        number=sound.number,
        stream=stream.index,
        language=stream.language_tag,
        label=stream.label or f"Sound {sound.number}",
        default=sound.is_default,
        state=sound.state,
        problem=sound.problem,
        progress=sound.progress,
        url=url,
        fragments=fragments_item(video, sound.fragments),
        seekable_url=seekable_url,
    )


def fragments_item(video: Video, fragments: FragmentsMetadata | None) -> FragmentsItem | None:
    """Return a form of a film in fragments; None if there is none, or its codecs are unknown."""
    if fragments is None or not fragments.codecs:
        return None
    revision = remuxed_revision(video.revision, fragments.layout)
    return FragmentsItem(
        url=links.media_revision(video.path, revision),
        head=fragments.head,
        type=f'video/mp4; codecs="{", ".join(fragments.codecs)}"',
    )
