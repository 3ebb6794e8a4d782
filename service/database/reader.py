"""Reads videos of the database by their numbers, when they are shown."""

import sqlite3
import threading
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, TypeVar, overload

from cachetools import LRUCache

from service.artefacts.source import Artefact, ArtefactSource, load_artefacts
from service.database.database import FETCHED, Database
from service.database.rows import VIDEO, VIDEOS, load_name, load_sidecars, read_video
from service.listing.numbers import Numbers
from service.listing.paths import parent
from service.models import ParsedName, Video

# Videos that are kept in memory: many pages. Each takes 1 to 3 KB.
_MAX_KEPT: Final = 2048

# Paths of which a catalogue remembers the number.
_MAX_FOUND: Final = 2048

_T = TypeVar("_T")

_BY_TIME = "ORDER BY modified DESC, id DESC"

_SORT_COLUMNS = {"name": "name", "date": "date", "duration": "duration", "size": "size"}
_KEYS = {
    order: f"SELECT {column}, path FROM video WHERE id = ?"  # noqa: S608 # constants
    for order, column in _SORT_COLUMNS.items()
}


class Rows:
    """The rows of a database. May be used in any thread."""

    def __init__(self, database: Database) -> None:
        self._connection: sqlite3.Connection = database.reader
        self._lock = threading.Lock()
        self._users = 0
        """Statements that are executed now."""
        self._is_closed = False
        self.is_damaged = False
        """Whether something could not be read."""
        self._videos: LRUCache[int, Video] = LRUCache(_MAX_KEPT)
        self._sources: LRUCache[int, ArtefactSource] = LRUCache(_MAX_KEPT)

    def video(self, number: int) -> Video:
        """Return a video by its number. Raises sqlite3.Error."""
        with self._lock:
            if (known := self._videos.get(number)) is not None:
                return known
        video = self._read(number)
        with self._lock:
            # One object for all readers.
            kept: Video = self._videos.setdefault(number, video)
            return kept

    def videos(self, numbers: Iterable[int]) -> tuple[Video, ...]:
        """Return videos, of which one statement reads all that are not in memory, with sources."""
        wanted = tuple(numbers)
        with self._lock:
            missing = [number for number in wanted if number not in self._videos]
        places = ", ".join("?" * len(missing))
        rows = self.select(VIDEOS.format(places), *missing) if missing else []
        for number, sidecars, *row in rows:
            video = self._loaded(row)
            source = ArtefactSource.of(video, load_sidecars(sidecars), number)
            with self._lock:
                if self._videos.setdefault(number, video) is video:
                    self._sources.setdefault(number, source)
        return tuple(map(self.video, wanted))

    def source(self, number: int) -> ArtefactSource:
        """Return a video with the names of its artefacts."""
        with self._lock:
            if (known := self._sources.get(number)) is not None:
                return known
        (sidecars,) = self._one("SELECT sidecars FROM video WHERE id = ?", number)
        source = ArtefactSource.of(self.video(number), load_sidecars(sidecars), number)
        with self._lock:
            kept: ArtefactSource = self._sources.setdefault(number, source)
            return kept

    def artefacts(self, numbers: Numbers) -> Iterator[Artefact]:
        """Yield the artefacts of videos, those of the latest modification first. Blocks."""
        chosen = iter(numbers if len(numbers) <= FETCHED else self._newest_first(numbers))
        while some := list(islice(chosen, FETCHED)):
            places = ", ".join("?" * len(some))
            statement = f"SELECT id, path, artefacts FROM video WHERE id IN ({places}) {_BY_TIME}"  # noqa: S608
            for number, path, text in self.select(statement, *some):
                try:
                    yield from load_artefacts(text, path, number)
                except (KeyError, ValueError) as error:
                    self.is_damaged = True
                    raise sqlite3.DatabaseError("a damaged row") from error

    def _newest_first(self, numbers: Numbers) -> "array[int]":
        flags = numbers.flags()

        def read(connection: sqlite3.Connection) -> "array[int]":
            rows = connection.execute(f"SELECT id FROM video {_BY_TIME}")  # noqa: S608
            return array("I", (one for (one,) in rows if one < len(flags) and flags[one]))

        return self._with_connection(read)

    def videos_once(self, numbers: Iterable[int]) -> Iterator[Video]:
        """Yield many videos, without keeping them."""
        for number in numbers:
            with self._lock:
                known = self._videos.get(number)
            yield known or self._read(number)

    def numbers_of(self, folder: str, path: str) -> list[int]:
        """Return the numbers of the versions of a video, also of those that are not listed."""
        statement = "SELECT id FROM video WHERE folder = ? AND path = ?"
        try:
            found = self.select(statement, folder, path)
        except UnicodeEncodeError:  # a surrogate: no file has one in its path
            return []
        return [number for (number,) in found]

    def path(self, number: int) -> str:
        path: str = self._one("SELECT path FROM video WHERE id = ?", number)[0]
        return path

    def sort_key(self, order: str, number: int) -> list[Any]:
        """Return a key that is unique to the video."""
        return list(self._one(_KEYS[order], number))

    def episode_name(self, number: int) -> ParsedName:
        """Return the parsed name of an episode; an empty one of other videos."""
        (name,) = self._one("SELECT episode FROM video WHERE id = ?", number)
        return ParsedName() if name is None else load_name(name)

    def select(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the few rows of a short statement."""
        return self._with_connection(lambda each: each.execute(statement, values).fetchall())

    def _with_connection(self, read: Callable[[sqlite3.Connection], _T]) -> _T:
        """Return what `read` returns, and keep the connection open meanwhile."""
        with self._lock:
            if self._is_closed:
                raise sqlite3.ProgrammingError("the database is closed")
            self._users += 1
        try:
            return read(self._connection)
        except sqlite3.Error:
            self.is_damaged = True
            raise
        finally:
            with self._lock:
                self._users -= 1
                self._close_if_unused()

    def close(self) -> None:
        """Close the connection, as soon as no thread reads. To close it meanwhile is a crash."""
        with self._lock:
            self._is_closed = True
            self._close_if_unused()

    def _close_if_unused(self) -> None:
        if self._is_closed and not self._users:
            self._connection.close()

    def forget(self, numbers: Iterable[int]) -> None:
        """Forget videos whose numbers are given to others."""
        with self._lock:
            for number in numbers:
                self._videos.pop(number, None)
                self._sources.pop(number, None)

    def _read(self, number: int) -> Video:
        return self._loaded(self._one(VIDEO, number))

    def _loaded(self, row: Sequence[Any]) -> Video:
        try:
            return read_video(row)
        except sqlite3.Error:
            self.is_damaged = True
            raise

    def _one(self, statement: str, number: int) -> tuple[Any, ...]:
        rows = self.select(statement, number)
        if not rows:
            self.is_damaged = True
            raise sqlite3.DatabaseError("a row is missing")
        return rows[0]


class View:
    """The rows of one generation. They are kept for as long as there is a reference to it."""

    def __init__(self, rows: Rows, generation: int) -> None:
        self.rows = rows
        self.generation = generation


class Videos(Sequence[Video]):
    """Videos that are read when they are looked at."""

    def __init__(self, view: View | None, numbers: "array[int]") -> None:
        self._view = view
        self.numbers = numbers

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, at: int) -> Video: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Video, ...]: ...
    def __getitem__(self, at: int | slice) -> Video | tuple[Video, ...]:
        if self._view is None:
            raise IndexError(at)
        if isinstance(at, slice):
            return tuple(map(self._view.rows.video, self.numbers[at]))
        return self._view.rows.video(self.numbers[at])

    def __iter__(self) -> Iterator[Video]:
        if self._view is None:
            return iter(())
        if len(self.numbers) > FETCHED:
            return self._view.rows.videos_once(self.numbers)
        return map(self._view.rows.video, self.numbers)


class Paths(Sequence[str]):
    """The paths of videos, read when they are looked at."""

    def __init__(self, view: View | None, numbers: "array[int]") -> None:
        self._view = view
        self._numbers = numbers

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[str, ...]: ...
    def __getitem__(self, at: int | slice) -> str | tuple[str, ...]:
        if self._view is None:
            raise IndexError(at)
        if isinstance(at, slice):
            return tuple(map(self._view.rows.path, self._numbers[at]))
        return self._view.rows.path(self._numbers[at])


class Listed:
    """The listed videos of a generation, found by number and by path."""

    def __init__(self, view: View | None, by_path: "array[int]") -> None:
        """List the videos with the numbers `by_path`, which are in the order of their paths."""
        self._view = view
        self.by_path = by_path
        self.numbers = Numbers.of(by_path)
        self.paths: Sequence[str] = Paths(view, by_path)
        self._found: dict[str, int] = {}
        """Some numbers by path: a page asks for the status of several artefacts of each video."""

    def videos(self, numbers: "array[int]") -> Videos:
        """Return the videos with these numbers, which are read when they are looked at."""
        return Videos(self._view, numbers)

    def number(self, path: str) -> int | None:
        """Return the number of a video by its path; None if it is not listed."""
        if self._view is None or not self.by_path:
            return None
        if (known := self._found.get(path)) is not None:
            return known
        found = self._view.rows.numbers_of(parent(path), path)
        number = next((one for one in found if one in self.numbers), None)
        if number is not None:
            self._keep({path: number})
        return number

    def of_page(self, numbers: "array[int]") -> tuple[Video, ...]:
        """Return videos, and keep their numbers by path, for what is asked of them next."""
        if self._view is None:
            return ()
        videos = self._view.rows.videos(numbers)
        self._keep({video.path: number for video, number in zip(videos, numbers, strict=True)})
        return videos

    def _keep(self, numbers: Mapping[str, int]) -> None:
        if len(self._found) + len(numbers) > _MAX_FOUND:
            self._found.clear()
        self._found.update(numbers)

    def below(self, folder: str) -> "array[int]":
        """Return the numbers of the videos below a folder, by path."""
        prefix = f"{folder}/"
        start = bisect_left(self.paths, prefix)
        end = bisect_right(self.paths, prefix, start, key=lambda path: path[: len(prefix)])
        return self.by_path[start:end]
