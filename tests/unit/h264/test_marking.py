"""Which pictures of H.264 are kept for reference, and at which key frames decoding can begin."""

from typing import Any

import pytest

from service.h264.entry_points import UnsupportedError, find_entry_points
from service.h264.marking import References
from service.h264.parameter_sets import SequenceSet
from service.h264.slice_header import INTRA, UNMARK, B, Command, P, SliceHeader

SEQUENCE = SequenceSet(
    chroma=1, separate_planes=False, frame_num_bits=4, order_type=0, lsb_bits=6, references=3,
    frames_only=True,
)  # fmt: skip


def picture(
    frame_num: int, order: int, type_: int = P, unmark: tuple[int, ...] = (), **fields: Any
) -> SliceHeader:
    """Return a picture. It unmarks the pictures that are `unmark` frame numbers before it."""
    return SliceHeader(
        is_idr=False,
        is_reference=True,
        type=type_,
        sequence=SEQUENCE,
        is_cabac=True,
        frame_num=frame_num,
        is_field=False,
        lsb=order,
        active=(1, 1),
        modifications=((),) * {P: 1, B: 2}.get(type_, 0),
        commands=tuple(Command(UNMARK, difference, 0, 0) for difference in unmark) or None,
        marking=0,
        end_of_marking=0,
        end=0,
    )._replace(**fields)


IDR = picture(0, 0, INTRA, is_idr=True)


def kept(*pictures: SliceHeader) -> list[int]:
    references = References()
    for header in pictures:
        references.fill_gap(header)
        assert references.decode(header, header.lsb)
    return [reference.frame_num for reference in references.kept]


def test_the_oldest_picture_makes_room() -> None:
    """ITU-T H.264 §8.2.5.3."""
    assert kept(IDR, picture(1, 8), picture(2, 16), picture(3, 24)) == [3, 2, 1]


def test_commands_say_which_picture_makes_room_instead() -> None:
    """§8.2.5.4.1."""
    assert kept(IDR, picture(1, 8), picture(2, 16, unmark=(1,))) == [2, 0]


def test_a_picture_that_is_no_reference_is_not_kept() -> None:
    assert kept(IDR, picture(1, 8), picture(2, 4, B, is_reference=False)) == [1, 0]


def test_a_decoder_that_begins_makes_up_what_is_missing() -> None:
    """As many as it keeps; the key frame takes the place of the oldest one."""
    assert kept(picture(9, 0, INTRA)) == [9, 8, 7]
    assert kept(picture(1, 0, INTRA)) == [1, 0]


def test_lists_are_in_the_order_of_the_standard() -> None:
    """§8.2.4.2.1 by number, §8.2.4.2.3 by order."""
    references = References()
    for header in (IDR, picture(1, 16), picture(2, 8, B)):
        references.decode(header, header.lsb)
    assert [r and r.frame_num for r in references.lists(picture(3, 32, active=(3, 1)), 32)[0]] == [
        2, 1, 0
    ]  # fmt: skip
    lists = references.lists(picture(3, 12, B, active=(3, 3)), 12)
    assert [[r and r.frame_num for r in wanted] for wanted in lists] == [[2, 0, 1], [1, 2, 0]]


# An open GOP: 5 is a key frame, 6 is shown before it and unmarks 1 and 4.
BEFORE = [IDR, picture(1, 8), picture(2, 16), picture(3, 12, B, unmark=(1,)),
          picture(4, 24, unmark=(1, 4))]  # fmt: skip
OPEN = [*BEFORE, picture(5, 40, INTRA), picture(6, 32, B, unmark=(1 + 4, 1 + 1)),
        picture(7, 48), picture(8, 56), picture(9, 0, is_reference=False)]  # fmt: skip


def test_commands_for_pictures_before_a_key_frame_are_left_out() -> None:
    key, first = 5, 6
    strict = References()
    strict.fill_gap(OPEN[key])
    strict.decode(OPEN[key], 40)
    strict.fill_gap(OPEN[first])
    # A decoder that begins there has made up 3 and 4, and never had 1: the first command fails.
    assert strict.missing(OPEN[first]) == {0}
    found = find_entry_points(OPEN, [0, key])
    assert found.left_out == {first: {0}}
    assert found.failing == set()


def test_commands_stay_where_what_is_shown_would_change() -> None:
    """With two references the picture after it would have another second one."""
    changed = [*OPEN[:7], picture(7, 36, B, active=(2, 1), is_reference=False), *OPEN[7:]]
    found = find_entry_points(changed, [0, 5])
    assert found.left_out == {}
    assert found.failing == {5}


@pytest.mark.parametrize(
    "odd", [picture(1, 2, is_field=True), IDR._replace(commands=(Command(5, 0, 0, 0),))]
)
def test_unsupported_pictures_are_declined(odd: SliceHeader) -> None:
    with pytest.raises(UnsupportedError):
        find_entry_points([IDR, odd], [0])
