"""Checks that the same bytes come over every way, and how fast they come."""

import hashlib
import time
from http import HTTPStatus
from urllib.parse import urlsplit

from service.check.results import FailedError, NotTriedError, Problem
from service.check.session import Session, ask, way_to, with_pin
from service.check.ways.http1 import Http1, Way

_THROUGHPUT_BYTES = 2 * 1024 * 1024
_TRIES = 3

# A buffered response begins when all of it is in the buffer: much later than a part.
_SLOWER, _SECONDS = 4, 1.0


def check_spans(session: Session) -> str:
    """Check that random spans have the same bytes over connections, cuts and addresses."""
    checked = 0
    for start, length in session.spans:
        expected = session.expected((start, length))
        # Cut elsewhere: a change at a place of the response is then at another place of the film.
        cut = min(length // 3, 5000)
        _compare(session, "on another connection, cut elsewhere", start + cut, length - cut, cut)
        checked += len(expected)
    begin = session.whole.body
    if session.whole.status == HTTPStatus.OK and begin:
        part = session.read(session.way, session.target, 0, len(begin))
        if part != begin:
            raise FailedError(
                Problem.BYTES_DIFFER, "The beginning of the film differs with and without a range."
            )
    ways = ["connections", *_other_addresses(session)]
    digest = hashlib.sha256(b"".join(map(session.expected, session.spans))).hexdigest()
    return (
        f"{checked:,} bytes are equal over {', '.join(ways)}; "
        f"SHA-256 {digest} (--seed {session.options.seed})"
    )


def _compare(session: Session, name: str, start: int, length: int, offset: int) -> None:
    way = Http1(session.server)
    try:
        data = session.read(way, session.target, start, length)
    finally:
        way.close()
    if data != session.expected((start - offset, length + offset))[offset:]:
        raise FailedError(
            Problem.BYTES_DIFFER, f"The {length} bytes from {start} on are others {name}."
        )


def _other_addresses(session: Session) -> list[str]:
    addresses = session.server.addresses()
    compared = []
    for address in addresses[1:3]:
        way = Http1(session.server, address)
        try:
            compare_spans(session, way, session.target, f"at {address}", session.spans[:1])
        except FailedError as error:
            if error.problem != Problem.NO_ANSWER:  # `check_same_validators` says so
                raise
            continue
        finally:
            way.close()
        compared.append(address)
    return compared


def compare_spans(
    session: Session, way: Way, target: str, name: str, spans: tuple[tuple[int, int], ...]
) -> None:
    """Compare random spans with those that another way sends. Raises FailedError."""
    for start, length in spans:
        if session.read(way, target, start, length) != session.expected((start, length)):
            raise FailedError(
                Problem.BYTES_DIFFER, f"The {length} bytes from {start} on are others {name}."
            )


def check_against(session: Session) -> str:
    """Check that random spans have the bytes of another URL, such as the service's own."""
    url = session.options.against
    if url is None:
        raise NotTriedError("--against names no other URL of the film.")
    way, target = way_to(url, session.server)
    try:
        compare_spans(session, way, target, f"at {urlsplit(url).netloc}", session.spans)
        tag = ask(way, target, {}).get("etag")
    finally:
        way.close()
    if tag != session.strong_tag:  # one that is weak or missing is another problem
        raise FailedError(
            Problem.VALIDATORS_DIFFER, f"ETag is {session.tag} here and {tag} at the other URL."
        )
    return "the same bytes and entity tag"


def check_pinned(session: Session) -> str:
    """Check that ranges get the same bytes with and without a revision in the URL."""
    if session.pinned is None or session.unpinned is None:
        raise NotTriedError("The URL is none of Reelay's, so no URL names its revision.")
    for target in (session.pinned, session.unpinned):
        session.partial("bytes=0-99", 0, 99, target)
        session.partial("bytes=200-299", 200, 299, target)
        whole = session.ask(target=target)
        if whole.status != HTTPStatus.OK:
            raise FailedError(
                Problem.PARTIAL_CACHED
                if whole.status == HTTPStatus.PARTIAL_CONTENT
                else Problem.RANGE_REFUSED,
                f"{target} without a range gets {whole.status} instead of 200.",
            )
        compare_spans(session, session.way, target, f"at {target}", session.spans[:2])
    refused = session.ask({"Range": "bytes=0-9"}, target=with_pin(session.pinned, "0-0"))
    if refused.status != HTTPStatus.GONE:
        raise FailedError(
            Problem.QUERY_DROPPED,
            f"?v= with another revision gets {refused.status} instead of 410.",
        )
    return "the same bytes; another revision gets 410"


def check_first_byte(session: Session) -> str:
    """Check that the first byte of the whole comes as soon as that of a part."""
    starts = [span[0] for span in session.spans[:_TRIES]]
    parts = [
        session.ask({"Range": f"bytes={start}-{start}"}, limit=1).first_byte for start in starts
    ]
    wholes = [session.ask(limit=1).first_byte for _ in range(_TRIES)]
    part, whole = min(parts), min(wholes)  # the fastest: other work only adds to it
    if whole > _SLOWER * part + _SECONDS:
        raise FailedError(
            Problem.RESPONSE_BUFFERED,
            f"The whole film begins after {whole:.1f} s, a byte of it after {part:.1f} s.",
        )
    return f"after {part * 1000:.0f} ms; of the whole film after {whole * 1000:.0f} ms"


def check_throughput(session: Session) -> str:
    """Measure how fast ranges that follow each other arrive on one connection."""
    length = min(_THROUGHPUT_BYTES, session.size, session.server.budget.left // 2)
    way = Http1(session.server, fast=True)
    try:
        session.read(way, session.target, 0, 1)  # connects
        start = time.monotonic()
        session.read(way, session.target, 0, length)
        seconds = max(time.monotonic() - start, 1e-6)
    finally:
        way.close()
    return f"{length * 8 / seconds / 1e6:,.0f} Mbit/s over {length:,} bytes"
