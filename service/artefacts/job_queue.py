"""The artefacts that are to be built, in their order."""

from array import array
from collections.abc import Callable, Collection
from typing import NamedTuple

from service.artefacts.metadata import ArtefactKind
from service.artefacts.source import Artefact, ArtefactSource


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

    @property
    def artefact(self) -> Artefact:
        """What it builds."""
        path, number = self.source.video.path, self.source.number
        return Artefact(self.kind, self.name, self.sound, path, number)


class JobQueue:
    """Requested jobs, the latest first, then others by kind."""

    def __init__(self) -> None:
        self._requested: dict[str, Job] = {}
        """In the order of the requests; these are not in `_waiting`."""
        self._waiting: dict[ArtefactKind, _Waiting] = {kind: _Waiting() for kind in ArtefactKind}

    def request(self, job: Job) -> None:
        """Put a job first, wherever it was."""
        self.discard(job.artefact)
        self._requested[job.name] = job

    def add(self, artefact: Artefact) -> None:
        """Put one of no certain sound behind the others of its kind."""
        self._waiting[artefact.kind].add(artefact)

    def discard(self, artefact: Artefact) -> None:
        """Remove it, if it is there."""
        self._requested.pop(artefact.name, None)
        if not artefact.sound:
            self._waiting[artefact.kind].discard(artefact)

    def forget_number(self, artefact: Artefact) -> None:
        """Remove what waits with the number of the artefact's video, which is no longer listed."""
        if artefact.number and not artefact.sound:
            self._waiting[artefact.kind].discard(artefact)

    def __contains__(self, name: str) -> bool:
        """Return whether it was requested."""
        return name in self._requested

    def is_waiting(self, artefact: Artefact) -> bool:
        """Return whether it is there without having been requested."""
        return not artefact.sound and artefact in self._waiting[artefact.kind]

    def has_requested(self, kinds: Collection[ArtefactKind]) -> bool:
        return any(job.kind in kinds for job in self._requested.values())

    def has_waiting(self, kinds: Collection[ArtefactKind]) -> bool:
        """Return whether there are jobs that were not requested."""
        return any(len(self._waiting[kind]) for kind in kinds)

    def count(self, kind: ArtefactKind) -> int:
        return len(self._waiting[kind]) + self.requested(kind)

    def requested(self, kind: ArtefactKind) -> int:
        return sum(job.kind is kind for job in self._requested.values())

    def pop(
        self,
        kinds: Collection[ArtefactKind],
        find: Callable[[int, str], ArtefactSource | None],
    ) -> tuple[Job, bool] | None:
        """Remove and return the next job of these kinds, and whether it was requested.

        `find` returns the source with a number, or with a path if the number is 0. None if its
        source is gone or no longer has it. Raises LookupError if there is no job.
        """
        latest = next(
            (job for job in reversed(self._requested.values()) if job.kind in kinds), None
        )
        if latest is not None:
            return self._requested.pop(latest.name), True
        for kind, waiting in self._waiting.items():
            if len(waiting) and kind in kinds:
                source = find(*waiting.pop())
                name = source.name(kind) if source else None
                return (Job(kind, source, name), False) if source and name else None
        raise LookupError("no job")


class _Waiting:
    """The videos of which one kind waits, in order: 5 bytes each.

    Those without a number come first; they are few.
    """

    def __init__(self) -> None:
        self._paths: dict[str, str] = {}
        """Of those without a number, by the name of the artefact."""
        self._numbers: array[int] = array("I")
        """In their order; also some that no longer wait."""
        self._next = 0
        """The index of the first of them that may wait."""
        self._flags = bytearray()
        """By number: whether it waits."""
        self._count = 0

    def __len__(self) -> int:
        return len(self._paths) + self._count

    def __contains__(self, artefact: Artefact) -> bool:
        if not artefact.number:
            return artefact.name in self._paths
        return self._is_flagged(artefact.number)

    def add(self, artefact: Artefact) -> None:
        number = artefact.number
        if not number:
            self._paths[artefact.name] = artefact.path
        elif not self._is_flagged(number):
            self._flags.extend(bytes(max(0, number + 1 - len(self._flags))))
            self._flags[number] = 1
            self._numbers.append(number)
            self._count += 1

    def discard(self, artefact: Artefact) -> None:
        if not artefact.number:
            self._paths.pop(artefact.name, None)
        elif self._is_flagged(artefact.number):
            self._clear(artefact.number)

    def pop(self) -> tuple[int, str]:
        """Remove and return the first. There must be one."""
        if self._paths:
            return 0, self._paths.pop(next(iter(self._paths)))
        while not self._is_flagged(number := self._numbers[self._next]):
            self._next += 1
        self._next += 1
        self._clear(number)
        if not self._count:
            self._numbers, self._next = array("I"), 0
        return number, ""

    def _clear(self, number: int) -> None:
        self._flags[number] = 0
        self._count -= 1

    def _is_flagged(self, number: int) -> bool:
        return number < len(self._flags) and bool(self._flags[number])
