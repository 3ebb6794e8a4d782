"""Which stored layouts are opened."""

from collections.abc import Collection
from types import SimpleNamespace
from typing import Any, cast

import pytest

from service.artefacts.metadata import ArtefactKind
from service.artefacts.source import sound_name
from service.artefacts.status import ArtefactState
from service.protocol.revisions import fragmented_layout, sound_layout
from service.stored_representations.stored_layouts import StoredLayouts

SOUNDS = 60
LAYOUTS = [sound_layout([b"made"], sound) for sound in range(SOUNDS + 1)]


class Scheduler:
    """Knows a film with many sounds, of which some have been made here."""

    def __init__(self, made: Collection[int]) -> None:
        self._made = made
        self.rebuilt: list[int] = []

    def source(self, _path: str) -> Any:
        return SimpleNamespace(
            sounds=dict.fromkeys(range(1, SOUNDS + 1)), video=SimpleNamespace(revision="1-2")
        )

    def status(self, _path: str, _kind: ArtefactKind, sound: int) -> Any:
        is_made = sound in self._made
        remux = SimpleNamespace(layout=LAYOUTS[sound], seekable=None) if is_made else None
        state = ArtefactState.READY if is_made else ArtefactState.POSSIBLE
        return SimpleNamespace(state=state, forms=(), remux=remux)

    def rebuild(self, _path: str, _kind: ArtefactKind, sound: int) -> None:
        self.rebuilt.append(sound)


class Store:
    """Has nothing, and notes what it is asked for."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def open_large(self, _kind: str, name: str) -> None:
        self.names.append(name)

    load = open_large


async def look_up(layout: str, made: Collection[int] = ()) -> tuple[list[str], list[int]]:
    """Open a layout that is not stored. Return what the store is asked for, and what is rebuilt."""
    store, scheduler = Store(), Scheduler(made)
    layouts = StoredLayouts(cast("Any", store), cast("Any", scheduler))
    assert await layouts.open("film.mkv", "1-2", layout) is None
    layouts.close()
    return store.names, scheduler.rebuilt


@pytest.mark.parametrize("sound", [0, 1, 50, SOUNDS])
async def test_made_sound_is_looked_for_once_under_its_own_name(sound: int) -> None:
    """Another replica may have made it: the revision says of which sound."""
    name = sound_name("film.mkv", "1-2", sound)
    assert await look_up(LAYOUTS[sound]) == ([name], [])
    assert await look_up(LAYOUTS[sound], made=(sound, 7)) == ([name], [sound])


@pytest.mark.parametrize("sound", [0, SOUNDS])
async def test_fragments_of_made_sound_are_looked_for_under_three_names(sound: int) -> None:
    names, _ = await look_up(fragmented_layout([b"made"], LAYOUTS[sound]))
    assert names[2:] == [sound_name("film.mkv", "1-2", sound)]


@pytest.mark.parametrize("layout", ["sfedcba9876543210", "hfedcba9876543210", "mfedcba9876543210"])
async def test_an_invented_revision_costs_few_look_ups(layout: str) -> None:
    names, rebuilt = await look_up(layout, made=range(SOUNDS))
    assert 1 <= len(names) <= 3
    assert rebuilt == []
