"""Stores the fast-start layouts of MP4 files for the next start and for other replicas."""

from service.artefact_store.keys import artefact_name
from service.artefact_store.store import ArtefactStore
from service.mp4.fast_start_layout import SUFFIX

_KIND = "layout"


class FastStartLayoutStore:
    """Fast-start layouts by path and revision. Every method blocks."""

    def __init__(self, store: ArtefactStore) -> None:
        self._store = store

    def load(self, path: str, revision: str) -> bytes | None:
        """Return the stored layout; None if there is none, or it cannot be read."""
        try:
            return self._store.load(_KIND, _name(path, revision))
        except OSError:
            return None

    def save(self, path: str, revision: str, data: bytes) -> None:
        """Store a layout; a failure is ignored."""
        self._store.save(_KIND, _name(path, revision), data)


def _name(path: str, revision: str) -> str:
    return artefact_name(_KIND, path, revision, SUFFIX)
