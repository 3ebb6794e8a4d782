"""Share links in a state: made, listed, taken back and forgotten."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from service.access.grants import Scope
from service.access.links import (
    FOREVER,
    ShareLink,
    list_links,
    load_revoked,
    make_link,
    parse_duration,
    remove_ended,
    revoke,
)
from service.access.state import FolderState

DAY = 86400
FILMS = Scope("folder", "Films")


@pytest.fixture
def state(tmp_path: Path) -> FolderState:
    return FolderState(tmp_path)


def keep(state: FolderState, link: ShareLink) -> ShareLink:
    """Store a link as it is, whenever it was made."""
    state.write(f"links/{link.id}.json", link.to_json())
    return link


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30m", 1800), ("12h", 43_200), ("1d", DAY), ("7d", 7 * DAY), ("4w", 28 * DAY)],
)
def test_a_duration_is_counted_from_now(text: str, seconds: int) -> None:
    assert parse_duration(text, 1000.9) == 1000 + seconds


def test_a_link_may_have_no_end() -> None:
    assert parse_duration(FOREVER, 1000) == 0


@pytest.mark.parametrize(
    "text", ["", "7", "d", "0d", "-1d", "1.5d", "7 d", "7y", "10000d", "\u0667d"]
)
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        parse_duration(text, 1000)


def test_links_are_listed_with_the_latest_first(state: FolderState) -> None:
    assert list_links(state, time.time()) == []
    now = int(time.time())
    first = keep(state, ShareLink("a" * 16, FILMS, now - 10, 0))
    second = make_link(state, Scope("video", "ä b.mp4"), now + DAY, downloads=False, made_by="Anna")
    assert list_links(state, now) == [second, first]
    assert second.scope == Scope("video", "ä b.mp4")
    assert not second.downloads
    state.write(f"used/{first.id}", b"1234")
    assert list_links(state, now)[1] == replace(first, used=1234)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"scope": {}}',
        b'{"scope": {"kind": "folder"',
        b'{"scope": {"kind": "folder", "path": "A"}, "created": "1", "expiry": 0}',
        b'{"scope": {"kind": "folder", "path": "A"}, "created": 1, "expiry": "9"}',
        b'{"scope": {"kind": "folder", "path": "A"}, "created": 1e99, "expiry": 0}',
        b'{"scope": {"kind": "folder", "path": "A"}, "created": 100000000000, "expiry": 0}',
        b'{"scope": {"kind": "folder", "path": 1}, "created": 1, "expiry": 0}',
        b'{"scope": {"kind": "session", "path": "A"}, "created": 1, "expiry": 0}',
        b'{"scope": {"kind": "video", "path": ""}, "created": 1, "expiry": 0, "made_by": 5}',
    ],
)
def test_a_damaged_file_hides_no_other_link(state: FolderState, text: bytes) -> None:
    link = make_link(state, FILMS, 0)
    state.write(f"links/{'A' * 16}.json", text)
    assert list_links(state, time.time()) == [link]


@pytest.mark.parametrize("text", [b"", b"x", b"-1", b"1" * 12])
def test_a_damaged_time_of_use_is_none(state: FolderState, text: bytes) -> None:
    link = make_link(state, FILMS, 0)
    state.write(f"used/{link.id}", text)
    assert list_links(state, time.time()) == [link]


def test_a_link_that_was_taken_back_is_listed_as_such(state: FolderState) -> None:
    link = make_link(state, FILMS, int(time.time()) + DAY)
    before = int(time.time())
    revoked = revoke(state, link.id)
    assert revoked is not None
    assert before <= (revoked.revoked_at or 0) <= time.time()
    assert list_links(state, time.time()) == [revoked]
    assert revoked.is_over(time.time())
    assert load_revoked(state, {}) == {link.id: link.expiry}
    assert revoke(state, link.id) == revoked  # the first time counts


def test_what_is_half_taken_back_is_over(state: FolderState) -> None:
    """The second of two writes may fail."""
    link = make_link(state, FILMS, 0)
    state.write(f"revoked/{link.id}", b"0")
    (listed,) = list_links(state, time.time())
    assert listed.is_over(time.time())


@pytest.mark.parametrize("link_id", ["", "../key", "a" * 16, "a" * 15 + "/"])
def test_only_a_link_can_be_taken_back(state: FolderState, link_id: str) -> None:
    assert revoke(state, link_id) is None
    assert state.names("revoked") == []


def test_links_that_ended_are_listed_for_thirty_days(state: FolderState) -> None:
    now = 100 * DAY
    ended = keep(state, ShareLink("a" * 16, FILMS, 0, now - 29 * DAY))
    keep(state, ShareLink("b" * 16, FILMS, 0, now - 31 * DAY))
    state.write(f"used/{'b' * 16}", b"1")
    back = keep(state, ShareLink("c" * 16, FILMS, 0, 0, revoked_at=now - 29 * DAY))
    keep(state, ShareLink("d" * 16, FILMS, 0, now + DAY, revoked_at=now - 31 * DAY))
    assert {link.id for link in list_links(state, now)} == {ended.id, back.id}
    assert set(state.names("links")) == {f"{ended.id}.json", f"{back.id}.json"}
    assert state.names("used") == []


def test_a_forgotten_link_without_an_end_stays_taken_back(state: FolderState) -> None:
    now = 100 * DAY
    link = keep(state, ShareLink("a" * 16, FILMS, 0, 0, revoked_at=now - 31 * DAY))
    state.write(f"revoked/{link.id}", b"0")
    assert list_links(state, now) == []
    assert load_revoked(state, {}) == {link.id: 0}
    remove_ended(state, {link.id: 0}, now)
    assert state.names("revoked") == [link.id]


def test_revocations_of_what_has_ended_are_removed(state: FolderState) -> None:
    now = 100 * DAY
    for name, expiry in (("a", 0), ("b", now + 5), ("c", now - 5), ("d", now - 2 * DAY)):
        state.write(f"revoked/{name * 16}", str(expiry).encode())
    expected = {"a" * 16: 0, "b" * 16: now + 5, "c" * 16: now - 5}
    remove_ended(state, load_revoked(state, {}), now)
    assert load_revoked(state, {}) == expected
    assert sorted(state.names("revoked")) == sorted(expected)


def test_two_replicas_keep_the_links_of_both(state: FolderState, tmp_path: Path) -> None:
    other = FolderState(tmp_path)
    mine, theirs = make_link(state, FILMS, 0), make_link(other, FILMS, 0)
    assert revoke(other, mine.id)
    for one in (state, other):
        listed = {link.id: link.revoked_at is not None for link in list_links(one, time.time())}
        assert listed == {mine.id: True, theirs.id: False}
