"""The cache with a limit in bytes."""

from service.records.sized_lru_cache import SizedLRUCache


def test_the_least_recently_used_entry_is_evicted() -> None:
    cache: SizedLRUCache[str, int] = SizedLRUCache(4000)
    for number, key in enumerate("abc"):
        cache.put(key, number, 500)  # and 500 bytes of overhead
    assert cache.get("a") == 0
    cache.put("d", 3, 500)
    assert [cache.get(key) for key in "abcd"] == [0, 1, 2, 3]
    cache.get("a")
    cache.put("e", 4, 500)
    assert [cache.get(key) for key in "abcde"] == [0, None, 2, 3, 4]


def test_a_replaced_entry_counts_once_and_a_dropped_one_not_at_all() -> None:
    cache: SizedLRUCache[str, int] = SizedLRUCache(2000)
    for number in range(10):
        cache.put("a", number, 500)
    cache.put("b", 1, 500)
    assert (cache.get("a"), cache.get("b")) == (9, 1)
    cache.drop("a")
    cache.drop("a")
    cache.put("c", 2, 500)
    assert [cache.get(key) for key in "abc"] == [None, 1, 2]


def test_an_entry_larger_than_the_cache_is_not_cached() -> None:
    cache: SizedLRUCache[str, bytes] = SizedLRUCache(2000)
    cache.put("a", b"1", 1)
    cache.put("b", bytes(5000), 5000)
    assert cache.get("b") is None
    cache.put("a", bytes(5000), 5000)
    assert cache.get("a") is None
    cache.put("c", b"1", 1)
    assert cache.get("c") == b"1"
