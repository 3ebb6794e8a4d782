"""The command `doctor`: examines files as the service does and prints what viewers may notice.

It examines exactly the files that would be served. Findings go to standard output, all else to
standard error.
"""

import argparse
import asyncio
import json
import os
import sys
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from service.cli.left_out import left_out_lines
from service.composition.findings import judge_of_files
from service.event_loop import LowBufferLoop
from service.listing.recognition import is_media
from service.metrics import Metrics
from service.models import Finding
from service.playability.findings import Judge
from service.probing.prober import ProbeFailure, Prober
from service.protocol.media_types import media_type
from service.settings.environment import PREFIX, Settings, SettingsError, load
from service.storage.left_out import LibraryFilter
from service.storage.local.folder import LocalStorage
from service.storage.media_root import ObjectRef, StoreRef
from service.storage.object_store.config import TIMEOUT, StoreError, open_store
from service.workers.pool import Executor, WorkerPool

MAX_WORKERS = 8
"""The maximum number of worker processes: with more, a disk only makes them all wait."""

_NAMED = 5  # of the files that are not listed

EXIT_OK, EXIT_UNPLAYABLE, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130
"""Exit statuses: nothing is unplayable, something is, nothing to examine, Ctrl-C."""


@dataclass(frozen=True, slots=True)
class FileReport:
    """The printed name of a file and its findings."""

    name: str
    findings: tuple[Finding, ...]
    listed: bool = True
    """Whether the service lists the file: not if it only has an extension of media."""


class _File(NamedTuple):
    name: str
    """The name that is printed and used in commands."""
    place: Path | ObjectRef
    in_library: bool = True
    """False if the file itself was named."""


