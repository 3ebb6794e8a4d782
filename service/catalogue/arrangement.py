"""What is in memory of all videos: their numbers in each order, their words, and small counts."""

from array import array
from bisect import insort
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, compress
from typing import Any, Final, Literal, NamedTuple

from service.database.database import Database
from service.database.reader import Rows
from service.listing.folder_kinds import TrackFacts, are_clips, is_album
from service.listing.search import Vocabulary
from service.listing.texts import Texts
from service.listing.word_index import WordIndex

Kind = Literal["album", "clips"]

ORDERS: Final = ("name", "date", "duration", "size")

# New videos that are put into their places one by one. Of more, all are sorted anew.
_FEW = 200

_LISTED = "is_listed AND removed IS NULL"

_SORTED = {
    "path": f"SELECT id FROM video WHERE {_LISTED} ORDER BY path",  # noqa: S608 # constants
    **{
        order: f"SELECT id FROM video WHERE {_LISTED} ORDER BY {order}, path"  # noqa: S608
        for order in ORDERS
    },
}


class Added(NamedTuple):
    """A new row of a listed video."""

    folder: str
    state: str
    form: str
    text: str


class Changes(NamedTuple):
    """What a generation has changed among the listed videos."""

    added: dict[int, Added]
    removed: dict[int, Added]

    @property
    def folders(self) -> set[str]:
        return {row.folder for row in chain(self.added.values(), self.removed.values())}


@dataclass(frozen=True, slots=True)
class Arrangement:
    """The numbers of all listed videos, in each order, and what is known of their folders."""

    orders: Mapping[str, "array[int]"] = field(
        default_factory=lambda: {order: array("I") for order in ("path", *ORDERS)}
    )
    folder_names: tuple[str, ...] = ()
    """By number; also of folders that no longer have videos."""
    folder_of: "array[int]" = field(default_factory=lambda: array("I"))
    """The number of the folder of each video, by the number of the video."""
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """The number of videos by state and form."""
    index: WordIndex = field(default_factory=WordIndex)
    texts: Texts = field(default_factory=Texts)
    vocabulary: Vocabulary = field(default_factory=Vocabulary)

    def after(self, changes: Changes, database: Database, rows: Rows) -> "Arrangement":
        """Return the arrangement after changes that the database has. Blocks."""
        texts = {number: row.text for number, row in changes.added.items()}
        gone = {number: row.text for number, row in changes.removed.items()}
        index = WordIndex(texts, self.index, gone)
        counts = self.counts.copy()
        counts.update((row.state, row.form) for row in changes.added.values())
        counts.subtract((row.state, row.form) for row in changes.removed.values())
        names, folder_of = self._folders_after(changes.added)
        return Arrangement(
            self._orders_after(changes, database, rows),
            names,
            folder_of,
            _kinds_after(self.kinds, changes.folders, database),
            counts,
            index,
            Texts(texts, gone, self.texts),
            Vocabulary(index.new_words, self.vocabulary),
        )

    def _folders_after(self, added: Mapping[int, Added]) -> tuple[tuple[str, ...], "array[int]"]:
        known = {name: number for number, name in enumerate(self.folder_names)}
        folder_of = array("I", self.folder_of)
        folder_of.extend([0] * (max(added, default=-1) + 1 - len(folder_of)))
        for number, row in added.items():
            folder_of[number] = known.setdefault(row.folder, len(known))
        return tuple(known), folder_of

    def _orders_after(
        self, changes: Changes, database: Database, rows: Rows
    ) -> dict[str, "array[int]"]:
        if len(changes.added) > _FEW:
            return {
                order: array("I", (number for (number,) in database.rows(statement)))
                for order, statement in _SORTED.items()
            }
        orders = {}
        for order, numbers in self.orders.items():
            kept = array("I", (one for one in numbers if one not in changes.removed))
            key: Callable[[int], Any] = (
                rows.path if order == "path" else partial(rows.sort_key, order)
            )
            for number in changes.added:
                insort(kept, number, key=key)
            orders[order] = kept
        return orders

    def within(self, numbers: "array[int]") -> "Arrangement":
        """Return the arrangement of some of the videos."""
        flags = bytearray(len(self.folder_of))
        for number in numbers:
            flags[number] = 1
        orders = {
            order: array("I", compress(every, map(flags.__getitem__, every)))
            for order, every in self.orders.items()
        }
        folders = {self.folder_names[self.folder_of[number]] for number in numbers}
        # A part of the videos of a folder is one video.
        kinds = {
            folder: kind
            for folder, kind in self.kinds.items()
            if folder in folders and len(numbers) > 1
        }
        return Arrangement(
            orders,
            self.folder_names,
            self.folder_of,
            kinds,
            Counter(),
            self.index,
            self.texts,
            self.vocabulary,
        )

    def by_folder(self) -> dict[str, "array[int]"]:
        """Return the numbers of all videos by folder, in each order within a folder."""
        ranks = array("I", bytes(4 * len(self.folder_names)))
        for rank, folder in enumerate(self._sorted(range(len(ranks)))):
            ranks[folder] = rank
        rank_of = array("I", map(ranks.__getitem__, self.folder_of))
        return {
            order: array("I", sorted(self.orders[order], key=rank_of.__getitem__))
            for order in ORDERS
        }

    def folder_ranges(self, by_folder: Sequence[int]) -> dict[str, tuple[int, int]]:
        """Return the start and the end of each folder's videos in `by_folder`."""
        counts = Counter(map(self.folder_of.__getitem__, by_folder))
        ranges, start = {}, 0
        for folder in self._sorted(counts):
            ranges[self.folder_names[folder]] = start, start + counts[folder]
            start += counts[folder]
        return ranges

    def _sorted(self, folders: Iterable[int]) -> list[int]:
        return sorted(folders, key=self.folder_names.__getitem__)


def _kinds_after(
    known: Mapping[str, Kind], folders: Iterable[str], database: Database
) -> Mapping[str, Kind]:
    """Return the kinds of all folders, of which some have changed."""
    kinds = dict(known)
    for folder in folders:
        facts = [facts for _, _, facts in read_facts(database, folder)]
        kinds.pop(folder, None)
        if is_album(facts):
            kinds[folder] = "album"
        elif are_clips(facts):
            kinds[folder] = "clips"
    return kinds


def read_facts(database: Database, folder: str) -> Iterator[tuple[int, str, TrackFacts]]:
    """Yield number, path and facts of each listed video of a folder."""
    statement = (
        "SELECT id, path, disc, track, artist, year, is_named, is_clip FROM video"  # noqa: S608
        f" WHERE folder = ? AND {_LISTED}"
    )
    for number, path, *facts in database.rows(statement, folder):
        yield number, path, TrackFacts._make(facts)
