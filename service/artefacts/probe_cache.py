"""Stores the results of probing for the next start.

A failure is stored if it is the file's fault, and is valid for the same version of the decoders.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib.metadata import version
from typing import Literal

from service.artefact_store.keys import artefact_name
from service.artefact_store.store import ArtefactStore, iter_prefetched
from service.models import Metadata
from service.probing.prober import ProbeFailure
from service.records.frozen_model import FrozenModel


class _StoredProbeFailure(FrozenModel):
    problem: str
    outcome: Literal["failed", "timeout", "crashed"]
    known_format: bool
    decoder: str


@lru_cache(maxsize=1024)  # a result is prefetched, and then loaded
def probe_cache_name(path: str, revision: str) -> str:
    """Return the name under which the metadata of a version of a file are stored."""
    return artefact_name("metadata", path, revision)


def probe_cache_key(path: str, revision: str) -> tuple[str, str]:
    """Return the kind and name of these metadata."""
    return "metadata", probe_cache_name(path, revision)


class ProbeCache:
    """Probe results by path and revision. Every method blocks."""

    def __init__(self, store: ArtefactStore) -> None:
        self._store = store
        self._decoder = version("av")

    def load(self, path: str, revision: str) -> Metadata | ProbeFailure | None:
        """Return the stored result; None if there is no valid one, or it cannot be read now."""
        try:
            data = self._store.load(*probe_cache_key(path, revision))
        except OSError:
            return None
        if data is None:
            return None
        try:
            return Metadata.model_validate_json(data)
        except ValueError:
            pass
        try:
            stored = _StoredProbeFailure.model_validate_json(data)
        except ValueError:
            return None
        return (
            ProbeFailure(stored.problem, stored.outcome, known_format=stored.known_format)
            if stored.decoder == self._decoder
            else None
        )

    def load_all(
        self, versions: Sequence[tuple[str, str]]
    ) -> Iterator[tuple[tuple[str, str], Metadata | ProbeFailure | None]]:
        """Load many results, by path and revision."""
        for key in iter_prefetched(self._store, versions, lambda key: probe_cache_key(*key)):
            yield key, self.load(*key)

    @property
    def is_remote(self) -> bool:
        """Whether another replica may have stored a result meanwhile."""
        return self._store.is_remote

    def save(self, path: str, revision: str, result: Metadata | ProbeFailure) -> None:
        """Store a result, unless a retry may have another one."""
        stored: FrozenModel
        if isinstance(result, Metadata):
            stored = result
        elif result.lasting:
            stored = _StoredProbeFailure(
                problem=result.reason,
                outcome=result.outcome,
                known_format=result.known_format,
                decoder=self._decoder,
            )
        else:
            return
        self._store.save(*probe_cache_key(path, revision), stored.model_dump_json().encode())
