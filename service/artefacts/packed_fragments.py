"""How the fragmented form of a film is stored."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from service.protocol.revisions import fragmented_layout
from service.records.compressed_blob import compress
from service.records.frozen_model import FrozenModel

if TYPE_CHECKING:
    from service.fragments.form import Fragments

# Bytes of the blobs of all forms
_MAX_BYTES = 1 << 24

MAX_WITH_OTHERS = 1 << 25
"""Bytes of these and the other blobs of a response of a worker (service/workers/worker.py)."""

BLOBS = 3
"""Of each form: what precedes the file, the interleaving, and the headers, compressed."""


class FragmentsMetadata(FrozenModel):
    """The metadata of the fragmented form of a long film."""

    layout: str
    """The name of the layout, as in a revision."""
    head: int
    """The bytes at its start that have the tracks and the index of segments."""
    sound: int | None
    """The index of the file's stream that is its sound; None if it has none."""
    codecs: tuple[str, ...]
    """The RFC 6381 codecs parameters of its picture and its sound; empty if one is unknown."""


class PackedFragments(NamedTuple):
    """The metadata of some forms, and their blobs in the same order."""

    metadata: tuple[FragmentsMetadata, ...]
    blobs: tuple[bytes, ...]


def pack_fragments(
    forms: Iterable[tuple[int | None, "Fragments"]], others: Sequence[bytes] = (), base: str = ""
) -> PackedFragments:
    """Return what is stored of the forms: of as many as there is room for, from the first on.

    Each form comes with the index of the stream that is its sound. Compressed headers have a third
    of their bytes. `others` are the other blobs of the response. `base` is the name of the layout
    in place of the file, if they are of one.
    """
    metadata: list[FragmentsMetadata] = []
    stored: list[bytes] = []
    length, room = 0, min(_MAX_BYTES, MAX_WITH_OTHERS - sum(map(len, others)))
    for sound, fragments in forms:
        blobs = fragments.head, fragments.interleaving.to_bytes(), compress(fragments.headers)
        length += sum(map(len, blobs))
        if length > room:
            break
        metadata.append(
            FragmentsMetadata(
                layout=fragmented_layout(blobs, base),
                head=fragments.index_end,
                sound=sound,
                codecs=fragments.codecs,
            )
        )
        stored += blobs
    return PackedFragments(tuple(metadata), tuple(stored))
