"""Signing in and out, and the answers to requests without permission."""

import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import quote, urlsplit

from quart import Response, render_template, request

from service.access.control import AccessControl
from service.access.grants import current_grant
from service.api.problems import prefers_html, problem_response
from service.errors import HTTPError, RefusedError
from service.http.origins import Origins, check_same_origin
from service.settings.values import MAX_SECRET
from service.sign_in.attempts import WINDOW, SignInAttempts
from service.sign_in.cookies import SessionCookies

_LINK_TITLES = {403: "This link does not work", 410: "This link has ended"}
_TOO_MANY = "Too many attempts came from here. Try again in ten minutes."
_WRONG = "That is not the password."


class SignInViews:
    """`/sign-in` and `/sign-out`, and what refused requests get."""

    def __init__(
        self,
        control: AccessControl,
        cookies: SessionCookies,
        origins: Origins,
        *,
        password: str | None,
        issuer: str | None,
    ) -> None:
        """Sign people in by a password, or by the OpenID provider whose URL is `issuer`."""
        self._control = control
        self._cookies = cookies
        self._origins = origins
        self._password = password
        self._provider = urlsplit(issuer).hostname if issuer else None
        self._attempts = SignInAttempts()

    async def refuse(self) -> None:
        """Raise the reason why a request is refused, if it is."""
        refusal: HTTPError | None = request.scope["state"].get("refusal")
        if refusal is not None:
            raise refusal

    async def refused(self, error: RefusedError) -> Response:
        """Answer a refused request: with a form to sign in, if that would help."""
        has_page = prefers_html(request.headers.get("Accept", ""))
        if not has_page or error.status == HTTPStatus.NOT_FOUND:
            return await problem_response(error.status, str(error), error.headers)
        if error.status == HTTPStatus.UNAUTHORIZED:
            target = quote(request.scope["path"])
            if query := request.query_string.decode("latin-1"):
                target += f"?{query}"
            return await self.page(error.status, str(error), local_target(target), error.headers)
        title = _LINK_TITLES.get(error.status, "")
        if current_grant().prefix:  # the link is right, but what was asked for is not allowed
            title = "Downloads are switched off"
        return _page_response(
            await render_template("refused.html", title=title, message=str(error)),
            error.status,
            error.headers,
        )

    async def show(self) -> Response:
        """Show the form, or the page that it leads to if somebody has signed in."""
        target = local_target(request.args.get("next", "/"))
        if self._cookies.session(request.scope, time.time()) is not None:
            return Response(status=HTTPStatus.SEE_OTHER, headers={"Location": target})
        return await self.page(200, "", target)

    async def sign_in(self) -> Response:
        """Begin a session if the password is right."""
        check_same_origin()
        form = await request.form
        target = local_target(form.get("next", "/"))
        address = self._origins.client_of(request.scope)
        if not await self._attempts.admit(address):
            return await self.page(429, _TOO_MANY, target, {"Retry-After": str(WINDOW)})
        if self._password is None or not _is_equal(
            form.get("password", "")[:MAX_SECRET].strip(), self._password
        ):
            self._attempts.record_failure(address)
            return await self.page(403, _WRONG, target)
        self._attempts.record_success(address)
        session = self._control.new_session("", time.time())
        cookie = self._cookies.format(request.scope, session)
        headers = {"Location": target, "Set-Cookie": cookie, "Cache-Control": "no-store"}
        return Response(status=HTTPStatus.SEE_OTHER, headers=headers)

    async def sign_out(self) -> Response:
        """End the session."""
        check_same_origin()
        session = self._cookies.session(request.scope, time.time())
        if session is not None:
            await self._control.sign_out(session)
        headers = {
            "Location": "/sign-in",
            "Set-Cookie": self._cookies.format(request.scope, ""),
            # The pages of the library are to be gone from the browser's cache as well.
            "Clear-Site-Data": '"cache"',
            "Cache-Control": "no-store",
        }
        return Response(status=HTTPStatus.SEE_OTHER, headers=headers)

    async def page(
        self, status: int, message: str, target: str, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Return the page that signs people in and then leads to `target`."""
        page = await render_template(
            "refused.html",
            title="Sign in",
            message=message,
            is_failure=status not in {HTTPStatus.OK, HTTPStatus.UNAUTHORIZED},
            has_password=self._password is not None,
            provider=self._provider,
            next=target,
        )
        return _page_response(page, status, headers or {})


def _page_response(page: str, status: int, headers: Mapping[str, str]) -> Response:
    response = Response(page, status, content_type="text/html; charset=utf-8")
    response.headers["Cache-Control"] = "no-store"
    response.headers.update(headers)
    return response


class AccessView:
    """`/_access`: what edges need to know to check tokens and sessions themselves."""

    def __init__(self, control: AccessControl | None, user_header: str | None) -> None:
        self._control = control
        self._user_header = user_header

    async def show(self) -> Response:
        """Send whether access is controlled, and what was taken back."""
        document: dict[str, object] = {"access": False}
        if self._control is not None:
            document = {**self._control.edge_document(), "auth_header": self._user_header}
        response = Response(json.dumps(document), content_type="application/json")
        response.headers["Cache-Control"] = "no-store"
        return response


def local_target(target: str) -> str:
    """Return a URL on this site in ASCII, so that no other site can be the target; "/" for others.

    Browsers take a backslash for a slash, and ignore tabs and line ends (WHATWG URL §4.4).
    """
    is_local = target.startswith("/") and not target.startswith(("//", "/\\"))
    return quote(target, safe="/?&=%+:;,@!$'()*~") if is_local and target.isprintable() else "/"


def _is_equal(given: str, expected: str) -> bool:
    """Compare in a time that depends on neither text nor on their lengths."""
    one, other = (hashlib.sha256(text.encode()).digest() for text in (given, expected))
    return hmac.compare_digest(one, other)
