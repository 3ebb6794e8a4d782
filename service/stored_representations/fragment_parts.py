"""Opens the stored parts of fragmented forms."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor

from service.artefacts.packed_fragments import BLOBS
from service.protocol.revisions import fragmented_layout
from service.records.blobs import AsyncBlob, OpenBlob
from service.records.compressed_blob import CompressedBlob
from service.representations.interleaving import Interleaving
from service.representations.remuxed import Parts

_READ_AT_A_TIME = 256 * 1024  # bytes


def read_in_parts(blob: OpenBlob) -> Iterator[bytes]:
    """Yield the bytes of a blob in parts. Raises OSError."""
    position = 0
    while position < blob.length:
        data = blob.read(position, _READ_AT_A_TIME)
        position += len(data)
        yield data


def open_fragments(
    layout: str, blobs: Sequence[OpenBlob], executor: Executor, base: str = ""
) -> Parts | None:
    """Open a fragmented form by its blobs; None if they are of another one. Raises OSError.

    `base` is the name of the layout in place of the file, if the form is of one.
    """
    data = [b"".join(read_in_parts(blob)) for blob in blobs]
    # The metadata and the blobs are read one after the other: another replica may have stored
    # another form between them.
    if len(blobs) != BLOBS or fragmented_layout(data, base) != layout:
        return None
    head, _, headers = (AsyncBlob(blob, executor) for blob in blobs)
    try:
        interleaving = Interleaving.from_bytes(data[1])
        inserted = CompressedBlob.open(headers, data[2])
    except ValueError:  # of another release
        return None
    return Parts(head, "video/mp4", interleaving, inserted)
