"""Builds the items of videos for the JSON and the pages, and caches them."""

from collections.abc import Iterable
from itertools import product
from typing import NamedTuple

from service.api import links
from service.api.representations import copy_status, made_for, representation
from service.api.video_models import (
    CaptionsItem,
    CopyItem,
    FragmentsItem,
    Picture,
    PosterItem,
    RemuxItem,
    SoundItem,
    StoryboardItem,
    TrackItem,
    VideoItem,
)
from service.artefact_store.sized_lru_cache import SizedLRUCache
from service.artefacts.metadata import (
    ArtefactKind,
    ArtefactState,
    ArtefactStatus,
    CopyMetadata,
    RemuxMetadata,
    SoundMetadata,
)
from service.artefacts.scheduler import ArtefactScheduler
from service.models import Finding, Metadata, Video
from service.playability.findings import findings
from service.playability.made_findings import MadeCopy, MadeSound, with_copy, with_sound
from service.playability.served import as_mp4

# In which order a page with a player needs the artefacts.
_PLAYER_ORDER = (
    ArtefactKind.REMUX,
    ArtefactKind.POSTER,
    ArtefactKind.CAPTIONS,
    ArtefactKind.STORYBOARD,
    ArtefactKind.SOUND,
)

_MADE_WHEN_OPENED = (ArtefactKind.SOUND, ArtefactState.POSSIBLE)

# Bytes of cached items, by their JSON; most have about 5 KB.
_MAX_CACHED_BYTES = 8 * 1024**2

# Maximum bytes of JSON of an item without its parts, and of a chapter and another part without
# their texts.
_ITEM_BYTES, _CHAPTER_BYTES, _PART_BYTES = 2000, 80, 400


class _Inputs(NamedTuple):
    """The values that an item is built from."""

    video: Video
    poster: ArtefactStatus
    remux: ArtefactStatus
    captions: ArtefactStatus
    storyboard: ArtefactStatus
    sound: ArtefactStatus
    copied: ArtefactStatus

    def same_as(self, other: "_Inputs") -> bool:
        """Return whether all values are the same objects: then the item need not be rebuilt."""
        return all(one is another for one, another in zip(self, other, strict=True))


class VideoItems:
    """Builds and caches the items of videos: an item is the same object until its video changes."""

    def __init__(self, scheduler: ArtefactScheduler, block: int) -> None:
        """`block` is the block size in bytes."""
        self._scheduler = scheduler
        self._block = block
        self._cache: SizedLRUCache[str, tuple[_Inputs, VideoItem, int]] = SizedLRUCache(
            _MAX_CACHED_BYTES
        )

    def get(self, video: Video) -> VideoItem:
        """Return a video with its artefacts, findings and links."""
        return self.get_with_size(video)[0]

    def get_with_size(self, video: Video) -> tuple[VideoItem, int]:
        """Return a video's item and an upper estimate of its JSON in bytes."""
        inputs = _Inputs(
            video, *(self._scheduler.status(video.path, kind) for kind in ArtefactKind)
        )
        cached_inputs, item, size = self._cache.get(video.path) or (None, None, 0)
        if item is None or cached_inputs is None or not cached_inputs.same_as(inputs):
            item = self._build(video)
            size = _estimate_size(item)
            self._cache.put(video.path, (inputs, item, size), size)
        return item, size

    def prioritise(
        self, paths: Iterable[str], kinds: Iterable[ArtefactKind] = _PLAYER_ORDER
    ) -> None:
        """Have the missing artefacts of what a viewer looks at built first, in this order."""
        for path, kind in reversed(list(product(paths, kinds))):
            state = self._scheduler.status(path, kind).state
            if state is ArtefactState.WAITING or (kind, state) == _MADE_WHEN_OPENED:
                self._scheduler.request(path, kind)

    def progress(self) -> dict[str, tuple[int, int]]:
        """Return for each unfinished kind how many artefacts are built, and how many in all."""
        counts = {kind.value: self._scheduler.progress(kind) for kind in ArtefactKind}
        return {kind: (done, total) for kind, (done, total) in counts.items() if done < total}

    def _build(self, video: Video) -> VideoItem:
        captions = self._captions(video.path)
        in_file = video.metadata.chapters if video.metadata else ()
        remux = self._scheduler.status(video.path, ArtefactKind.REMUX)
        sound = self._scheduler.status(video.path, ArtefactKind.SOUND)
        copied = copy_status(self._scheduler, video)
        made = made_for(self._scheduler, video)
        return VideoItem(
            **dict(video),
            watch_url=links.watch(video.path),
            media_url=links.media(video, made.layout if made else None),
            media_type=made.content_type if made else video.content_type,
            representation=representation(video, made),
            fragments=_fragments(video, made),
            download_url=links.download(video.path, video.revision),
            poster=self._poster(video.path),
            storyboard=self._storyboard(video.path),
            captions=captions,
            remux=_remux_item(remux),
            sound=SoundItem(**dict(_remux_item(sound)), progress=sound.progress),
            copied=_copy_item(copied),
            chapters=self._scheduler.status(video.path, ArtefactKind.CAPTIONS).chapters or in_file,
            findings=self._findings(video, made, (remux, sound, copied)),
        )

    def _findings(
        self,
        video: Video,
        made: RemuxMetadata | None,
        statuses: tuple[ArtefactStatus, ArtefactStatus, ArtefactStatus],
    ) -> tuple[Finding, ...]:
        """Return the findings. `statuses` are of the header, the sound and the copy."""
        remux, sound, copied = statuses
        found = findings(
            video.path,
            video.metadata or video.problem,
            self._block,
            mp4=_mp4(video.metadata, made),
            declined=remux.remux.declined if remux.remux and not made else None,
        )
        of_sound = None if isinstance(made, CopyMetadata) else _made_sound(sound)
        found = found if of_sound is None else with_sound(found, of_sound)
        return with_copy(found, _made_copy(copied))

    def _poster(self, path: str) -> PosterItem:
        artefact = self._scheduler.status(path, ArtefactKind.POSTER)
        version = self._version(path, ArtefactKind.POSTER)
        pictures = tuple(
            Picture(url=links.poster(path, version, width), width=width, height=height)
            for width, height in artefact.sizes
        )
        return PosterItem(
            state=artefact.state,
            problem=artefact.problem,
            problems=artefact.problems,
            pictures=pictures,
        )

    def _storyboard(self, path: str) -> StoryboardItem:
        artefact = self._scheduler.status(path, ArtefactKind.STORYBOARD)
        url = None
        if artefact.state is ArtefactState.READY:
            url = links.storyboard(path, self._version(path, ArtefactKind.STORYBOARD))
        return StoryboardItem(state=artefact.state, problem=artefact.problem, url=url)

    def _captions(self, path: str) -> CaptionsItem:
        artefact = self._scheduler.status(path, ArtefactKind.CAPTIONS)
        version = self._version(path, ArtefactKind.CAPTIONS)
        tracks = tuple(
            TrackItem(**dict(track), url=links.captions(path, track.name, version))
            for track in artefact.tracks
        )
        return CaptionsItem(
            state=artefact.state,
            problem=artefact.problem,
            problems=artefact.problems,
            tracks=tracks,
        )

    def _version(self, path: str, kind: ArtefactKind) -> str:
        source = self._scheduler.source(path)
        return (source and source.name(kind)) or ""


