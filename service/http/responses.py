"""Responses with bytes of a representation that is no media file, as `protocol.plan` decides."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from quart import Response, request
from werkzeug.datastructures import Headers

from service.errors import HTTPError, IncompleteResponseError
from service.http.media import conditional_headers
from service.protocol.plan import Plan, Policy, Representation, plan
from service.protocol.ranges import Span
from service.records.blobs import AsyncBlob
from service.storage.base import MIN_CHUNK


def bytes_response(data: bytes, representation: Representation, pin: str | None) -> Response:
    """Return a response with `data` or the requested ranges of it. Raises HTTPError."""
    decision = _plan(representation, pin)
    body = b"".join(
        data[part.start : part.end] if isinstance(part, Span) else part for part in decision.parts
    )
    return _response(body, decision)


async def blob_response(
    blob: AsyncBlob, representation: Representation, pin: str | None
) -> Response:
    """Return a response that reads a blob chunk by chunk while the client takes it.

    Raises HTTPError, and OSError where the first chunk cannot be read.
    """
    decision = _plan(representation, pin)
    return _response(await _start_body(decision.parts, blob), decision)


def _plan(representation: Representation, pin: str | None) -> Plan:
    headers = conditional_headers(request.scope)
    decision = plan(request.method, headers, representation, Policy(pin=pin))
    if decision.problem is not None:
        raise HTTPError(decision.status, decision.problem, decision.headers)
    return decision


def _response(body: AsyncGenerator[bytes] | bytes, decision: Plan) -> Response:
    response = Response(body, decision.status)
    response.headers = Headers(list(decision.headers.items()))
    return response


async def _start_body(
    parts: Sequence[bytes | Span], blob: AsyncBlob
) -> AsyncGenerator[bytes] | bytes:
    """Return a body whose first chunk is read: until it is sent, an error can still be reported."""
    if not parts:
        return b""
    rest = _chunks(parts, blob)
    return _body([await anext(rest)], rest)


async def _body(first: list[bytes], rest: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    yield first.pop()  # not kept while the rest is sent
    try:
        async with aclosing(rest):
            async for chunk in rest:
                yield chunk
    except OSError as error:
        raise IncompleteResponseError("The stored bytes cannot be read any more.") from error


async def _chunks(parts: Sequence[bytes | Span], blob: AsyncBlob) -> AsyncGenerator[bytes]:
    for part in parts:
        if not isinstance(part, Span):
            yield part
            continue
        position = part.start
        while position < part.end:
            chunk = await blob.read(position, min(MIN_CHUNK, part.end - position))
            position += len(chunk)
            yield chunk
