"""A check of the requested host name against REELAY_HOSTS.

It protects against DNS rebinding: a foreign site lets its own name resolve to a machine in the
visitor's network and reads the responses. Its requests carry its own name and are refused here.
"""

import ipaddress
from collections.abc import Sequence
from typing import Any

from service.http.instrumentation import ASGIApp, Receive, Send, send_error
from service.http.origins import Origins

# Platforms probe these with any Host. The responses reveal nothing.
_PROBES = frozenset({"/healthz", "/readyz"})

_MISDIRECTED = "This server does not answer for this host name."


def is_allowed(host: str, names: Sequence[str]) -> bool:
    """Return whether requests with this Host header are answered.

    `names` are host names in lower case. IP addresses are allowed, as rebinding needs a name, and
    names without a dot, such as `localhost` or a container's, which public DNS does not resolve.
    """
    if host.startswith("["):
        return True
    name = host.partition(":")[0].lower().removesuffix(".")
    if "." not in name:
        return True
    try:
        ipaddress.IPv4Address(name)
    except ValueError:
        return name in names
    return True


class HostCheckMiddleware:
    """Refuses requests for other hosts with 421."""

    def __init__(self, app: ASGIApp, names: Sequence[str], origins: Origins) -> None:
        self._app = app
        self._names = names
        self._origins = origins

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in _PROBES:
            host = self._origins.host_of(scope)
            if host and not is_allowed(host, self._names):
                # RFC 9110 §15.5.20: the server does not answer for this origin.
                await send_error(send, 421, _MISDIRECTED)
                return
        await self._app(scope, receive, send)
