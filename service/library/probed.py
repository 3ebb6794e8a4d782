"""What probing told, kept for the next start. What was a file's own fault is kept as well, for as
long as the decoders are the same; what may pass is not."""

from importlib.metadata import version
from typing import Literal

from service.library.derived import Derived, name_of
from service.library.probe import ProbeProblem
from service.library.video import Metadata, Value


class _Problem(Value):
    problem: str
    outcome: Literal["failed", "timeout", "crashed"]
    decoder: str


def metadata_name(path: str, revision: str) -> str:
    """Give what the metadata of a version of a file are kept under."""
    return name_of("metadata", path, revision)


class Probed:
    """Probe results by path and revision. Every method blocks: for a thread."""

    def __init__(self, derived: Derived) -> None:
        self._derived = derived
        self._decoder = version("av")

    def load(self, path: str, revision: str) -> Metadata | ProbeProblem | None:
        """Give what was told; None where nothing is kept that counts."""
        data = self._derived.load("metadata", metadata_name(path, revision))
        if data is None:
            return None
        try:
            return Metadata.model_validate_json(data)
        except ValueError:
            pass
        try:
            kept = _Problem.model_validate_json(data)
        except ValueError:
            return None
        return ProbeProblem(kept.problem, kept.outcome) if kept.decoder == self._decoder else None

    def save(self, path: str, revision: str, result: Metadata | ProbeProblem) -> None:
        """Keep what was told, unless it may be otherwise the next time."""
        kept: Value
        if isinstance(result, Metadata):
            kept = result
        elif result.lasting:
            kept = _Problem(problem=result.reason, outcome=result.outcome, decoder=self._decoder)
        else:
            return
        name = metadata_name(path, revision)
        self._derived.save("metadata", name, kept.model_dump_json().encode())
