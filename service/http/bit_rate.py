"""ASGI middleware that tells the edge the bit rates of films.

The edge compares the time of responses with them (nginx/njs/delivery.js). It stores the header with
each block, and does not send it to viewers.
"""

from typing import Any

from service.http.instrumentation import ASGIApp, Message, Receive, Send
from service.library.library import Library

_ROUTES = frozenset({"media", "download"})
_OK, _PARTIAL_CONTENT = 200, 206


class BitRateMiddleware:
    """Adds `X-Bit-Rate`, in bits per second, to responses that have bytes of a film."""

    def __init__(self, app: ASGIApp, library: Library) -> None:
        self._app = app
        self._library = library

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        bit_rate = self._bit_rate(scope["path"]) if scope["type"] == "http" else None
        if bit_rate is None:
            await self._app(scope, receive, send)
            return
        header = (b"x-bit-rate", str(bit_rate).encode())
        await self._app(scope, receive, lambda message: send(_with_header(message, header)))

    def _bit_rate(self, target: str) -> int | None:
        route, _, path = target.removeprefix("/").partition("/")
        video = self._library.catalogue.get(path) if route in _ROUTES else None
        return video.metadata.bit_rate if video and video.metadata else None


def _with_header(message: Message, header: tuple[bytes, bytes]) -> Message:
    if message["type"] != "http.response.start":
        return message
    if message["status"] not in {_OK, _PARTIAL_CONTENT}:
        return message
    return {**message, "headers": [*message["headers"], header]}
