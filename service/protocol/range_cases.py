"""Requests and expected answers, for the command `check` and for the tests of the pure functions,
the service and the stack.

Expected values are derived by hand from RFC 9110. Pairs are inclusive, as in Content-Range. The
command asks only the rows that hold `everywhere`: for any server that supports ranges, behind any
cache. All others are requirements on Reelay itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

WHOLE = "the whole file"
UNSATISFIABLE = "no satisfiable range"


@dataclass(frozen=True)
class RangeCase:
    """A Range header field and its meaning for a file of `size` bytes without a cap."""

    name: str
    header: str
    expected: str | list[tuple[int, int]]
    everywhere: bool = False


def range_cases(size: int) -> list[RangeCase]:
    """Return the table for a file of `size` bytes, at least 1,000."""
    last = size - 1
    digits = "9" * 5000  # more than int() takes
    case = RangeCase
    return [
        # RFC 9110 §14.1.2: the examples' shapes.
        case("first 500 bytes", "bytes=0-499", [(0, 499)], everywhere=True),
        case("second 500 bytes", "bytes=500-999", [(500, 999)], everywhere=True),
        case("last 500 bytes", "bytes=-500", [(size - 500, last)], everywhere=True),
        case("open end", "bytes=500-", [(500, last)], everywhere=True),
        case("first and last byte only", "bytes=0-0,-1", [(0, 0), (last, last)]),
        case("the whole as a range", "bytes=0-", [(0, last)], everywhere=True),
        case("one byte", "bytes=0-0", [(0, 0)], everywhere=True),
        case("the last byte", f"bytes={last}-", [(last, last)], everywhere=True),
        # §14.1.2: an end past the end of the file means the end of the file.
        case("end past the file", f"bytes=500-{size * 2}", [(500, last)], everywhere=True),
        case("end of 5,000 digits", f"bytes=500-{digits}", [(500, last)]),
        case("leading zeros", "bytes=0000-0009", [(0, 9)]),
        case("5,000 leading zeros", f"bytes={'0' * 5000}1-2", [(1, 2)]),
        # §14.1.2: a suffix longer than the file is the whole file.
        case("suffix of all", f"bytes=-{size}", [(0, last)], everywhere=True),
        case("suffix longer than the file", f"bytes=-{size + 1}", [(0, last)], everywhere=True),
        case("suffix of 5,000 digits", f"bytes=-{digits}", [(0, last)]),
        # §15.5.17: nothing satisfiable.
        case("starts at the end", f"bytes={size}-", UNSATISFIABLE, everywhere=True),
        case("starts past the end", f"bytes={size + 1}-{size + 5}", UNSATISFIABLE, everywhere=True),
        case("start of 5,000 digits", f"bytes={digits}-", UNSATISFIABLE),
        case("suffix of nothing", "bytes=-0", UNSATISFIABLE),
        case("several, none satisfiable", f"bytes={size}-,-0", UNSATISFIABLE),
        # §14.2: malformed ranges and unknown units are ignored.
        case("unknown unit", "lines=0-1", WHOLE, everywhere=True),
        case("no unit", "0-1", WHOLE),
        case("empty", "", WHOLE),
        case("unit alone", "bytes", WHOLE),
        case("empty set", "bytes=", WHOLE),
        case("commas alone", "bytes=,,", WHOLE),
        case("dash alone", "bytes=-", WHOLE),
        case("end before start", "bytes=5-4", WHOLE),
        case("one of several malformed", "bytes=0-1,5-4", WHOLE),
        case("end before start, both long", f"bytes=1{'9' * 4000}-{'9' * 4000}", WHOLE),
        case("no dash", "bytes=5", WHOLE),
        case("two dashes", "bytes=0-1-2", WHOLE),
        case("negative", "bytes=--5", WHOLE),
        case("sign", "bytes=+1-2", WHOLE),
        case("letters", "bytes=a-b", WHOLE),
        case("hexadecimal", "bytes=0x0-0x5", WHOLE),
        case("underscore", "bytes=1_0-2_0", WHOLE),
        case("fraction", "bytes=0.0-1.0", WHOLE),
        case("space inside", "bytes=0 - 4", WHOLE),
        case("space before the equals sign", "bytes =0-4", WHOLE),
        # §14.1: units are case-insensitive.
        case("upper case unit", "BYTES=0-4", [(0, 4)]),
        # §5.6.1: a recipient accepts empty members and white space around commas.
        case("empty members", "bytes=,0-4,,", [(0, 4)]),
        case("white space around commas", "bytes=0-4 ,\t 10-14", [(0, 4), (10, 14)]),
        # Lenient: white space before the first member, as around the others.
        case("white space first", "bytes= 0-4", [(0, 4)]),
        # §15.3.7.2: overlapping and adjacent ranges are merged; the requested order is kept.
        case("overlapping", "bytes=0-9,5-14", [(0, 14)]),
        case("touching", "bytes=0-4,5-9", [(0, 9)]),
        case("touching backwards", "bytes=5-9,0-4", [(0, 9)]),
        case("one inside another", "bytes=0-99,10-19", [(0, 99)]),
        case("the same twice", "bytes=3-7,3-7", [(3, 7)]),
        case("apart", "bytes=0-4,6-9", [(0, 4), (6, 9)]),
        case("order kept", "bytes=600-609,0-9,300-309", [(600, 609), (0, 9), (300, 309)]),
        case("merged at its first place", "bytes=600-609,0-9,605-619", [(600, 619), (0, 9)]),
        case("bridged", "bytes=0-9,20-29,8-21", [(0, 29)]),
        case("unsatisfiable left out", f"bytes=0-4,{size}-", [(0, 4)]),
        # Our own limits: 200 ranges as in Apache, 8 KiB of header.
        case(
            "200 ranges",
            "bytes=" + ",".join(f"{2 * i}-{2 * i}" for i in range(200)),
            [(2 * i, 2 * i) for i in range(200)],
        ),
        case(
            "201 ranges",
            "bytes=" + ",".join(f"{2 * i}-{2 * i}" for i in range(201)),
            UNSATISFIABLE,
        ),
        case("201 times the same", "bytes=" + ",".join(["0-0"] * 201), UNSATISFIABLE),
        case("8 KiB", "bytes=0-4".ljust(8192, ","), [(0, 4)]),
        case("more than 8 KiB", "bytes=0-4".ljust(8193, ","), UNSATISFIABLE),
    ]


@dataclass(frozen=True)
class CapCase:
    """A Range header field and the spans that are sent under a cap."""

    name: str
    header: str
    expected: list[tuple[int, int]]


def cap_cases(size: int, block: int) -> list[CapCase]:
    """Return the table for a file of `size` bytes: three blocks of `block` bytes and a rest."""
    b, last, case = block, size - 1, CapCase
    return [
        case("from the start", "bytes=0-", [(0, b - 1)]),
        case("from a block's start", f"bytes={b}-", [(b, 2 * b - 1)]),
        case("from within a block", f"bytes={b + 7}-", [(b + 7, 2 * b - 1)]),
        case("from a block's last byte", f"bytes={b - 1}-", [(b - 1, b - 1)]),
        case("closed, across the end", f"bytes={b - 1}-{b}", [(b - 1, b - 1)]),
        case("closed, far across", f"bytes=5-{last}", [(5, b - 1)]),
        case("closed, within a block", "bytes=200-999", [(200, 999)]),
        case("closed, a whole block", f"bytes={b}-{2 * b - 1}", [(b, 2 * b - 1)]),
        case("the last, short block", f"bytes={3 * b}-", [(3 * b, last)]),
        case("a suffix across blocks", f"bytes=-{size - 2 * b - 3}", [(2 * b + 3, 3 * b - 1)]),
        case("two, apart, one block", "bytes=0-9,20-29", [(0, 9), (20, 29)]),
        case("two, more than a block", f"bytes=0-{b - 11},{b}-{b + 19}", [(0, b - 11), (b, b + 9)]),
        case("two, the first takes all", f"bytes=0-{b - 1},{b + 9}-{b + 19}", [(0, b - 1)]),
        case("merged across a block's end", f"bytes={b - 2}-{b - 1},{b}-{b + 5}", [(b - 2, b - 1)]),
    ]


@dataclass(frozen=True)
class ConditionCase:
    """Preconditions with `Range: bytes=0-9` and the expected status."""

    name: str
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 206
    everywhere: bool = False


def condition_cases(
    tag: str, modified: str, before: str, after: str, *, dated: bool = True
) -> list[ConditionCase]:
    """Return the table for a file with entity tag `tag` (in quotes), last modified at `modified`.

    `before` and `after` are HTTP-dates a day earlier and later; `dated` says whether the date is a
    strong validator. Each case also sends `Range: bytes=0-9`.
    """
    case = ConditionCase
    return [
        case("no condition", everywhere=True),
        # RFC 9110 §13.2.2 step 1.
        case("If-Match holds", {"If-Match": tag}),
        case("If-Match holds by a list", {"If-Match": f'"x", {tag}'}),
        case("If-Match star", {"If-Match": "*"}),
        case("If-Match fails", {"If-Match": '"x"'}, 412),
        case("If-Match is a strong comparison", {"If-Match": f"W/{tag}"}, 412),
        case("If-Match without quotes", {"If-Match": tag.strip('"')}, 412),
        case("If-Match empty", {"If-Match": ""}, 412),
        # Step 2, only where there is no If-Match.
        case("If-Unmodified-Since holds", {"If-Unmodified-Since": modified}),
        case("If-Unmodified-Since later holds", {"If-Unmodified-Since": after}),
        case("If-Unmodified-Since fails", {"If-Unmodified-Since": before}, 412),
        case("If-Unmodified-Since is no date", {"If-Unmodified-Since": "yesterday"}),
        case("If-Match wins", {"If-Match": tag, "If-Unmodified-Since": before}),
        # Step 3.
        case("If-None-Match matches", {"If-None-Match": tag}, 304, everywhere=True),
        case("If-None-Match matches weakly", {"If-None-Match": f"W/{tag}"}, 304),
        case("If-None-Match in a list", {"If-None-Match": f'"x",, W/"y" ,{tag}'}, 304),
        case("If-None-Match star", {"If-None-Match": "*"}, 304),
        case("If-None-Match differs", {"If-None-Match": '"x"'}, everywhere=True),
        case("If-None-Match with a comma in the tag", {"If-None-Match": '"a,b"'}),
        # Step 4, only where there is no If-None-Match.
        case("If-Modified-Since the same", {"If-Modified-Since": modified}, 304, everywhere=True),
        case("If-Modified-Since later", {"If-Modified-Since": after}, 304),
        case("If-Modified-Since earlier", {"If-Modified-Since": before}, everywhere=True),
        case("If-Modified-Since is no date", {"If-Modified-Since": "0"}),
        case("If-None-Match wins", {"If-None-Match": '"x"', "If-Modified-Since": after}),
        case("412 comes before 304", {"If-Match": '"x"', "If-None-Match": tag}, 412),
        # Step 5: a failed If-Range erases Range.
        case("If-Range holds", {"If-Range": tag}, everywhere=True),
        case("If-Range fails", {"If-Range": '"x"'}, 200, everywhere=True),
        case("If-Range is a strong comparison", {"If-Range": f"W/{tag}"}, 200, everywhere=True),
        # §13.1.5: a date that is not a strong validator never matches.
        case("If-Range by date", {"If-Range": modified}, 206 if dated else 200),
        case("If-Range by an earlier date", {"If-Range": before}, 200, everywhere=True),
        case("If-Range by a later date", {"If-Range": after}, 200),  # §13.1.5: exact match
        case("If-Range is neither", {"If-Range": "x"}, 200),
        case("If-None-Match comes before If-Range", {"If-None-Match": tag, "If-Range": '"x"'}, 304),
    ]
