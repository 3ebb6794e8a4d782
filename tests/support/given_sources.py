"""Sources of artefacts that a test gives to the scheduler."""

from collections.abc import Iterable, Iterator

from service.artefacts.source import Artefact, ArtefactSource
from service.scheduling.sources import Sources


class GivenSources:
    """Some sources, as the library has them."""

    def __init__(self, sources: Iterable[ArtefactSource] = ()) -> None:
        self._by_path = {source.video.path: source for source in sources}

    def get(self, path: str) -> ArtefactSource | None:
        return self._by_path.get(path)

    def find(self, number: int, path: str) -> ArtefactSource | None:
        if not number:
            return self.get(path)
        numbered = (source for source in self._by_path.values() if source.number == number)
        return next(numbered, None)

    def newer_than(self, previous: Sources | None) -> Iterator[Artefact]:
        def is_known(source: ArtefactSource) -> bool:
            known = previous.get(source.video.path) if previous else None
            return known == source and known.number == source.number

        new = [source for source in self._by_path.values() if not is_known(source)]
        newest_first = sorted(new, key=lambda source: -source.video.modified)
        return (artefact for source in newest_first for artefact in source.artefacts())

    def versions(self) -> Iterator[tuple[str, str]]:
        return ((source.video.path, source.video.revision) for source in self._by_path.values())
