"""The executors of worker processes that build artefacts."""

from typing import NamedTuple

from service.artefacts.metadata import LARGE, ArtefactKind
from service.workers.pool import Executor


class Executors(NamedTuple):
    """What runs the requests to build artefacts."""

    small: Executor
    large: Executor
    """For those that write large files, so that these do not delay the others."""

    def of(self, kind: ArtefactKind) -> Executor:
        """Return the executor that builds a kind."""
        return self.large if kind in LARGE else self.small
