"""Examines files from the command line, as the service does, and prints what viewers would notice.
Law: what is examined is what is served; findings go to standard output, all else to standard
error; however it ends, no process is left."""

import asyncio
import json
import os
import sys
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from service.event_loop import LowBufferLoop
from service.metrics import Metrics
from service.models import Finding
from service.playability.findings import findings
from service.probing.prober import ProbeProblem, Prober
from service.protocol.media_types import media_type
from service.storage.local.folder import LocalStorage
from service.storage.media_root import Located, Store
from service.storage.object_store.config import TIMEOUT, StoreError, open_store

MAX_WORKERS = 8
"""Processes that open files at once, if there are as many processors: a disk has them all wait."""

EXIT_OK, EXIT_UNPLAYABLE, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130
"""Exit statuses: nothing is unplayable, something is, there is nothing to examine, Ctrl-C."""


@dataclass(frozen=True, slots=True)
class FileReport:
    """A file by the name that it is printed with, and what was found."""

    name: str
    findings: tuple[Finding, ...]


class _File(NamedTuple):
    name: str
    """That commands are to use."""
    place: Path | Located


def run(where: Path | str, block: int, *, as_json: bool = False) -> int:
    """Examine a file, a folder or a bucket by its URL; print what is found. Gives the exit status.

    `block` is the most that an answer to a player holds, in bytes.
    """
    # Names that are no Unicode, and terminals that know little of it, must not end the examination.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        files = _files(where) if isinstance(where, Path) else _objects(where, block)
        with asyncio.Runner(loop_factory=LowBufferLoop) as runner:
            return runner.run(_check_all(files, block, as_json=as_json))
    except _NoInputError as error:
        print(error, file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # nobody reads on; the interpreter must not try to flush at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_UNPLAYABLE


class _NoInputError(Exception):
    """A path with nothing that is served; its message is for whoever gave it."""


def _files(path: Path) -> list[_File]:
    """List the files to examine, by their names. Raises _NoInputError."""
    if path.is_file():
        if media_type(path.name) is None:
            raise _NoInputError(f"{path}: files with this ending are not served.")
        return [_File(str(path), path)]
    if not path.is_dir():
        raise _NoInputError(f"{path}: there is no such file or folder.")
    storage = LocalStorage(path)
    try:
        root = str(storage.root)
        # Whatever version is there when its turn comes is examined.
        found = [
            _File(str(path / entry.path), Located(root, entry.path, None))
            for entry in storage.entries()
            if media_type(entry.path)
        ]
    except OSError as error:
        raise _NoInputError(f"{path}: {error.strerror or error}.") from error
    finally:
        storage.close()
    if not found:
        raise _NoInputError(f"{path}: there is no video in this folder.")
    return sorted(found, key=attrgetter("name"))


def _objects(url: str, block: int) -> list[_File]:
    """List the objects to examine, by their keys. Raises _NoInputError."""
    try:
        store = open_store(url, os.environ)
        from service.storage.object_store.storage import ObjectStorage  # noqa: PLC0415 # needs an extra

        storage = ObjectStorage(store, block=block, most=0, timeout=TIMEOUT, metrics=Metrics())
        entries = sorted(storage.entries(), key=attrgetter("path"))
    except (StoreError, OSError) as error:
        raise _NoInputError(str(error)) from error
    found = [
        _File(entry.path, Located(Store(url, TIMEOUT), entry.path, entry.revision))
        for entry in entries
        if media_type(entry.path)
    ]
    if not found:
        raise _NoInputError(f"{url}: there is no video in this bucket.")
    return found


async def _check_all(files: list[_File], block: int, *, as_json: bool) -> int:
    hidden = not sys.stderr.isatty()
    seen = unplayable = noticed = 0
    with tqdm(total=len(files), unit="file", disable=hidden, leave=False) as bar:
        async with aclosing(_reports(files, block)) as reports:
            async for report in reports:
                seen += 1
                noticed += bool(report.findings)
                unplayable += any(f.severity == "unplayable" for f in report.findings)
                if as_json:
                    tqdm.write(_json(report), file=sys.stdout)
                elif report.findings:
                    tqdm.write("\n".join(_lines(report)), file=sys.stdout)
                bar.update()
    if not as_json:
        better = noticed - unplayable
        print(f"{seen} examined: {unplayable} will not play, {better} could be better, "
              f"{seen - noticed} are fine.")  # fmt: skip
    sys.stdout.flush()
    return EXIT_UNPLAYABLE if unplayable else EXIT_OK


async def _reports(files: Iterable[_File], block: int) -> AsyncGenerator[FileReport]:
    """Examine several at a time; give them in order."""
    workers = min(os.cpu_count() or 1, MAX_WORKERS)
    prober = Prober(workers=workers)
    tasks: deque[asyncio.Task[FileReport]] = deque()
    waiting = iter(files)
    try:
        # Twice as many as there are processes: one slow file does not leave the others idle.
        for file in islice(waiting, 2 * workers):
            tasks.append(asyncio.create_task(_check(prober, file, block)))
        while tasks:
            yield await tasks.popleft()
            if (following := next(waiting, None)) is not None:
                tasks.append(asyncio.create_task(_check(prober, following, block)))
    finally:
        for task in tasks:
            task.cancel()
        await prober.close()


async def _check(prober: Prober, file: _File, block: int) -> FileReport:
    name = file.name
    known = await prober.probe(file.place)
    if isinstance(known, ProbeProblem) and not known.lasting:
        known = await prober.probe(file.place)  # it may have been the machine's fault
    if not isinstance(known, ProbeProblem):
        return FileReport(name, findings(name, known, block))
    if known.lasting or known.outcome == "failed":
        return FileReport(name, findings(name, known.reason, block))
    # The process was ended, or a disk was slow: that says nothing of the file.
    sentence = f"It could not be examined. {known.reason}"
    return FileReport(name, (Finding(code="unreadable", severity="warning", sentence=sentence),))


def _lines(report: FileReport) -> Iterable[str]:
    yield report.name
    for finding in report.findings:
        yield f"  {finding.severity}: {finding.sentence}"
        if finding.command:
            yield f"    {finding.command}"


def _json(report: FileReport) -> str:
    told = [finding.model_dump(mode="json") for finding in report.findings]
    return json.dumps({"path": report.name, "findings": told})
