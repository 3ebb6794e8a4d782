"""Recognises folders that are named after a season or a series."""

import re
from typing import NamedTuple

from service.naming.words import separators_to_spaces

# The whole name has to match: "Season 1 of our garden" is no season.
_SEASON = re.compile(
    r"(?:(?P<title>.+?)[ ._-]+)?"
    r"(?:season|series|staffel|saison|temporada|stagione|seizoen|säsong|sæson|sezon|сезон|シーズン|시즌)"
    r"[ ._-]*(?P<number>\d{1,4})(?:[ ._-]*[\[(].*)?",
    re.IGNORECASE,
)
_CJK = re.compile(r"(?:(?P<title>.+?)[ ._-]+)?第(?P<number>\d{1,3})[季期]")
_SHORT = re.compile(r"S(?P<number>\d{1,4})", re.IGNORECASE)
# As releases name them: Harbor.Lights.S01.1080p.WEB-DL
_RELEASE = re.compile(
    r"(?P<title>.+?)[ ._-]+S(?P<number>\d{1,4})(?:[ ._-]+.*)?",
    re.IGNORECASE,
)
_SPECIALS = re.compile(r"(?:(?P<title>.+?)[ ._-]+)?specials|special", re.IGNORECASE)

_YEAR = re.compile(r"(?P<title>.+?)[ ._]*[\[(](?P<year>(?:19|20)\d\d)[\])].*")

_NO_TITLES = frozenset(
    {"tv", "tv shows", "tv series", "shows", "series", "serien", "séries", "anime", "video"}
    | {"videos", "movies", "films", "media", "downloads", "download", "complete", "episodes"}
)


class SeasonFolder(NamedTuple):
    """The folder of a season."""

    number: int
    """0 for specials."""
    title: str | None
    """The series, if the name has it."""
    is_sure: bool = True
    """Whether it is certainly a season: "Galaxy S21" may be something else."""


class SeriesName(NamedTuple):
    """The title of a series, and the year that it began, if known."""

    title: str
    year: int | None = None


def season_folder(name: str) -> SeasonFolder | None:
    """Return the season that a folder's name means; None if it means none."""
    for pattern in (_SEASON, _CJK, _SHORT, _RELEASE):
        if match := pattern.fullmatch(name):
            title = match.groupdict().get("title")
            return SeasonFolder(int(match["number"]), title, is_sure=pattern is not _RELEASE)
    match = _SPECIALS.fullmatch(name)
    return SeasonFolder(0, match["title"]) if match else None


def series_name(name: str) -> SeriesName | None:
    """Return the series that a name means; None for names such as TV."""
    match = _YEAR.fullmatch(name)
    title = separators_to_spaces(match["title"] if match else name).strip(" -")
    if title.casefold() in _NO_TITLES or not any(map(str.isalnum, title)):
        return None
    return SeriesName(title, int(match["year"]) if match else None)


def series_of_folders(folders: list[str]) -> tuple[SeriesName | None, int | None]:
    """Return the series and the season that the folders of a file mean; None if not certain.

    `folders` are names from the root to the file.
    """
    season = season_folder(folders[-1]) if folders else None
    if season is None:
        return (series_name(folders[-1]) if folders else None), None
    named = series_name(season.title) if season.title else None
    if named is None and len(folders) > 1:
        named = series_name(folders[-2])
    return named, season.number if season.is_sure else None
