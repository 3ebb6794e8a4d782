"""The cards of a folder that has an order of its own: an album, or clips of a camera."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from service.browsing.cards import Card, card
from service.catalogue.catalogue import Catalogue, Page, Sort
from service.items.video_items import VideoItems
from service.items.video_models import Picture
from service.listing.dates import date_of, stated_date
from service.listing.folder_kinds import Album
from service.models import Video
from service.pages.formatting import format_date, to_datetime

_MAX_ASPECT = 1.1  # of a square cover


@dataclass(frozen=True, slots=True)
class CardGroup:
    """Some cards of a page, and their month if they are grouped by months."""

    month: str | None
    cards: list[Card]


@dataclass(frozen=True, slots=True)
class AlbumHead:
    """What the page of an album shows above its tracks."""

    artist: str | None
    year: str | None
    tracks: int
    cover: Picture | None
    """None if it is not square."""
    play_url: str
    """The page of the first track."""


def default_sort(catalogue: Catalogue, folder: str | None) -> Sort | None:
    """Return the sort order of a folder of clips; None of others."""
    return "date" if folder is not None and catalogue.kinds.is_clips(folder) else None


def album_page(catalogue: Catalogue, album: Album, start: int, limit: int, folder: str) -> Page:
    """Return a page of an album's folder: its folders, then the tracks in their order."""
    page = catalogue.page_at("", "name", start, limit, folder)
    first = max(0, start - len(catalogue.folders.subfolders(folder)))
    return replace(page, videos=tuple(album.videos[first : first + len(page.videos)]))


def by_month(videos: Sequence[Video], items: VideoItems) -> list[CardGroup]:
    """Return the cards of clips that are sorted by date, grouped by months."""
    return [
        CardGroup(format_date(month), [card(items.get(video)) for video in group])
        for month, group in groupby(videos, key=_month)
    ]


def tracks(videos: Sequence[Video], items: VideoItems, album: Album) -> list[Card]:
    """Return the cards of an album's tracks, with their numbers."""
    cards = [(album.track(video), card(items.get(video))) for video in videos]
    return [replace(one, details=f"{number} · {one.details}") for number, one in cards]


def album_head(album: Album, folder_picture: Picture | None, items: VideoItems) -> AlbumHead:
    """Return the artist, the year and the cover of an album.

    The cover is its folder's picture, else that of its first track.
    """
    first = items.get(album.videos[0])
    pictures = first.poster.pictures
    cover = folder_picture or (pictures[0] if pictures else None)
    if cover and max(cover.width, cover.height) > _MAX_ASPECT * min(cover.width, cover.height):
        cover = None
    return AlbumHead(album.artist, album.year, len(album.videos), cover, first.watch_url)


def _month(video: Video) -> str:
    """Return the month in which a video was taken, as 1994-05, or the year alone."""
    stated = stated_date(video) or f"{to_datetime(date_of(video)):%Y-%m-%d}"
    return stated[: len("1994-05")]
