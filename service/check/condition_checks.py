"""Checks of validators and of the conditions that use them."""

from email.utils import formatdate, parsedate_to_datetime
from http import HTTPStatus

from service.check.results import FailedError, NotTriedError, Problem
from service.check.session import Session, ask
from service.check.ways.http1 import Http1
from service.protocol.range_cases import ConditionCase, condition_cases

_DAY = 86_400
_CONNECTIONS = 4
_MAX_ADDRESSES = 6


def check_etag(session: Session) -> str:
    """Check that there is a strong entity tag, in 200, 206 and 304 alike."""
    if session.tag is None:
        raise FailedError(Problem.ETAG_MISSING, "The response has no ETag.")
    if session.tag.startswith("W/"):
        raise FailedError(Problem.ETAG_WEAK, f"The entity tag is weak: {session.tag}.")
    if not session.has_strong_tag:
        raise FailedError(Problem.ETAG_MALFORMED, f"The entity tag is malformed: {session.tag}.")
    tag = session.strong_tag
    answers = {"206": session.ask({"Range": "bytes=0-9"}, limit=10)} if session.ranges_work else {}
    answers["304"] = session.ask({"If-None-Match": tag})
    for name, answer in answers.items():
        if str(answer.status) != name:
            continue  # other checks say so
        found = answer.get("etag")
        if found is None:
            raise FailedError(Problem.ETAG_MISSING, f"The {name} has no ETag, the 200 has {tag}.")
        if found == f"W/{tag}":
            raise FailedError(Problem.ETAG_WEAK, f"The {name} has the weak entity tag {found}.")
        if found != tag:
            raise FailedError(
                Problem.VALIDATORS_DIFFER, f"The {name} has ETag: {found}, the 200 has {tag}."
            )
    return f"strong, {tag}"


def check_if_range_right(session: Session) -> str:
    """Check that If-Range with the current entity tag gets the part."""
    for case in _cases(session, "If-Range"):
        if case.status == HTTPStatus.PARTIAL_CONTENT and _status(session, case) == HTTPStatus.OK:
            raise FailedError(
                Problem.IF_RANGE_NEVER_HOLDS,
                "If-Range with the current entity tag gets the whole film.",
            )
    return "206"


def check_if_range_wrong(session: Session) -> str:
    """Check that If-Range with another validator gets the whole film."""
    for case in _cases(session, "If-Range"):
        if case.status == HTTPStatus.OK and _status(session, case) == HTTPStatus.PARTIAL_CONTENT:
            value = case.headers["If-Range"]
            raise FailedError(
                Problem.IF_RANGE_IGNORED, f"If-Range: {value} is not the film's, and gets a 206."
            )
    return "200, the whole film"


def check_conditions(session: Session) -> str:
    """Check that If-None-Match and If-Modified-Since get 304 or the part."""
    count = 0
    for case in _cases(session, "If-None-Match", "If-Modified-Since"):
        status = _status(session, case)
        if status != case.status:
            ((name, value),) = case.headers.items()
            raise FailedError(
                Problem.CONDITIONS_IGNORED,
                f"{name}: {value} with a range gets {status} instead of {case.status}.",
            )
        count += 1
    return f"{count} conditions are answered with 304 or 206 as RFC 9110 says"


def _cases(session: Session, *names: str) -> list[ConditionCase]:
    """Return the rows that hold everywhere for these header fields. Raises NotTriedError."""
    tag = session.strong_tag
    try:
        seconds = parsedate_to_datetime(session.modified or "").timestamp()
    except ValueError:
        seconds = None
    dates = [formatdate((seconds or 0) + shift, usegmt=True) for shift in (0, -_DAY, _DAY)]
    rows = [
        case
        for case in condition_cases(tag, *dates)
        if case.everywhere and case.headers.keys() & set(names)
    ]
    return [row for row in rows if seconds is not None or _by_tag(row)]


def _by_tag(case: ConditionCase) -> bool:
    return all('"' in value for value in case.headers.values())


def _status(session: Session, case: ConditionCase) -> int:
    return session.ask({"Range": "bytes=0-9", **case.headers}, limit=10).status


def check_same_validators(session: Session) -> str:
    """Check that validators and length are the same on all connections and addresses."""
    addresses = session.server.addresses()[:_MAX_ADDRESSES]
    ways = [None] * _CONNECTIONS + (list(addresses) if len(addresses) > 1 else [])
    expected = (session.whole.get("etag"), session.modified, session.size)
    reached = set()
    for address in ways:
        way = Http1(session.server, address)
        try:
            answer = ask(way, session.target, {"Range": "bytes=0-9"}, limit=10)
        except FailedError as error:
            if address is None or ":" not in address:
                raise
            # Without IPv6 here this says nothing of the server.
            if error.problem != Problem.NO_ANSWER:
                raise
            continue
        finally:
            way.close()
        reached.add(address)
        total = answer.content_range.total if answer.content_range else session.size
        found = (answer.get("etag"), answer.get("last-modified"), total)
        if found != expected:
            raise FailedError(
                Problem.VALIDATORS_DIFFER,
                f"ETag, Last-Modified and length are {_words(expected)} and, on another connection "
                f"({address or 'same address'}), {_words(found)}.",
            )
    if not reached:
        raise NotTriedError("No address answers.")
    others = f" and {len(reached) - 1} addresses" if len(reached) > 1 else ""
    return f"the same over {_CONNECTIONS} connections{others}"


def _words(values: tuple[str | None, str | None, int]) -> str:
    return ", ".join(str(value) for value in values)
