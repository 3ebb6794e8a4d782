"""The page of a series: its seasons, and the episodes of one of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from posixpath import commonpath
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from quart import render_template
from quart_schema import validate_querystring

from service.access.grants import current_grant
from service.artefacts.metadata import ArtefactKind
from service.browsing.cards import Card, card
from service.browsing.library_page import Pager
from service.errors import NotFoundError
from service.items import links
from service.items.video_items import VideoItems
from service.library.visible import VisibleLibrary
from service.listing.parsed_titles import episode_number, name_in_series, short_number
from service.listing.series import Season, Series, parsed_name
from service.listing.titles import folder_title
from service.models import Video
from service.pages.formatting import format_date
from service.pages.share_form import Shared

EPISODES_PER_PAGE = 100
"""A season of some series has more than a thousand."""

_MAX_PREFIXES = 200  # of the paths of a series; nearly all have one


class SeriesQuery(BaseModel):
    """The query of a series. Other parameters, which links may carry, are ignored."""

    model_config = ConfigDict(extra="ignore")

    season: Annotated[
        str | None, Field(max_length=10, description="Its number; 0: the specials; other")
    ] = None
    page: Annotated[int, Field(ge=1, le=1_000_000, description="Which page, from 1")] = 1


@dataclass(frozen=True, slots=True)
class Tab:
    """A link to a season."""

    title: str
    url: str
    current: bool


@dataclass(frozen=True, slots=True)
class Episode:
    """A row of the page."""

    number: str
    """Such as E2, or a date; "" if it is in the title."""
    title: str
    """The title without the name of the series."""
    card: Card


class SeriesPage:
    """`/series/<title>`."""

    def __init__(self, library: VisibleLibrary, items: VideoItems) -> None:
        self._library = library
        self._items = items

    @validate_querystring(SeriesQuery)
    async def show(self, title: str, query_args: SeriesQuery) -> str:
        """List the episodes of a season, the first one without `?season=`."""
        series = self._library.catalogue.series.get(title)
        if series is None:
            raise NotFoundError(f'There is no series "{title}" in the library.')
        season = _season(series, query_args.season)
        pager, videos = season_page(season, query_args.page)
        self._items.prioritise((video.path for video in videos), [ArtefactKind.POSTER])
        first = season.videos[0]
        folder = commonpath(series.folders)
        return await render_template(
            "series.html",
            series=series,
            season=season,
            tabs=tabs(series, season),
            episodes=[_episode(video, self._items) for video in videos],
            first=self._items.get(first),
            first_number=episode_number(parsed_name(first)),
            count=len(series.videos),
            path_prefixes=self._library.catalogue.series.path_prefixes(series, _MAX_PREFIXES),
            folder_url=links.folder(folder),
            folder_title=folder_title(folder)
            if folder and current_grant().contains_folder(folder)
            else "",
            share=self._shared(folder, series),
            pager=pager,
            page_url=lambda number: f"{links.series(series.title, season.key)}&page={number}",
        )

    def _shared(self, folder: str, series: Series) -> Shared | None:
        """Return what can be shared: the folder, if it is of this series alone."""
        of_folder = self._library.catalogue.series.of_folder(folder) if folder else None
        if of_folder is None or of_folder.series is not series:
            return None
        return Shared("folder", folder, series.title)


def season_page(season: Season, number: int) -> tuple[Pager, Sequence[Video]]:
    """Return a page of the episodes of a season; the last one for a number that is too large."""
    pager = Pager.of(number, EPISODES_PER_PAGE, len(season.videos))
    return pager, season.videos[pager.first - 1 : pager.last]


def tabs(series: Series, current: Season) -> list[Tab]:
    """Return the links to the seasons of a series, if it has several."""
    if len(series.seasons) == 1:
        return []
    return [
        Tab(season.title, links.series(series.title, season.key), season is current)
        for season in series.seasons
    ]


def _episode(video: Video, items: VideoItems) -> Episode:
    name = parsed_name(video)
    number = short_number(name) if name.episodes else format_date(name.aired or "")
    title = name_in_series(video.title, name)
    if not title:
        title, number = f"Episode {number[1:]}" if name.episodes else number, ""
    return Episode(number, title, card(items.get(video)))


def _season(series: Series, key: str | None) -> Season:
    """Return a season by its key, or the first one. Raises NotFoundError."""
    if key is None:
        return series.seasons[0]
    for season in series.seasons:
        if season.key == key:
            return season
    raise NotFoundError(f'"{series.title}" has no season "{key}" in the library.')
