"""The artefacts that are to be built, in their order."""

from collections.abc import Callable, Collection
from typing import NamedTuple

from service.artefacts.metadata import ArtefactKind
from service.artefacts.source import ArtefactSource


class Job(NamedTuple):
    """An artefact to build."""

    kind: ArtefactKind
    source: ArtefactSource
    name: str
    sound: int = 0
    """The number of the sound that it is made of, from 1; 0: the default sound, or all sounds."""

    @property
    def key(self) -> tuple[ArtefactKind, str]:
        """Kind and name in the store."""
        return self.kind, self.name


class JobQueue:
    """Requested jobs, the latest first, then others by kind."""

    def __init__(self, find: Callable[[str], ArtefactSource | None]) -> None:
        """`find` returns the source of a video's artefacts by its path."""
        self._find = find
        self._requested: dict[str, Job] = {}
        """In the order of the requests; these are not in `_waiting`."""
        self._waiting: dict[ArtefactKind, dict[str, str]] = {kind: {} for kind in ArtefactKind}
        """The paths of the videos, by the name of the artefact: 100,000 videos have 300,000 jobs,
        and their metadata would take 300 MB."""

    def request(self, job: Job) -> None:
        """Put a job first, wherever it was."""
        self.discard(job.name)
        self._requested[job.name] = job

    def add(self, job: Job) -> None:
        """Put a job of no certain sound behind the others of its kind."""
        self._waiting[job.kind][job.name] = job.source.video.path

    def discard(self, name: str) -> None:
        """Remove a job, if it is there."""
        self._requested.pop(name, None)
        for waiting in self._waiting.values():
            waiting.pop(name, None)

    def __contains__(self, name: str) -> bool:
        return self.is_requested(name) or self.is_waiting(name)

    def is_requested(self, name: str) -> bool:
        return name in self._requested

    def is_waiting(self, name: str) -> bool:
        """Return whether a job is there that was not requested."""
        return any(name in waiting for waiting in self._waiting.values())

    def has_requested(self, kinds: Collection[ArtefactKind]) -> bool:
        return any(job.kind in kinds for job in self._requested.values())

    def has_waiting(self, kinds: Collection[ArtefactKind]) -> bool:
        """Return whether there are jobs that were not requested."""
        return any(self._waiting[kind] for kind in kinds)

    def count(self, kind: ArtefactKind) -> int:
        return len(self._waiting[kind]) + self.requested(kind)

    def requested(self, kind: ArtefactKind) -> int:
        return sum(job.kind is kind for job in self._requested.values())

    def pop(self, kinds: Collection[ArtefactKind]) -> tuple[Job, bool] | None:
        """Remove and return the next job of these kinds, and whether it was requested.

        None if its source no longer has it. Raises LookupError if there is no job.
        """
        latest = next(
            (job for job in reversed(self._requested.values()) if job.kind in kinds), None
        )
        if latest is not None:
            return self._requested.pop(latest.name), True
        for kind, waiting in self._waiting.items():
            if waiting and kind in kinds:
                name = next(iter(waiting))
                source = self._find(waiting.pop(name))
                is_wanted = source is not None and source.name(kind) == name
                return (Job(kind, source, name), False) if source and is_wanted else None
        raise LookupError("no job")
