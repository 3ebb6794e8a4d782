"""Groups the episodes of a series by seasons, also if they are in several folders."""

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, dropwhile, groupby
from typing import NamedTuple, Protocol

from service.listing.collation import fold, natural_sort_key
from service.listing.parsed_titles import series_title
from service.listing.path_prefixes import path_prefixes
from service.listing.paths import parent, parents
from service.models import ParsedName, Video
from service.naming.words import separators_to_spaces

_MIN_EPISODES = 2  # of a folder that is a series


class Episode(NamedTuple):
    """A video that is an episode of a series."""

    number: int
    """Of the video in the catalogue."""
    path: str
    name: ParsedName


class Library(Protocol):
    """Where the index finds videos."""

    @property
    def paths(self) -> Sequence[str]:
        """Those of all videos, sorted."""
        ...

    def videos(self, numbers: "array[int]") -> Sequence[Video]:
        """Return the videos with these numbers."""
        ...

    def number(self, path: str) -> int | None:
        """Return the number of a video; None if there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Season:
    """A season, the specials, or the episodes of a year."""

    number: int | None
    """0 for specials; None for episodes that are numbered without seasons."""
    title: str
    videos: Sequence[Video]

    @property
    def key(self) -> str:
        """The value of `?season=` in its address."""
        return "other" if self.number is None else str(self.number)


@dataclass(frozen=True, slots=True)
class Series:
    """A series. Its title has the year that it began, if known."""

    title: str
    seasons: tuple[Season, ...]
    """In order; specials are last."""
    videos: Sequence[Video]
    """All episodes in order."""
    folders: tuple[str, ...]
    """Those that have its episodes directly in them."""


@dataclass(frozen=True, slots=True)
class SeriesFolder:
    """A folder whose videos are episodes of one series."""

    series: Series
    season: Season | None
    """If they are of one season, and the series has others."""


class _Group(NamedTuple):
    """A series, and its episodes by season."""

    series: Series
    seasons: list[list[Episode]]

    @property
    def episodes(self) -> Iterable[Episode]:
        return chain.from_iterable(self.seasons)


class SeriesIndex:
    """The series of a library."""

    def __init__(
        self, episodes: Iterable[Episode], library: Library, folders: Mapping[str, int]
    ) -> None:
        """Group the episodes.

        `folders` has the number of videos of each folder, with those of the folders below.
        """
        self._library = library
        groups: defaultdict[str, list[Episode]] = defaultdict(list)
        for episode in episodes:
            groups[fold(episode.name.series or "")].append(episode)
        # A series may have the year in its name, where another has it beside the name.
        same_title: defaultdict[str, list[Episode]] = defaultdict(list)
        for episodes_of_title in groups.values():
            for members in _by_year(episodes_of_title):
                same_title[fold(_title(members))] += members
        found = [_series(members, library) for members in same_title.values()]
        self._series: list[Series] = [group.series for group in found]
        self._all = dict(zip(same_title, self._series, strict=True))
        self._folders = _series_folders(found, folders)
        self._inside = _series_inside(found, self._folders)
        self._prefixes: dict[tuple[str, int], tuple[str, ...]] = {}
        size = max((one.number for group in found for one in group.episodes), default=-1) + 1
        self._of: array[int] = array("I", [0] * size)
        """By the number of a video: one more than the place of its series in `_series`, or 0."""
        self._place: array[int] = array("I", [0] * size)
        """By the number of a video: its place among the episodes of the series."""
        for at, group in enumerate(found, 1):
            for place, episode in enumerate(group.episodes):
                self._of[episode.number], self._place[episode.number] = at, place

    def get(self, title: str) -> Series | None:
        """Return a series by its title, in any case of letters."""
        return self._all.get(fold(title))

    def of_video(self, path: str) -> Series | None:
        """Return the series that a video is an episode of."""
        return place[0] if (place := self._find(path)) else None

    def of_folder(self, path: str) -> SeriesFolder | None:
        """Return the series of a folder; None if it is not a folder of one series."""
        return self._folders.get(path)

    def inside(self, folder: str) -> list[Series]:
        """Return the series with several episodes directly in a folder that is no series folder."""
        return self._inside.get(folder, [])

    def path_prefixes(self, series: Series, limit: int) -> tuple[str, ...]:
        """Return prefixes that the paths of a series, and of no other videos, begin with; nothing
        if it takes more than `limit`.
        """
        key = series.title, limit
        if key not in self._prefixes:
            paths = sorted(video.path for video in series.videos)
            self._prefixes[key] = path_prefixes(paths, self._library.paths, limit)
        return self._prefixes[key]

    def neighbours(self, path: str) -> tuple[Video | None, Video | None] | None:
        """Return the episodes before and after one; None if it is no episode, or the only one.

        Of several files of an episode, the one in the same folder is preferred.
        """
        place = self._find(path)
        if place is None:
            return None
        series, at = place
        videos = series.videos
        if _number_of(videos[0]) == _number_of(videos[-1]):
            return None
        before = (videos[number] for number in range(at - 1, -1, -1))
        following = (videos[number] for number in range(at + 1, len(videos)))
        return _next_episode(videos[at], before), _next_episode(videos[at], following)

    def _find(self, path: str) -> tuple[Series, int] | None:
        number = self._library.number(path) if self._series else None
        if number is None or number >= len(self._of) or not self._of[number]:
            return None
        return self._series[self._of[number] - 1], self._place[number]


def _next_episode(current: Video, following: Iterable[Video]) -> Video | None:
    """Return the first of the videos that is not the same episode as the current one."""
    others = dropwhile(lambda video: _number_of(video) == _number_of(current), following)
    for _, same in groupby(others, key=_number_of):
        files = list(same)
        folder = parent(current.path)
        return next((video for video in files if parent(video.path) == folder), files[0])
    return None


def parsed_name(video: Video) -> ParsedName:
    """Return the parsed name of an episode; an empty one of other videos."""
    name = video.metadata.parsed_name if video.metadata else None
    return name if name is not None and name.series else ParsedName()


def _number_of(video: Video) -> tuple[int | None, int, str]:
    return _number(parsed_name(video))


def _number(name: ParsedName) -> tuple[int | None, int, str]:
    """Return what distinguishes an episode in its series: season, number and date.

    The season of an episode that has a date instead of a number is its year.
    """
    season = int(name.aired[:4]) if name.season is None and name.aired else name.season
    return season, name.episodes[0] if name.episodes else 0, name.aired or ""


def _order(episode: Episode) -> tuple[object, ...]:
    """Return a sort key: seasons, then episodes without one, then specials."""
    season, number, aired = _number(episode.name)
    return season == 0, season is None, season or 0, number, aired, episode.path


def _by_year(episodes: list[Episode]) -> Iterable[list[Episode]]:
    """Separate series with the same title by the year that they began, if several are known."""
    years: defaultdict[int | None, list[Episode]] = defaultdict(list)
    for episode in episodes:
        years[episode.name.year].append(episode)
    return years.values() if len(years.keys() - {None}) > 1 else [episodes]


def _title(episodes: list[Episode]) -> str:
    names = [episode.name for episode in episodes]
    # The most frequent spelling, of equal ones the first by the alphabet; with the year, if known.
    titles = Counter(series_title(name) for name in names if name.year) or Counter(
        map(series_title, names)
    )
    return min(titles, key=lambda title: (-titles[title], title))


def _series(episodes: list[Episode], library: Library) -> _Group:
    ordered = sorted(episodes, key=_order)
    seasons, groups = [], []
    for number, group in groupby(ordered, key=lambda episode: _number(episode.name)[0]):
        members = list(group)
        title = _season_title(number, members[0].name)
        seasons.append(Season(number, title, library.videos(_numbers(members))))
        groups.append(members)
    folders = tuple(sorted({parent(episode.path) for episode in ordered}))
    title = _title(episodes)
    series = Series(title, tuple(seasons), library.videos(_numbers(ordered)), folders)
    return _Group(series, groups)


def _numbers(episodes: list[Episode]) -> "array[int]":
    return array("I", [episode.number for episode in episodes])


def _season_title(number: int | None, first: ParsedName) -> str:
    if number is None:
        return "Episodes"
    if number == 0:
        return "Specials"
    return str(number) if first.season is None else f"Season {number}"


def _series_folders(
    groups: Iterable[_Group], folders: Mapping[str, int]
) -> dict[str, SeriesFolder]:
    """Return the folders in which at least two videos and half of all are episodes, of one series.

    A folder such as TV, which contains only the folder of a series, is left out.
    """
    counts: defaultdict[str, Counter[tuple[str, int]]] = defaultdict(Counter)
    branches: defaultdict[str, set[str]] = defaultdict(set)
    named: dict[str, _Group] = {}
    for group in groups:
        title = group.series.title
        named[title] = group
        for place, season in enumerate(group.seasons):
            for folder, count in Counter(parent(episode.path) for episode in season).items():
                way = [*parents(folder), folder] if folder else []
                for above, below in zip(way, [*way[1:], ""], strict=False):
                    counts[above][title, place] += count
                    branches[above].add(below)
    found = {}
    for folder, episodes in counts.items():
        number = episodes.total()
        titles = {title for title, _ in episodes}
        if len(titles) > 1 or number < _MIN_EPISODES or 2 * number < folders.get(folder, 0):
            continue
        group = named[titles.pop()]
        series = group.series
        name = separators_to_spaces(folder.rpartition("/")[2])
        is_named = fold(group.seasons[0][0].name.series or "") in fold(name)
        if len(branches[folder]) == 1 and "" not in branches[folder] and not is_named:
            continue
        places = [place for _, place in episodes]
        is_season = len(places) == 1 < len(series.seasons)
        found[folder] = SeriesFolder(series, series.seasons[places[0]] if is_season else None)
    return found


def _series_inside(
    groups: Iterable[_Group], of_one_series: Mapping[str, SeriesFolder]
) -> dict[str, list[Series]]:
    inside: defaultdict[str, list[Series]] = defaultdict(list)
    for group in sorted(groups, key=lambda group: natural_sort_key(group.series.title)):
        for folder, count in Counter(parent(one.path) for one in group.episodes).items():
            if count >= _MIN_EPISODES and folder not in of_one_series:
                inside[folder].append(group.series)
    return dict(inside)
