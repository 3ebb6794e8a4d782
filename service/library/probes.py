"""Probes files, and keeps the results until the database has them."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Protocol

import structlog

from service.artefacts.probe_cache import ProbeCache
from service.library.results import OBJECT_RETRY_SECONDS, Key, ProbeRecord
from service.listing.recognition import is_media
from service.metrics import Metrics
from service.models import Metadata
from service.probing.prober import ProbeFailure
from service.storage.base import Entry
from service.storage.media_root import MediaRoot, ObjectRef

_log = structlog.get_logger()


class Prober(Protocol):
    """Probes files."""

    async def probe(self, file: ObjectRef) -> Metadata | ProbeFailure: ...


class Probes:
    """Probes the files of the library."""

    def __init__(
        self, prober: Prober, cache: ProbeCache, media_root: MediaRoot, metrics: Metrics
    ) -> None:
        self._prober = prober
        self._cache = cache
        self._media_root = media_root
        self._metrics = metrics
        self.records: dict[Key, ProbeRecord] = {}
        """Results that the database does not have yet, and those that a retry may change."""

    def update(self, loaded: Mapping[Key, ProbeRecord], gone: Iterable[Key]) -> None:
        """Add results that were stored, and remove those of files that are gone."""
        self.records.update(loaded)
        for key in gone:
            self.records.pop(key, None)

    def forget_lasting(self, records: Mapping[Key, ProbeRecord]) -> None:
        """Remove those of the results that last, as the database has them."""
        for key, record in records.items():
            if record.is_lasting and self.records.get(key) is record:
                del self.records[key]

    def has_result(self, entry: Entry) -> bool:
        """Return whether a file need not be probed."""
        record = self.records.get((entry.path, entry.revision))
        return record is not None and record.is_current(entry)

    async def probe(self, entry: Entry) -> None:
        """Probe a file, and record its result or an error."""
        try:
            await self._probe(entry)
        except Exception:  # noqa: BLE001 # the others must still be probed
            _log.exception("a probe failed", path=entry.path)
            # So that the file is probed again later, unless it has a result.
            if not self.has_result(entry):
                reason = "The server failed over it: see its log."
                failure = ProbeFailure(reason, "failed", lasting=False)
                record = ProbeRecord(failure, entry.changed_at, time.monotonic())
                self.records[entry.path, entry.revision] = record

    async def _probe(self, entry: Entry) -> None:
        key = (entry.path, entry.revision)
        if self._cache.is_remote:
            loaded = await asyncio.to_thread(self._cache.load, *key)
            if loaded is not None:
                self.records[key] = ProbeRecord(loaded, entry.changed_at, time.monotonic())
                return
        with self._metrics.probe_seconds.time():
            result = await self._prober.probe(self._media_root.locate(*key))
        record = ProbeRecord(result, entry.changed_at, time.monotonic())
        if self._media_root.store is not None:
            record = record._replace(retry_after=OBJECT_RETRY_SECONDS)
        self.records[key] = record
        if not is_media(entry.path, result):
            self._metrics.probes.labels("no media").inc()
            _log.info("a file is not listed: it is no video or sound", path=entry.path)
        elif isinstance(result, ProbeFailure):
            self._metrics.probes.labels(result.outcome).inc()
            _log.warning("a file cannot be probed", path=entry.path, reason=result.reason)
        else:
            self._metrics.probes.labels("complete").inc()
            for omission in result.omissions:
                _log.info("part of a file is left out", path=entry.path, reason=omission)
        await asyncio.to_thread(self._cache.save, *key, result)
