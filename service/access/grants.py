"""What a request may see, and the prefix of its links."""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal, Self
from urllib.parse import quote

# No file of the library has them in its path, and storage opens none.
_UNUSUAL = frozenset({"", ".", ".."})


@dataclass(frozen=True, slots=True)
class Scope:
    """What a share link names: one video, or a folder with everything below it."""

    kind: Literal["video", "folder"]
    path: str
    """Relative to the library; "" is the whole library."""

    @classmethod
    def of_subject(cls, subject: str) -> Self | None:
        """Return the scope that a token's subject names; None if it names none."""
        kind, path = subject[:1], subject[1:]
        if kind == "v" and path:
            return cls("video", path)
        if kind == "f":
            return cls("folder", path)
        return None

    @property
    def subject(self) -> str:
        """Return the token's subject."""
        return f"{self.kind[0]}{self.path}"

    def contains(self, path: str) -> bool:
        """Return whether it contains a file, whose path is relative to the library."""
        if _UNUSUAL.intersection(path.split("/")):
            return False
        if self.kind == "video":
            return path == self.path
        return not self.path or path.startswith(f"{self.path}/")

    def contains_folder(self, folder: str) -> bool:
        """Return whether a folder is the one that is shared, or below it."""
        return self.kind == "folder" and (folder == self.path or self.contains(folder))


@dataclass(frozen=True, slots=True)
class Grant:
    """What a request may see."""

    scope: Scope | None = None
    """None: the whole library."""
    prefix: str = ""
    """What the paths of all links begin with, percent-encoded: `/s/<token>` by a share link."""
    link_id: str | None = None
    """The share link's identity, for logs."""
    downloads: bool = True
    can_share: bool = False
    """Whether links may be made and taken back: by people who signed in."""
    user: str | None = None
    """The name of who signed in; "" by the household's password."""
    has_session: bool = False
    """Whether it is by a session, which can be ended: a trusted proxy has its own."""

    @property
    def opens_library(self) -> bool:
        """Return whether it opens all of the library."""
        return self.scope is None or self.scope.contains_folder("")

    def contains(self, path: str) -> bool:
        """Return whether the video at a path may be seen."""
        return self.scope is None or self.scope.contains(path)

    def contains_folder(self, folder: str) -> bool:
        """Return whether the page of a folder may be seen."""
        return self.scope is None or self.scope.contains_folder(folder)


EVERYTHING = Grant()
"""Without access control, and for work in the background."""

NOTHING = Grant(Scope("folder", "\0"))
"""What a refused request may see: there is no such folder."""

_current: ContextVar[Grant] = ContextVar("grant", default=EVERYTHING)


def current_grant() -> Grant:
    """Return the grant of the current request."""
    return _current.get()


def set_grant(grant: Grant) -> None:
    """Set the grant of the current request, which has a task, and so a context, of its own."""
    _current.set(grant)


def share_prefix(token: str) -> str:
    """Return the prefix of a share link's paths."""
    return f"/s/{quote(token)}"
