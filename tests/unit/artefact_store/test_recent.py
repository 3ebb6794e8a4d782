"""What is held in memory, and for how long."""

from service.artefact_store.recent import Recent


def test_what_was_not_used_for_longest_makes_room() -> None:
    recent: Recent[str, int] = Recent(4000)
    for number, key in enumerate("abc"):
        recent.put(key, number, 500)  # and 500 of its own
    assert recent.get("a") == 0
    recent.put("d", 3, 500)
    assert [recent.get(key) for key in "abcd"] == [0, 1, 2, 3]
    recent.get("a")
    recent.put("e", 4, 500)
    assert [recent.get(key) for key in "abcde"] == [0, None, 2, 3, 4]


def test_what_is_put_again_counts_once_and_what_is_dropped_not_at_all() -> None:
    recent: Recent[str, int] = Recent(2000)
    for number in range(10):
        recent.put("a", number, 500)
    recent.put("b", 1, 500)
    assert (recent.get("a"), recent.get("b")) == (9, 1)
    recent.drop("a")
    recent.drop("a")
    recent.put("c", 2, 500)
    assert [recent.get(key) for key in "abc"] == [None, 1, 2]


def test_what_is_larger_than_all_that_may_be_held_is_not_held() -> None:
    recent: Recent[str, bytes] = Recent(2000)
    recent.put("a", b"1", 1)
    recent.put("b", bytes(5000), 5000)
    assert recent.get("b") is None
    recent.put("c", b"1", 1)
    assert recent.get("c") == b"1"
