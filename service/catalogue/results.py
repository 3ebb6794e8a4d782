"""What a listing has: sorted videos, or some of them, of which only a page is looked at."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from service.database.reader import Rows
from service.listing.numbers import Numbers

# So many of a whole library are sorted by the database in a millisecond or two.
_FEW: Final = 500


@dataclass(frozen=True, slots=True)
class Results:
    """The numbers of sorted videos: those of `order` from `start` up to `end`, or some of them.

    A page takes as many steps as there are videos before its end, not as many as are found.
    """

    order: "array[int]"
    start: int
    end: int
    total: int
    flags: bytes | None = None
    """A byte for each number, 1 for those that are found; None: all are."""
    is_approximate: bool = False
    """Whether they are the result of a search in which a typo was forgiven."""

    @classmethod
    def between(cls, order: "array[int]", start: int, end: int) -> "Results":
        """Return all from `start` up to `end`."""
        return cls(order, start, end, end - start)

    @classmethod
    def found(
        cls, numbers: Numbers, order: str, ascending: "array[int]", rows: Rows, size: int
    ) -> "Results":
        """Return the videos with these numbers, which are below `size`.

        `ascending` has the numbers of all videos in this order.
        """
        total = len(numbers)
        if total == len(ascending):
            return cls.between(ascending, 0, total)
        if total <= _FEW:
            return cls.between(_sorted(numbers, order, rows), 0, total)
        return cls(ascending, 0, len(ascending), total, numbers.flags().ljust(size, b"\0"))

    def page(
        self, after: Any, limit: int, sort_key: Callable[[int], Any], *, descending: bool
    ) -> tuple["array[int]", bool]:
        """Return at most `limit` numbers after a sort key, and whether there are more.

        Without a key, which is None, they are the first ones.
        """
        start, end = self.start, self.end
        if after is not None and descending:
            end = bisect_left(self.order, after, start, end, key=sort_key)
        elif after is not None:
            start = bisect_right(self.order, after, start, end, key=sort_key)
        some = self._first(limit + 1, start, end, descending=descending)
        return some[:limit], len(some) > limit

    def part(self, start: int, end: int, *, descending: bool) -> "array[int]":
        """Return the numbers from one place up to another one."""
        return self._first(end, self.start, self.end, descending=descending)[start:]

    def _first(self, count: int, start: int, end: int, *, descending: bool) -> "array[int]":
        """Return the first ones between two places of the order."""
        if self.flags is None:
            if descending:
                return self.order[max(start, end - count) : end][::-1]
            return self.order[start : min(end, start + count)]
        every = self.order[start:end]
        turned: Iterable[int] = reversed(every) if descending else every
        return array("I", islice(filter(self.flags.__getitem__, turned), count))


def _sorted(numbers: Numbers, order: str, rows: Rows) -> "array[int]":
    """Return the numbers of a few videos, sorted as `Arrangement` sorts all."""
    some = list(numbers)
    places = ", ".join("?" * len(some))
    statement = f"SELECT id FROM video WHERE id IN ({places}) ORDER BY {order}, path"  # noqa: S608
    return array("I", (number for (number,) in rows.select(statement, *some)))
