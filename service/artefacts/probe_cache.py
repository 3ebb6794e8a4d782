"""What probing told, kept for the next start. What was a file's own fault is kept as well, for as
long as the decoders are the same; what may pass is not."""

from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Literal

from service.artefact_store.folder import ArtefactStore, iter_prefetched, name_of
from service.models import FrozenModel, Metadata
from service.probing.prober import ProbeProblem


class _StoredProbeFailure(FrozenModel):
    problem: str
    outcome: Literal["failed", "timeout", "crashed"]
    decoder: str


def metadata_name(path: str, revision: str) -> str:
    """Give what the metadata of a version of a file are kept under."""
    return name_of("metadata", path, revision)


def metadata_key(path: str, revision: str) -> tuple[str, str]:
    """Give kind and name of those: read at a start only, but in use as long as it is listed."""
    return "metadata", metadata_name(path, revision)


class Probed:
    """Probe results by path and revision. Every method blocks: for a thread."""

    def __init__(self, derived: ArtefactStore) -> None:
        self._derived = derived
        self._decoder = version("av")

    def load(self, path: str, revision: str) -> Metadata | ProbeProblem | None:
        """Give what was told; None where nothing is kept that counts, or it cannot be read now."""
        try:
            data = self._derived.load(*metadata_key(path, revision))
        except OSError:
            return None
        if data is None:
            return None
        try:
            return Metadata.model_validate_json(data)
        except ValueError:
            pass
        try:
            kept = _StoredProbeFailure.model_validate_json(data)
        except ValueError:
            return None
        return ProbeProblem(kept.problem, kept.outcome) if kept.decoder == self._decoder else None

    def load_all(
        self, versions: Sequence[tuple[str, str]]
    ) -> Iterator[tuple[tuple[str, str], Metadata | ProbeProblem | None]]:
        """Load what was told of many, by path and revision."""
        keys = iter_prefetched(self._derived, [metadata_key(*of) for of in versions])
        for of, _ in zip(versions, keys, strict=True):
            yield of, self.load(*of)

    @property
    def is_remote(self) -> bool:
        """Whether another replica may have told something meanwhile."""
        return self._derived.is_remote

    def save(self, path: str, revision: str, result: Metadata | ProbeProblem) -> None:
        """Keep what was told, unless it may be otherwise the next time."""
        kept: FrozenModel
        if isinstance(result, Metadata):
            kept = result
        elif result.lasting:
            kept = _StoredProbeFailure(
                problem=result.reason, outcome=result.outcome, decoder=self._decoder
            )
        else:
            return
        self._derived.save(*metadata_key(path, revision), kept.model_dump_json().encode())
