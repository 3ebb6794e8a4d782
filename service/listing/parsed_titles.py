"""The titles of episodes and films whose names were parsed."""

from service.listing.collation import fold
from service.models import ParsedName

_MARKS = "-\N{EN DASH}\N{EM DASH}·:.,|/"  # between a series and the title of an episode


def parsed_title(name: ParsedName, tag: str | None) -> str:
    """Return the title of an episode or a film, as `Harbor Lights · S1 E2 · Storm`.

    `tag` is the title tag, if it is a title. It is preferred to the title of a film, and to that of
    an episode.
    """
    if name.film is not None:
        if tag is not None and fold(tag) != fold(name.film):
            return tag
        title = f"{name.film} ({name.year})" if name.year else name.film
        return f"{title} · {name.edition}" if name.edition else title
    parts = [series_title(name), episode_number(name), episode_title(name, tag)]
    return " · ".join(filter(None, parts))


def series_title(name: ParsedName) -> str:
    """Return the title of an episode's series, with the year that it began, if known."""
    return f"{name.series} ({name.year})" if name.year else name.series or ""


def episode_number(name: ParsedName) -> str:
    """Return the number of an episode, as S1 E2, S1 E2\N{EN DASH}3, Special 1, E3 or 1994-05-01."""
    numbers = short_number(name)
    if not name.episodes or name.season is None:
        return numbers
    return f"Special {numbers[1:]}" if name.season == 0 else f"S{name.season} {numbers}"


def short_number(name: ParsedName) -> str:
    """Return the number of an episode in its season, as E2, E2\N{EN DASH}3 or 1994-05-01."""
    if not name.episodes:
        return name.aired or ""
    first, last = name.episodes[0], name.episodes[-1]
    if 0 < last - first == len(name.episodes) - 1:
        return f"E{first}\N{EN DASH}{last}"
    return f"E{', '.join(map(str, name.episodes))}"


def name_in_series(title: str, name: ParsedName) -> str:
    """Return what the title of an episode adds to its series and number; "" if nothing."""
    return title.removeprefix(f"{series_title(name)} · {episode_number(name)}").removeprefix(" · ")


def episode_title(name: ParsedName, tag: str | None = None) -> str | None:
    """Return an episode's own title, without the series in front."""
    if tag is None:
        return name.episode_title
    series = name.series or ""
    rest = tag[len(series) :].lstrip()
    if tag.casefold().startswith(series.casefold()) and (not rest or rest[0] in _MARKS):
        tag = rest.lstrip(_MARKS + " ")
    return tag or name.episode_title
