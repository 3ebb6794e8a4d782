"""What the database knows of the library's folders and files, and how scans change it."""

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path

import structlog

from service.catalogue.writer import FolderRow, Replacement, Writer
from service.database.database import open_database, remove_database
from service.database.rows import Stored, Version, dump_sidecars
from service.library.files import FolderFiles, match_files
from service.library.results import Key, ProbeRecord
from service.library.scan import Observation, Scan, ScannedFolder
from service.library.watcher import inotify_is_complete
from service.listing.paths import parent
from service.storage.base import Entry

_log = structlog.get_logger()


class KnownLibrary:
    """The folders and files that earlier scans have found. Every method blocks.

    Only one thread at a time writes, or executes long statements: the one that holds `lock`.
    """

    def __init__(self, folder: Path | None) -> None:
        """Open the database in a folder, or a private one. Raises sqlite3.Error."""
        self.lock = threading.Lock()
        self.is_first = True
        """Whether no scan has been published."""
        self.database = open_database(folder)
        try:
            self.writer = Writer(self.database)
        except BaseException:
            self.database.close()
            raise
        self._digests: dict[str, bytes] = {}
        self.images: dict[str, Entry] = {}
        """The pictures of folders, by the folder's path."""
        self._unsettled: dict[str, Mapping[str, Observation]] = {}
        for path, digest, image in self.database.rows("SELECT path, digest, image FROM folder"):
            self._digests[path] = digest
            if image is not None:
                self.images[path] = Entry(*json.loads(image))

    @property
    def digests(self) -> Mapping[str, bytes]:
        """The digests of folders' listings, by path."""
        return self._digests

    def get(self, path: str) -> ScannedFolder | None:
        """Return a folder; None if it is not known."""
        with self.lock:
            row = self.writer.folder(path)
        if row is None:
            return None
        prefix = f"{path}/" if path else ""
        entries = (Entry(prefix + name, *rest) for name, *rest in json.loads(row.entries))
        return ScannedFolder(row.digest, tuple(entries), self._unsettled.get(path, {}))

    def update(self, scan: Scan | None, records: Mapping[Key, ProbeRecord]) -> None:
        """Publish what a scan and probes have found. Raises sqlite3.Error."""
        with self.lock:
            if not records and scan is not None and not scan.changed:
                self._write_folders(scan)  # the catalogue is what it was, as at most starts
                self.is_first = False
                return
            replacements = self._replacements(scan or Scan(), records)
            rows = [] if scan is None else _rows_of(scan)
            self.writer.update(replacements, rows, scan.gone if scan else ())
            if scan is not None:
                self._remember(scan)
                self.is_first = False

    def keep(self, scan: Scan) -> None:
        """Store the digests of a scan that found no other videos, and how they are arranged.

        Raises sqlite3.Error.
        """
        with self.lock:
            self._write_folders(scan)
            self.writer.save()

    def without_result(self, scan: Scan) -> list[Entry]:
        """Return the files without a result that lasts, after a scan."""
        found = []
        with self.lock:
            for folder, files in scan.changed.items():
                known = {row.path: row for row in self.writer.stored(folder)}
                for entry, _ in files.files:
                    row = known.get(entry.path)
                    if row is None or row.revision != entry.revision or not row.is_settled:
                        found.append(entry)
            unsettled = (row.entry for row in self.writer.unsettled())
            found += (one for one in unsettled if parent(one.path) not in scan.changed)
        return found

    def has_result(self, entry: Entry) -> bool:
        """Return whether a version of a file has a result that lasts. Does not block."""
        statement = (
            "SELECT 1 FROM video WHERE folder = ? AND path = ? AND revision = ? AND is_settled"
            " AND removed IS NULL"
        )
        values = parent(entry.path), entry.path, entry.revision
        return bool(self.writer.rows.select(statement, *values))

    @property
    def is_damaged(self) -> bool:
        """Whether the database cannot be used any longer."""
        return self.writer.rows.is_damaged

    @is_damaged.setter
    def is_damaged(self, value: bool) -> None:
        self.writer.rows.is_damaged = value

    def discard(self, folder: Path | None) -> None:
        """Delete a damaged database from its folder."""
        with self.lock:
            if folder is not None and self.database.is_kept:
                with suppress(OSError):
                    remove_database(folder)
            self.database.abandon()

    def close(self) -> None:
        """Store how the catalogue is arranged, for the next start, and close the database."""
        with self.lock:
            with suppress(sqlite3.Error):
                self.writer.save()
            self.writer.rows.close()
            self.database.abandon()

    def _write_folders(self, scan: Scan) -> None:
        if scan.looked_at or scan.gone:
            self.writer.write_folders(_rows_of(scan), scan.gone)
            self._remember(scan)

    def _remember(self, scan: Scan) -> None:
        for path, folder in scan.looked_at.items():
            self._digests[path] = folder.digest
            self._unsettled.pop(path, None)
            if folder.unsettled:
                self._unsettled[path] = folder.unsettled
        for path, found in scan.changed.items():
            self.images.pop(path, None)
            if found.image is not None:
                self.images[path] = found.image
        for path in scan.gone:
            self._digests.pop(path, None)
            self._unsettled.pop(path, None)

    def _replacements(
        self, scan: Scan, records: Mapping[Key, ProbeRecord]
    ) -> Iterator[Replacement]:
        for folder, found in scan.changed.items():
            yield from _in_folder(self.writer.stored(folder), found, records)
        for (path, revision), record in records.items():
            if parent(path) not in scan.changed:
                row = self.writer.stored_file(path)
                if row is not None and row.revision == revision and row.result != record.result:
                    yield row, Version.of(row.entry, row.loaded_sidecars, record.result)


def open_known(folder: Path | None, judged_by: str) -> KnownLibrary:
    """Open what is known; nothing if the database in the folder is damaged. Blocks.

    A folder on another machine is not used: the memory that SQLite's connections share is a file
    there, and if it vanishes, the process gets SIGBUS.
    """
    if folder is not None and not inotify_is_complete(folder):
        folder = None
    try:
        known = KnownLibrary(folder)
    except sqlite3.Error as error:
        _log.warning("the catalogue is made anew", error=str(error))
        if folder is not None:
            remove_database(folder)
        known = KnownLibrary(folder)
    if known.database.get_meta("judged by") != judged_by:
        forget = "UPDATE video SET findings = NULL WHERE findings IS NOT NULL"
        known.database.writer.execute(forget)
        known.database.set_meta("judged by", judged_by)
    return known


def _in_folder(
    stored: list[Stored], found: FolderFiles, records: Mapping[Key, ProbeRecord]
) -> Iterator[Replacement]:
    """Yield what changes in a folder."""
    known = {row.path: row for row in stored}
    for entry, sidecars in found.files:
        row = known.pop(entry.path, None)
        record = records.get((entry.path, entry.revision))
        before = row.result if row is not None and row.revision == entry.revision else None
        result = record.result if record else before
        if (
            row is None
            or row.entry != entry
            or row.sidecars != dump_sidecars(sidecars)
            or result != before
        ):
            yield row, Version.of(entry, sidecars, result)
    yield from ((row, None) for row in known.values())


def _rows_of(scan: Scan) -> list[FolderRow]:
    rows = []
    for path, folder in scan.looked_at.items():
        entries = [(entry.path.rpartition("/")[2], *astuple(entry)[1:]) for entry in folder.settled]
        image = match_files(path, folder.settled).image
        picture = json.dumps(astuple(image)) if image else None
        rows.append(FolderRow(path, folder.digest, json.dumps(entries), picture))
    return rows
