"""The rails of the home page: rows of cards, one for each folder, that scroll sideways."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from service.artefacts.metadata import ArtefactKind
from service.browsing.card_groups import album_page
from service.browsing.cards import Card, FolderCard, are_upright, card, folder_cards, series_card
from service.catalogue.catalogue import Catalogue, Sort
from service.items import links
from service.items.video_items import VideoItems
from service.library.visible import VisibleLibrary
from service.listing.folders import Folder
from service.listing.paths import parent
from service.models import ProbeState, Video

MIN_VIDEOS = 13
"""A library with fewer videos has a list instead: rails would show the same videos twice."""

_RAIL_CARDS = 8  # one more than the widest screen shows at a time
# Rails of folders, and the cards of all of them: so the page stays below 60 kB.
_MAX_RAILS = 9
_MAX_FOLDER_CARDS = 40
_MIN_RAIL_CARDS = 3  # a folder with fewer entries is a card among others
_MAX_EXAMINED = 500  # videos of a folder among which those without a series are looked for
_MAX_FROM_FOLDER = 3  # recently added videos of one folder, before those of others


@dataclass(frozen=True, slots=True)
class Rail:
    """A titled row of cards."""

    key: str
    """Unique on the page; an identifier in HTML."""
    title: str
    cards: tuple[Card | FolderCard, ...]
    upright: bool
    url: str | None = None
    """The page of all of them, if there are more."""
    names_folders: bool = False
    """Whether the cards of videos name their folders."""


def home_rails(library: VisibleLibrary, items: VideoItems) -> list[Rail]:
    """Return the rails of the home page; none if a plain list serves better.

    The cost depends on the number of cards, not on the size of the library.
    """
    catalogue = library.catalogue
    home = home_folder(catalogue)
    folders = catalogue.folders.subfolders(home)
    if len(catalogue.videos) < MIN_VIDEOS or not folders:
        return []
    with_rails, series, others = _divide(catalogue, folders)
    recent = choose_recent(library.recent, _RAIL_CARDS)
    rails = [_rail("recent", "Recently added", _video_cards(recent, items), names_folders=True)]
    limit = min(_RAIL_CARDS, _MAX_FOLDER_CARDS // max(1, len(with_rails)))
    rails += [
        _folder_rail(f"folder-{place}", folder, library, items, limit)
        for place, folder in enumerate(with_rails, 1)
    ]
    url = links.folder(home)
    # The rest: series, other folders without rails, and videos beside the folders.
    cards = folder_cards(series, library, items) + _loose_series(home, library, items)
    rails.append(_first_cards("series", "Series", cards, url))
    cards = folder_cards(others, library, items)
    rails.append(_first_cards("folders", "More folders" if with_rails else "Folders", cards, url))
    cards = _video_cards(loose_videos(catalogue, home, _RAIL_CARDS + 1), items)
    rails.append(_first_cards("others", "More videos", cards, url))
    return [rail for rail in rails if rail.cards]


def home_folder(catalogue: Catalogue) -> str:
    """Return the folder whose subfolders have rails.

    It is the root, unless all videos are in one of its folders that is no series.
    """
    home = ""
    while len(inside := catalogue.folders.subfolders(home)) == 1:
        above = catalogue.folders.get(home)
        if above is None or above.videos > inside[0].videos:
            break
        if catalogue.series.of_folder(inside[0].path) is not None:
            break
        home = inside[0].path
    return home


def choose_recent(videos: Iterable[Video], limit: int) -> list[Video]:
    """Return at most `limit` of the videos in their order.

    A folder with many new videos, such as a season, leaves room for those of other folders. Files
    that could not be read are left out: there is nothing to watch.
    """
    candidates = [video for video in videos if video.state is not ProbeState.FAILED]
    counts: Counter[str] = Counter()
    chosen: set[str] = set()
    for video in candidates:
        folder = parent(video.path)
        counts[folder] += 1
        if len(chosen) < limit and counts[folder] <= _MAX_FROM_FOLDER:
            chosen.add(video.path)
    for video in candidates:
        if len(chosen) < limit:
            chosen.add(video.path)
    return [video for video in candidates if video.path in chosen]


def _folder_rail(
    key: str, folder: Folder, library: VisibleLibrary, items: VideoItems, limit: int
) -> Rail:
    """Return a rail of at most `limit` things in a folder: folders, series, and other videos."""
    subfolders = library.catalogue.folders.subfolders(folder.path)[:limit]
    cards = [
        *folder_cards(subfolders, library, items),
        *_loose_series(folder.path, library, items),
        *_video_cards(loose_videos(library.catalogue, folder.path, limit), items),
    ]
    return _rail(key, folder.title, cards[:limit], links.folder(folder.path))


def _loose_series(
    folder: str, library: VisibleLibrary, items: VideoItems
) -> list[Card | FolderCard]:
    """Return the cards of the series whose episodes are directly in a folder of several series."""
    index = library.catalogue.series
    return [series_card(series, index, items) for series in index.inside(folder)[:_RAIL_CARDS]]


def loose_videos(catalogue: Catalogue, folder: str, limit: int) -> list[Video]:
    """Return at most `limit` videos directly in a folder, without episodes of series with cards.

    They are in the order of the folder: an album's by track, clips with the newest first.
    """
    start = len(catalogue.folders.subfolders(folder))  # a page of a folder begins with its folders
    shown = {series.title for series in catalogue.series.inside(folder)}
    count = _MAX_EXAMINED if shown else limit
    if (album := catalogue.kinds.album(folder)) is not None:
        videos = album_page(catalogue, album, start, count, folder).videos
    else:
        sort: Sort = "-date" if catalogue.kinds.is_clips(folder) else "name"
        videos = catalogue.page_at("", sort, start, count, folder).videos
    return [video for video in videos if _series_title(catalogue, video) not in shown][:limit]


def _series_title(catalogue: Catalogue, video: Video) -> str | None:
    series = catalogue.series.of_video(video.path)
    return series.title if series else None


def _divide(
    catalogue: Catalogue, folders: Sequence[Folder]
) -> tuple[list[Folder], list[Folder], list[Folder]]:
    """Return the folders with rails of their own, the folders of series, and the other folders.

    Of each of the last two, which become cards, one more is returned than a rail has room for.
    """
    with_rails: list[Folder] = []
    series: list[Folder] = []
    others: list[Folder] = []
    for folder in folders:
        if catalogue.series.of_folder(folder.path) is not None:
            series.append(folder)
        elif len(with_rails) < _MAX_RAILS and _entries(catalogue, folder.path) >= _MIN_RAIL_CARDS:
            with_rails.append(folder)
        else:
            others.append(folder)
        if len(others) > _RAIL_CARDS:
            break
    return with_rails, series[: _RAIL_CARDS + 1], others


def _entries(catalogue: Catalogue, folder: str) -> int:
    page = catalogue.page_at("", "name", 0, 0, folder)
    return len(catalogue.folders.subfolders(folder)) + page.total


def _video_cards(videos: Sequence[Video], items: VideoItems) -> list[Card | FolderCard]:
    items.prioritise((video.path for video in videos), [ArtefactKind.POSTER])
    return [card(items.get(video)) for video in videos]


def _first_cards(key: str, title: str, cards: Sequence[Card | FolderCard], url: str) -> Rail:
    """Return a rail of the first cards, with a link if there are more."""
    return _rail(key, title, cards[:_RAIL_CARDS], url if len(cards) > _RAIL_CARDS else None)


def _rail(
    key: str,
    title: str,
    cards: Sequence[Card | FolderCard],
    url: str | None = None,
    *,
    names_folders: bool = False,
) -> Rail:
    return Rail(key, title, tuple(cards), are_upright(cards), url, names_folders)
