"""The cookie of a session."""

from collections.abc import Mapping
from typing import Any

from werkzeug.http import dump_cookie, parse_cookie

from service.access.control import PENDING_SECONDS, SESSION_SECONDS, AccessControl
from service.access.tokens import Token
from service.http.origins import Origins

SECURE_NAME, PLAIN_NAME = "__Host-reelay", "reelay"
"""The cookie's names over HTTPS (RFC 6265bis §4.1.3.2) and over HTTP."""


class SessionCookies:
    """Reads and writes the cookies of sessions."""

    def __init__(self, control: AccessControl, origins: Origins) -> None:
        self._control = control
        self._origins = origins

    def session(self, scope: Any, now: float) -> Token | None:
        """Return the session of a request; None without a valid one. `now`: Unix seconds."""
        text = self._cookies(scope).get(self._name(scope))
        return None if text is None else self._control.session(text, now)

    def format(self, scope: Any, text: str) -> str:
        """Return the Set-Cookie field that keeps a session; an empty `text` removes it."""
        return self._format(scope, self._name(scope), text, SESSION_SECONDS)

    def pending(self, scope: Any) -> str | None:
        """Return what the browser keeps while somebody signs in at an OpenID provider."""
        return self._cookies(scope).get(f"{self._name(scope)}-pending")

    def format_pending(self, scope: Any, text: str) -> str:
        """Return the Set-Cookie field that keeps it; an empty `text` removes it."""
        return self._format(scope, f"{self._name(scope)}-pending", text, PENDING_SECONDS)

    def _format(self, scope: Any, name: str, text: str, seconds: int) -> str:
        return dump_cookie(
            name,
            text,
            max_age=seconds if text else 0,
            secure=self._is_secure(scope),
            httponly=True,
            # With Strict, a link from another site would lead to the sign-in page.
            samesite="Lax",
        )

    @staticmethod
    def _cookies(scope: Any) -> Mapping[str, str]:
        fields = [value for name, value in scope["headers"] if name == b"cookie"]
        return parse_cookie(b"; ".join(fields).decode("latin-1"))

    def _is_secure(self, scope: Any) -> bool:
        return self._origins.scheme_of(scope) == "https"

    def _name(self, scope: Any) -> str:
        return SECURE_NAME if self._is_secure(scope) else PLAIN_NAME
