"""The statuses of artefacts by name, and how many of each kind and state there are."""

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple
from weakref import WeakValueDictionary

from service.artefacts.metadata import ArtefactKind
from service.artefacts.status import ArtefactState, ArtefactStatus
from service.scheduling.name_index import NameIndex


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class StatusEntry:
    """The status of one artefact. It is a new object each time that the status is set."""

    name: str
    kind: ArtefactKind
    status: ArtefactStatus


class _Value(NamedTuple):
    kind: ArtefactKind
    status: ArtefactStatus


class StatusTable:
    """Holds the statuses of artefacts, and counts them.

    Most are equal to others: a library of 100,000 videos has 300,000 statuses. So each different
    one is kept once, and 14 bytes for each name.
    """

    def __init__(self) -> None:
        self._index = NameIndex()
        """The place in `_values` of each name's status."""
        self._values: list[_Value] = []
        self._places: dict[_Value, int] = {}
        self._uses: list[int] = []
        self._free: list[int] = []
        self._entries: WeakValueDictionary[str, StatusEntry] = WeakValueDictionary()
        """Those that somebody refers to."""
        self._counts: Counter[tuple[ArtefactKind, ArtefactState]] = Counter()

    def __len__(self) -> int:
        return len(self._index)

    def __contains__(self, name: str) -> bool:
        return self._index.get(name) is not None

    def status(self, name: str) -> ArtefactStatus | None:
        """Return the status of an artefact; None if it has none."""
        place = self._index.get(name)
        return None if place is None else self._values[place].status

    def get(self, name: str) -> StatusEntry | None:
        """Return the entry of an artefact; None if it has no status."""
        if (known := self._entries.get(name)) is not None:
            return known
        if (place := self._index.get(name)) is None:
            return None
        entry = self._entries[name] = StatusEntry(name, *self._values[place])
        return entry

    def count(self, kind: ArtefactKind, state: ArtefactState) -> int:
        """Return how many artefacts of a kind have this state."""
        return self._counts[kind, state]

    def set(self, name: str, kind: ArtefactKind, status: ArtefactStatus) -> None:
        """Set or replace a status."""
        self.discard(name)
        value = _Value(kind, status)
        if (place := self._places.get(value)) is None:
            if self._free:
                place = self._free.pop()
                self._values[place] = value
            else:
                place = len(self._values)
                self._values.append(value)
                self._uses.append(0)
            self._places[value] = place
        self._uses[place] += 1
        self._index.set(name, place)
        self._counts[kind, status.state] += 1

    def discard(self, name: str) -> None:
        """Remove a status, if there is one."""
        if (place := self._index.pop(name)) is None:
            return
        self._entries.pop(name, None)
        value = self._values[place]
        self._counts[value.kind, value.status.state] -= 1
        self._uses[place] -= 1
        if not self._uses[place]:
            del self._places[value]
            self._values[place] = _NO_VALUE
            self._free.append(place)


_NO_VALUE = _Value(ArtefactKind.POSTER, ArtefactStatus(ArtefactState.NONE))
