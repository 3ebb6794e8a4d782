"""Finds which artefacts of the library are stored, and which are missing."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from typing import NamedTuple, TypeVar

from service.artefacts.builder import ArtefactBuilder
from service.artefacts.job_queue import Job
from service.artefacts.metadata import ArtefactKind, ArtefactMetadata
from service.artefacts.source import ArtefactSource

# Artefacts that are looked at while requests wait: a large library has 300,000.
_AT_A_TIME = 500

_T = TypeVar("_T")


class Inventory(NamedTuple):
    """The artefacts of the library, by whether the store has them."""

    existing: list[tuple[Job, ArtefactMetadata]]
    missing: list[Job]
    gone: set[str]
    """The names that the library no longer has."""


def take_inventory(
    builder: ArtefactBuilder,
    sources: Mapping[str, ArtefactSource],
    names: Callable[[], Iterable[str]],
    is_known: Callable[[str], bool],
) -> Inventory:
    """Look up the artefacts of `sources` in the store, except those that are known. Blocks.

    `names` returns the names that are known. It is called in this thread: a set of 300,000 names
    would hold up the event loop.
    """
    jobs: dict[str, Job] = {}
    # The newest videos come first: people look at what they have just added.
    for source in sorted(sources.values(), key=lambda source: -source.video.modified):
        for kind in builder.kinds:
            if name := source.name(kind):
                jobs[name] = Job(kind, source, name)
        if ArtefactKind.SOUND in builder.kinds:
            for sound, name in source.sounds.items():
                jobs[name] = Job(ArtefactKind.SOUND, source, name, sound)
    inventory = Inventory([], [], {name for name in names() if name not in jobs})
    for job, kept in builder.load_all([job for name, job in jobs.items() if not is_known(name)]):
        if kept:
            inventory.existing.append((job, kept[0]))
        else:
            inventory.missing.append(job)
    return inventory


async def in_turns(items: Iterable[_T]) -> AsyncGenerator[_T]:
    """Yield many items, with turns for the event loop's other tasks between some of them."""
    for number, item in enumerate(items, 1):
        yield item
        if number % _AT_A_TIME == 0:
            await asyncio.sleep(0)
