"""Decides the response to a request for a media file: status, headers and which bytes.

A plan is a value, made without I/O, clock or framework; `http/media.py` sends it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from service.protocol.conditions import (
    PreconditionResult,
    Validators,
    evaluate,
    http_date,
    range_applies,
)
from service.protocol.disposition import attachment
from service.protocol.ranges import Span, cap, names_end, parse_range

# RFC 8246. One year is the maximum of RFC 2616 §14.21, which caches still apply.
_IMMUTABLE = "public, max-age=31536000, immutable"


class RangeKind(StrEnum):
    """How a request's Range header was answered."""

    NONE = "none"
    SINGLE = "single"
    MULTIPLE = "multiple"
    UNSATISFIABLE = "unsatisfiable"


@dataclass(frozen=True, slots=True)
class Representation:
    """The metadata of the current representation (RFC 9110 §3.2) of a media file."""

    size: int
    content_type: str
    validators: Validators


@dataclass(frozen=True, slots=True)
class Policy:
    """What the route and its query require of a response."""

    block: int | None = None
    """The maximum length of a partial response in bytes; None: no maximum."""
    serves_segments: bool = False
    """Whether a single range with an end has no maximum: to players of HLS it is a segment."""
    pin: str | None = None
    """The revision requested by `?v=`."""
    filename: str | None = None
    """The name for Content-Disposition: attachment; None: inline."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A response. `parts` are sent in order: literal bytes and spans of the representation."""

    status: int
    headers: Mapping[str, str]
    parts: tuple[bytes | Span, ...] = ()
    problem: str | None = None
    """One sentence for the client if the response is an error."""
    range_kind: RangeKind = RangeKind.NONE
    capped: bool = False

    @property
    def length(self) -> int:
        """The length of all parts in bytes."""
        return sum(part.length if isinstance(part, Span) else len(part) for part in self.parts)


def plan(
    method: str, headers: Mapping[str, str], representation: Representation, policy: Policy
) -> Plan:
    """Decide the response to a GET or HEAD of an existing file.

    `headers` has lower-case names, and repeated fields joined by ", " (RFC 9110 §5.3).
    """
    current = representation.validators
    if policy.pin is not None and policy.pin != current.revision:
        return _refuse(410, "This revision of the file has been superseded.")
    match evaluate(headers, current):
        case PreconditionResult.FAILED:
            return _refuse(412, "The file is not, or no longer, the one that the request expects.")
        case PreconditionResult.NOT_MODIFIED:
            return Plan(304, _base_headers(representation, policy))
    spans = None
    # §14.2: Range applies to GET only.
    if method == "GET" and "range" in headers and range_applies(headers, current):
        spans = parse_range(headers["range"], representation.size)
    if spans is None:
        return _whole(method, representation, policy)
    if not spans:
        return _refuse(
            416,
            f"No byte of the ranges asked for lies within the {representation.size} there are.",
            {"Content-Range": f"bytes */{representation.size}", "Accept-Ranges": "bytes"},
            RangeKind.UNSATISFIABLE,
        )
    is_segment = policy.serves_segments and names_end(headers["range"])
    return _partial(spans, representation, replace(policy, block=None) if is_segment else policy)


def _refuse(
    status: int,
    problem: str,
    headers: Mapping[str, str] | None = None,
    range_kind: RangeKind = RangeKind.NONE,
) -> Plan:
    all_headers = {"Cache-Control": "no-store", **(headers or {})}
    return Plan(status, all_headers, problem=problem, range_kind=range_kind)


def _base_headers(representation: Representation, policy: Policy) -> dict[str, str]:
    current = representation.validators
    pinned = policy.pin is not None and current.is_stable
    headers = {
        "Content-Type": representation.content_type,
        "ETag": current.entity_tag,
        "Last-Modified": http_date(current.last_modified),
        "Accept-Ranges": "bytes",
        "Cache-Control": _IMMUTABLE if pinned else "no-cache",
    }
    if not current.is_stable:
        # Changed a moment ago: a second change may get the same time stamp, so the edge must not
        # cache these bytes under this revision.
        headers["X-Accel-Expires"] = "0"
    if policy.filename is not None:
        headers["Content-Disposition"] = attachment(policy.filename)
    return headers


def _whole(method: str, representation: Representation, policy: Policy) -> Plan:
    headers = _base_headers(representation, policy)
    headers["Content-Length"] = str(representation.size)
    parts = (Span(0, representation.size),) if method == "GET" and representation.size else ()
    return Plan(200, headers, parts)


def _partial(spans: tuple[Span, ...], representation: Representation, policy: Policy) -> Plan:
    requested = spans
    if policy.block is not None:
        spans = cap(spans, policy.block)
    capped = spans != requested
    headers = _base_headers(representation, policy)
    if len(spans) == 1:
        headers["Content-Range"] = _content_range(spans[0], representation.size)
        headers["Content-Length"] = str(spans[0].length)
        return Plan(206, headers, spans, range_kind=RangeKind.SINGLE, capped=capped)
    boundary, parts = _multipart(spans, representation)
    headers["Content-Type"] = f"multipart/byteranges; boundary={boundary}"
    length = sum(part.length if isinstance(part, Span) else len(part) for part in parts)
    headers["Content-Length"] = str(length)
    return Plan(206, headers, parts, range_kind=RangeKind.MULTIPLE, capped=capped)


def _multipart(
    spans: tuple[Span, ...], representation: Representation
) -> tuple[str, tuple[bytes | Span, ...]]:
    """Return the boundary and the parts of multipart/byteranges (RFC 9110 §14.6)."""
    seed = repr((representation.validators.revision, spans)).encode()
    boundary = hashlib.sha256(seed).hexdigest()[:32]  # 128 bits: not in the payload by chance
    parts: list[bytes | Span] = []
    for span in spans:
        parts.append(
            f"\r\n--{boundary}\r\n"
            f"Content-Type: {representation.content_type}\r\n"
            f"Content-Range: {_content_range(span, representation.size)}\r\n\r\n".encode()
        )
        parts.append(span)
    parts.append(f"\r\n--{boundary}--\r\n".encode())
    return boundary, tuple(parts)


def _content_range(span: Span, size: int) -> str:
    """Format a span for Content-Range, which names the last byte (RFC 9110 §14.4)."""
    return f"bytes {span.start}-{span.end - 1}/{size}"
