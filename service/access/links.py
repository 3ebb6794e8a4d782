"""Share links: made, listed and taken back. All functions block."""

import json
import re
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Annotated

from pydantic import Field, TypeAdapter

from service.access.grants import Scope
from service.access.state import LINKS, REVOKED, USED, State
from service.access.tokens import Token, is_id, new_id

# Seconds between two writes of a link's last use.
USE_INTERVAL = 600

# Seconds for which a link is listed after its end.
_LISTED_AFTER_END = 30 * 86400

# Seconds for which a revocation is kept after the token's end: clocks of replicas differ.
_REVOKED_AFTER_END = 86400

# Links that are read at the same time: an object store takes some 20 ms for each.
_READERS = 16

FOREVER = "forever"
"""The duration of a link that has no end."""
USUAL_DURATION = "7d"

_DURATION = re.compile(r"([1-9][0-9]{0,3})([mhdw])", re.ASCII)
_UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


# Unix seconds of at most 11 digits, as in tokens.
_MAX_SECONDS = 10**11 - 1
_Seconds = Annotated[int, Field(ge=0, le=_MAX_SECONDS)]


@dataclass(frozen=True, slots=True)
class ShareLink:
    """A link that was made. Times are in Unix seconds."""

    id: str
    scope: Scope
    created: _Seconds
    expiry: _Seconds
    """The last second in which it is valid; 0 if it has no end."""
    downloads: bool = True
    made_by: str = ""
    used: _Seconds | None = None
    """When it was last used, within USE_INTERVAL; None if it was not."""
    revoked_at: _Seconds | None = None

    @property
    def token(self) -> Token:
        """Return the token, which is still to be signed."""
        return Token(self.expiry, self.id, self.scope.subject, self.downloads)

    @property
    def end(self) -> int | None:
        """When it ended, or will end; None if it has no end."""
        return self.expiry or None if self.revoked_at is None else self.revoked_at

    def is_over(self, now: float) -> bool:
        """Return whether it opens nothing any more."""
        return self.revoked_at is not None or 0 < self.expiry < int(now)

    @staticmethod
    def from_json(link_id: str, text: bytes) -> "ShareLink":
        """Return the link of a file. Raises ValueError if the file is damaged."""
        try:
            fields = json.dumps({**json.loads(text), "id": link_id})
        except TypeError as error:
            raise ValueError(f"the file of the link {link_id} is damaged") from error
        link = _LINK.validate_json(fields, strict=True)
        link.token.sign(b"")
        return link

    def to_json(self) -> bytes:
        """Return the content of the link's file."""
        fields = asdict(self)
        for name in ("id", "used"):
            del fields[name]
        return json.dumps(fields, ensure_ascii=False).encode()


_LINK = TypeAdapter(ShareLink)


def parse_duration(text: str, now: float) -> int:
    """Return the expiry of a link that lasts for `text`: 30m, 12h, 7d, 4w, or FOREVER.

    Raises ValueError.
    """
    if text == FOREVER:
        return 0
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no duration such as 12h, 7d, 4w or {FOREVER}")
    return int(now) + int(match[1]) * _UNITS[match[2]]


def make_link(
    state: State, scope: Scope, expiry: int, *, downloads: bool = True, made_by: str = ""
) -> ShareLink:
    """Store a new link. Raises ValueError if its path cannot be in a token, OSError."""
    link = ShareLink(new_id(), scope, int(time.time()), expiry, downloads, made_by)
    link.token.sign(b"")  # raises if the path is too long
    _write(state, link)
    return link


def list_links(state: State, now: float) -> list[ShareLink]:
    """Return the links, the latest first, and remove those that ended long ago. Raises OSError."""
    used, revoked = set(state.names(USED)), set(state.names(REVOKED))
    names = state.names(LINKS)

    def read(name: str) -> ShareLink | None:
        link = _read(state, name.removesuffix(".json"))
        if link is None:
            return None
        if link.id in used:
            link = replace(link, used=_read_number(state, f"{USED}/{link.id}"))
        if link.id in revoked and link.revoked_at is None:  # the second write has failed
            link = replace(link, revoked_at=int(now))
        return link

    with ThreadPoolExecutor(_READERS) as readers:
        links = [link for link in readers.map(read, names) if link is not None]
    listed = []
    for link in links:
        if link.end is not None and link.end < now - _LISTED_AFTER_END:
            # What was taken back and has no end stays in REVOKED.
            with suppress(OSError):  # a state that cannot be written is listed all the same
                state.delete(f"{USED}/{link.id}")
                state.delete(f"{LINKS}/{link.id}.json")
        else:
            listed.append(link)
    return sorted(listed, key=lambda link: (-link.created, link.id))


def revoke(state: State, link_id: str) -> ShareLink | None:
    """Take a link back and return it; None if there is no such link. Raises OSError."""
    now = time.time()
    link = _read(state, link_id) if is_id(link_id) else None
    if link is None or link.is_over(now):
        return link
    revoke_token(state, link_id, link.expiry)
    link = replace(link, revoked_at=int(now))
    _write(state, link)
    return link


def revoke_token(state: State, token_id: str, expiry: int) -> None:
    """Store that a token opens nothing any more. Raises OSError."""
    state.write(f"{REVOKED}/{token_id}", str(expiry).encode())


def load_revoked(state: State, known: Mapping[str, int]) -> dict[str, int]:
    """Return the expiry of each revoked token, by its identity. Raises OSError.

    Of those in `known`, nothing is read.
    """
    revoked = {}
    for token_id in state.names(REVOKED):
        expiry = known.get(token_id)
        if expiry is None:
            expiry = _read_number(state, f"{REVOKED}/{token_id}") or 0
        revoked[token_id] = expiry
    return revoked


def is_needed(expiry: int, now: float) -> bool:
    """Return whether the revocation of a token must be kept: until a day after the token's end."""
    return expiry == 0 or expiry >= now - _REVOKED_AFTER_END


def remove_ended(state: State, revoked: Mapping[str, int], now: float) -> None:
    """Remove the revocations that are not needed any more. Raises OSError."""
    for token_id, expiry in revoked.items():
        if not is_needed(expiry, now):
            state.delete(f"{REVOKED}/{token_id}")


def _write(state: State, link: ShareLink) -> None:
    state.write(f"{LINKS}/{link.id}.json", link.to_json())


def _read(state: State, link_id: str) -> ShareLink | None:
    """Return the link of a file; None if there is none, or it is damaged."""
    text = state.read(f"{LINKS}/{link_id}.json")
    try:
        return None if text is None else ShareLink.from_json(link_id, text)
    except ValueError:
        return None


def _read_number(state: State, name: str) -> int | None:
    """Return the number in a file; None if there is none, or it is damaged."""
    text = state.read(name)
    try:
        number = None if text is None else int(text)
    except ValueError:
        return None
    return number if number is not None and 0 <= number <= _MAX_SECONDS else None
