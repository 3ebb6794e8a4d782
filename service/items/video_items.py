"""Builds the items of videos for the JSON and the pages, and caches them."""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from service.access.grants import current_grant
from service.artefacts.metadata import ArtefactKind, CopyMetadata, RemuxMetadata
from service.artefacts.source import ArtefactSource
from service.artefacts.status import NONE, ArtefactState, ArtefactStatus
from service.items import links
from service.items.made_items import (
    copy_item,
    made_copy,
    made_sound,
    mp4_metadata,
    plain_item,
    remux_item,
    sound_item,
)
from service.items.sound_items import fragments_item, sound_choice_item
from service.items.video_models import (
    CaptionsItem,
    Picture,
    PosterItem,
    SoundChoiceItem,
    StoryboardItem,
    TrackItem,
    VideoItem,
)
from service.models import Finding, Video
from service.playability.findings import findings
from service.playability.made_findings import Made
from service.records.sized_lru_cache import SizedLRUCache
from service.scheduling.scheduler import ArtefactScheduler
from service.served.representations import copy_status, representation
from service.served.sounds import ServedVideo, chosen_sound

_KINDS = tuple(ArtefactKind)  # iterating over an enumeration takes longer

# In which order a page with a player needs the artefacts.
_PLAYER_ORDER = (
    ArtefactKind.REMUX,
    ArtefactKind.FRAGMENTS,
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
    source: ArtefactSource | None
    statuses: Mapping[ArtefactKind | int, ArtefactStatus]
    """Of its artefacts by kind, and of those of its sounds by number."""

    def same_as(self, other: "_Inputs") -> bool:
        """Return whether all values are the same objects, so that the item is still valid."""
        return (
            self.video is other.video
            and len(self.statuses) == len(other.statuses)
            and all(map(operator.is_, self.statuses.values(), other.statuses.values()))
        )

    def status(self, kind: ArtefactKind, sound: int = 0, /) -> ArtefactStatus:
        """Return the status of an artefact; `sound` is as in a `Job`."""
        return self.statuses.get(sound or kind, NONE)

    def version(self, kind: ArtefactKind) -> str:
        """Return what links to an artefact name."""
        return (self.source and self.source.name(kind)) or ""


class VideoItems:
    """Builds and caches the items of videos: an item is the same object until its video changes."""

    def __init__(self, scheduler: ArtefactScheduler, block: int) -> None:
        """`block` is the block size in bytes."""
        self._scheduler = scheduler
        self._block = block
        self._cache: SizedLRUCache[tuple[str, str], tuple[_Inputs, VideoItem, int]] = SizedLRUCache(
            _MAX_CACHED_BYTES
        )
        """By the prefix of its links and the video's path."""

    def get(self, video: Video) -> VideoItem:
        """Return a video with its artefacts, findings and links."""
        return self.get_with_size(video)[0]

    def get_with_size(self, video: Video) -> tuple[VideoItem, int]:
        """Return a video's item and an upper estimate of its JSON in bytes."""
        inputs, key = self._inputs(video), (links.prefix(), video.path)
        cached_inputs, item, size = self._cache.get(key) or (None, None, 0)
        if item is None or cached_inputs is None or not cached_inputs.same_as(inputs):
            item = self._build(inputs)
            size = _estimate_size(item)
            self._cache.put(key, (inputs, item, size), size)
        return item, size

    def _inputs(self, video: Video) -> _Inputs:
        source, status_of = self._scheduler.source(video.path), self._scheduler.status_of
        statuses: dict[ArtefactKind | int, ArtefactStatus] = {
            kind: status_of(source, kind) for kind in _KINDS
        }
        for number in source.sounds if source else ():
            statuses[number] = status_of(source, ArtefactKind.SOUND, number)
        return _Inputs(video, source, statuses)

    def choose_sound(self, video: Video, number: str | None) -> SoundChoiceItem | None:
        """Return the sound that `?sound=` of a page names, and request it if it has to be made.

        None if the page names none, or the film's sounds are not known yet. Raises
        InvalidRequestError, NotFoundError.
        """
        chosen = chosen_sound(self._scheduler, video, number)
        return sound_choice_item(video, chosen) if chosen else None

    def prioritise(
        self, paths: Iterable[str], kinds: Iterable[ArtefactKind] = _PLAYER_ORDER
    ) -> None:
        """Request the missing artefacts of videos that a viewer looks at, in this order."""
        backwards = tuple(kinds)[::-1]
        for path in reversed(tuple(paths)):
            source = self._scheduler.source(path)
            for kind in backwards:
                state = self._scheduler.status_of(source, kind).state
                if state is ArtefactState.WAITING or (kind, state) == _MADE_WHEN_OPENED:
                    self._scheduler.request(path, kind)

    def progress(self) -> dict[str, tuple[int, int]]:
        """Return for each unfinished kind how many artefacts are built, and how many in all.

        They are of the whole library. Requests that may see only a part of it get none.
        """
        if not current_grant().opens_library:
            return {}
        counts = {kind.value: self._scheduler.progress(kind) for kind in ArtefactKind}
        return {kind: (done, total) for kind, (done, total) in counts.items() if done < total}

    def folder_poster(self, folder: str, image: str) -> Picture | None:
        """Return the narrowest poster made of a folder's picture; None before it is made."""
        self.prioritise([image], [ArtefactKind.POSTER])
        source = self._scheduler.source(image)
        version = (source and source.poster) or ""
        sizes = self._scheduler.status_of(source, ArtefactKind.POSTER).sizes
        if not sizes:
            return None
        width, height = sizes[0]
        return Picture(url=links.poster(f"{folder}/", version), width=width, height=height)

    def _build(self, inputs: _Inputs) -> VideoItem:
        video, served = inputs.video, ServedVideo(inputs.video, inputs.status)
        made, copied = served.made, copy_status(inputs.status, inputs.video)
        remux, sound = inputs.status(ArtefactKind.REMUX), inputs.status(ArtefactKind.SOUND)
        in_file = video.metadata.chapters if video.metadata else ()
        return VideoItem(
            **vars(video),
            watch_url=links.watch(video.path),
            media_url=links.media(video, made.layout if made else None),
            media_type=made.content_type if made else video.content_type,
            representation=representation(video, made),
            fragments=fragments_item(video, served.fragments),
            seekable_url=links.media(video, made.seekable) if made and made.seekable else None,
            download_url=links.download(video.path, video.revision)
            if current_grant().downloads
            else None,
            poster=_poster(inputs),
            storyboard=_storyboard(inputs),
            captions=_captions(inputs),
            remux=remux_item(remux),
            sound=sound_item(sound),
            copied=copy_item(copied),
            sounds=tuple(sound_choice_item(video, sound) for sound in served.sounds),
            chapters=inputs.status(ArtefactKind.CAPTIONS).chapters or in_file,
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
        for_players = Made(
            mp4=mp4_metadata(video.metadata, made),
            declined=remux.remux.declined if remux.remux and not made else None,
            sound=None if isinstance(made, CopyMetadata) else made_sound(sound),
            copied=made_copy(copied),
        )
        probed = video.metadata or video.problem
        return findings(video.path, probed, self._block, for_players)


def _poster(inputs: _Inputs) -> PosterItem:
    artefact = inputs.status(ArtefactKind.POSTER)
    if (plain := plain_item(PosterItem, artefact)) is not None:
        return plain
    path, version = inputs.video.path, inputs.version(ArtefactKind.POSTER)
    pictures = _pictures(artefact.sizes, partial(links.poster, path, version))
    still = pictures
    if artefact.still_sizes is not None:
        still = _pictures(artefact.still_sizes, partial(links.still, path, version))
    return PosterItem(
        state=artefact.state,
        problem=artefact.problem,
        problems=artefact.problems,
        pictures=pictures,
        still=still,
    )


def _storyboard(inputs: _Inputs) -> StoryboardItem:
    artefact = inputs.status(ArtefactKind.STORYBOARD)
    if artefact.state is not ArtefactState.READY:
        plain = plain_item(StoryboardItem, artefact)
        return plain or StoryboardItem(state=artefact.state, problem=artefact.problem)
    url = links.storyboard(inputs.video.path, inputs.version(ArtefactKind.STORYBOARD))
    return StoryboardItem(state=artefact.state, problem=artefact.problem, url=url)


def _captions(inputs: _Inputs) -> CaptionsItem:
    artefact = inputs.status(ArtefactKind.CAPTIONS)
    if (plain := plain_item(CaptionsItem, artefact)) is not None:
        return plain
    path, version = inputs.video.path, inputs.version(ArtefactKind.CAPTIONS)
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


def _pictures(
    sizes: Sequence[tuple[int, int]], url: Callable[[int | None], str]
) -> tuple[Picture, ...]:
    """Return the sizes of a picture. The narrowest has the URL without a width, which is short."""
    return tuple(
        Picture(url=url(width if place else None), width=width, height=height)
        for place, (width, height) in enumerate(sizes)
    )


def _estimate_size(item: VideoItem) -> int:
    """Return an upper estimate of an item's JSON in bytes."""
    metadata = item.metadata
    chapters = (*item.chapters, *(metadata.chapters if metadata else ()))
    texts = (
        *(tag.text for tag in (metadata.tags if metadata else ())),
        *(track.label + track.url for track in item.captions.tracks),
        *(sound.label + 2 * (sound.url or "") for sound in item.sounds),
        *(picture.url for picture in (*item.poster.pictures, *item.poster.still)),
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
