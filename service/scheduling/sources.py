"""Where the scheduler finds the videos to build artefacts of."""

from collections.abc import Iterator
from typing import Protocol

from service.artefacts.source import Artefact, ArtefactSource


class Sources(Protocol):
    """The sources of a library's artefacts."""

    def get(self, path: str) -> ArtefactSource | None:
        """Return the source of a video's artefacts; None if the library does not have the video."""
        ...

    def find(self, number: int, path: str) -> ArtefactSource | None:
        """Return the source with a number, or with a path if the number is 0."""
        ...

    def newer_than(self, previous: "Sources | None") -> Iterator[Artefact]:
        """Yield the artefacts of those that `previous` does not have. Blocks.

        First are those of the latest modification.
        """
        ...

    def versions(self) -> Iterator[tuple[str, str]]:
        """Yield path and revision of each. Blocks."""
        ...


class NoSources:
    """The sources before the first scan."""

    def get(self, path: str) -> None:
        """Return None."""

    def find(self, number: int, path: str) -> None:
        """Return None."""

    def newer_than(self, previous: "Sources | None") -> Iterator[Artefact]:  # noqa: ARG002
        """Return nothing."""
        return iter(())

    def versions(self) -> Iterator[tuple[str, str]]:
        """Return nothing."""
        return iter(())
