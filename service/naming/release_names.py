"""Reads series, episodes and films from the names of files, if these are unambiguous.

guessit finds the parts of a name. What is accepted, and what is the title, is decided here: guessit
also takes `IMG_2034` for a film of 2034, and `Spider` in `Spider-Man` for a release group. Use it
in worker processes only.
"""

import re

from service.models import ParsedName
from service.naming.name_parts import (
    EDITION,
    PERHAPS_TECHNICAL,
    TECHNICAL,
    Match,
    Matches,
    find_parts,
)
from service.naming.release_words import is_release_name
from service.naming.season_folders import SeriesName, series_name, series_of_folders
from service.naming.words import separators_to_spaces

MAX_NAME_LENGTH = 200
"""Characters of a name without its extension; guessit takes most of a second for the worst ones."""

_MAX_EPISODES = 20  # in one file
_YEARS = range(1880, 2100)

# A name without any of these is not certain. Most names of home videos have none and are not
# parsed.
_CANDIDATE = re.compile(
    r"s\d{1,4}[ ._-]{0,3}e|\d{1,2}x\d{2}(?!\d)"
    r"|(?:season|saison|temporada|stagione|seizoen)[ ._-]*\d"
    r"|(?:18|19|20)\d\d.*(?:\d{3,4}[ip]|\dk|\d{3,4}x\d{3,4}|web|blu|dvd|hd|tv|bd|br|rip|uhd|vhs)"
    r"|^\[.*\d",
    re.IGNORECASE,
)

_BETWEEN = re.compile(r"[ ._-]*(?:e|ep|x|episode|folge|épisode)?[ ._-]*", re.IGNORECASE)
_BEFORE_SEASON = re.compile(
    r"(?:(?<![^\W_])(?:s|season|saison|staffel|temporada|series))?[ ._-]*$", re.IGNORECASE
)
_CROSS = re.compile(r"(\d{1,2})x(\d{2,3})", re.IGNORECASE)
_GROUP = re.compile(r"\[[^\[\]]{1,60}\][ ._-]*")
_SITE = re.compile(r"(?:www\.)?[\w-]+\.(?:com|net|org|to|info)[ _]*-[ _]*", re.IGNORECASE)
_DAY = re.compile(r"(?:19|20)\d\d[-._ ]\d\d[-._ ]\d\d")
_YEAR_AT_END = re.compile(r"[\[(]?((?:18|19|20)\d\d)[\])]?")
# The number of an episode in the folder of a season: first, or after the series and a dash.
_NUMBER = re.compile(
    r"(?:(?P<series>.{2,}?)[ ._]*-[ ._]*)?(?:(?:e|ep|episode|folge|第)[ ._-]*)?(?P<number>\d{1,3})"
    r"(?:v\d)?(?:[話话集])?(?=$|[ ._-])(?![ ._-]*\d)",
    re.IGNORECASE,
)
_ABSOLUTE = re.compile(
    r"\[[^\[\]]{1,60}\][ ._]*(?P<series>[^\[\]]+?)(?:[ ._]+S(?P<season>\d{1,2}))?[ ._]+-[ ._]+"
    r"(?P<number>\d{1,4})(?:v\d)?(?=$|[ ._]*[\[(])",
    re.IGNORECASE,
)
_EDGES = " ._-\N{EN DASH}\N{EM DASH}([{"


def parse_name(path: str) -> ParsedName | None:
    """Return the series or film that a file's path names; None if that is not certain.

    `path` is relative to the library's root, with / between folders.
    """
    *folders, name = path.split("/")
    if any(len(folder) > MAX_NAME_LENGTH for folder in folders[-2:]):
        return None
    named, season = series_of_folders(folders)
    return _parse(name.rpartition(".")[0] or name, named, season)


def parse_title(tag: str) -> ParsedName | None:
    """Return the series or film that a title tag names, if the tag is the name of a release."""
    return _parse(tag, None, None) if is_release_name(tag) else None


def _parse(stem: str, named: SeriesName | None, season: int | None) -> ParsedName | None:
    """Parse a name without extension. `named` and `season` are what its folders say."""
    numbered = _NUMBER.match(stem) if season is not None and named else None
    if len(stem) > MAX_NAME_LENGTH or (numbered is None and not _CANDIDATE.search(stem)):
        return None
    matches = find_parts(stem)
    if matches is None:
        return None
    return (
        _episode(stem, matches, named, in_season=season is not None)
        or _numbered_episode(stem, matches, numbered, named, season)
        or _absolute_episode(stem, matches)
        or _daily_episode(stem, matches)
        or _film(stem, matches)
    )


def _episode(
    stem: str, matches: Matches, named: SeriesName | None, *, in_season: bool
) -> ParsedName | None:
    """Return the episode of a name that has season and episode together."""
    seasons, episodes = matches["season"], matches["episode"]
    if not seasons or not episodes:
        return None
    season, first = seasons[0], episodes[0]
    if not _BETWEEN.fullmatch(stem, season.end, first.start) or len({s.value for s in seasons}) > 1:
        return None
    before = _BEFORE_SEASON.search(stem, 0, season.start)
    start = before.start() if before else season.start
    series = _series_before(stem[:start], named)
    if series is None or not _is_sure_cross(stem, season, matches, series, named, in_season):
        return None
    numbers = tuple(sorted({match.value for match in episodes}))
    if len(numbers) > _MAX_EPISODES:
        return None
    end = max(match.end for match in episodes)
    end = max([end, *(match.end for match in matches["version"] if match.start <= end + 1)])
    return ParsedName(
        series=series.title,
        season=season.value,
        episodes=numbers,
        episode_title=_text(stem, end, _tail(stem, matches, end)),
        year=series.year,
    )


