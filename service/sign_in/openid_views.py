"""Signing in by OpenID Connect: the way to the provider, and the way back."""

import hmac
import time
from http import HTTPStatus

import structlog
from quart import Response, g, request

from service.access.control import AccessControl
from service.sign_in.cookies import SessionCookies
from service.sign_in.openid import DeniedError, OpenIDClient, ProviderError, SignInRequest
from service.sign_in.views import SignInViews, local_target

# Characters of the page to go to: with it, the browser's cookie has less than 4,096 bytes, beyond
# which browsers drop it (RFC 6265 §6.1).
_MAX_TARGET = 2500

_CALLBACK = "/sign-in/callback"
_NOT_BEGUN = "This page belongs to a sign-in that was not begun here, or long ago. Begin again."
_UNREACHABLE = "The sign-in service does not answer as it should. Try again in a moment."
_REFUSED = "The sign-in was cancelled."

_log = structlog.get_logger()


class OpenIDViews:
    """`/sign-in/oidc` and `/sign-in/callback`."""

    def __init__(
        self,
        client: OpenIDClient,
        control: AccessControl,
        cookies: SessionCookies,
        pages: SignInViews,
    ) -> None:
        self._client = client
        self._control = control
        self._cookies = cookies
        self._pages = pages

    async def begin(self) -> Response:
        """Send the browser to the provider."""
        target = local_target(request.args.get("next", "/"))
        try:
            url, kept = await self._client.begin(f"{g.origin()}{_CALLBACK}")
        except ProviderError as error:
            return await self._unreachable(error, target)
        remembered = target if len(target) <= _MAX_TARGET else "/"
        text = self._control.sign_for_minutes(f"{kept.text} {remembered}", time.time())
        cookie = self._cookies.format_pending(request.scope, text)
        return _redirect(url, cookie)

    async def finish(self) -> Response:
        """Begin a session for the person whom the provider names."""
        kept, target = self._kept()
        if kept is None or not _is_equal(request.args.get("state", ""), kept.state):
            return await self._pages.page(400, _NOT_BEGUN, target)
        if "code" not in request.args:
            return await self._pages.page(403, _REFUSED, target)
        try:
            user = await self._client.finish(f"{g.origin()}{_CALLBACK}", request.args["code"], kept)
        except DeniedError as error:
            return await self._pages.page(403, str(error), target)
        except ProviderError as error:
            return await self._unreachable(error, target)
        session = self._control.new_session(user, time.time())
        return _redirect(
            target,
            self._cookies.format(request.scope, session),
            self._cookies.format_pending(request.scope, ""),
        )

    def _kept(self) -> tuple[SignInRequest | None, str]:
        """Return what the browser kept, and the page to go to."""
        text = self._cookies.pending(request.scope)
        kept = self._control.signed_for_minutes(text, time.time()) if text else None
        if kept is None:
            return None, "/"
        state, nonce, verifier, target = kept.split(" ", 3)
        return SignInRequest(state, nonce, verifier), local_target(target)

    async def _unreachable(self, error: ProviderError, target: str) -> Response:
        _log.warning("the OpenID provider cannot be used", reason=str(error))
        return await self._pages.page(502, _UNREACHABLE, target)


def _redirect(url: str, *cookies: str) -> Response:
    response = Response(status=HTTPStatus.SEE_OTHER, headers={"Location": url})
    response.headers["Cache-Control"] = "no-store"
    for cookie in cookies:
        response.headers.add("Set-Cookie", cookie)
    return response


def _is_equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
