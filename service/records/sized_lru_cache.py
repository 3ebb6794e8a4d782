"""A least recently used cache with a limit in bytes, for several threads."""

import threading
from collections.abc import Hashable
from contextlib import suppress
from typing import Generic, TypeVar

from cachetools import LRUCache

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")

# Bytes that an entry takes besides its value.
_OVERHEAD = 500


class SizedLRUCache(Generic[_Key, _Value]):
    """Values by key; the least recently used make room for others."""

    def __init__(self, max_bytes: int) -> None:
        self._values: LRUCache[_Key, tuple[_Value, int]] = LRUCache(
            max_bytes, getsizeof=lambda entry: entry[1] + _OVERHEAD
        )
        self._lock = threading.Lock()

    def get(self, key: _Key) -> _Value | None:
        with self._lock:
            entry = self._values.get(key)
            return entry and entry[0]

    def put(self, key: _Key, value: _Value, size: int) -> None:
        """Keep a value of `size` bytes, unless it alone is over the limit."""
        self.drop(key)
        with self._lock, suppress(ValueError):  # over the limit
            self._values[key] = value, size

    def drop(self, key: _Key) -> None:
        """Keep it no longer."""
        with self._lock:
            self._values.pop(key, None)
