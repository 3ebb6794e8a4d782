"""Each version of a file has its own revision, and all revisions have one grammar."""

import re
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.browsers.playable_forms import MAX_SOUNDS
from service.protocol.revisions import (
    FILE_REVISION,
    REVISION,
    file_revision,
    fragmented_layout,
    header_layout,
    remuxed_revision,
    sound_layout,
    source_sound,
    split_remuxed,
    tagged_revision,
)
from service.representations.fast_start import fast_start_revision

# Timestamps of file systems: 64-bit nanoseconds, and 64-bit seconds with nanoseconds.
TIMES = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-(2**63) * 10**9, 2**63 * 10**9 - 1),
    st.sampled_from([-(2**64), -(2**63), -1, 0, 1, 2**63 - 1, 2**63, 2**64 - 1, 2**64]),
)
SIZES = st.integers(0, 2**63 - 1)
FILES = st.tuples(SIZES, TIMES)


@given(FILES)
def test_every_size_and_time_give_a_valid_revision(file: tuple[int, int]) -> None:
    revision = file_revision(*file)
    assert re.fullmatch(FILE_REVISION, revision)
    assert not re.fullmatch(FILE_REVISION, fast_start_revision(revision))
    assert re.fullmatch(REVISION, fast_start_revision(revision))


@given(FILES, FILES)
def test_equal_revisions_have_equal_sizes_and_times(
    one: tuple[int, int], two: tuple[int, int]
) -> None:
    assert (file_revision(*one) == file_revision(*two)) == (one == two)


@given(SIZES, st.integers(1, 2**63 * 10**9))
def test_times_before_and_after_1970_differ(size: int, distance: int) -> None:
    assert file_revision(size, -distance) != file_revision(size, distance)


@given(SIZES, st.integers(0, 2**63 - 1))
def test_the_format_of_times_since_1970_is_unchanged(size: int, modified: int) -> None:
    assert file_revision(size, modified) == f"{size:x}-{modified:x}"


@pytest.mark.parametrize(
    ("modified", "revision"),
    [(0, "5-0"), (1, "5-1"), (-1, "5-01"), (-255, "5-0ff"), (10**18, "5-de0b6b3a7640000")],
)
def test_revisions_have_the_documented_format(modified: int, revision: str) -> None:
    assert file_revision(5, modified) == revision


@given(SIZES, st.text("0123456789abcdef", min_size=8, max_size=64))
def test_a_digest_gives_a_valid_revision(size: int, digest: str) -> None:
    assert re.fullmatch(FILE_REVISION, tagged_revision(size, digest))


@given(SIZES, st.text("0123456789abcdef", min_size=8, max_size=64), st.binary(max_size=99))
def test_a_layout_and_a_file_have_a_revision_of_both(size: int, digest: str, made: bytes) -> None:
    file = tagged_revision(size, digest)
    for layout in (header_layout, partial(sound_layout, sound=3)):
        both = remuxed_revision(file, layout([made]))
        assert re.fullmatch(REVISION, both)
        assert split_remuxed(both) == (file, layout([made[:5], made[5:]]))
    assert header_layout([made]) != sound_layout([made], 0)
    assert split_remuxed(file) is None


@given(st.integers(0, MAX_SOUNDS), st.binary(max_size=99))
def test_what_has_made_sound_says_of_which_sound_it_was_made(sound: int, made: bytes) -> None:
    layout = sound_layout([made], sound)
    fragments = fragmented_layout([made], layout)
    assert source_sound(layout) == source_sound(fragments) == sound
    file = tagged_revision(5, "1")
    for one in (layout, fragments):
        assert split_remuxed(remuxed_revision(file, one)) == (file, one)
    assert fragments != fragmented_layout([made + b"more"], layout)
    assert sound_layout([made + b"more"], sound) != layout


@pytest.mark.parametrize(
    "text",
    ["", "-", "5-", "-5", "5--5", "5-A", "5-5-", "5-5-f", "5-5-f1-f1", "5-5\n", "5 -5", "5-5-f1234",
     f"{'1' * 17}-5", f"5-{'1' * 65}", "5-5-g1", "\N{ARABIC-INDIC DIGIT FIVE}-5"],
)  # fmt: skip
def test_other_text_is_no_revision(text: str) -> None:
    assert not re.fullmatch(REVISION, text)
