"""Finds which artefacts of the library are stored, and which are missing."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple, TypeVar

from service.artefacts.builder import ArtefactBuilder
from service.artefacts.metadata import ArtefactMetadata
from service.artefacts.source import Artefact
from service.scheduling.sources import Sources

# Artefacts that are looked at while requests wait: a large library has 300,000. To look up so many
# takes 3 ms, and to take them into account 1 ms of the event loop.
_AT_A_TIME = 100

_T = TypeVar("_T")


class Found(NamedTuple):
    """Some artefacts of the library."""

    existing: list[tuple[Artefact, ArtefactMetadata]]
    """Those that the store has."""
    missing: list[Artefact]
    """Those that are to be made, also if nobody asks for them."""
    gone: list[Artefact]
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
    added = _of_kinds(builder, sources.newer_than(previous))
    while some := list(islice(added, _AT_A_TIME)):
        found = Found([], [], [])
        for artefact, kept in builder.load_all([one for one in some if not is_known(one.name)]):
            if kept:
                found.existing.append((artefact, kept[0]))
            elif not builder.is_on_request(artefact, sources.get):
                found.missing.append(artefact)
        yield found
    removed = _of_kinds(builder, previous.newer_than(sources))
    while some := list(islice(removed, _AT_A_TIME)):
        yield Found([], [], some)


def _of_kinds(builder: ArtefactBuilder, artefacts: Iterable[Artefact]) -> Iterator[Artefact]:
    return (artefact for artefact in artefacts if artefact.kind in builder.kinds)


async def in_turns(items: Iterable[_T]) -> AsyncGenerator[_T]:
    """Yield many items, with turns for the event loop's other tasks between some of them."""
    for number, item in enumerate(items, 1):
        yield item
        if number % _AT_A_TIME == 0:
            await asyncio.sleep(0)
