"""Checks of header fields: compression, caching, other origins."""

from http import HTTPStatus

from service.check.results import FailedError, NotTriedError, Problem
from service.check.session import SAMPLE, Session
from service.check.ways.http1 import Answer

_ENCODINGS = "gzip, deflate, br, zstd"  # as browsers send it with pages
_SUCCESS = 2  # the first digit of the status
_READABLE = ("content-range", "etag")
_OTHER_ORIGIN = "https://reelay-check.invalid"  # RFC 2606: never a site


def check_compression(session: Session) -> str:
    """Check that films are not compressed, whatever the client accepts."""
    requests: list[tuple[str, str, dict[str, str]]] = [
        ("200", "GET", {}),
        ("206", "GET", {"Range": "bytes=0-9999"}),
        ("HEAD", "HEAD", {}),
    ]
    for name, method, headers in requests:
        answer = session.ask({"Accept-Encoding": _ENCODINGS, **headers}, method, SAMPLE)
        encoding = answer.get("content-encoding")
        if encoding not in {None, "identity"}:
            raise FailedError(
                Problem.COMPRESSED,
                f"A client that accepts compression gets a {name} with Content-Encoding: "
                f"{encoding}.",
            )
    return "none, for clients that accept it"


def check_caching(session: Session) -> str:
    """Check that only a URL with a revision may be cached without a time limit."""
    found = session.whole.get("cache-control")
    if session.pinned is None or session.unpinned is None:
        return f"Cache-Control: {found}" if found else "no Cache-Control"
    for target, directive in ((session.pinned, "immutable"), (session.unpinned, "no-cache")):
        answer = session.ask({"Range": "bytes=0-9"}, limit=10, target=target)
        if answer.status != HTTPStatus.PARTIAL_CONTENT:
            raise NotTriedError(f"{target} gets {answer.status}.")
        found = answer.get("cache-control") or ""
        directives = {word.strip().lower() for word in found.split(",")}
        # With access control, both are private, and neither is stored by a cache that is shared.
        if directive not in directives and "private" not in directives:
            raise FailedError(
                Problem.CACHE_CONTROL_REWRITTEN,
                f"{target} has Cache-Control: {found or 'nothing'} instead of {directive}.",
            )
    return "as the service says: immutable with a revision, no-cache without"


def check_cors(session: Session) -> str:
    """Check that scripts of an origin may read the responses, and their headers."""
    origin = session.options.origin
    if origin is None:
        raise NotTriedError("--origin names no site.")
    answer = session.ask({"Range": "bytes=0-9", "Origin": origin}, limit=10)
    allowed = answer.get("access-control-allow-origin")
    if allowed not in {"*", origin}:
        raise FailedError(
            Problem.CORS_MISSING,
            f"Access-Control-Allow-Origin is {allowed or 'missing'}, so {origin} may not read it.",
        )
    exposed = _names(answer, "access-control-expose-headers")
    hidden = [name for name in _READABLE if name not in exposed and "*" not in exposed]
    if hidden:
        raise FailedError(
            Problem.CORS_MISSING, f"Access-Control-Expose-Headers lacks {', '.join(hidden)}."
        )
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "if-range,range",
    }
    preflight = session.ask(asked, "OPTIONS", SAMPLE)
    allowed_names = _names(preflight, "access-control-allow-headers")
    if preflight.status // 100 != _SUCCESS or not ({"range", "*"} & allowed_names):
        raise FailedError(
            Problem.CORS_MISSING,
            f"A preflight request for Range gets {preflight.status}, and allows "
            f"{', '.join(sorted(allowed_names)) or 'nothing'}.",
        )
    if allowed != "*":
        _check_other_origin(session, answer, origin)
    return f"{origin} may read them"


def _check_other_origin(session: Session, answer: Answer, origin: str) -> None:
    other = session.ask({"Range": "bytes=0-9", "Origin": _OTHER_ORIGIN}, limit=10)
    if other.get("access-control-allow-origin") == origin:
        raise FailedError(Problem.CORS_SHARED, f"Another site gets the headers for {origin}.")
    if "origin" not in _names(answer, "vary") and "*" not in _names(answer, "vary"):
        raise FailedError(Problem.CORS_SHARED, "The headers differ by origin without Vary: Origin.")


def _names(answer: Answer, field: str) -> set[str]:
    return {name.strip().lower() for name in (answer.get(field) or "").split(",") if name.strip()}
