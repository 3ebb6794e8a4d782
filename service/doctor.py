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
from pathlib import Path

from tqdm import tqdm

from service.library.playability import findings
from service.library.probe import ProbeProblem, Prober
from service.library.video import Finding
from service.loop import Loop
from service.protocol.media_types import media_type
from service.storage.local import LocalStorage

MOST_WORKERS = 8
"""Processes that open files at once, if there are as many processors: a disk has them all wait."""

PLAYS, DOES_NOT_PLAY, USAGE, INTERRUPTED = 0, 1, 2, 130
"""Exit statuses: nothing is unplayable, something is, there is nothing to examine, Ctrl-C."""


@dataclass(frozen=True, slots=True)
class Examined:
    """A file by the name that it is printed with, and what was found."""

    name: str
    findings: tuple[Finding, ...]


def run(path: Path, block: int, *, as_json: bool = False) -> int:
    """Examine the file or folder at `path` and print what is found. Gives the exit status.

    `block` is the most that an answer to a player holds, in bytes.
    """
    # Names that are no Unicode, and terminals that know little of it, must not end the examination.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        names = _names(path)
        with asyncio.Runner(loop_factory=Loop) as runner:
            return runner.run(_examine_all(names, block, as_json=as_json))
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


def _names(path: Path) -> list[str]:
    """List the files to examine, by the names that commands are to use."""
    if path.is_file():
        if media_type(path.name) is None:
            raise _NothingToExamineError(f"{path}: files with this ending are not served.")
        return [str(path)]
    if not path.is_dir():
        raise _NothingToExamineError(f"{path}: there is no such file or folder.")
    storage = LocalStorage(path)
    try:
        entries = (entry for entry in storage.entries() if media_type(entry.path))
        names = sorted(str(path / entry.path) for entry in entries)
    except OSError as error:
        raise _NothingToExamineError(f"{path}: {error.strerror or error}.") from error
    finally:
        storage.close()
    if not names:
        raise _NothingToExamineError(f"{path}: there is no video in this folder.")
    return names


async def _examine_all(names: list[str], block: int, *, as_json: bool) -> int:
    hidden = not sys.stderr.isatty()
    seen = unplayable = noticed = 0
    with tqdm(total=len(names), unit="file", disable=hidden, leave=False) as bar:
        async with aclosing(_examined(names, block)) as all_examined:
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


async def _examined(names: Iterable[str], block: int) -> AsyncGenerator[Examined]:
    """Examine several at a time; give them in order."""
    workers = min(os.cpu_count() or 1, MOST_WORKERS)
    prober = Prober(workers=workers)
    tasks: deque[asyncio.Task[Examined]] = deque()
    waiting = iter(names)
    try:
        # Twice as many as there are processes: one slow file does not leave the others idle.
        for name in islice(waiting, 2 * workers):
            tasks.append(asyncio.create_task(_examine(prober, name, block)))
        while tasks:
            yield await tasks.popleft()
            if (following := next(waiting, None)) is not None:
                tasks.append(asyncio.create_task(_examine(prober, following, block)))
    finally:
        for task in tasks:
            task.cancel()
        await prober.close()


async def _examine(prober: Prober, name: str, block: int) -> Examined:
    known = await prober.probe(Path(name))
    if isinstance(known, ProbeProblem) and not known.lasting:
        known = await prober.probe(Path(name))  # it may have been the machine's fault
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
