"""Finds at which key frames of H.264 decoding can begin, and what to leave out so that it can.

At a key frame that is no IDR picture, a decoder keeps the pictures before it. Commands after it
unmark these pictures, which are missing in a decoder that begins at the key frame. FFmpeg ignores
such commands, unless it is set to report all errors. Chromium 156 sets it so, and ends playback.

Those commands are left out here. The pictures are then unmarked as soon as their room is needed, at
the same time in a decoder that begins at the key frame and in one that began earlier. In the one
that began earlier, no list of references of a picture's first slice changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from service.h264.marking import References
from service.h264.slice_header import UNMARK, SliceHeader

# Pictures after a key frame until all that are kept are later ones: 16 references at most, with
# other pictures between them.
_MAX_PICTURES = 200

# Key frames whose commands are kept after all, as leaving them out would change what is shown. All
# pictures are checked again after each. That takes 1.5 s for the 170,000 of two hours; the worker
# has 300 s.
_MAX_REJECTED, _MAX_LOOKED_AT = 50, 3_000_000


class UnsupportedError(Exception):
    """The pictures are coded in a way that is not supported here."""


@dataclass(slots=True)
class EntryPoints:
    """How decoding can begin at the key frames of a film."""

    left_out: dict[int, set[int]] = field(default_factory=dict)
    """Which commands to leave out, by the number of the picture."""
    failing: set[int] = field(default_factory=set)
    """The key frames at which a strict decoder fails nevertheless."""


def find_entry_points(headers: Sequence[SliceHeader], keys: Sequence[int]) -> EntryPoints:
    """Return what to leave out of the pictures of a film, whose key frames are numbered `keys`.

    Raises UnsupportedError.
    """
    for header in headers:
        if header.is_field or any(c.operation != UNMARK for c in header.commands or ()):
            raise UnsupportedError
    orders, oldest = picture_orders(headers), _oldest_references(headers)
    open_ = [key for key in keys if not headers[key].is_idr]
    rejected: set[int] = set()
    for _ in range(min(_MAX_REJECTED, 1 + _MAX_LOOKED_AT // max(1, len(headers)))):
        left_out = _left_out(headers, oldest, [key for key in open_ if key not in rejected])
        wrong = _first_change(headers, orders, left_out)
        if wrong is None:
            failing = {key for key in open_ if _from(headers, oldest, key, left_out) != {}}
            return EntryPoints(left_out, failing)
        before = [key for key in open_ if key <= wrong and key not in rejected]
        if not before:
            break
        rejected.add(before[-1])
    raise UnsupportedError


def _left_out(
    headers: Sequence[SliceHeader], oldest: Sequence[int], keys: Sequence[int]
) -> dict[int, set[int]]:
    left_out: dict[int, set[int]] = {}
    for key in keys:
        for number, commands in (_from(headers, oldest, key, left_out) or {}).items():
            left_out[number] = left_out.get(number, set()) | commands
    return left_out


def _oldest_references(headers: Sequence[SliceHeader]) -> list[int]:
    """Return which picture is the first one of those that are kept after each picture."""
    references, numbers, oldest = References(), dict[int, int](), []
    for number, header in enumerate(headers):
        references.fill_gap(header)
        references.decode(header, 0)
        if header.is_reference:
            numbers[header.frame_num] = number
        kept = (numbers.get(reference.frame_num, 0) for reference in references.kept)
        oldest.append(min(kept, default=number))
    return oldest


def _from(
    headers: Sequence[SliceHeader],
    oldest: Sequence[int],
    key: int,
    left_out: Mapping[int, set[int]],
) -> dict[int, set[int]] | None:
    """Return what else to leave out so that decoding can begin at a key frame.

    None if it cannot begin there in any case.
    """
    references, found = References(), dict[int, set[int]]()
    end = min(key + _MAX_PICTURES, len(headers))
    for number in range(key, end):
        header = headers[number]
        if header.is_idr:
            return found
        references.fill_gap(header)
        if any(None in wanted for wanted in references.lists(header, 0)):
            return None
        without = left_out.get(number, set())
        missing = references.missing(header, without)
        if missing:
            found[number] = missing
        if not references.decode(header, 0, without | missing):
            return None
        if oldest[number] >= key:  # so a decoder that began earlier keeps the same
            return found
    return found if end == len(headers) else None


def _first_change(
    headers: Sequence[SliceHeader], orders: Sequence[int], left_out: Mapping[int, set[int]]
) -> int | None:
    """Return the first picture that would be decoded in another way; None if there is none."""
    before, after = References(), References()
    for number, header in enumerate(headers):
        if before.fill_gap(header) and number:
            raise UnsupportedError
        after.fill_gap(header)
        without, order = left_out.get(number, set()), orders[number]
        if before.kept != after.kept and (
            before.lists(header, order) != after.lists(header, order)
            or after.missing(header, without)
        ):
            return number
        before.decode(header, order)
        if not after.decode(header, order, without):
            return number
    return None


def picture_orders(headers: Sequence[SliceHeader]) -> list[int]:
    """Return the picture order count of each picture, from the IDR picture before it (§8.2.1)."""
    orders, msb, last, decoded = [], 0, 0, 0
    for header in headers:
        if header.is_idr:
            msb = last = decoded = 0
        decoded += 1
        if header.sequence.order_type:  # §8.2.1.3: in the order of decoding
            orders.append(2 * decoded)
            continue
        maximum = 1 << header.sequence.lsb_bits
        high = msb
        if header.lsb < last and last - header.lsb >= maximum // 2:
            high += maximum
        elif header.lsb > last and header.lsb - last > maximum // 2:
            high -= maximum
        if header.is_reference:
            msb, last = high, header.lsb
        orders.append(high + header.lsb)
    return orders