def doctor(arguments: Sequence[str]) -> int:
    """Examine the files at a path, or the library, and print findings. Return the exit status."""
    options = _parse(arguments)
    environment = dict(os.environ)
    if options.path is not None:  # works without a library
        environment.pop(f"{PREFIX}MEDIA_FILE", None)
        environment[f"{PREFIX}MEDIA"] = os.curdir
    # Names that cannot be encoded must not end the examination.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        return _examine(load(environment), options)
    except (SettingsError, _NoInputError) as error:
        print(error, file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m service doctor",
        description="Examine videos as the service does: will browsers play them, and well? "
        "Exits with 0 if nothing is unplayable, 1 if something is, 2 if there is nothing to "
        "examine.",
    )
    parser.add_argument(
        "path", nargs="?", type=Path, help="a file or a folder; without it, the library"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a file")
    return parser.parse_args(arguments)


def _examine(settings: Settings, options: argparse.Namespace) -> int:
    where: Path | str = options.path or settings.media
    block, chosen = settings.max_partial_size, LibraryFilter(settings.ignore)
    judge = judge_of_files(settings)
    files, left_out = (
        _files(where, chosen) if isinstance(where, Path) else _objects(where, block, chosen)
    )
    with asyncio.Runner(loop_factory=LowBufferLoop) as runner:
        return runner.run(_check_all(files, left_out, judge, as_json=options.json))


class _NoInputError(Exception):
    """The path has no file that is served; the message is printed."""


def _files(path: Path, chosen: LibraryFilter) -> tuple[list[_File], list[str]]:
    """Return the files to examine, sorted by name, and lines about those that are left out.

    Raises _NoInputError.
    """
    if path.is_file():
        if media_type(path.name) is None:
            raise _NoInputError(f"{path}: files with this ending are not served.")
        return [_File(str(path), path, in_library=False)], []
    if not path.is_dir():
        raise _NoInputError(f"{path}: there is no such file or folder.")
    storage = LocalStorage(path, chosen)
    try:
        root = str(storage.root)
        # No revision: the version that exists when it is examined.
        files = [
            _File(str(path / entry.path), ObjectRef(root, entry.path, None))
            for entry in storage.list_entries()
            if media_type(entry.path)
        ]
    except OSError as error:
        raise _NoInputError(f"{path}: {error.strerror or error}.") from error
    finally:
        storage.close()
    left_out = left_out_lines(chosen.left_out, path)
    if not files:
        raise _NoInputError("\n".join([f"{path}: there is no video in this folder.", *left_out]))
    return sorted(files, key=attrgetter("name")), left_out


def _objects(url: str, block: int, chosen: LibraryFilter) -> tuple[list[_File], list[str]]:
    """Return the same of a bucket, sorted by key. Raises _NoInputError."""
    try:
        store = open_store(url, os.environ)
        from service.storage.object_store.storage import ObjectStorage  # noqa: PLC0415 # needs an extra

        storage = ObjectStorage(
            store,
            block_size=block,
            max_bytes=0,
            timeout=TIMEOUT,
            metrics=Metrics(),
            library_filter=chosen,
        )
        entries = sorted(storage.list_entries(), key=attrgetter("path"))
    except (StoreError, OSError) as error:
        raise _NoInputError(str(error)) from error
    files = [
        _File(entry.path, ObjectRef(StoreRef(url, TIMEOUT), entry.path, entry.revision))
        for entry in entries
        if media_type(entry.path)
    ]
    left_out = left_out_lines(chosen.left_out, None)
    if not files:
        raise _NoInputError("\n".join([f"{url}: there is no video in this bucket.", *left_out]))
    return files, left_out


async def _check_all(
    files: list[_File], left_out: list[str], judge: Judge, *, as_json: bool
) -> int:
    hidden = not sys.stderr.isatty()
    total = unplayable = with_findings = 0
    no_media: list[str] = []
    with tqdm(total=len(files), unit="file", disable=hidden, leave=False) as bar:
        async with aclosing(_reports(files, judge)) as reports:
            async for report in reports:
                bar.update()
                if not report.listed:
                    no_media.append(report.name)
                    continue
                total += 1
                with_findings += bool(report.findings)
                unplayable += any(f.severity == "unplayable" for f in report.findings)
                if as_json:
                    tqdm.write(_json(report), file=sys.stdout)
                elif report.findings:
                    tqdm.write("\n".join(_lines(report)), file=sys.stdout)
    if not as_json:
        better = with_findings - unplayable
        print(f"{total} examined: {unplayable} will not play, {better} could be better, "
              f"{total - with_findings} are fine.")  # fmt: skip
    for line in left_out:
        print(line, file=sys.stderr if as_json else sys.stdout)
    if no_media:
        names = ", ".join([*no_media[:_NAMED], *(["…"] if len(no_media) > _NAMED else [])])
        print(f"{len(no_media)} not listed, no video or sound: {names}", file=sys.stderr)
    sys.stdout.flush()
    return EXIT_UNPLAYABLE if unplayable else EXIT_OK


async def _reports(files: Iterable[_File], judge: Judge) -> AsyncGenerator[FileReport]:
    """Examine several files at a time and yield their reports in order."""
    workers = min(os.cpu_count() or 1, MAX_WORKERS)
    pool = WorkerPool()
    prober = Prober(Executor(pool, workers))
    tasks: deque[asyncio.Task[FileReport]] = deque()
    waiting = iter(files)
    try:
        # Twice as many tasks as processes, so that a slow file does not leave the others idle.
        for file in islice(waiting, 2 * workers):
            tasks.append(asyncio.create_task(_check(prober, file, judge)))
        while tasks:
            yield await tasks.popleft()
            if (following := next(waiting, None)) is not None:
                tasks.append(asyncio.create_task(_check(prober, following, judge)))
    finally:
        for task in tasks:
            task.cancel()
        await pool.close()


async def _check(prober: Prober, file: _File, judge: Judge) -> FileReport:
    name = file.name
    result = await prober.probe(file.place)
    if file.in_library and not is_media(name, result):
        return FileReport(name, (), listed=False)
    if isinstance(result, ProbeFailure) and not result.lasting:
        result = await prober.probe(file.place)  # a temporary failure
    if not isinstance(result, ProbeFailure):
        return FileReport(name, judge(name, result))
    if result.lasting or result.outcome == "failed":
        return FileReport(name, judge(name, result.reason))
    # The worker was killed or the disk was slow: the file may be fine.
    sentence = f"It could not be examined. {result.reason}"
    return FileReport(name, (Finding(code="unreadable", severity="warning", sentence=sentence),))


def _lines(report: FileReport) -> Iterable[str]:
    yield report.name
    for finding in report.findings:
        yield f"  {finding.severity}: {finding.sentence}"
    command = next((finding.command for finding in report.findings if finding.command), None)
    if command:
        yield f"    {command}"


def _json(report: FileReport) -> str:
    findings = [finding.model_dump(mode="json") for finding in report.findings]
    return json.dumps({"path": report.name, "findings": findings})
