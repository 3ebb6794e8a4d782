"""The bytes. `protocol.plan` decides; this opens, carries the plan out, and counts."""

from collections.abc import AsyncGenerator, AsyncIterator

from quart import Response, request
from quart.wrappers.response import ResponseBody
from werkzeug.datastructures import Headers

from service.errors import ReelayError
from service.metrics import Metrics
from service.protocol.plan import Plan, Policy, plan
from service.protocol.ranges import Span
from service.storage.base import Source, Storage
from service.views.exchange import current_exchange
from service.views.problems import problem

# What a plan looks at.
_DECISIVE = (
    "range",
    "if-range",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
)


def decisive_headers() -> dict[str, str]:
    """Give the request's headers that a plan looks at, repeated ones joined (RFC 9110 §5.3)."""
    headers = request.headers
    return {name: ", ".join(values) for name in _DECISIVE if (values := headers.getlist(name))}


class MediaViews:
    """`/media/<path>`, `/download/<path>`, and the edge's question for a revision."""

    def __init__(self, storage: Storage, metrics: Metrics, block: int) -> None:
        self._storage = storage
        self._metrics = metrics
        self._block = block

    async def media(self, path: str) -> Response:
        """Send bytes to a player: no partial response crosses a block's end."""
        return await self._answer(path, Policy(block=self._block, pin=request.args.get("v")))

    async def download(self, path: str) -> Response:
        """Send bytes to be saved: as many as are asked for."""
        name = path.rpartition("/")[2]
        return await self._answer(path, Policy(pin=request.args.get("v"), filename=name))

    async def revision(self) -> Response:
        """Tell the edge the revision to cache the blocks of `?path=/...` under, if there is one.

        Unknown, empty and just changed files have none: those requests come here themselves.
        """
        path = request.args.get("path", "").removeprefix("/")
        response = Response(status=204, headers={"Cache-Control": "no-store"})
        try:
            representation = (await self._open(path)).representation
        except ReelayError:
            return response
        if representation.size and representation.validators.settled:
            response.headers["X-Revision"] = representation.validators.revision
        return response

    async def _open(self, path: str) -> Source:
        source = await self._storage.open(path)
        current_exchange().resources.callback(source.close)
        return source

    async def _answer(self, path: str, policy: Policy) -> Response:
        source = await self._open(path)
        decision = plan(request.method, decisive_headers(), source.representation, policy)
        self._metrics.ranges.labels(decision.range_kind).inc()
        if decision.capped:
            self._metrics.capped.inc()
        if decision.problem is not None:
            return await problem(decision.status, decision.problem, decision.headers)
        response = Response(SourceBody(source, decision), decision.status)
        response.headers = Headers(list(decision.headers.items()))
        return response


class SourceBody(ResponseBody):
    """A planned body, read from its source piece by piece as the client takes it."""

    def __init__(self, source: Source, decision: Plan) -> None:
        self._pieces = self._read(source, decision)

    async def __aenter__(self) -> AsyncIterator[bytes]:
        return self._pieces

    async def __aexit__(self, *_: object) -> None:
        await self._pieces.aclose()

    async def _read(self, source: Source, decision: Plan) -> AsyncGenerator[bytes]:
        for part in decision.parts:
            if isinstance(part, Span):
                async for piece in source.read(part):
                    yield piece
            else:
                yield part
