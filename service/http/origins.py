"""The scheme and host that a client used, as the request or a trusted proxy names them."""

import ipaddress
import re
from collections.abc import Sequence
from functools import partial
from typing import Any

from quart import g, request

from service.errors import HTTPError
from service.protocol.request_head import is_host

# RFC 9110 §7.2. No host in use has other characters.
_HOST = re.compile(r"(?:[A-Za-z0-9._~-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?", re.ASCII)


class Origins:
    """Determines the origin of each request for `links.absolute`."""

    def __init__(self, trusted: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> None:
        self._trusted = trusted

    def set_origin(self) -> None:
        """Have `g.origin()` return the current request's origin: most requests do not need it."""
        g.origin = partial(self.origin_of, request.scope)

    def origin_of(self, scope: Any) -> str:
        """Return a request's origin, such as `https://example.org`.

        It is empty if the host is not valid.
        """
        host = self.host_of(scope)
        return f"{self.scheme_of(scope)}://{host}" if _is_valid_host(host) else ""

    def scheme_of(self, scope: Any) -> str:
        """Return `http` or `https`: which one the client used."""
        if self.is_trusted(scope.get("client")):
            forwarded = _last_value(scope, b"x-forwarded-proto")
            if forwarded in ("http", "https"):
                return forwarded
        return str(scope["scheme"])

    def client_of(self, scope: Any) -> str:
        """Return the client's address; "" if it is not known."""
        client = scope.get("client")
        if self.is_trusted(client):
            forwarded = _last_value(scope, b"x-forwarded-for")
            if forwarded:
                return forwarded
        return str(client[0]) if client else ""

    def host_of(self, scope: Any) -> str:
        """Return the requested host with its port, or "" if the request has none."""
        if self.is_trusted(scope.get("client")):
            forwarded = _last_value(scope, b"x-forwarded-host")
            if _is_valid_host(forwarded):
                return forwarded
        return (_values(scope, b"host") or [""])[-1]

    def is_trusted(self, client: tuple[str, int] | None) -> bool:
        """Return whether a request comes from a trusted proxy."""
        if not self._trusted or client is None:
            return False
        try:
            address = ipaddress.ip_address(client[0])
        except ValueError:  # not an IP socket
            return False
        # A dual-stack socket has IPv4 clients as mapped addresses (RFC 4291 §2.5.5.2).
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in self._trusted)


def check_same_origin() -> None:
    """Refuse what another site's page sends. Raises HTTPError.

    Browsers say where a request comes from (Fetch Metadata, and Origin in RFC 6454 §7), and other
    clients do not act for somebody else.
    """
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if site not in {None, "same-origin"} or (site is None and origin not in {None, g.origin()}):
        raise HTTPError(403, "Only a page of this site may ask for that.", {})


def _is_valid_host(host: str) -> bool:
    return _HOST.fullmatch(host) is not None and is_host(host)


def _values(scope: Any, name: bytes) -> list[str]:
    return [value.decode("latin-1") for field, value in scope["headers"] if field.lower() == name]


def _last_value(scope: Any, name: bytes) -> str:
    """Return the last value, which the nearest proxy added; earlier ones may be forged."""
    return ",".join(_values(scope, name)).rpartition(",")[2].strip()
