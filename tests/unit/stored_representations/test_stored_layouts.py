"""Which stored layouts are opened."""

from types import SimpleNamespace
from typing import Any

import pytest

from service.artefacts.metadata import ArtefactKind
from service.artefacts.source import sound_name
from service.artefacts.status import ArtefactState
from service.stored_representations.stored_layouts import StoredLayouts

LAYOUT = "s0123456789abcdef"


class Scheduler:
    """Knows a film with 60 sounds, of which one has been made here."""

    def __init__(self, made: int) -> None:
        self._made = made

    def source(self, _path: str) -> Any:
        return SimpleNamespace(
            sounds=dict.fromkeys(range(1, 61)), video=SimpleNamespace(revision="1-2")
        )

    def status(self, _path: str, _kind: ArtefactKind, sound: int) -> Any:
        remux = SimpleNamespace(layout=LAYOUT, seekable=None)
        is_made = sound == self._made
        state = ArtefactState.READY if is_made else ArtefactState.POSSIBLE
        return SimpleNamespace(state=state, forms=(), remux=remux if is_made else None)

    def rebuild(self, _path: str, _kind: ArtefactKind, sound: int) -> None:
        assert sound == self._made


class Store:
    """Has nothing, and counts what it is asked for."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def open_large(self, _kind: str, name: str) -> None:
        self.names.append(name)


@pytest.mark.parametrize(("made", "layout"), [(50, LAYOUT), (0, "sfedcba9876543210")])
async def test_a_sound_that_is_known_here_is_opened_first(made: int, layout: str) -> None:
    """Another one may have been made by another replica, also the last of many."""
    store: Any = Store()
    scheduler: Any = Scheduler(made)
    layouts = StoredLayouts(store, scheduler)
    assert await layouts.open("film.mkv", "1-2", layout) is None
    layouts.close()
    assert sorted(store.names) == sorted(sound_name("film.mkv", "1-2", n) for n in range(61))
    if made:
        assert store.names[0] == sound_name("film.mkv", "1-2", made)
