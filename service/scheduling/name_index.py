"""Numbers by the names of artefacts, in 14 bytes each instead of the 200 of a dictionary."""

# Names are digests, of which 80 bits tell a million apart: two of them are the same by chance in
# one of 2 * 10 ** 12 libraries.
_KEY_DIGITS = 20
_KEY = _KEY_DIGITS // 2
_NUMBER = 4
_RECORD = _KEY + _NUMBER

# Each shard is searched from its start: of 300,000 names one has 73.
_SHARD_DIGITS = 3


class NameIndex:
    """A number below 2 ** 32 for each name."""

    def __init__(self) -> None:
        self._shards = [bytearray() for _ in range(16**_SHARD_DIGITS)]
        """Records of a key and a number, by the first digits of the names."""
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def get(self, name: str) -> int | None:
        """Return the number of a name; None if it has none."""
        shard, at = self._find(name)
        if at < 0:
            return None
        return int.from_bytes(shard[at + _KEY : at + _RECORD], "little")

    def set(self, name: str, number: int) -> None:
        """Set or replace the number of a name."""
        shard, at = self._find(name)
        data = number.to_bytes(_NUMBER, "little")
        if at < 0:
            shard += _key(name) + data
            self._count += 1
        else:
            shard[at + _KEY : at + _RECORD] = data

    def pop(self, name: str) -> int | None:
        """Remove a name; return its number, None if it has none."""
        number = self.get(name)
        if number is not None:
            shard, at = self._find(name)
            shard[at : at + _RECORD] = shard[-_RECORD:]
            del shard[-_RECORD:]
            self._count -= 1
        return number

    def _find(self, name: str) -> tuple[bytearray, int]:
        """Return the shard of a name, and where its record is in it; -1 if it has none."""
        shard, key = self._shards[int(name[:_SHARD_DIGITS], 16)], _key(name)
        at = shard.find(key)
        while at >= 0 and at % _RECORD:  # the end of one record and the start of the next one
            at = shard.find(key, at + 1)
        return shard, at


def _key(name: str) -> bytes:
    return bytes.fromhex(name[:_KEY_DIGITS])
