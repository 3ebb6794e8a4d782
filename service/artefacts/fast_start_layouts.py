"""How films whose index stands at their end are laid out for players, kept for the next start and
for other replicas: some hundred bytes of each (service/mp4/fast_start_layout.py)."""

from service.artefact_store.folder import ArtefactStore
from service.artefact_store.keys import artefact_name
from service.mp4.fast_start_layout import SUFFIX

_KIND = "layout"


class FastStartLayoutStore:
    """Layouts by path and revision, among what is derived. Every method blocks: for a thread."""

    def __init__(self, store: ArtefactStore) -> None:
        self._store = store

    def load(self, path: str, revision: str) -> bytes | None:
        """Return the kept facts; None if there are none, or they are damaged or unreadable."""
        try:
            return self._store.load(_KIND, _name(path, revision))
        except OSError:
            return None

    def save(self, path: str, revision: str, data: bytes) -> None:
        """Keep that, if it can be."""
        self._store.save(_KIND, _name(path, revision), data)


def _name(path: str, revision: str) -> str:
    return artefact_name(_KIND, path, revision, SUFFIX)
