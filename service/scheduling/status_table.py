"""The statuses of artefacts by name, and how many of each kind and state there are."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from service.artefacts.metadata import ArtefactKind
from service.artefacts.status import ArtefactState, ArtefactStatus


@dataclass(frozen=True, slots=True, eq=False)
class StatusEntry:
    """The status of one artefact. It is a new object each time that the status is set."""

    name: str
    kind: ArtefactKind
    status: ArtefactStatus


class StatusTable:
    """Holds the statuses of artefacts, and counts them."""

    def __init__(self) -> None:
        self._entries: dict[str, StatusEntry] = {}
        self._counts: Counter[tuple[ArtefactKind, ArtefactState]] = Counter()

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def get(self, name: str) -> StatusEntry | None:
        """Return the entry of an artefact; None if it has no status."""
        return self._entries.get(name)

    def count(self, kind: ArtefactKind, state: ArtefactState) -> int:
        """Return how many artefacts of a kind have this state."""
        return self._counts[kind, state]

    def set(self, name: str, kind: ArtefactKind, status: ArtefactStatus) -> None:
        """Set or replace a status."""
        self.discard(name)
        self._entries[name] = StatusEntry(name, kind, status)
        self._counts[kind, status.state] += 1

    def discard(self, name: str) -> None:
        """Remove a status, if there is one."""
        if entry := self._entries.pop(name, None):
            self._counts[entry.kind, entry.status.state] -= 1
