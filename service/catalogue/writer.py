"""Writes what scans and probes have found into the database, and publishes catalogues of it.

A changed video gets another row, so that earlier catalogues stay as they are. Rows are deleted when
no catalogue refers to them any longer; their numbers are used again.
"""

import weakref
from array import array
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from service.catalogue.arrangement import Added, Arrangement, Changes
from service.catalogue.catalogue import Catalogue
from service.catalogue.saved import load_arrangement, save_arrangement
from service.database.database import Database
from service.database.reader import Rows, View
from service.database.rows import INSERT, STORED, Stored, Version, load_name, values_of
from service.listing.paths import parent
from service.listing.series import Episode

Replacement = tuple[Stored | None, Version | None]
"""A row that is no longer so, and what is in its place."""


class FolderRow(NamedTuple):
    """What is stored of a folder: the digest of its listing, and its entries as JSON."""

    path: str
    digest: bytes
    entries: str
    image: str | None


class Writer:
    """Publishes catalogues of a database. It is used by one thread at a time."""

    def __init__(self, database: Database) -> None:
        """Load what the database has. Blocks. Raises sqlite3.Error."""
        self.database = database
        self.rows = Rows(database)
        self._generation = int(database.get_meta("generation") or 0)
        self._views: list[weakref.ref[View]] = []
        self._free: array[int] = array("I")
        self._size = 0
        """More than the highest number."""
        with self._transaction():
            # No catalogue refers to them: those of the last process are gone.
            database.writer.execute("DELETE FROM video WHERE removed IS NOT NULL")
        self._find_free_numbers()
        arrangement = load_arrangement(database, self._generation)
        self._saved = self._generation if arrangement is not None else None
        if arrangement is None:
            arrangement = Arrangement().after(Changes(self._all(), {}), database, self.rows)
        self.catalogue: Catalogue = self._publish(arrangement, None)

    def update(
        self,
        replacements: Iterable[Replacement],
        folders: Iterable[FolderRow] = (),
        folders_gone: Iterable[str] = (),
    ) -> Catalogue:
        """Replace versions of videos, and publish a catalogue of what there is then. Blocks.

        Raises sqlite3.Error, and nothing is changed then.
        """
        self._delete_unused()
        generation = self._generation + 1
        changes = Changes({}, {})
        with self._transaction():
            for old, new in replacements:
                if old is not None:
                    self._remove(old, generation, changes)
                if new is not None:
                    self._insert(new, changes)
            self._write_folders(folders, folders_gone)
            self.database.set_meta("generation", str(generation))
        self._generation = generation
        arrangement = self.catalogue.arrangement.after(changes, self.database, self.rows)
        self.catalogue = self._publish(arrangement, self.catalogue)
        return self.catalogue

    def write_folders(self, folders: Iterable[FolderRow], gone: Iterable[str]) -> None:
        """Store other digests of folders in which nothing else was found. Blocks."""
        with self._transaction():
            self._write_folders(folders, gone)

    def save(self) -> None:
        """Store how the latest catalogue is arranged, for the next start. Blocks."""
        if self._saved != self._generation:
            save_arrangement(self.database, self.catalogue.arrangement, self._generation)
            self._saved = self._generation

    def stored(self, folder: str) -> list[Stored]:
        """Return the rows of the files directly in a folder, also of those that are not listed."""
        statement = f"{STORED} WHERE folder = ? AND removed IS NULL"
        return [Stored._make(row) for row in self.database.rows(statement, folder)]

    def stored_file(self, path: str) -> Stored | None:
        """Return the row of a file."""
        statement = f"{STORED} WHERE folder = ? AND path = ? AND removed IS NULL"
        row = next(self.database.rows(statement, parent(path), path), None)
        return Stored._make(row) if row else None

    def unsettled(self) -> Iterator[Stored]:
        """Yield the rows of files without a result that lasts."""
        statement = f"{STORED} WHERE NOT is_settled AND removed IS NULL"
        yield from map(Stored._make, self.database.rows(statement))

    def folder(self, path: str) -> FolderRow | None:
        """Return what is stored of a folder."""
        statement = "SELECT path, digest, entries, image FROM folder WHERE path = ?"
        row = self.database.writer.execute(statement, (path,)).fetchone()
        return FolderRow._make(row) if row else None

    def _publish(self, arrangement: Arrangement, previous: Catalogue | None) -> Catalogue:
        view = View(self.rows, self._generation)
        self._views.append(weakref.ref(view))
        statement = (
            "SELECT id, path, episode FROM video WHERE episode IS NOT NULL"
            " AND is_listed AND removed IS NULL"
        )
        episodes = [
            Episode(number, path, load_name(name))
            for number, path, name in self.database.rows(statement)
        ]
        return Catalogue(view, arrangement, episodes, previous)

    def _delete_unused(self) -> None:
        """Delete the rows that no catalogue refers to any longer."""
        self._views = [view for view in self._views if view() is not None]
        oldest = min(
            (view.generation for ref in self._views if (view := ref()) is not None),
            default=self._generation,
        )
        found = self.database.rows("SELECT id FROM video WHERE removed <= ?", oldest)
        numbers = [number for (number,) in found]
        if not numbers:
            return
        with self._transaction():
            self.database.writer.execute("DELETE FROM video WHERE removed <= ?", (oldest,))
        self.rows.forget(numbers)
        self._free.extend(numbers)

    def _find_free_numbers(self) -> None:
        statement = "SELECT coalesce(max(id), 0), count(*) FROM video"
        ((highest, count),) = self.database.rows(statement)
        self._size = highest + 1  # numbers begin with 1
        if highest == count:
            return
        used = bytearray(highest + 1)
        used[0] = 1
        for (number,) in self.database.rows("SELECT id FROM video INDEXED BY video_by_folder"):
            used[number] = 1
        free = (number for number, is_used in enumerate(used) if not is_used)
        self._free = array("I", free)  # as many as all videos, after all were replaced

    def _next_number(self) -> int:
        if self._free:
            return self._free.pop()
        self._size += 1
        return self._size - 1

    def _all(self) -> dict[int, Added]:
        statement = (
            "SELECT id, folder, state, form, text FROM video WHERE is_listed AND removed IS NULL"
        )
        return {number: Added(*row) for number, *row in self.database.rows(statement)}

    def _insert(self, version: Version, changes: Changes) -> None:
        number = self._next_number()
        values = values_of(number, version)
        self.database.writer.execute(INSERT, tuple(values.values()))
        if version.is_listed:
            changes.added[number] = Added(*(values[field] for field in Added._fields))

    def _remove(self, old: Stored, generation: int, changes: Changes) -> None:
        execute = self.database.writer.execute
        execute("UPDATE video SET removed = ? WHERE id = ?", (generation, old.number))
        if old.is_listed:
            statement = "SELECT folder, state, form, text FROM video WHERE id = ?"
            changes.removed[old.number] = Added._make(execute(statement, (old.number,)).fetchone())

    def _write_folders(self, folders: Iterable[FolderRow], gone: Iterable[str]) -> None:
        many = self.database.writer.executemany
        many("INSERT OR REPLACE INTO folder VALUES (?, ?, ?, ?)", folders)
        many("DELETE FROM folder WHERE path = ?", ((path,) for path in gone))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        free, size = array("I", self._free), self._size
        try:
            with self.database.transaction():
                yield
        except BaseException:
            self._free, self._size = free, size
            raise
