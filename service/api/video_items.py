"""A video as the JSON interface tells it. These models are the schema: `/openapi.json` is made from
them."""

from collections.abc import Iterable
from itertools import product
from typing import NamedTuple

from pydantic import Field

from service.api import links
from service.artefact_store.sized_lru_cache import SizedLRUCache
from service.artefacts.metadata import ArtefactKind, ArtefactState, ArtefactStatus
from service.artefacts.scheduler import ArtefactScheduler
from service.models import Chapter, Finding, FrozenModel, Track, Video
from service.playability.findings import findings


class Picture(FrozenModel):
    """A picture, and how large it is."""

    url: str
    width: int = Field(description="Pixels")
    height: int = Field(description="Pixels")


class ArtefactStatusItem(FrozenModel):
    """How far something has come that is derived from the video."""

    state: ArtefactState = Field(
        description="none: there is nothing of the kind to be had from this video"
    )
    problem: str | None = Field(default=None, description="Why it could not be made")


class PosterItem(ArtefactStatusItem):
    """A picture that stands for the video."""

    pictures: tuple[Picture, ...] = Field(default=(), description="The same, the narrowest first")


class StoryboardItem(ArtefactStatusItem):
    """Small pictures from the video."""

    url: str | None = Field(
        default=None, description="WebVTT: of each time, a part of a picture (#xywh=)"
    )


class TrackItem(Track):
    """Text, and where to find it as WebVTT."""

    url: str


class CaptionsItem(ArtefactStatusItem):
    """Texts that are shown with the video."""

    problems: tuple[str, ...] = Field(default=(), description="Which are not shown, and why")
    tracks: tuple[TrackItem, ...] = ()


class VideoItem(Video):
    """A video, and where to find it. Media are named by revision: those URLs never change."""

    watch_url: str
    media_url: str
    download_url: str
    poster: PosterItem
    storyboard: StoryboardItem
    captions: CaptionsItem
    chapters: tuple[Chapter, ...]
    findings: tuple[Finding, ...] = Field(description="What viewers may notice of the file")


# Bytes of items that are kept, by what they take as JSON: most take some 5 KB.
_MAX_CACHED_BYTES = 8 * 1024**2

# Bytes of JSON that an item takes besides its parts; and a chapter, and another part, besides its
# words, at most.
_ITEM_BYTES, _CHAPTER_BYTES, _PART_BYTES = 2000, 80, 400


class _Inputs(NamedTuple):
    """What an item is made of."""

    video: Video
    poster: ArtefactStatus
    captions: ArtefactStatus
    storyboard: ArtefactStatus

    def same_as(self, other: "_Inputs") -> bool:
        """Whether all of it is the very same: what has not changed is not made anew."""
        return all(one is another for one, another in zip(self, other, strict=True))


class VideoItems:
    """Makes items of videos, and keeps the latest: one is the same for as long as it is true."""

    def __init__(self, scheduler: ArtefactScheduler, block: int) -> None:
        """Take what knows what was derived, and the bytes of a block."""
        self._scheduler = scheduler
        self._block = block
        self._cache: SizedLRUCache[str, tuple[_Inputs, VideoItem, int]] = SizedLRUCache(
            _MAX_CACHED_BYTES
        )

    def get(self, video: Video) -> VideoItem:
        """Add what was derived, what is to be said of it, and the links to a video."""
        return self.get_with_size(video)[0]

    def get_with_size(self, video: Video) -> tuple[VideoItem, int]:
        """Do so, and tell how many bytes of JSON that may be: some more than it is."""
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
        self, paths: Iterable[str], kinds: Iterable[ArtefactKind] = ArtefactKind
    ) -> None:
        """Have what somebody looks at made before everything else: the first of it first."""
        for path, kind in reversed(list(product(paths, kinds))):
            if self._scheduler.status(path, kind).state is ArtefactState.WAITING:
                self._scheduler.request(path, kind)

    def progress(self) -> dict[str, tuple[int, int]]:
        """Give of each kind that is being made how many are, and how many there will be."""
        counts = {kind.value: self._scheduler.progress(kind) for kind in ArtefactKind}
        return {kind: (done, total) for kind, (done, total) in counts.items() if done < total}

    def _build(self, video: Video) -> VideoItem:
        captions = self._captions(video.path)
        in_file = video.metadata.chapters if video.metadata else ()
        return VideoItem(
            **dict(video),
            watch_url=links.watch(video.path),
            media_url=links.media(video),
            download_url=links.download(video.path, video.revision),
            poster=self._poster(video.path),
            storyboard=self._storyboard(video.path),
            captions=captions,
            chapters=self._scheduler.status(video.path, ArtefactKind.CAPTIONS).chapters or in_file,
            findings=findings(video.path, video.metadata or video.problem, self._block),
        )

    def _poster(self, path: str) -> PosterItem:
        artefact, version = (
            self._scheduler.status(path, ArtefactKind.POSTER),
            self._version(path, ArtefactKind.POSTER),
        )
        pictures = tuple(
            Picture(url=links.poster(path, version, width), width=width, height=height)
            for width, height in artefact.sizes
        )
        return PosterItem(state=artefact.state, problem=artefact.problem, pictures=pictures)

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


def _estimate_size(item: VideoItem) -> int:
    """Give how many bytes of JSON an item may be, about."""
    metadata = item.metadata
    chapters = (*item.chapters, *(metadata.chapters if metadata else ()))
    texts = (
        *(tag.text for tag in (metadata.tags if metadata else ())),
        *(track.label + track.url for track in item.captions.tracks),
        *(picture.url for picture in item.poster.pictures),
        *(finding.command or "" for finding in item.findings),
        *item.captions.problems,
        *(4 * [item.watch_url]),
    )
    words = sum(map(_utf8_length, texts)) + sum(_utf8_length(chapter.title) for chapter in chapters)
    parts = len(texts) + len(metadata.streams if metadata else ())
    return _ITEM_BYTES + words + _CHAPTER_BYTES * len(chapters) + _PART_BYTES * parts


def _utf8_length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
