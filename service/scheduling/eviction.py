"""Evicts stored artefacts, at intervals and when the store exceeds its quota."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress

from service.artefact_store.store import ArtefactStore
from service.artefacts.probe_cache import probe_cache_key
from service.scheduling.sources import Sources

# Seconds between two evictions, unless the store exceeds its quota earlier.
_SWEEP_INTERVAL = 3600.0


class Eviction:
    """The evictions of a store."""

    def __init__(
        self,
        store: ArtefactStore,
        sources: Callable[[], Sources],
        done: Callable[[], None],
    ) -> None:
        """Keep the probe results of `sources` as if they were used; call `done` after each."""
        self._store = store
        self._sources = sources
        self._done = done
        self._due = asyncio.Event()
        self._begun = asyncio.Event()

    def begin(self) -> None:
        """Evict from now on: the sources are known."""
        self._begun.set()

    def start(self) -> None:
        """Evict now, and not only after the interval."""
        self._due.set()

    async def loop(self) -> AsyncGenerator[None]:
        """Evict until it is cancelled."""
        await self._begun.wait()
        while True:
            self._due.clear()
            await asyncio.to_thread(self._evict)
            self._done()  # there may be space now
            yield
            with suppress(TimeoutError):
                async with asyncio.timeout(_SWEEP_INTERVAL):
                    await self._due.wait()

    def _evict(self) -> None:
        versions = self._sources().versions()
        self._store.evict(probe_cache_key(path, revision) for path, revision in versions)
