"""Decides what a token or a session opens: by the keys, and by what was taken back."""

import hmac
import re
import secrets
import time
from asyncio import sleep, to_thread
from collections.abc import AsyncGenerator, Callable
from typing import Concatenate, ParamSpec, TypeVar

import structlog

from service.access.grants import Grant, Scope, share_prefix
from service.access.links import (
    USE_INTERVAL,
    ShareLink,
    is_needed,
    load_revoked,
    remove_ended,
    revoke,
    revoke_token,
)
from service.access.state import GENERATION, KEY, USED, State
from service.access.tokens import Token, TokenState, derived_key, new_id
from service.errors import StorageError

SESSION_SECONDS = 30 * 86400
"""How long a session lasts that is not used."""

PENDING_SECONDS = 600
"""How long somebody may take to sign in at an OpenID provider."""

# Age in seconds after which a session is renewed.
_RENEWED_AFTER = 86400

# Seconds between two readings of the state. Edges ask every 3 s, so what was taken back opens
# nothing after 8 s.
_REFRESH_INTERVAL = 4.0

_KEY = re.compile(r"[0-9a-f]{64}")

_STATE_FAILS = "Share links and sessions cannot be read or changed right now. Try again later."

_P = ParamSpec("_P")
_T = TypeVar("_T")

_log = structlog.get_logger()


class StateError(Exception):
    """The state cannot be read or written, or its key is damaged."""


def load_key(state: State, given: str | None) -> bytes:
    """Return the master key: the one that is given, else the state's, which is made if missing.

    Raises StateError.
    """
    if given is not None:
        return bytes.fromhex(given)
    try:
        text = state.read(KEY)
        if text is None:
            state.create(KEY, f"{secrets.token_hex(32)}\n".encode())
            text = state.read(KEY) or b""
    except OSError as error:
        raise StateError(f"the key cannot be read or made: {error}") from error
    key = text.decode("latin-1").strip()
    if not _KEY.fullmatch(key):
        raise StateError("the key is damaged: it should be 64 hexadecimal digits")
    return bytes.fromhex(key)


def read_generation(state: State) -> int:
    """Return how often everybody was signed out. Raises OSError, ValueError."""
    try:
        return int(state.read(GENERATION) or 0)
    except ValueError as error:
        raise ValueError(f"{GENERATION} is damaged: it should be a number") from error


def sign_out_everywhere(state: State) -> None:
    """End all sessions: their key changes. Raises OSError, ValueError."""
    state.write(GENERATION, str(read_generation(state) + 1).encode())


