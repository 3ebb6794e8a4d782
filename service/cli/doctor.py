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

from service.loop import Loop
from service.metrics import Metrics
from service.models import Finding
from service.playability.findings import findings
from service.probing.prober import ProbeProblem, Prober
from service.protocol.media_types import media_type
from service.storage.local.folder import LocalStorage
from service.storage.media_root import Located, Store
from service.storage.object_store.config import TIMEOUT, StoreError, open_store

MOST_WORKERS = 8
"""Processes that open files at once, if there are as many processors: a disk has them all wait."""

PLAYS, DOES_NOT_PLAY, USAGE, INTERRUPTED = 0, 1, 2, 130
"""Exit statuses: nothing is unplayable, something is, there is nothing to examine, Ctrl-C."""


@dataclass(frozen=True, slots=True)
class Examined:
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
        with asyncio.Runner(loop_factory=Loop) as runner:
            return runner.run(_examine_all(files, block, as_json=as_json))
    except _NothingToExamineError as error:
        print(error, file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # nobody reads on; the interpreter must not try to flush at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DOES_NOT_PLAY


class _NothingToExamineError(Exception):
    """A path with nothing that is served; its message is for whoever gave it."""


def _files(path: Path) -> list[_File]:
    """List the files to examine, by their names. Raises _NothingToExamineError."""
    if path.is_file():
        if media_type(path.name) is None:
            raise _NothingToExamineError(f"{path}: files with this ending are not served.")
        return [_File(str(path), path)]
    if not path.is_dir():
        raise _NothingToExamineError(f"{path}: there is no such file or folder.")
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
        raise _NothingToExamineError(f"{path}: {error.strerror or error}.") from error
    finally:
        storage.close()
    if not found:
        raise _NothingToExamineError(f"{path}: there is no video in this folder.")
    return sorted(found, key=attrgetter("name"))


def _objects(url: str, block: int) -> list[_File]:
    """List the objects to examine, by their keys. Raises _NothingToExamineError."""
    try:
        store = open_store(url, os.environ)
        from service.storage.object_store.storage import ObjectStorage  # noqa: PLC0415 # needs an extra

        storage = ObjectStorage(store, block=block, most=0, timeout=TIMEOUT, metrics=Metrics())
        entries = sorted(storage.entries(), key=attrgetter("path"))
    except (StoreError, OSError) as error:
        raise _NothingToExamineError(str(error)) from error
    found = [
        _File(entry.path, Located(Store(url, TIMEOUT), entry.path, entry.revision))
        for entry in entries
        if media_type(entry.path)
    ]
    if not found:
        raise _NothingToExamineError(f"{url}: there is no video in this bucket.")
    return found


async def _examine_all(files: list[_File], block: int, *, as_json: bool) -> int:
    hidden = not sys.stderr.isatty()
    seen = unplayable = noticed = 0
    with tqdm(total=len(files), unit="file", disable=hidden, leave=False) as bar:
        async with aclosing(_examined(files, block)) as all_examined:
            async for examined in all_examined:
                seen += 1
                noticed += bool(examined.findings)
                unplayable += any(f.severity == "unplayable" for f in examined.findings)
                if as_json:
                    tqdm.write(_json(examined), file=sys.stdout)
                elif examined.findings:
                    tqdm.write("\n".join(_lines(examined)), file=sys.stdout)
                bar.update()
    if not as_json:
        better = noticed - unplayable
        print(f"{seen} examined: {unplayable} will not play, {better} could be better, "
              f"{seen - noticed} are fine.")  # fmt: skip
    sys.stdout.flush()
    return DOES_NOT_PLAY if unplayable else PLAYS


async def _examined(files: Iterable[_File], block: int) -> AsyncGenerator[Examined]:
    """Examine several at a time; give them in order."""
    workers = min(os.cpu_count() or 1, MOST_WORKERS)
    prober = Prober(workers=workers)
    tasks: deque[asyncio.Task[Examined]] = deque()
    waiting = iter(files)
    try:
        # Twice as many as there are processes: one slow file does not leave the others idle.
        for file in islice(waiting, 2 * workers):
            tasks.append(asyncio.create_task(_examine(prober, file, block)))
        while tasks:
            yield await tasks.popleft()
            if (following := next(waiting, None)) is not None:
                tasks.append(asyncio.create_task(_examine(prober, following, block)))
    finally:
        for task in tasks:
            task.cancel()
        await prober.close()


async def _examine(prober: Prober, file: _File, block: int) -> Examined:
    name = file.name
    known = await prober.probe(file.place)
    if isinstance(known, ProbeProblem) and not known.lasting:
        known = await prober.probe(file.place)  # it may have been the machine's fault
    if not isinstance(known, ProbeProblem):
        return Examined(name, findings(name, known, block))
    if known.lasting or known.outcome == "failed":
        return Examined(name, findings(name, known.reason, block))
    # The process was ended, or a disk was slow: that says nothing of the file.
    sentence = f"It could not be examined. {known.reason}"
    return Examined(name, (Finding(code="unreadable", severity="warning", sentence=sentence),))


def _lines(examined: Examined) -> Iterable[str]:
    yield examined.name
    for finding in examined.findings:
        yield f"  {finding.severity}: {finding.sentence}"
        if finding.command:
            yield f"    {finding.command}"


def _json(examined: Examined) -> str:
    told = [finding.model_dump(mode="json") for finding in examined.findings]
    return json.dumps({"path": examined.name, "findings": told})
