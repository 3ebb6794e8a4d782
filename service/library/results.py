"""The results of probing files, and when these are probed again."""

import time
from typing import NamedTuple

from service.database.rows import Result
from service.models import Metadata
from service.storage.base import Entry

# Seconds until a file is probed again that could not be read; and an object, because no event tells
# that it can be read again.
_RETRY_SECONDS, OBJECT_RETRY_SECONDS = 600.0, 15.0

Key = tuple[str, str]  # path and revision


class ProbeRecord(NamedTuple):
    """The probe result of a version of a file."""

    result: Result
    changed_at: float
    """From the entry at that time; a change of permissions may let a retry succeed."""
    probed_at: float
    """Seconds on the monotonic clock."""
    retry_after: float = _RETRY_SECONDS
    """Seconds until a retry, unless the failure is lasting."""

    @property
    def is_lasting(self) -> bool:
        """Whether it is valid until the file changes."""
        return isinstance(self.result, Metadata) or self.result.lasting

    def is_current(self, entry: Entry) -> bool:
        """Return whether the file need not be probed again."""
        return self.is_lasting or (
            entry.changed_at == self.changed_at
            and time.monotonic() - self.probed_at < self.retry_after
        )
