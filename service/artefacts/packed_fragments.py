"""How the fragmented form of a film is stored."""

from typing import TYPE_CHECKING, NamedTuple

from service.artefact_store.compressed_blob import compress
from service.models import FrozenModel
from service.protocol.revisions import fragmented_layout

if TYPE_CHECKING:
    from service.remux.fragments import Fragments

# Bytes of all blobs: a worker answers them besides the header of the MP4.
_MAX_BYTES = 1 << 24


class FragmentsMetadata(FrozenModel):
    """The metadata of the fragmented form of a long film."""

    layout: str
    """The name of the layout, as in a revision."""
    head: int
    """The bytes at its start that have the tracks and the index of segments."""


class PackedFragments(NamedTuple):
    """Metadata, and the blobs that they are of."""

    metadata: FragmentsMetadata
    blobs: tuple[bytes, bytes, bytes]


def pack_fragments(fragments: "Fragments | None") -> PackedFragments | None:
    """Return what is stored; None if there is nothing or too much.

    The headers have a third of their bytes when they are compressed.
    """
    if fragments is None:
        return None
    blobs = fragments.head, fragments.interleaving.to_bytes(), compress(fragments.headers)
    if sum(map(len, blobs)) > _MAX_BYTES:
        return None
    layout = fragmented_layout(blobs)
    return PackedFragments(FragmentsMetadata(layout=layout, head=fragments.index_end), blobs)
