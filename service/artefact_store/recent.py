"""What was used last, in memory: as much of it as may be held."""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")

# Bytes that an entry takes besides what it is said to.
_OVERHEAD = 500


class Recent(Generic[_Key, _Value]):
    """Values by key, for several threads; those that were not used for longest make room."""

    def __init__(self, most: int) -> None:
        """Hold `most` bytes."""
        self._most = most
        self._values: OrderedDict[_Key, tuple[_Value, int]] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def get(self, key: _Key) -> _Value | None:
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key][0]

    def put(self, key: _Key, value: _Value, size: int) -> None:
        """Hold a value of `size` bytes."""
        with self._lock:
            self._remove(key)
            self._values[key] = value, size + _OVERHEAD
            self._size += size + _OVERHEAD
            while self._size > self._most:
                self._remove(next(iter(self._values)))

    def drop(self, key: _Key) -> None:
        """Hold it no longer."""
        with self._lock:
            self._remove(key)

    def _remove(self, key: _Key) -> None:
        _, size = self._values.pop(key, (None, 0))
        self._size -= size
