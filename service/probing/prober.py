"""Probing of files in worker processes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from service.models import Metadata
from service.storage.media_root import ObjectRef
from service.workers.pool import Executor
from service.workers.worker import WorkerError, WorkerResponse


@dataclass(frozen=True, slots=True)
class ProbeFailure:
    """Why a file could not be probed."""

    reason: str
    """A sentence for viewers, without a path."""

    outcome: Literal["failed", "timeout", "crashed"]

    lasting: bool = True
    """Whether it stays so until the file changes; else a retry may help."""

    known_format: bool = True
    """Whether there is a trace of a picture or a sound in the file."""


class Prober:
    """Probes files."""

    def __init__(self, executor: Executor, timeout: float = 60.0) -> None:
        """Take at most `timeout` seconds for a file."""
        if timeout <= 0:
            raise ValueError("timeout must be positive")
        self._executor = executor
        self._timeout = timeout

    async def probe(self, file: Path | ObjectRef) -> Metadata | ProbeFailure:
        """Probe a file. Raises RuntimeError if the pool is closed.

        A Path may lead through links to anywhere; a file of the library is an ObjectRef.
        """
        located = ObjectRef.at(file) if isinstance(file, Path) else file
        request = {"task": "probe", **located._asdict()}
        try:
            return await self._executor.run(request, _read, self._timeout)
        except WorkerError as error:
            return ProbeFailure(str(error), error.outcome, error.lasting)


def _read(answer: WorkerResponse) -> Metadata | ProbeFailure:
    """Return the result in a response. Raises ValueError if it has none or an invalid one."""
    match answer.payload:
        case {"metadata": dict(told), **rest} if not rest:
            return Metadata.model_validate(told)
        case {"problem": str(reason), "known_format": False, **rest} if reason and not rest:
            return ProbeFailure(reason, "failed", known_format=False)
        case {"problem": str(reason), "lasting": bool(lasting), **rest} if reason and not rest:
            return ProbeFailure(reason, "failed", lasting)
        case _:
            raise ValueError("neither metadata nor a problem")
