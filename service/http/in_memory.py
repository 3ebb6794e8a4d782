"""Answers with bytes that are in memory, as `protocol.plan` decides."""

from quart import Response, request
from werkzeug.datastructures import Headers

from service.errors import HTTPError
from service.http.media import conditional_headers
from service.protocol.plan import Policy, Representation, plan
from service.protocol.ranges import Span


def answer(data: bytes, representation: Representation, pin: str | None) -> Response:
    """Send bytes, or some of them. Raises HTTPError."""
    headers = conditional_headers(request.scope)
    decision = plan(request.method, headers, representation, Policy(pin=pin))
    if decision.problem is not None:
        raise HTTPError(decision.status, decision.problem, decision.headers)
    body = b"".join(
        data[part.start : part.end] if isinstance(part, Span) else part for part in decision.parts
    )
    response = Response(body, decision.status)
    response.headers = Headers(list(decision.headers.items()))
    return response
