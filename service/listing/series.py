"""Groups the episodes of a series by seasons, also if they are in several folders."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import dropwhile, groupby

from service.listing.collation import fold, natural_sort_key
from service.listing.parsed_titles import series_title
from service.listing.path_prefixes import path_prefixes
from service.listing.paths import parent, parents
from service.models import ParsedName, Video
from service.naming.words import separators_to_spaces

_MIN_EPISODES = 2  # of a folder that is a series


@dataclass(frozen=True, slots=True)
class Season:
    """A season, the specials, or the episodes of a year."""

    number: int | None
    """0 for specials; None for episodes that are numbered without seasons."""
    title: str
    videos: tuple[Video, ...]

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

    @property
    def videos(self) -> tuple[Video, ...]:
        """All episodes in order."""
        return tuple(video for season in self.seasons for video in season.videos)


@dataclass(frozen=True, slots=True)
class SeriesFolder:
    """A folder whose videos are episodes of one series."""

    series: Series
    season: Season | None
    """If they are of one season, and the series has others."""


class SeriesIndex:
    """The series of a library."""

    def __init__(
        self, videos: Iterable[Video] = (), folders: Mapping[str, int] | None = None
    ) -> None:
        """Group the episodes among `videos`.

        `folders` has the number of videos of each folder, with those of the folders below.
        """
        groups: defaultdict[str, list[Video]] = defaultdict(list)
        paths: list[str] = []
        for video in videos:
            paths.append(video.path)
            if (name := _name(video)) is not None:
                groups[fold(name.series or "")].append(video)
        self._paths = sorted(paths)
        # A series may have the year in its name, where another has it beside the name.
        same_title: defaultdict[str, list[Video]] = defaultdict(list)
        for group in groups.values():
            for members in _by_year(group):
                same_title[fold(_title(members))] += members
        self._all = {title: _series(members) for title, members in same_title.items()}
        self._places = {
            video.path: (series, place)
            for series in self._all.values()
            for place, video in enumerate(series.videos)
        }
        self._folders = _series_folders(self._all.values(), folders or {})
        self._inside = _series_inside(self._all.values(), self._folders)

    def get(self, title: str) -> Series | None:
        """Return a series by its title, in any case of letters."""
        return self._all.get(fold(title))

    def of_video(self, path: str) -> Series | None:
        """Return the series that a video is an episode of."""
        place = self._places.get(path)
        return place[0] if place else None

    def of_folder(self, path: str) -> SeriesFolder | None:
        """Return the series of a folder; None if it is not a folder of one series."""
        return self._folders.get(path)

    def inside(self, folder: str) -> list[Series]:
        """Return the series with several episodes directly in a folder that is no series folder."""
        return self._inside.get(folder, [])

    def path_prefixes(self, series: Series, limit: int) -> tuple[str, ...]:
        """Return prefixes that the paths of a series, and of no other videos, begin with.

        Returns nothing if it takes more than `limit`.
        """
        paths = sorted(video.path for video in series.videos)
        return path_prefixes(paths, self._paths, limit)

    def neighbours(self, path: str) -> tuple[Video | None, Video | None] | None:
        """Return the episodes before and after one; None if it is no episode, or the only one.

        Of several files of an episode, the one in the same folder is preferred.
        """
        place = self._places.get(path)
        if place is None:
            return None
        series, at = place
        if _number(series.videos[0]) == _number(series.videos[-1]):
            return None
        before = reversed(series.videos[:at])
        return _next_episode(series.videos[at], before), _next_episode(
            series.videos[at], series.videos[at + 1 :]
        )


def _next_episode(current: Video, following: Iterable[Video]) -> Video | None:
    """Return the first of the videos that is not the same episode as the current one."""
    others = dropwhile(lambda video: _number(video) == _number(current), following)
    for _, same in groupby(others, key=_number):
        files = list(same)
        folder = parent(current.path)
        return next((video for video in files if parent(video.path) == folder), files[0])
    return None


def _name(video: Video) -> ParsedName | None:
    """Return the parsed name of an episode; None of other videos."""
    name = video.metadata.parsed_name if video.metadata else None
    return name if name is not None and name.series else None


def parsed_name(video: Video) -> ParsedName:
    """Return the parsed name of an episode; an empty one of other videos."""
    return _name(video) or ParsedName()


def _number(video: Video) -> tuple[int | None, int, str]:
    """Return what distinguishes an episode in its series: season, number and date.

    The season of an episode that has a date instead of a number is its year.
    """
    name = parsed_name(video)
    season = int(name.aired[:4]) if name.season is None and name.aired else name.season
    return season, name.episodes[0] if name.episodes else 0, name.aired or ""


def _order(video: Video) -> tuple[object, ...]:
    """Return a sort key: seasons, then episodes without one, then specials."""
    season, number, aired = _number(video)
    return season == 0, season is None, season or 0, number, aired, video.path


def _by_year(videos: list[Video]) -> Iterable[list[Video]]:
    """Separate series with the same title by the year that they began, if several are known."""
    years: defaultdict[int | None, list[Video]] = defaultdict(list)
    for video in videos:
        years[parsed_name(video).year].append(video)
    return years.values() if len(years.keys() - {None}) > 1 else [videos]


def _title(videos: list[Video]) -> str:
    names = [name for video in videos if (name := _name(video))]
    # The most frequent spelling, of equal ones the first by the alphabet; with the year, if known.
    titles = Counter(series_title(name) for name in names if name.year) or Counter(
        map(series_title, names)
    )
    return min(titles, key=lambda title: (-titles[title], title))


def _series(videos: list[Video]) -> Series:
    seasons = []
    for number, group in groupby(sorted(videos, key=_order), key=lambda video: _number(video)[0]):
        members = tuple(group)
        seasons.append(Season(number, _season_title(number, members[0]), members))
    return Series(_title(videos), tuple(seasons))


def _season_title(number: int | None, first: Video) -> str:
    if number is None:
        return "Episodes"
    if number == 0:
        return "Specials"
    name = _name(first)
    return str(number) if name and name.season is None else f"Season {number}"


def _series_folders(
    all_series: Iterable[Series], folders: Mapping[str, int]
) -> dict[str, SeriesFolder]:
    """Return the folders in which at least two videos and half of all are episodes, of one series.

    A folder such as TV, which contains only the folder of a series, is left out.
    """
    counts: defaultdict[str, Counter[tuple[str, int]]] = defaultdict(Counter)
    branches: defaultdict[str, set[str]] = defaultdict(set)
    named: dict[str, Series] = {}
    for series in all_series:
        named[series.title] = series
        for place, season in enumerate(series.seasons):
            for folder, count in Counter(parent(video.path) for video in season.videos).items():
                chain = [*parents(folder), folder] if folder else []
                for above, below in zip(chain, [*chain[1:], ""], strict=False):
                    counts[above][series.title, place] += count
                    branches[above].add(below)
    found = {}
    for folder, episodes in counts.items():
        number = episodes.total()
        titles = {title for title, _ in episodes}
        if len(titles) > 1 or number < _MIN_EPISODES or 2 * number < folders.get(folder, 0):
            continue
        series = named[titles.pop()]
        name = separators_to_spaces(folder.rpartition("/")[2])
        is_named = fold(parsed_name(series.videos[0]).series or "") in fold(name)
        if len(branches[folder]) == 1 and "" not in branches[folder] and not is_named:
            continue
        places = [place for _, place in episodes]
        is_season = len(places) == 1 < len(series.seasons)
        found[folder] = SeriesFolder(series, series.seasons[places[0]] if is_season else None)
    return found


def _series_inside(
    all_series: Iterable[Series], of_one_series: Mapping[str, SeriesFolder]
) -> dict[str, list[Series]]:
    inside: defaultdict[str, list[Series]] = defaultdict(list)
    for series in sorted(all_series, key=lambda series: natural_sort_key(series.title)):
        for folder, count in Counter(parent(video.path) for video in series.videos).items():
            if count >= _MIN_EPISODES and folder not in of_one_series:
                inside[folder].append(series)
    return dict(inside)
