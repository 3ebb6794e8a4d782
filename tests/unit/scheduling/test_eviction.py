import asyncio
import os
from contextlib import aclosing
from pathlib import Path

from support.given_sources import GivenSources

from service.artefact_store.folder import FolderArtefactStore
from service.artefact_store.keys import artefact_name
from service.artefacts.probe_cache import probe_cache_key
from service.artefacts.source import ArtefactSource
from service.database.rows import Version
from service.naming.sidecars import NO_SIDECARS
from service.scheduling.eviction import Eviction
from service.scheduling.sources import NoSources, Sources
from service.storage.base import Entry


def make_oldest(folder: Path, name: str) -> None:
    (file,) = folder.rglob(name)
    os.utime(file, (0, 0))


async def test_nothing_is_evicted_before_it_is_known_what_the_library_has(tmp_path: Path) -> None:
    store = FolderArtefactStore(tmp_path, 300_000)
    names = [artefact_name("poster", str(number)) for number in range(4)]
    for name in names:
        store.save("poster", name, b"null", [bytes(99_000)])
    video = Version.of(Entry("a.mp4", 1, "1-1", 1.0, 1.0), NO_SIDECARS, None).video
    known = probe_cache_key(video.path, video.revision)
    store.save(*known, b"{}")
    make_oldest(tmp_path, known[1])  # it would be the first to go
    sources: list[Sources] = [NoSources()]
    eviction = Eviction(store, lambda: sources[-1], lambda: None)
    async with aclosing(eviction.loop()) as loop:
        first = asyncio.ensure_future(anext(loop))
        await asyncio.wait({first}, timeout=0.5)
        assert not first.done()
        sources.append(GivenSources([ArtefactSource.of(video)]))
        eviction.begin()
        await first
    assert not store.over_quota
    assert store.load(*known) == b"{}"
    assert any(store.load("poster", name) is None for name in names)