def _mp4(metadata: Metadata | None, made: RemuxMetadata | None) -> Metadata | None:
    """Return the metadata of the MP4 that was made of a file; None if none was."""
    if metadata is None or made is None:
        return None
    has_sound = isinstance(made, SoundMetadata) or (
        isinstance(made, CopyMetadata) and made.transcoded[:1] == (1,)
    )
    return as_mp4(metadata, made.streams, made.codecs, has_made_sound=has_sound)


def _made_sound(status: ArtefactStatus) -> MadeSound | None:
    """Return what findings need to know of the sound that is made; None if none is."""
    made = status.remux
    if isinstance(made, SoundMetadata):
        problem = f"No other can be made: the file {made.declined}." if made.declined else None
        return MadeSound(problem, made.damaged)
    if status.state is ArtefactState.NONE:
        return None
    return MadeSound(f"No other was made: {status.problem}" if status.problem else None)


def _made_copy(status: ArtefactStatus) -> MadeCopy:
    made = status.remux
    return MadeCopy(
        is_possible=status.state in {ArtefactState.POSSIBLE, ArtefactState.WAITING},
        declined=made.declined if made else None,
        jumps=made.jumps if isinstance(made, CopyMetadata) else 0,
        damaged=made.damaged if isinstance(made, CopyMetadata) else 0,
    )


def _copy_item(status: ArtefactStatus) -> CopyItem:
    made = status.remux
    return CopyItem(
        **dict(_remux_item(status)),
        progress=status.progress,
        transcoded=made.transcoded if isinstance(made, CopyMetadata) else (),
    )


def _fragments(video: Video, made: RemuxMetadata | None) -> FragmentsItem | None:
    if made is None or made.fragments is None or not made.codecs:
        return None
    return FragmentsItem(
        url=links.media(video, made.fragments.layout),
        head=made.fragments.head,
        type=f'{made.content_type}; codecs="{", ".join(made.codecs)}"',
    )


def _remux_item(status: ArtefactStatus) -> RemuxItem:
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


def _estimate_size(item: VideoItem) -> int:
    """Return an upper estimate of an item's JSON in bytes."""
    metadata = item.metadata
    chapters = (*item.chapters, *(metadata.chapters if metadata else ()))
    texts = (
        *(tag.text for tag in (metadata.tags if metadata else ())),
        *(track.label + track.url for track in item.captions.tracks),
        *(picture.url for picture in item.poster.pictures),
        *(finding.command or "" for finding in item.findings),
        *item.captions.problems,
        *item.poster.problems,
        *(metadata.omissions if metadata else ()),
        *(4 * [item.watch_url]),
    )
    words = sum(map(_utf8_length, texts)) + sum(_utf8_length(chapter.title) for chapter in chapters)
    parts = len(texts) + len(metadata.streams if metadata else ())
    return _ITEM_BYTES + words + _CHAPTER_BYTES * len(chapters) + _PART_BYTES * parts


def _utf8_length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
