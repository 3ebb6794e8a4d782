"""The sources of all artefacts of the library, which are read when they are needed."""

from collections.abc import Iterator, Mapping

from service.artefacts.source import Artefact, ArtefactSource
from service.catalogue.catalogue import Catalogue
from service.catalogue.selections import newest_first, versions
from service.scheduling.sources import Sources
from service.storage.base import Entry


class LibrarySources:
    """The videos of a catalogue and the pictures of folders, as the scheduler reads them."""

    def __init__(self, catalogue: Catalogue, images: Mapping[str, Entry]) -> None:
        """`images` are the pictures of folders, by their own paths."""
        self._catalogue = catalogue
        self._images = images

    def get(self, path: str) -> ArtefactSource | None:
        """Return the source of a video's artefacts, or of a picture's; None if there is none."""
        if (source := self._catalogue.source(path)) is not None:
            return source
        image = self._images.get(path)
        return None if image is None else ArtefactSource.of_folder_image(image)

    def find(self, number: int, path: str) -> ArtefactSource | None:
        """Return the source with a number, or with a path if the number is 0."""
        if not number:
            return self.get(path)
        return self._catalogue.source_of(number) if number in self._catalogue.numbers else None

    def newer_than(self, previous: Sources | None) -> Iterator[Artefact]:
        """Yield the artefacts of those that `previous` does not have. Blocks.

        First are the pictures, which are few, then the videos of the latest modification.
        """
        known = previous if isinstance(previous, LibrarySources) else _NOTHING
        for path, image in self._images.items():
            if known._images.get(path) != image:  # noqa: SLF001 # of the same class
                yield from ArtefactSource.of_folder_image(image).artefacts()
        yield from newest_first(self._catalogue, known._catalogue)  # noqa: SLF001

    def versions(self) -> Iterator[tuple[str, str]]:
        """Yield path and revision of each. Blocks."""
        yield from versions(self._catalogue)
        yield from ((image.path, image.revision) for image in self._images.values())


_NOTHING = LibrarySources(Catalogue(), {})
