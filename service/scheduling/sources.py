"""Where the scheduler finds the videos to build artefacts of."""

from collections.abc import Iterator
from typing import Protocol

from service.artefacts.source import ArtefactSource


class Sources(Protocol):
    """The sources of a library's artefacts."""

    def get(self, path: str) -> ArtefactSource | None:
        """Return the source of a video's artefacts; None if the library does not have the video."""
        ...

    def newer_than(self, previous: "Sources | None") -> Iterator[ArtefactSource]:
        """Yield those that `previous` does not have, the latest modification first. Blocks."""
        ...

    def versions(self) -> Iterator[tuple[str, str]]:
        """Yield path and revision of each. Blocks."""
        ...


class NoSources:
    """The sources before the first scan."""

    def get(self, path: str) -> None:
        """Return None."""

    def newer_than(self, previous: "Sources | None") -> Iterator[ArtefactSource]:  # noqa: ARG002
        """Return nothing."""
        return iter(())

    def versions(self) -> Iterator[tuple[str, str]]:
        """Return nothing."""
        return iter(())