def _is_sure_cross(  # noqa: PLR0913, PLR0917 # all that is known of the name
    stem: str,
    season: Match,
    matches: Matches,
    series: SeriesName,
    named: SeriesName | None,
    in_season: bool,  # noqa: FBT001 # as above
) -> bool:
    """Return whether 1x02 is an episode; 2x4, 16x10 and 2x12 may be sizes."""
    cross = _CROSS.match(stem, season.start)
    if cross is None:
        return stem[season.end : season.end + 1].lower() != "x"
    is_in_its_folder = named is not None and named.title.casefold() == series.title.casefold()
    is_release = any(matches[name] for name in TECHNICAL)
    return cross[2].startswith("0") or is_release or is_in_its_folder or in_season


def _numbered_episode(
    stem: str,
    matches: Matches,
    numbered: re.Match[str] | None,
    named: SeriesName | None,
    season: int | None,
) -> ParsedName | None:
    """Return the episode of a name that begins with a number, in the folder of a season."""
    if numbered is None or named is None:
        return None
    if numbered["series"]:
        own = series_name(numbered["series"])
        if own is None or own.title.casefold() != named.title.casefold():
            return None
    title = _text(stem, numbered.end(), _tail(stem, matches, numbered.end()))
    return ParsedName(
        series=named.title,
        season=season,
        episodes=(int(numbered["number"]),),
        episode_title=title,
        year=named.year,
    )


def _absolute_episode(stem: str, matches: Matches) -> ParsedName | None:
    """Return the episode of a name such as `[Group] Series - 03 (1080p) [0A1B2C3D]`."""
    found = _ABSOLUTE.match(stem)
    series = series_name(found["series"]) if found else None
    if found is None or series is None or not any(matches[name] for name in TECHNICAL):
        return None
    return ParsedName(
        series=series.title,
        season=int(found["season"]) if found["season"] else None,
        episodes=(int(found["number"]),),
        episode_title=_text(stem, found.end(), _tail(stem, matches, found.end())),
        year=series.year,
    )


def _daily_episode(stem: str, matches: Matches) -> ParsedName | None:
    """Return the episode of a name with a date, if it comes from television or the web."""
    if not matches["date"] or not matches["source"]:
        return None
    date = matches["date"][0]
    series = _series_before(stem[: date.start], None)
    if series is None or not _DAY.fullmatch(date.raw):
        return None
    return ParsedName(
        series=series.title,
        aired=date.value.isoformat(),
        episode_title=_text(stem, date.end, _tail(stem, matches, date.end)),
        year=series.year,
    )


def _film(stem: str, matches: Matches) -> ParsedName | None:
    """Return the film of a name with a year, and a source or a resolution after it."""
    if not matches["year"] or not (matches["source"] or matches["screen_size"]):
        return None
    year = matches["year"][-1]
    title = _title(stem[: year.start])
    tail = _tail(stem, matches, year.end)
    if not title or tail == len(stem) or year.value not in _YEARS:
        return None
    parts = []
    if any(year.end <= match.start < tail for name in EDITION for match in matches[name]):
        parts.append(_text(stem, year.end, tail) or "")
    parts += [f"CD {match.value}" for match in matches["cd"][:1]]
    return ParsedName(film=title, edition=" · ".join(filter(None, parts)) or None, year=year.value)


def _series_before(text: str, named: SeriesName | None) -> SeriesName | None:
    """Return the series whose name is before an episode's number, else that of the folder."""
    title = _title(text)
    if not title:
        return named
    year = None
    words = title.rsplit(" ", 1)
    if len(words) == 2 and (match := _YEAR_AT_END.fullmatch(words[1])):  # noqa: PLR2004
        title, year = words[0].rstrip(" -"), int(match[1])
    if named is not None and named.title.casefold() == title.casefold():
        year = year or named.year
    return SeriesName(title, year) if title else named


def _title(text: str) -> str:
    """Return a title without a group or a site in front of it, and without marks around it."""
    start = 0
    while match := _GROUP.match(text, start) or _SITE.match(text, start):
        start = match.end()
    title = separators_to_spaces(text[start:].rstrip(_EDGES).lstrip(" ._-"))
    return title if any(map(str.isalnum, title)) else ""


def _text(stem: str, start: int, end: int) -> str | None:
    """Return the words of a part of a name, without the marks around them."""
    text = separators_to_spaces(stem[start:end].strip(_EDGES + ")]}"))
    if text.count("(") > text.count(")"):
        text += ")"
    return text if any(map(str.isalnum, text)) else None


def _tail(stem: str, matches: Matches, start: int) -> int:
    """Return where the technical part of a name begins, after `start`."""
    found = [match.start for name in TECHNICAL for match in matches[name] if match.start >= start]
    tail = min(found, default=len(stem))
    weak = [match for name in PERHAPS_TECHNICAL for match in matches[name] if match.start >= start]
    for match in sorted(weak, key=lambda match: match.end, reverse=True):
        # A word such as French may belong to the title, unless technical words follow.
        is_adjacent = not stem[match.end : tail].strip(_EDGES + ")]}") and match.end <= tail
        if is_adjacent and (tail < len(stem) or match.raw.isupper()):
            tail = match.start
    return tail
