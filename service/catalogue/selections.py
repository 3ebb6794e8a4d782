"""Some or all videos of a catalogue, for what goes through many of them."""

from collections import Counter
from collections.abc import Iterator, Mapping

from service.artefacts.source import Artefact, ArtefactSource
from service.catalogue.catalogue import Catalogue
from service.models import Video

_LATEST = "FROM video WHERE is_listed AND removed IS NULL"


def recent(catalogue: Catalogue, limit: int) -> tuple[Video, ...]:
    """Return the videos of the latest catalogue whose files appeared last, the latest first.

    A file that is copied into the folder with its old modification time is new nevertheless.
    """
    order = "ORDER BY changed_at DESC, path DESC LIMIT ?"
    return tuple(map(catalogue.video, _numbers(catalogue, f"SELECT id {_LATEST} {order}", limit)))


def made(
    catalogue: Catalogue, previous: Mapping[int, ArtefactSource]
) -> Mapping[int, ArtefactSource]:
    """Return the videos of the latest catalogue of which something may be made, by number."""
    numbers = _numbers(catalogue, f"SELECT id {_LATEST} AND form = 'made'")
    found = {}
    for number in numbers:
        known, video = previous.get(number), catalogue.video(number)
        found[number] = known if known and known.video is video else catalogue.source_of(number)
    return found


def plain_forms(catalogue: Catalogue) -> Counter[str]:
    """Return the number of videos of which nothing is made, by form."""
    counts: Counter[str] = Counter()
    for (_, form), count in catalogue.arrangement.counts.items():
        if form != "made":
            counts[form] += count
    return counts


def newest_first(catalogue: Catalogue, previous: Catalogue) -> Iterator[Artefact]:
    """Yield the artefacts of the videos that `previous` does not have. Blocks.

    First are those of the latest modification.

    Both are of the same database, or `previous` is of another one, or empty.
    """
    if catalogue.view is None:
        return
    rows = catalogue.view.rows
    new = catalogue.numbers
    if previous.view is not None and previous.view.rows is rows:
        new -= previous.numbers
    yield from rows.artefacts(new)


def versions(catalogue: Catalogue) -> Iterator[tuple[str, str]]:
    """Yield path and revision of each video. Blocks."""
    if catalogue.view is not None:
        for number in catalogue.videos.numbers:
            statement = "SELECT path, revision FROM video WHERE id = ?"
            yield from catalogue.view.rows.select(statement, number)


def _numbers(catalogue: Catalogue, statement: str, *values: object) -> list[int]:
    if catalogue.view is None:
        return []
    return [number for (number,) in catalogue.view.rows.select(statement, *values)]
