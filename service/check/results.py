"""What a check found: fine, a remark, a failure with its problem, or that it was not tried."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """The outcome of one check."""

    OK = "ok"
    NOTE = "note"
    FAILED = "failed"
    NOT_TRIED = "not tried"


class Problem(StrEnum):
    """What is wrong in the chain. `advice.py` has the usual cause and the settings of each."""

    BYTES_DIFFER = "bytes differ"
    CACHE_CONTROL_REWRITTEN = "Cache-Control rewritten"
    CERTIFICATE_EXPIRES = "certificate expires"
    CERTIFICATE_NOT_TRUSTED = "certificate not trusted"
    COMPRESSED = "compressed"
    CONDITIONS_IGNORED = "conditions ignored"
    CONTENT_RANGE_WRONG = "wrong Content-Range"
    CORS_MISSING = "CORS headers missing"
    CORS_SHARED = "CORS headers of another origin"
    ETAG_MALFORMED = "ETag malformed"
    ETAG_MISSING = "ETag missing"
    ETAG_WEAK = "ETag weak"
    HEAD_REFUSED = "HEAD refused"
    HTTP_NOT_REDIRECTED = "http not redirected"
    IF_RANGE_IGNORED = "If-Range ignored"
    IF_RANGE_NEVER_HOLDS = "If-Range never holds"
    LENGTH_MISSING = "Content-Length missing"
    NO_ANSWER = "no answer"
    PARTIAL_CACHED = "206 cached by URL alone"
    QUERY_DROPPED = "query dropped"
    RANGE_DROPPED = "Range dropped"
    RANGE_REFUSED = "Range refused"
    RESPONSE_BUFFERED = "responses buffered"
    STATUS_REWRITTEN = "206 rewritten to 200"
    TRUNCATED = "truncated"
    UNSATISFIABLE_HIDDEN = "416 hidden"
    VALIDATORS_DIFFER = "validators differ"


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of a check."""

    check: str
    state: State
    detail: str
    problem: Problem | None = None


class FailedError(Exception):
    """A check has failed; the message is a sentence for the operator."""

    def __init__(self, problem: Problem, detail: str) -> None:
        super().__init__(detail)
        self.problem = problem


class RemarkError(Exception):
    """A check has found something that is allowed but worth knowing; the message says what."""


class NotTriedError(Exception):
    """A check cannot be made here; the message says why."""


class CannotCheckError(Exception):
    """The URL has no film that could be checked; the message says why."""
