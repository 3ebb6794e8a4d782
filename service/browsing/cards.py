"""The cards of videos, folders and series on pages."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from service.access.grants import current_grant
from service.artefacts.metadata import ArtefactKind
from service.catalogue.catalogue import Catalogue
from service.items import links
from service.items.video_items import VideoItems
from service.items.video_models import Picture, VideoItem
from service.library.folder_samples import own_film, sample_videos
from service.library.visible import VisibleLibrary
from service.listing.folders import Folder
from service.listing.paths import parent, parents
from service.listing.series import Series, SeriesIndex
from service.listing.titles import folder_title
from service.models import Video
from service.pages.formatting import format_size

# Names of resolutions by their lines.
_NAMES = {4320: "8K", 2160: "4K"}
_LINES = (4320, 2160, 1440, 1080, 720, 576, 480, 360, 240, 144)
_TOLERANCE = 0.97  # encoders crop a few lines and round to multiples of 16
_ASPECT_16_9 = 16 / 9
_MIN_CROPPED_ASPECT = 1.2  # narrower pictures are shown whole instead of cropped to 16:9

_MAX_PREFIXES = 8  # of the paths of a series; nearly all have one
_SAMPLE_VIDEOS = 4  # for a folder's picture, as some have no poster

# The watch page asks the browser itself whether it supports these.
_BROWSER_DEPENDENT = frozenset({"video_codec", "audio_codec"})


@dataclass(frozen=True, slots=True)
class Card:
    """The card of a video."""

    video: VideoItem
    folder: str
    """Its path; "" for the root."""
    folder_label: str
    """The titles of the folder and its parent."""
    details: str
    resolution: str | None
    picture: Picture | None
    """The narrowest still, or the narrowest poster if there is none. It is wider than any card."""
    letterboxed: bool
    """Whether it is shown whole, because it is too narrow to crop it to 16:9."""
    upright: Picture | None
    """The narrowest size of an upright poster, for rows of upright cards."""
    storyboard: bool
    """Whether there is one."""
    unplayable: str | None
    """Why no browser plays it, if that is certain."""
    may_not_play: bool
    """Whether most browsers do not play it."""


@dataclass(frozen=True, slots=True)
class FolderCard:
    """The card of a folder or a series."""

    path_prefixes: tuple[str, ...]
    """What the paths of its videos begin with; empty if that is not known."""
    title: str
    count: int
    url: str
    picture: Picture | None
    letterboxed: bool
    upright: Picture | None
    placeholder_style: int
    """One of six styles for a card without a picture."""


def card(video: VideoItem) -> Card:
    """Return the card of a video."""
    picture, upright = _pictures(video)
    issues = [finding for finding in video.findings if finding.severity == "unplayable"]
    certain = [finding for finding in issues if finding.code not in _BROWSER_DEPENDENT]
    failed = video.state == "failed"
    folder = parent(video.path)
    return Card(
        video=video,
        folder=folder,
        folder_label=" / ".join(
            title
            for title in (
                folder_title(path)
                for path in [*parents(folder), folder][-2:]
                if current_grant().contains_folder(path)
            )
            if title != video.title  # a film's own folder
        ),
        details=details(video),
        resolution=resolution(video),
        picture=picture,
        letterboxed=_is_letterboxed(picture),
        upright=upright,
        storyboard=video.storyboard.url is not None,
        unplayable=certain[0].viewer_sentence if certain and not failed else None,
        may_not_play=bool(issues) and not certain,
    )


def folder_cards(
    folders: Iterable[Folder], library: VisibleLibrary, items: VideoItems
) -> list[Card | FolderCard]:
    """Return the cards of folders. A film's own folder is shown as the film."""
    cards: list[Card | FolderCard] = []
    for folder in folders:
        film = own_film(library.catalogue, folder)
        if film is None:
            cards.append(_folder_card(folder, library, items))
        else:
            items.prioritise([film.path], [ArtefactKind.POSTER])
            cards.append(card(items.get(film)))
    return cards