class AccessControl:
    """Checks tokens and sessions. Only `load` blocks; coroutines use the state in threads."""

    def __init__(self, state: State, master: bytes) -> None:
        self.state = state
        self.edge_credential = derived_key(master, "edge").hex()
        """What an edge sends with its own requests."""
        self.generation = 0
        self.revoked: dict[str, int] = {}
        """The expiry of each token that was taken back, by its identity."""
        self._master = master
        self._link_key = derived_key(master, "links")
        self._session_key = b""
        self._set_generation(0)
        self._used: dict[str, float] = {}
        """When each link was used last, in Unix seconds, as far as it is to be written."""
        self._use_written: dict[str, float] = {}

    def _set_generation(self, generation: int) -> None:
        self.generation = generation
        self._session_key = derived_key(self._master, f"sessions {generation}")

    def load(self) -> None:
        """Read the state. Blocks. Raises OSError, ValueError."""
        self._apply(*self._read())

    def _read(self) -> tuple[dict[str, int], int]:
        """Return what was taken back, and how often everybody was signed out. Blocks."""
        return load_revoked(self.state, self.revoked), read_generation(self.state)

    def _apply(self, revoked: dict[str, int], generation: int) -> None:
        """Use what was read. Raises ValueError if the state was lost.

        What this service knows to be taken back stays so: during the reading more may have been
        taken back, and a state that was lost must not open links again.
        """
        now = time.time()
        known = {name: expiry for name, expiry in self.revoked.items() if is_needed(expiry, now)}
        self.revoked = {**known, **revoked}
        if generation < self.generation:  # sessions that were ended would be valid again
            raise ValueError("it was lost, or replaced by an older one: restart the service")
        self._set_generation(generation)

    async def keep_current(self) -> AsyncGenerator[None]:
        """Read the state every few seconds.

        While it cannot be read, what was read last applies, and it is tried as often: after a
        failure no link may stay open for longer than usual.
        """
        while True:
            try:
                self._apply(*await to_thread(self._read))
                await to_thread(self._write)
            except (OSError, ValueError) as error:
                _log_failure(error)
            yield
            await sleep(_REFRESH_INTERVAL)

    def _write(self) -> None:
        """Write when links were used, each at most once in USE_INTERVAL seconds, and tidy up."""
        remove_ended(self.state, self.revoked, time.time())
        for link_id, used in list(self._used.items()):
            if used - self._use_written.get(link_id, 0) >= USE_INTERVAL:
                self.state.write(f"{USED}/{link_id}", str(int(used)).encode())
                self._use_written[link_id] = used

    async def use_state(
        self,
        function: Callable[Concatenate[State, _P], _T],
        *arguments: _P.args,
        **options: _P.kwargs,
    ) -> _T:
        """Call a function with the state, in a thread. Raises StorageError if the state fails."""
        try:
            return await to_thread(function, self.state, *arguments, **options)
        except OSError as error:
            _log_failure(error)
            raise StorageError(_STATE_FAILS) from error

    # Links

    def sign_link(self, token: Token) -> str:
        """Return the text of a link's token."""
        return token.sign(self._link_key)

    def link_url(self, link: ShareLink) -> str:
        """Return the path of what a link opens: the prefix of all its pages."""
        return share_prefix(self.sign_link(link.token))

    async def revoke_link(self, link_id: str) -> bool:
        """Take a link back. Return whether there is such a link. Raises StorageError."""
        link = await self.use_state(revoke, link_id)
        if link is not None:
            self.revoked = {**self.revoked, link.id: link.expiry}
        return link is not None

    def link_grant(self, text: str, now: float) -> Grant | TokenState:
        """Return what a link's token opens at `now`, in Unix seconds, or why it opens nothing."""
        token = Token.verify(text, self._link_key)
        scope = Scope.of_subject(token.subject) if token else None
        if token is None or scope is None:
            return TokenState.INVALID
        if (state := token.state_at(now)) is not TokenState.VALID:
            return state
        if token.id in self.revoked:
            return TokenState.REVOKED
        self._used[token.id] = now
        return Grant(scope, share_prefix(text), token.id, downloads=token.downloads)

    # Sessions

    def new_session(self, user: str, now: float) -> str:
        """Return the cookie's text of a new session. Raises ValueError if the name is too long."""
        return self._sign_session(new_id(), f"s{user}", now)

    def renew(self, session: Token, now: float) -> str:
        """Return the cookie's text of the same session with a later end."""
        return self._sign_session(session.id, session.subject, now)

    def _sign_session(self, session_id: str, subject: str, now: float) -> str:
        return Token(int(now) + SESSION_SECONDS, session_id, subject).sign(self._session_key)

    def session(self, text: str, now: float) -> Token | None:
        """Return the session of a cookie; None if it is not valid (any more)."""
        token = Token.verify(text, self._session_key)
        if token is None or not token.subject.startswith("s") or token.id in self.revoked:
            return None
        return token if token.state_at(now) is TokenState.VALID else None

    def sign_for_minutes(self, text: str, now: float) -> str:
        """Return a text that a browser keeps for some minutes, so that nobody can change it."""
        expiry = int(now) + PENDING_SECONDS
        return Token(expiry, new_id(), f"o{text}").sign(self._session_key)

    def signed_for_minutes(self, text: str, now: float) -> str | None:
        """Return what was signed; None if it was not, or too long ago."""
        token = Token.verify(text, self._session_key)
        if token is None or not token.subject.startswith("o"):
            return None
        return token.subject[1:] if token.state_at(now) is TokenState.VALID else None

    async def sign_out(self, token: Token) -> None:
        """End a session, also where its cookie was copied. Raises StorageError."""
        expiry = int(time.time()) + SESSION_SECONDS  # it may have been renewed elsewhere
        await self.use_state(revoke_token, token.id, expiry)
        self.revoked = {**self.revoked, token.id: expiry}

    def edge_document(self) -> dict[str, object]:
        """Return what an edge needs to know to check tokens and sessions itself."""
        return {"access": True, "generation": self.generation, "revoked": self.revoked}

    def is_edge(self, credential: str) -> bool:
        """Return whether a request is one of an edge's own."""
        return hmac.compare_digest(credential.encode(), self.edge_credential.encode())


def _log_failure(error: Exception) -> None:
    _log.warning("the state of access control cannot be used", reason=str(error))


def is_old(session: Token, now: float) -> bool:
    """Return whether a session is to be renewed."""
    return session.expiry - now < SESSION_SECONDS - _RENEWED_AFTER
