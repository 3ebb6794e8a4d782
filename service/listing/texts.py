"""The texts that searches look at, by the number of the video."""

from array import array
from collections.abc import Iterable, Iterator, Mapping
from itertools import repeat
from operator import contains

from service.listing.numbers import Numbers

# Bytes of texts of removed videos, beyond as many as are in use, after which all are copied.
_SPARE = 1 << 16


class Texts:
    """Texts by number, in one object of bytes: 100,000 objects would take 10 MB more.

    It is immutable; `previous` makes building one faster.
    """

    def __init__(
        self,
        added: Mapping[int, str] | None = None,
        removed: Iterable[int] = (),
        previous: "Texts | None" = None,
    ) -> None:
        self.data: bytes = previous.data if previous else b""
        self.starts: array[int] = array("I", previous.starts if previous else ())
        self.ends: array[int] = array("I", previous.ends if previous else ())
        more = max(added or (), default=-1) + 1 - len(self.starts)
        if more > 0:
            self.starts.extend(repeat(0, more))
            self.ends.extend(repeat(0, more))
        for number in removed:
            self.starts[number] = self.ends[number] = 0
        pieces, at = [self.data], len(self.data)
        for number, text in (added or {}).items():
            encoded = text.encode(errors="surrogatepass")
            pieces.append(encoded)
            self.starts[number], self.ends[number] = at, at + len(encoded)
            at += len(encoded)
        self.data = b"".join(pieces) if len(pieces) > 1 else self.data
        if 2 * at > 3 * (sum(self.ends) - sum(self.starts)) + _SPARE:
            self._compact()

    @classmethod
    def of(cls, data: bytes, starts: "array[int]", ends: "array[int]") -> "Texts":
        """Return what the attributes of another one are."""
        texts = cls()
        texts.data, texts.starts, texts.ends = data, starts, ends
        return texts

    def __len__(self) -> int:
        """Return more than the highest number."""
        return len(self.starts)

    def with_term(self, term: str) -> Numbers:
        """Return the numbers of the texts that contain a term."""
        wanted = term.encode(errors="surrogatepass")
        return Numbers.of_flags(bytes(map(contains, self._all(), repeat(wanted))))

    def containing(self, term: str, numbers: Iterable[int]) -> Numbers:
        """Return those of the numbers whose texts contain a term."""
        wanted, data, starts, ends = (
            term.encode(errors="surrogatepass"),
            self.data,
            self.starts,
            self.ends,
        )
        return Numbers.of(
            number for number in numbers if data.find(wanted, starts[number], ends[number]) >= 0
        )

    def _all(self) -> Iterator[bytes]:
        return map(self.data.__getitem__, map(slice, self.starts, self.ends))

    def _compact(self) -> None:
        pieces, at = list(self._all()), 0
        for number, piece in enumerate(pieces):
            self.starts[number], self.ends[number] = at, at + len(piece)
            at += len(piece)
        self.data = b"".join(pieces)
