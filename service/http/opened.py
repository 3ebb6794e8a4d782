"""Answers with bytes that are kept elsewhere, as `protocol.plan` decides: a piece at a time, as the
client takes them. What an answer holds does not grow with its length."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from quart import Response, request
from werkzeug.datastructures import Headers

from service.artefact_store.blobs import Opened
from service.errors import HTTPError, IncompleteResponseError
from service.http.media import conditional_headers
from service.protocol.plan import Policy, Representation, plan
from service.protocol.ranges import Span
from service.storage.send_pacing import SMALL


async def answer(opened: Opened, representation: Representation, pin: str | None) -> Response:
    """Send bytes, or some of them. Raises HTTPError, and OSError where they cannot be read."""
    headers = conditional_headers(request.scope)
    decision = plan(request.method, headers, representation, Policy(pin=pin))
    if decision.problem is not None:
        raise HTTPError(decision.status, decision.problem, decision.headers)
    response = Response(await _begun(decision.parts, opened), decision.status)
    response.headers = Headers(list(decision.headers.items()))
    return response


async def _begun(parts: Sequence[bytes | Span], opened: Opened) -> AsyncGenerator[bytes] | bytes:
    """Give a body whose first piece is there: until the answer begins, it can be another one."""
    if not parts:
        return b""
    rest = _pieces(parts, opened)
    return _body([await anext(rest)], rest)


async def _body(first: list[bytes], rest: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    yield first.pop()
    try:
        async with aclosing(rest):
            async for piece in rest:
                yield piece
    except OSError as error:
        raise IncompleteResponseError("What was kept cannot be read any more.") from error


async def _pieces(parts: Sequence[bytes | Span], opened: Opened) -> AsyncGenerator[bytes]:
    for part in parts:
        if not isinstance(part, Span):
            yield part
            continue
        position = part.start
        while position < part.end:
            piece = await opened.read(position, min(SMALL, part.end - position))
            position += len(piece)
            yield piece
