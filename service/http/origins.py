"""The scheme and host that a client used, as the request or a trusted proxy names them."""

import ipaddress
import re
from collections.abc import Sequence
from typing import Any

from quart import g, request

from service.protocol.request_head import is_host

# RFC 9110 §7.2. No host in use has other characters.
_HOST = re.compile(r"(?:[A-Za-z0-9._~-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?", re.ASCII)


class Origins:
    """Determines the origin of each request for `links.absolute`."""

    def __init__(self, trusted: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> None:
        self._trusted = trusted

    async def set_origin(self) -> None:
        """Set `g.origin` to the current request's origin, such as `https://example.org`.

        It is empty if the host is not valid.
        """
        host, scheme = self.host_of(request.scope), request.scheme
        if self._is_trusted(request.scope.get("client")):
            forwarded = _last_value(request.scope, b"x-forwarded-proto")
            scheme = forwarded if forwarded in ("http", "https") else scheme
        g.origin = f"{scheme}://{host}" if _is_valid_host(host) else ""

    def host_of(self, scope: Any) -> str:
        """Return the requested host with its port, or "" if the request has none."""
        if self._is_trusted(scope.get("client")):
            forwarded = _last_value(scope, b"x-forwarded-host")
            if _is_valid_host(forwarded):
                return forwarded
        return (_values(scope, b"host") or [""])[-1]

    def _is_trusted(self, client: tuple[str, int] | None) -> bool:
        if not self._trusted or client is None:
            return False
        try:
            address = ipaddress.ip_address(client[0])
        except ValueError:  # not an IP socket
            return False
        # A dual-stack socket has IPv4 clients as mapped addresses (RFC 4291 §2.5.5.2).
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in self._trusted)


def _is_valid_host(host: str) -> bool:
    return _HOST.fullmatch(host) is not None and is_host(host)


def _values(scope: Any, name: bytes) -> list[str]:
    return [value.decode("latin-1") for field, value in scope["headers"] if field.lower() == name]


def _last_value(scope: Any, name: bytes) -> str:
    """Return the last value, which the nearest proxy added; earlier ones may be forged."""
    return ",".join(_values(scope, name)).rpartition(",")[2].strip()
