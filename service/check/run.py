"""Runs all checks of a URL, one after the other."""

import ssl
from collections.abc import Callable, Iterator
from dataclasses import replace
from urllib.parse import urlsplit

from service.check import (
    byte_checks,
    condition_checks,
    header_checks,
    range_checks,
    transport_checks,
)
from service.check.results import (
    CannotCheckError,
    FailedError,
    NotTriedError,
    Problem,
    RemarkError,
    Result,
    State,
)
from service.check.session import Options, Session, begin
from service.check.ways.http1 import Budget, BudgetSpentError, NoAnswerError, Server
from service.check.ways.tls import handshake, tls_context

_TIMEOUT = 15.0  # seconds for each step of a request: a disk or a bucket may have to wake up

_Check = Callable[[Session], str]

# In the order in which they are shown. True: only where ranges work.
CHECKS: tuple[tuple[str, _Check, bool], ...] = (
    ("whole film", range_checks.check_whole, False),
    ("HEAD", range_checks.check_head, False),
    ("closed ranges", range_checks.check_closed, False),
    ("open range", range_checks.check_open, True),
    ("suffix range", range_checks.check_suffix, True),
    ("several ranges", range_checks.check_several, True),
    ("kinds of ranges", range_checks.check_case_table, True),
    ("range after the end", range_checks.check_unsatisfiable, True),
    ("entity tag", condition_checks.check_etag, False),
    ("If-Range, right", condition_checks.check_if_range_right, True),
    ("If-Range, wrong", condition_checks.check_if_range_wrong, True),
    ("conditions", condition_checks.check_conditions, True),
    ("validators everywhere", condition_checks.check_same_validators, False),
    ("bytes of random spans", byte_checks.check_spans, True),
    ("bytes of another URL", byte_checks.check_against, True),
    ("with a revision", byte_checks.check_pinned, True),
    ("compression", header_checks.check_compression, False),
    ("caching headers", header_checks.check_caching, True),
    ("other origins", header_checks.check_cors, True),
    ("first byte", byte_checks.check_first_byte, True),
    ("throughput", byte_checks.check_throughput, True),
    ("HTTP/2", transport_checks.check_http2, False),
    ("HTTP/3", transport_checks.check_http3, False),
    ("certificate", transport_checks.check_certificate, False),
    ("http to https", transport_checks.check_redirect, False),
)

# After these, all checks of ranges would say the same once more.
_NO_RANGES = {
    Problem.CONTENT_RANGE_WRONG,
    Problem.LENGTH_MISSING,
    Problem.NO_ANSWER,
    Problem.PARTIAL_CACHED,
    Problem.RANGE_DROPPED,
    Problem.RANGE_REFUSED,
    Problem.STATUS_REWRITTEN,
    Problem.TRUNCATED,
}


def connect(options: Options, headers: tuple[tuple[str, str], ...], budget: Budget) -> Session:
    """Ask for the film for the first time.

    Raises CannotCheckError, and FailedError if nothing else can be checked.
    """
    parts = urlsplit(options.url)
    server = Server(
        parts.scheme,
        parts.hostname or "",
        parts.port or {"https": 443, "http": 80}[parts.scheme],
        headers,
        tls_context(is_trusting=options.is_insecure),
        budget,
        _TIMEOUT,
    )
    try:
        if server.scheme == "https" and not options.is_insecure:
            server = _trusting_where_needed(server)
        return begin(options, server)
    except BudgetSpentError as error:
        raise CannotCheckError(
            "The time or the bytes were spent before a response came."
        ) from error
    except NoAnswerError as error:
        raise CannotCheckError(str(error)) from error


def _trusting_where_needed(server: Server) -> Server:
    """Go on without trust where the certificate has none: its check says so.

    Raises NoAnswerError if there are header fields, which may be secrets.
    """
    try:
        handshake(server, tls_context(is_trusting=False))
    except NoAnswerError as error:
        is_distrusted = isinstance(error.__cause__, ssl.SSLCertVerificationError)
        if not is_distrusted or server.headers:
            raise
        return replace(server, context=tls_context(is_trusting=True))
    return server


def run(session: Session) -> Iterator[Result]:
    """Make all checks, and yield the result of each."""
    try:
        for name, check, needs_ranges in CHECKS:
            if needs_ranges and not session.ranges_work:
                yield Result(name, State.NOT_TRIED, "Ranges do not work.")
                continue
            result = _result(name, check, session)
            if check is range_checks.check_closed and result.problem in _NO_RANGES:
                session.ranges_work = False
            yield result
    finally:
        session.way.close()


def _result(name: str, check: _Check, session: Session) -> Result:
    try:
        return Result(name, State.OK, check(session))
    except FailedError as error:
        return Result(name, State.FAILED, str(error), error.problem)
    except RemarkError as error:
        return Result(name, State.NOTE, str(error))
    except NotTriedError as error:
        return Result(name, State.NOT_TRIED, str(error))
    except NoAnswerError as error:
        return Result(name, State.FAILED, str(error), Problem.NO_ANSWER)
    except BudgetSpentError:
        return Result(name, State.NOT_TRIED, "The bytes or the seconds are spent.")
