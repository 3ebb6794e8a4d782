"""ASGI middleware that admits or refuses each request, before any part of the service sees it.

A request below `/s/<token>` becomes the same request without the prefix, with the link's grant. A
refused one goes to Quart with its reason in the request's state, which answers it as an error.
"""

import hmac
import time
from typing import Any
from urllib.parse import quote

from service.access.control import AccessControl, is_old
from service.access.grants import EVERYTHING, NOTHING, Grant, set_grant
from service.access.routes import is_download, is_open, is_shared
from service.access.tokens import TokenState
from service.errors import RefusedError
from service.http.instrumentation import ASGIApp, Message, Receive, Send
from service.http.origins import Origins
from service.sign_in.cookies import SessionCookies

EDGE_HEADER = b"x-reelay-edge"

_SIGN_IN = "Sign in to see this."
_LINK_INVALID = "This link is not right: it was cut off, changed, or made for another library."
_LINK_ENDED = "This link has ended. Ask the person who sent it for a new one."
_LINK_REVOKED = "This link was taken back. Ask the person who sent it for a new one."
_NOT_BY_LINK = "There is nothing of that name here."
_NO_DOWNLOADS = "This link is for watching: the person who sent it has switched downloads off."

# RFC 9110 §11.6.1 requires a challenge. No registered scheme describes a form and a cookie.
_CHALLENGE = {"WWW-Authenticate": 'Cookie realm="Reelay"'}

_SHARED_CACHES = frozenset({b"public", b"private"})

_REFUSALS = {
    TokenState.INVALID: (403, _LINK_INVALID),
    TokenState.EXPIRED: (410, _LINK_ENDED),
    TokenState.REVOKED: (410, _LINK_REVOKED),
}


class AccessMiddleware:
    """Admits requests with a session, a share link or an edge's credential, and refuses others."""

    def __init__(  # noqa: PLR0913 # each is one way in or out
        self,
        app: ASGIApp,
        refused_app: ASGIApp,
        control: AccessControl,
        cookies: SessionCookies,
        origins: Origins,
        *,
        user_header: str | None,
        metrics_token: str | None,
    ) -> None:
        """`refused_app` answers refused requests: with the error in `state["refusal"]`.

        `user_header` names the user, if a trusted proxy or an edge sends it; with `metrics_token`
        as a bearer token `/metrics` is answered.
        """
        self._app = app
        self._refused_app = refused_app
        self._control = control
        self._cookies = cookies
        self._origins = origins
        self._user_header = user_header.lower().encode() if user_header else None
        self._metrics_token = metrics_token

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        is_edge = self._control.is_edge(headers.get(EDGE_HEADER, b"").decode("latin-1"))
        cookie: str | None = None
        refusal: RefusedError | None = None
        is_public = is_open(scope["path"])
        if scope["path"].startswith("/s/"):
            grant, refusal = self._enter_by_link(scope)
        else:
            grant, cookie = self._grant(scope, headers, is_edge=is_edge)
            if grant is NOTHING and not is_public:
                refusal = RefusedError(401, _SIGN_IN, _CHALLENGE)
        set_grant(grant)
        scope["state"]["refusal"] = refusal
        app = self._app if refusal is None else self._refused_app
        if is_edge or is_public:
            await app(scope, receive, send)
            return
        more = [] if cookie is None else [(b"set-cookie", cookie.encode())]
        await app(scope, receive, lambda message: send(_made_private(message, grant, more)))

    def _enter_by_link(self, scope: Any) -> tuple[Grant, RefusedError | None]:
        """Remove the prefix `/s/<token>` from the request's path; return what the link opens."""
        token, slash, rest = scope["path"].removeprefix("/s/").partition("/")
        grant = self._control.link_grant(token, time.time())
        if isinstance(grant, TokenState):
            status, reason = _REFUSALS[grant]
            return NOTHING, RefusedError(status, reason, {})
        scope["path"] = f"{slash}{rest}" or "/"
        scope["raw_path"] = quote(scope["path"]).encode()
        if not grant.downloads and is_download(scope["path"]):
            return grant, RefusedError(403, _NO_DOWNLOADS, {})
        if not is_shared(scope["path"], grant):
            return grant, RefusedError(404, _NOT_BY_LINK, {})
        return grant, None

    def _grant(
        self, scope: Any, headers: dict[bytes, bytes], *, is_edge: bool
    ) -> tuple[Grant, str | None]:
        """Return what a request may see, and the cookie to set if its session is to be renewed."""
        now = time.time()
        if is_edge or self._is_scraper(scope["path"], headers):
            return EVERYTHING, None
        if self._user_header is not None and self._origins.is_trusted(scope.get("client")):
            user = headers.get(self._user_header, b"").decode("utf-8", "replace").strip()
            if user:
                return Grant(can_share=True, user=user), None
        session = self._cookies.session(scope, now)
        if session is None:
            return NOTHING, None
        cookie = None
        if is_old(session, now) and scope["method"] == "GET":
            cookie = self._cookies.format(scope, self._control.renew(session, now))
        user = session.subject.removeprefix("s")
        return Grant(can_share=True, user=user, has_session=True), cookie

    def _is_scraper(self, path: str, headers: dict[bytes, bytes]) -> bool:
        """Return whether a request for the metrics has the token for it (RFC 6750 §2.1)."""
        if self._metrics_token is None or path != "/metrics":
            return False
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        is_equal = hmac.compare_digest(token.strip(), self._metrics_token.encode())
        return scheme.lower() == b"bearer" and is_equal


def _made_private(message: Message, grant: Grant, more: list[tuple[bytes, bytes]]) -> Message:
    """Return the start of a response with headers that keep it from shared caches."""
    if message["type"] != "http.response.start":
        return message
    kept, others = [], []
    for name, value in message["headers"]:
        if name == b"cache-control":
            others.append((name, _private(value)))
        elif name == b"referrer-policy" and grant.prefix:
            others.append((name, b"no-referrer"))  # the prefix is a secret
        else:
            kept.append((name, value))
    if not grant.prefix:
        others.append((b"vary", b"Cookie"))
    return {**message, "headers": [*kept, *others, *more]}


def _private(cache_control: bytes) -> bytes:
    """Return a Cache-Control value for the viewer's own cache alone (RFC 9111 §5.2.2.7)."""
    directives = [one.strip() for one in cache_control.split(b",")]
    if b"no-store" in directives:
        return cache_control
    return b", ".join([b"private", *(one for one in directives if one not in _SHARED_CACHES)])
