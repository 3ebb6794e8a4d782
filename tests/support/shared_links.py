"""Tokens of a stack with access control, made with its own key."""

import time
from dataclasses import dataclass
from urllib.parse import quote

from service.access.tokens import Token, derived_key, new_id
from support.stack import Stack


@dataclass(frozen=True)
class KeyHolder:
    """Signs with the key of a library."""

    master: bytes

    @classmethod
    def of(cls, stack: Stack) -> "KeyHolder":
        """Read the key that the service has made."""
        return cls(bytes.fromhex(stack.run("service", "cat", "/var/lib/reelay/key")))

    @property
    def credential(self) -> str:
        """What an edge sends with its own requests."""
        return derived_key(self.master, "edge").hex()

    def link(
        self, subject: str, seconds: float = 3600, *, identity: str = "", downloads: bool = True
    ) -> str:
        """Return the prefix of a link, such as `/s/<token>`, that ends in so many seconds."""
        token = Token(int(time.time() + seconds), identity or new_id(), subject, downloads)
        return f"/s/{token.sign(derived_key(self.master, 'links'))}"

    def cookie(self, generation: int = 0, seconds: float = 3600) -> dict[str, str]:
        """Return the request header of somebody who has signed in."""
        token = Token(int(time.time() + seconds), new_id(), "s")
        text = token.sign(derived_key(self.master, f"sessions {generation}"))
        return {"Cookie": f"theme=dark; __Host-reelay={text}"}


def media(prefix: str, path: str, revision: str = "", route: str = "media") -> str:
    """Return the target of a file below the prefix of a link, or without one."""
    return f"{prefix}/{route}/{quote(path)}{f'?v={revision}' if revision else ''}"
