"""Parses Range headers into spans and caps them (RFC 9110 §14).

Nothing here raises, whatever the header says."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# Longer headers and sets are refused before they are parsed, so that the work is bounded.
MAX_HEADER_LENGTH = 8 * 1024  # bytes; nginx's and Apache's bound on one header line
MAX_RANGES = 200  # Apache's MaxRanges

# RFC 9110 §14.1.2. [0-9] and not \d, which matches digits of every script.
_CLOSED_RANGE = re.compile(r"bytes=[0-9]{1,15}-[0-9]{1,15}", re.ASCII)
_RANGE_SPEC = re.compile(r"([0-9]*)-([0-9]*)", re.ASCII)
_MAX_POSITION_DIGITS = 18  # longer numbers are past the end of any file


@dataclass(frozen=True, slots=True)
class Span:
    """A run of bytes: its start and its length in bytes, neither negative."""

    start: int
    length: int

    @property
    def end(self) -> int:
        """The first byte after the span."""
        return self.start + self.length


def parse_range(header: str, size: int) -> tuple[Span, ...] | None:
    """Return the satisfiable spans of a Range header for a representation of `size` bytes.

    They are in the requested order; those that overlap or touch are merged (RFC 9110 §15.3.7.2).
    None: ignore the header (§14.2: another unit, or malformed).
    Empty: no range is satisfiable, or there are more than MAX_RANGES (§15.5.17).
    """
    if len(header) > MAX_HEADER_LENGTH:
        return ()
    unit, equals, range_set = header.partition("=")
    if not equals or unit.lower() != "bytes":  # §14.1: units are case-insensitive
        return None
    specs = [spec for element in range_set.split(",") if (spec := element.strip(" \t"))]
    if not specs:
        return None
    if len(specs) > MAX_RANGES:
        return ()
    spans = []
    for spec in specs:
        match = _RANGE_SPEC.fullmatch(spec)
        if match is None:
            return None
        first, last = match.groups()
        if not (first or last) or (first and last and _is_less(last, first)):
            return None  # §14.1.1: "-" alone, or an end before the start: the set is invalid
        span = _int_range(first, last, size) if first else _suffix_range(last, size)
        if span is not None:
            spans.append(span)
    if spans and size == 0:
        return None  # a suffix of no bytes is satisfiable (§14.1.2), but has no Content-Range
    return merge(spans)


def merge(spans: Sequence[Span]) -> tuple[Span, ...]:
    """Merge spans that overlap or touch. A merged span takes the place of its first part."""
    if len(spans) == 1:
        return (spans[0],)
    merged: list[tuple[int, Span]] = []
    for order, span in sorted(enumerate(spans), key=lambda item: item[1].start):
        if merged and span.start <= merged[-1][1].end:
            first_order, left = merged[-1]
            joined = Span(left.start, max(left.end, span.end) - left.start)
            merged[-1] = (min(first_order, order), joined)
        else:
            merged.append((order, span))
    return tuple(span for _, span in sorted(merged, key=lambda item: item[0]))


def names_end(header: str) -> bool:
    """Return whether a Range header asks for one range, and with its last byte.

    `nginx/njs/cache_lookup.js` recognises the same.
    """
    return _CLOSED_RANGE.fullmatch(header) is not None


def cap(spans: Iterable[Span], block: int) -> tuple[Span, ...]:
    """Shorten spans so that none crosses the end of its block and all together fit into one.

    `block` is in bytes. RFC 9110 §15.3.7 lets a server send less than was asked for.
    """
    budget = block
    capped = []
    for span in spans:
        length = min(span.length, block - span.start % block, budget)
        if length:
            capped.append(Span(span.start, length))
        budget -= length
    return tuple(capped)


def _is_less(a: str, b: str) -> bool:
    """Compare two runs of digits as numbers; int() refuses more than 4,300 digits."""
    a, b = a.lstrip("0"), b.lstrip("0")
    return (len(a), a) < (len(b), b)


def _position(digits: str, size: int) -> int:
    """Return the number, at most `size`."""
    digits = digits.lstrip("0")
    return size if len(digits) > _MAX_POSITION_DIGITS else min(int(digits or "0"), size)


def _int_range(first: str, last: str, size: int) -> Span | None:
    start = _position(first, size)
    if start >= size:
        return None
    end = min(_position(last, size) + 1, size) if last else size
    return Span(start, end - start)


def _suffix_range(suffix: str, size: int) -> Span | None:
    if not suffix.strip("0"):
        return None  # §14.1.2: a suffix of no bytes is not satisfiable
    length = _position(suffix, size)
    return Span(size - length, length)
