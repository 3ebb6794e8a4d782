"""Which pictures FFmpeg's decoder keeps for reference (ITU-T H.264 §8.2.5)."""

from collections.abc import Container
from typing import NamedTuple

from service.h264.slice_header import B, P, SliceHeader

NO_ORDER = 0
"""The order of a picture that the decoder lacks and makes up."""


class Reference(NamedTuple):
    """A picture that is kept."""

    frame_num: int
    order: int
    """Its picture order count."""


class References:
    """The short-term pictures that are kept, the last one first.

    FFmpeg makes up pictures for missing frame numbers (h264_field_start), also after a seek: as
    many as are kept at most.
    """

    def __init__(self) -> None:
        self.kept: list[Reference] = []
        self._last = -1
        """The number of the last reference, PrevRefFrameNum; -1 after a seek."""

    def fill_gap(self, header: SliceHeader) -> bool:
        """Make up the pictures that are missing before the next one; return whether any is."""
        if header.is_idr:
            return False
        number, count = header.frame_num, 1 << header.sequence.frame_num_bits
        room = max(1, header.sequence.references)
        if number != self._last:
            last = self._last - (count if self._last > number else 0)
            if number - last > room:
                self._last = (number - room - 1) % count
        has_gap = False
        while number not in {self._last, (self._last + 1) % count}:
            self._last = (self._last + 1) % count
            self._slide(room)
            self.kept.insert(0, Reference(self._last, NO_ORDER))
            has_gap = True
        return has_gap

    def missing(self, header: SliceHeader, left_out: Container[int] = ()) -> set[int]:
        """Return which commands are for pictures that are not kept.

        FFmpeg fails there if it is set to report errors, as it is in Chromium.
        """
        kept = {reference.frame_num for reference in self.kept}
        missing = set()
        for index, command in enumerate(header.commands or ()):
            if index in left_out:
                continue
            target = _target(header, command.difference)
            if target not in kept:
                missing.add(index)
            kept.discard(target)
        return missing

    def decode(self, header: SliceHeader, order: int, left_out: Container[int] = ()) -> bool:
        """Decode a picture without the commands that are left out; return whether it fits.

        Those that are missing are ignored.
        """
        if header.is_idr:
            self.kept = []
        elif not header.is_reference:
            return True
        room = max(1, header.sequence.references)
        commands = [c for i, c in enumerate(header.commands or ()) if i not in left_out]
        if commands:
            for command in commands:
                target = _target(header, command.difference)
                self.kept = [kept for kept in self.kept if kept.frame_num != target]
        else:
            self._slide(room)
        is_new = all(kept.frame_num != header.frame_num for kept in self.kept)
        self.kept.insert(0, Reference(header.frame_num, order))
        self._last = header.frame_num
        return is_new and len(self.kept) <= room

    def lists(self, header: SliceHeader, order: int) -> list[list[Reference | None]]:
        """Return the lists of references of a slice (§8.2.4)."""
        count = 1 << header.sequence.frame_num_bits
        lists: list[list[Reference]] = []
        if header.type == P:
            newest = sorted(
                self.kept,
                key=lambda r: r.frame_num - (count if r.frame_num > header.frame_num else 0),
                reverse=True,
            )
            lists = [newest]
        elif header.type == B:
            earlier = sorted((r for r in self.kept if r.order < order), key=_order, reverse=True)
            later = sorted((r for r in self.kept if r.order >= order), key=_order)
            lists = [earlier + later, later + earlier]
            if len(self.kept) > 1 and lists[0] == lists[1]:
                lists[1][:2] = lists[1][1::-1]
        return [self._modified(header, initial, number) for number, initial in enumerate(lists)]

    def _modified(
        self, header: SliceHeader, initial: list[Reference], number: int
    ) -> list[Reference | None]:
        """Return a list of references after its modifications (§8.2.4.3)."""
        active, count = header.active[number], 1 << header.sequence.frame_num_bits
        made: list[Reference | None] = [*initial, *(None for _ in range(active))][:active]
        by_number = {reference.frame_num: reference for reference in self.kept}
        wanted = header.frame_num
        for index, difference in enumerate(header.modifications[number]):
            wanted = (wanted + difference) % count
            reference = by_number.get(wanted)
            rest = [other for other in made[index:] if other != reference]
            made = [*made[:index], reference, *rest][:active]
        return made

    def _slide(self, room: int) -> None:
        """Unmark the oldest picture if there is no room for another one (§8.2.5.3)."""
        del self.kept[room - 1 :]


def _order(reference: Reference) -> int:
    return reference.order


def _target(header: SliceHeader, difference: int) -> int:
    """Return the frame number that a command is for (§8.2.5.4.1)."""
    return (header.frame_num - difference) % (1 << header.sequence.frame_num_bits)
