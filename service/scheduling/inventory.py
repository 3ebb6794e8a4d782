"""Finds which artefacts of the library are stored, and which are missing."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple, TypeVar

from service.artefacts.builder import ArtefactBuilder
from service.artefacts.job_queue import Job
from service.artefacts.metadata import ArtefactKind, ArtefactMetadata
from service.artefacts.source import ArtefactSource
from service.scheduling.sources import Sources

# Artefacts that are looked at while requests wait: a large library has 300,000.
_AT_A_TIME = 500

_T = TypeVar("_T")


class Found(NamedTuple):
    """Some artefacts of the library."""

    existing: list[tuple[Job, ArtefactMetadata]]
    """Those that the store has."""
    missing: list[Job]
    """Those that are to be made, also if nobody asks for them."""
    gone: list[Job]
    """Those that were of the library, and may no longer be."""


def take_inventory(
    builder: ArtefactBuilder,
    sources: Sources,
    previous: Sources,
    is_known: Callable[[str], bool],
) -> Iterator[Found]:
    """Look up the artefacts of `sources` in the store, some at a time. Each step blocks.

    Those of `previous` and those that are known are left out.
    """
    # The newest videos come first: people look at what they have just added.
    added, removed = sources.newer_than(previous), previous.newer_than(sources)
    while some := list(islice(added, _AT_A_TIME)):
        found = Found([], [], [])
        jobs = [job for source in some for job in _jobs(builder, source)]
        for job, kept in builder.load_all([job for job in jobs if not is_known(job.name)]):
            if kept:
                found.existing.append((job, kept[0]))
            elif not builder.is_on_request(job):
                found.missing.append(job)
        yield found
    while some := list(islice(removed, _AT_A_TIME)):
        yield Found([], [], [job for source in some for job in _jobs(builder, source)])


def _jobs(builder: ArtefactBuilder, source: ArtefactSource) -> Iterator[Job]:
    for kind in builder.kinds:
        if name := source.name(kind):
            yield Job(kind, source, name)
    if ArtefactKind.SOUND in builder.kinds:
        for sound, name in source.sounds.items():
            yield Job(ArtefactKind.SOUND, source, name, sound)


async def in_turns(items: Iterable[_T]) -> AsyncGenerator[_T]:
    """Yield many items, with turns for the event loop's other tasks between some of them."""
    for number, item in enumerate(items, 1):
        yield item
        if number % _AT_A_TIME == 0:
            await asyncio.sleep(0)
