"""What was derived from a version of a file, kept in a folder: a cache, nothing more.
Law: whatever is missing, damaged or cannot be written is made again; it never stops the service."""

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path

import structlog
from pydantic import ValidationError

from service.library.video import Metadata

_log = structlog.get_logger()


class Derived:
    """Probe results by path and revision. Every method blocks: for a thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "metadata"

    def load(self, path: str, revision: str) -> Metadata | None:
        try:
            # A start reads one for each video, and buffers would cost as much as all the rest.
            with self._file(path, revision).open("rb", buffering=0) as file:
                return Metadata.model_validate_json(file.read())
        except (OSError, ValidationError):
            return None

    def save(self, path: str, revision: str, metadata: Metadata) -> None:
        """Write atomically, so that a reader or a second writer never sees half a file."""
        target = self._file(path, revision)
        temporary = None
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as file:
                temporary = Path(file.name)
                file.write(metadata.model_dump_json().encode())
            os.replace(temporary, target)  # noqa: PTH105 # says what it does
        except OSError as error:
            _log.warning("cannot keep what was derived", folder=str(self._folder), error=str(error))
            if temporary is not None:
                with suppress(OSError):
                    temporary.unlink()

    def _file(self, path: str, revision: str) -> Path:
        name = hashlib.sha256(f"{revision}/{path}".encode()).hexdigest()
        return self._folder / name[:2] / f"{name}.json"
