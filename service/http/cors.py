"""ASGI middleware for REELAY_CORS_ORIGINS: lets scripts and players of other sites read responses.

It follows the Fetch standard (§3.3, "HTTP extensions"). Only what a player of another site needs
is readable: neither pages nor operators' routes are. Behind the edge, the edge replaces these
headers by its own, which are the same (nginx/snippets/cors-variables.conf).
"""

import re
from typing import Any

from service.http.instrumentation import ASGIApp, Message, Receive, Send
from service.protocol.origin_list import matcher

# The routes that other sites may read, also by a share link.
_ROUTES = re.compile(
    r"(?:/s/[^/]+)?/"
    r"(?:(?:api|captions|download|media|playlists|posters|storyboards)/.*"
    r"|oembed|openapi\.json|playlists)",
    re.DOTALL,
)

_ALLOWED_METHODS = b"GET, HEAD, OPTIONS"
_ALLOWED_HEADERS = (
    b"Accept, Cache-Control, If-Match, If-Modified-Since, If-None-Match, If-Range, "
    b"If-Unmodified-Since, Pragma, Range"
)
# Those that a script reads to play, resume, save or retry. Fetch exposes some others by itself.
_EXPOSED_HEADERS = (
    b"Accept-Ranges, Allow, Content-Disposition, Content-Length, Content-Range, Date, ETag, "
    b"Last-Modified, Location, Retry-After, X-Cache, X-Request-ID"
)
_MAX_AGE = b"7200"  # seconds of a preflight: Chromium's maximum; Firefox's is a day

_Headers = list[tuple[bytes, bytes]]


def is_shared_route(path: str) -> bool:
    """Return whether other sites may read the responses of a path, which is not escaped."""
    return _ROUTES.fullmatch(path) is not None


class CorsMiddleware:
    """Adds the headers of Cross-Origin Resource Sharing to responses and errors.

    Credentials are never allowed: nothing here depends on them.
    """

    def __init__(self, app: ASGIApp, origins: str) -> None:
        """Wrap an application. `origins` is REELAY_CORS_ORIGINS, but not `none`."""
        self._app = app
        self._is_allowed = matcher(origins)
        self._all = origins == "*"

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not is_shared_route(scope["path"]):
            await self._app(scope, receive, send)
            return
        headers = self._headers(scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *headers]}
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _headers(self, scope: Any) -> _Headers:
        """Return the headers to add to the answer to a request."""
        values = _origins(scope)
        if self._all:
            # The same for every origin and for none, so that every cache may store it. The second
            # header allows what is embedded without CORS on pages with COEP: require-corp.
            headers = [
                (b"access-control-allow-origin", b"*"),
                (b"cross-origin-resource-policy", b"cross-origin"),
            ]
        else:
            # Also without an Origin: a cache must not give that answer to a site that is allowed.
            headers = [(b"vary", b"Origin")]
            if len(values) != 1 or not self._is_allowed(values[0].decode("latin-1")):
                return headers
            headers.append((b"access-control-allow-origin", values[0]))
        if values and _is_preflight(scope):
            headers += [
                (b"access-control-allow-methods", _ALLOWED_METHODS),
                (b"access-control-allow-headers", _ALLOWED_HEADERS),
                (b"access-control-max-age", _MAX_AGE),
            ]
        else:
            headers.append((b"access-control-expose-headers", _EXPOSED_HEADERS))
        return headers


class PreflightMiddleware:
    """Permits preflights before access is checked, as no request follows an error (Fetch §4.8)."""

    def __init__(self, app: ASGIApp, origins: str) -> None:
        self._app = app
        self._is_allowed = matcher(origins)

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        is_asking = scope["type"] == "http" and _is_preflight(scope)
        values = _origins(scope) if is_asking and is_shared_route(scope["path"]) else []
        if len(values) == 1 and self._is_allowed(values[0].decode("latin-1")):
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})
        else:
            await self._app(scope, receive, send)


def _origins(scope: Any) -> list[bytes]:
    return [value for name, value in scope["headers"] if name.lower() == b"origin"]


def _is_preflight(scope: Any) -> bool:
    """Return whether a request asks what is allowed (Fetch §3.3.2, "CORS-preflight request")."""
    return scope["method"] == "OPTIONS" and any(
        name.lower() == b"access-control-request-method" for name, _ in scope["headers"]
    )
