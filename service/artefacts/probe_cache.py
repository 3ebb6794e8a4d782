"""What probing told, kept for the next start. What was a file's own fault is kept as well, for as
long as the decoders are the same; what may pass is not."""

from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Literal

from service.artefact_store.folder import ArtefactStore, iter_prefetched
from service.artefact_store.keys import artefact_name
from service.models import FrozenModel, Metadata
from service.probing.prober import ProbeFailure


class _StoredProbeFailure(FrozenModel):
    problem: str
    outcome: Literal["failed", "timeout", "crashed"]
    decoder: str


def probe_cache_name(path: str, revision: str) -> str:
    """Give what the metadata of a version of a file are kept under."""
    return artefact_name("metadata", path, revision)


def probe_cache_key(path: str, revision: str) -> tuple[str, str]:
    """Give kind and name of those: read at a start only, but in use as long as it is listed."""
    return "metadata", probe_cache_name(path, revision)


class ProbeCache:
    """Probe results by path and revision. Every method blocks: for a thread."""

    def __init__(self, store: ArtefactStore) -> None:
        self._store = store
        self._decoder = version("av")

    def load(self, path: str, revision: str) -> Metadata | ProbeFailure | None:
        """Give what was told; None where nothing is kept that counts, or it cannot be read now."""
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
            ProbeFailure(stored.problem, stored.outcome)
            if stored.decoder == self._decoder
            else None
        )

    def load_all(
        self, versions: Sequence[tuple[str, str]]
    ) -> Iterator[tuple[tuple[str, str], Metadata | ProbeFailure | None]]:
        """Load what was told of many, by path and revision."""
        keys = iter_prefetched(self._store, [probe_cache_key(*key) for key in versions])
        for key, _ in zip(versions, keys, strict=True):
            yield key, self.load(*key)

    @property
    def is_remote(self) -> bool:
        """Whether another replica may have told something meanwhile."""
        return self._store.is_remote

    def save(self, path: str, revision: str, result: Metadata | ProbeFailure) -> None:
        """Keep what was told, unless it may be otherwise the next time."""
        stored: FrozenModel
        if isinstance(result, Metadata):
            stored = result
        elif result.lasting:
            stored = _StoredProbeFailure(
                problem=result.reason, outcome=result.outcome, decoder=self._decoder
            )
        else:
            return
        self._store.save(*probe_cache_key(path, revision), stored.model_dump_json().encode())
