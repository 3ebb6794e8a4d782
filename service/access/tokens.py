"""The text of a share link's token and of a session cookie.

    token   = "1." expiry "." id "." flags "." subject "." mac
    expiry  = "0" / decimal without leading zeros, up to 11 digits  ; Unix seconds; "0": no end
    id      = 16 characters of base64url                           ; 12 random bytes
    flags   = "-" / "d"                                             ; d: no downloads
    subject = base64url of UTF-8, 1 to 4,096 bytes
    mac     = base64url of HMAC-SHA256(key, everything before the last ".")

base64url is without padding (RFC 4648 §5, §3.2). The edge checks the same (nginx/njs); both are
tested by tests/support/access_vectors.json.
"""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

MAX_SUBJECT = 4096
"""Bytes. A path has at most 4,096 bytes on Linux (PATH_MAX), with the final NUL."""

_TOKEN = re.compile(
    r"1\.(?P<expiry>0|[1-9][0-9]{0,10})\.(?P<id>[A-Za-z0-9_-]{16})\.(?P<flags>[d-])"
    r"\.(?P<subject>[A-Za-z0-9_-]{2,5462})\.(?P<mac>[A-Za-z0-9_-]{43})",
    re.ASCII,
)


class TokenState(StrEnum):
    """What a token is worth."""

    VALID = "valid"
    INVALID = "invalid"
    """Not of our making: another key, another grammar, or changed."""
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Token:
    """What a token says."""

    expiry: int
    """The last second in which it is valid, in Unix time; 0 if it has no end."""
    id: str
    subject: str
    downloads: bool = True

    def state_at(self, now: float) -> TokenState:
        """Return whether it is valid or expired at `now`, in Unix seconds."""
        ended = self.expiry != 0 and self.expiry < int(now)
        return TokenState.EXPIRED if ended else TokenState.VALID

    def sign(self, key: bytes) -> str:
        """Return the token's text. Raises ValueError if the subject is empty or too long."""
        subject = self.subject.encode()
        if not 1 <= len(subject) <= MAX_SUBJECT:
            raise ValueError(f"a token's subject has 1 to {MAX_SUBJECT} bytes")
        flags = "-" if self.downloads else "d"
        signed = f"1.{self.expiry}.{self.id}.{flags}.{encode_base64url(subject)}"
        return f"{signed}.{_mac(signed, key)}"

    @classmethod
    def verify(cls, text: str, key: bytes) -> Self | None:
        """Return what a token's text says; None if it is not one that was signed with `key`.

        Neither its expiry nor its revocation is checked.
        """
        match = _TOKEN.fullmatch(text)
        if match is None:
            return None
        signed = text.rpartition(".")[0]
        # The texts are compared, not the decoded bytes: only one text of a MAC is accepted.
        if not hmac.compare_digest(_mac(signed, key), match["mac"]):
            return None
        try:
            subject = _decode_base64url(match["subject"]).decode()
        except ValueError:
            return None
        if not 1 <= len(subject.encode()) <= MAX_SUBJECT:
            return None
        return cls(int(match["expiry"]), match["id"], subject, match["flags"] == "-")


def redact(path: str) -> str:
    """Return a request's path for logs: a share link's token is replaced by its identity.

    So is each other token in it: paths such as `//s/<token>` and `/S/<token>` open nothing, but
    have one.
    """
    if path.startswith("/s/"):
        token, slash, rest = path.removeprefix("/s/").partition("/")
        match = _TOKEN.fullmatch(token)
        path = f"/s/{match['id'] if match else '…'}{slash}{rest}"
    return _TOKEN.sub(r"\g<id>", path)


def new_id() -> str:
    """Return a random identity of 95 bits, in 16 characters.

    It does not begin with a hyphen, so that no command takes it for an option.
    """
    while (identity := secrets.token_urlsafe(12)).startswith("-"):
        pass
    return identity


def is_id(text: str) -> bool:
    """Return whether a text may be the identity of a token."""
    return re.fullmatch(r"[A-Za-z0-9_-]{16}", text, re.ASCII) is not None


def derived_key(master: bytes, label: str) -> bytes:
    """Return the key for one purpose: HMAC-SHA256(master key, label)."""
    return hmac.digest(master, label.encode(), hashlib.sha256)


def encode_base64url(data: bytes) -> str:
    """Return bytes in base64url without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decode_base64url(text: str) -> bytes:
    """Decode base64url without padding. Raises ValueError unless it is the bytes' only encoding."""
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise ValueError("no base64url") from error
    if encode_base64url(data) != text:
        raise ValueError("not the canonical base64url")
    return data


def _mac(signed: str, key: bytes) -> str:
    return encode_base64url(hmac.digest(key, signed.encode(), hashlib.sha256))
