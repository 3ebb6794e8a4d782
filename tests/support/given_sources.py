"""Sources of artefacts that a test gives to the scheduler."""

from collections.abc import Iterable, Iterator

from service.artefacts.source import ArtefactSource
from service.scheduling.sources import Sources


class GivenSources:
    """Some sources, as the library has them."""

    def __init__(self, sources: Iterable[ArtefactSource] = ()) -> None:
        self._by_path = {source.video.path: source for source in sources}

    def get(self, path: str) -> ArtefactSource | None:
        return self._by_path.get(path)

    def newer_than(self, previous: Sources | None) -> Iterator[ArtefactSource]:
        def is_known(source: ArtefactSource) -> bool:
            return previous is not None and previous.get(source.video.path) == source

        new = [source for source in self._by_path.values() if not is_known(source)]
        return iter(sorted(new, key=lambda source: -source.video.modified))

    def versions(self) -> Iterator[tuple[str, str]]:
        return ((source.video.path, source.video.revision) for source in self._by_path.values())