def _folder_card(folder: Folder, library: VisibleLibrary, items: VideoItems) -> FolderCard:
    """Return the card of a folder, with its own picture, or the first one of its videos."""
    picture, upright = _folder_pictures(folder.path, library, items)
    return FolderCard(
        path_prefixes=(f"{folder.path}/",) if folder.path else (),
        title=folder.title,
        count=folder.videos,
        url=series_url(library.catalogue, folder.path) or links.folder(folder.path),
        picture=picture,
        letterboxed=_is_letterboxed(picture),
        upright=upright,
        placeholder_style=len(folder.path) % 6,
    )


def series_card(series: Series, index: SeriesIndex, items: VideoItems) -> FolderCard:
    """Return the card of a series, with the first poster of its episodes."""
    videos = series.videos
    items.prioritise((video.path for video in videos[:1]), [ArtefactKind.POSTER])
    samples = (_pictures(items.get(video)) for video in videos[:_SAMPLE_VIDEOS])
    picture, upright = next((sample for sample in samples if sample[0]), (None, None))
    return FolderCard(
        path_prefixes=index.path_prefixes(series, _MAX_PREFIXES),
        title=series.title,
        count=len(videos),
        url=links.series(series.title),
        picture=picture,
        letterboxed=_is_letterboxed(picture),
        upright=upright,
        placeholder_style=len(series.title) % 6,
    )


def series_url(catalogue: Catalogue, folder: str) -> str | None:
    """Return the page of a folder's series or season; None if it is no folder of a series."""
    of_folder = catalogue.series.of_folder(folder)
    if of_folder is None:
        return None
    season = of_folder.season
    return links.series(of_folder.series.title, season.key if season else None)


def details(video: Video) -> str:
    """Return the size of a video in pixels and bytes."""
    pixels = [f"{video.picture.width}×{video.picture.height}"] if video.picture else []
    return " · ".join([*pixels, format_size(video.size)])


def resolution(video: Video) -> str | None:
    """Return the common name of a video's resolution.

    `1080p` is what fills a screen of 1920 by 1080, including wide films and upright videos.
    """
    stream = video.picture
    if stream is None:
        return None
    sides = sorted((stream.width or 0, stream.height or 0))
    lines = max(sides[0], sides[1] / _ASPECT_16_9)
    name = next((line for line in _LINES if lines >= line * _TOLERANCE), None)
    return _NAMES.get(name, f"{name}p") if name else None


def are_upright(cards: Sequence[Card | FolderCard]) -> bool:
    """Return whether more than half of the cards have upright posters: then all are upright."""
    return 2 * sum(card.upright is not None for card in cards) > len(cards)


def _pictures(video: VideoItem) -> tuple[Picture | None, Picture | None]:
    """Return the narrowest still and the narrowest upright poster, if there are any."""
    poster = next(iter(video.poster.pictures), None)
    still = next(iter(video.poster.still), None)
    # The frame of an upright film is no poster.
    upright = poster if poster != still and _is_upright(poster) else None
    return still or poster, upright


def _folder_pictures(
    folder: str, library: VisibleLibrary, items: VideoItems
) -> tuple[Picture | None, Picture | None]:
    image = library.folder_image(folder)
    picture = items.folder_poster(folder, image) if image else None
    if picture is not None:
        return picture, picture if _is_upright(picture) else None
    videos = sample_videos(library.catalogue, folder, _SAMPLE_VIDEOS)
    items.prioritise((video.path for video in videos[:1]), [ArtefactKind.POSTER])
    samples = (_pictures(items.get(video)) for video in videos)
    return next((sample for sample in samples if sample[0]), (None, None))


def _is_upright(picture: Picture | None) -> bool:
    return picture is not None and picture.width < picture.height


def _is_letterboxed(picture: Picture | None) -> bool:
    return picture is not None and picture.width < _MIN_CROPPED_ASPECT * picture.height
