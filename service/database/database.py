"""The file of the catalogue's database: where it is, and who may use it.

Everything in it can be made again, so it is never repaired: a damaged one is deleted.
"""

import fcntl
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import structlog

from service.database.schema import TABLES, schema_version

_log = structlog.get_logger()

FILE_NAME = "catalogue.sqlite"
_LOCK_NAME = "catalogue.lock"

# Results of this many rows are fetched at a time.
FETCHED: Final = 500

# Readers wait for nobody (WAL). A power failure may lose the last commits, and damages nothing.
_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA journal_size_limit = 16777216",
)
_CACHE_KIB = 2048  # of each connection


class Database:
    """An open database, with a connection for requests and one for long statements.

    A connection is used by one thread at a time: SQLite has a mutex for it. In memory there is only
    one connection.
    """

    def __init__(
        self, path: str, release: Callable[[], None] = lambda: None, *, is_kept: bool = False
    ) -> None:
        """Open or create the database at a path. Raises sqlite3.Error."""
        self._release = release
        self.is_kept = is_kept
        """Whether the next start finds it."""
        self.writer = _connect(path)
        try:
            for pragma in _PRAGMAS:
                self.writer.execute(pragma)
            self.is_new = not self._is_current()
            if self.is_new:
                self._create()
            self.reader = self.writer if path == ":memory:" else _connect(path)
        except BaseException:
            self.writer.close()
            raise

    def _create(self) -> None:
        if self.writer.execute("SELECT 1 FROM sqlite_master").fetchone():
            raise sqlite3.DatabaseError("it is of another version")
        self.writer.executescript(f"BEGIN; {TABLES} COMMIT;")
        self.set_meta("version", schema_version())

    def _is_current(self) -> bool:
        try:
            return self.get_meta("version") == schema_version()
        except sqlite3.OperationalError:  # there is no such table
            return False

    def get_meta(self, key: str) -> str | None:
        row = self.writer.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def set_meta(self, key: str, value: str) -> None:
        self.writer.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def rows(self, statement: str, *values: object) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a long statement. Not in the event loop."""
        cursor = self.writer.execute(statement, values)
        while rows := cursor.fetchmany(FETCHED):
            yield from rows

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write all or nothing."""
        self.writer.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.writer.execute("COMMIT")
        except BaseException:
            if self.writer.in_transaction:
                self.writer.execute("ROLLBACK")
            raise

    def write_many(self, statement: str, values: Iterable[Sequence[object]]) -> None:
        """Execute a statement with each of the values, in one transaction."""
        with self.transaction():
            self.writer.executemany(statement, values)

    def abandon(self) -> None:
        """Close the connection for long statements, and let another process use the file.

        Published catalogues can still be read. Call it only if no thread writes.
        """
        if self.writer is not self.reader:
            self.writer.close()
        self._release()

    def close(self) -> None:
        """Close it, and let another process use the file."""
        for connection in {id(one): one for one in (self.reader, self.writer)}.values():
            with suppress(sqlite3.Error):
                connection.close()
        self._release()


def open_database(folder: Path | None) -> Database:
    """Open the database in a folder, or a private one if there is none or it cannot be used.

    Another process may use the one in the folder, or the folder may be read-only. A database that
    is damaged or of another version is replaced.
    """
    if folder is not None:
        try:
            return _open_locked(folder)
        except BlockingIOError:
            _log.info(
                "the catalogue is not kept: another process uses its file", folder=str(folder)
            )
        except (OSError, sqlite3.Error) as error:
            _log.warning("the catalogue is not kept", folder=str(folder), error=str(error))
    try:
        private = tempfile.mkdtemp(prefix="reelay-")
    except OSError:
        return Database(":memory:")
    release = partial(shutil.rmtree, private, ignore_errors=True)
    try:
        return Database(str(Path(private, FILE_NAME)), release)
    except sqlite3.Error:
        release()
        return Database(":memory:")


def remove_database(folder: Path) -> None:
    """Delete the database in a folder. Raises OSError."""
    for suffix in ("-wal", "-shm", "-journal", ""):
        (folder / f"{FILE_NAME}{suffix}").unlink(missing_ok=True)


def _open_locked(folder: Path) -> Database:
    """Open the database in a folder for this process alone. Raises OSError, sqlite3.Error."""
    folder.mkdir(parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    lock = os.open(folder / _LOCK_NAME, flags, 0o644)
    release = partial(os.close, lock)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path = folder / FILE_NAME
        try:
            return Database(str(path), release, is_kept=True)
        except sqlite3.DatabaseError as error:
            _log.info("the catalogue is made anew", reason=str(error))
            remove_database(folder)
            return Database(str(path), release, is_kept=True)
    except BaseException:
        release()
        raise


def _connect(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    return connection
