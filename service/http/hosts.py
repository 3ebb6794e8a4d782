"""Under which names the service answers: REELAY_HOSTS.

The site of a stranger can have its name lead to a machine that only its visitor reaches, and then
read what is answered there (DNS rebinding). Its requests carry its own name, which is refused here.
"""

import ipaddress
from collections.abc import Sequence
from typing import Any

from service.http.instrumentation import ASGIApp, Receive, Send, send_error
from service.http.origins import Origins

# Probes of platforms, whatever they have in Host. They tell nobody anything.
_PROBES = frozenset({"/healthz", "/readyz"})

_MISDIRECTED = "This server does not answer for this host name."


def is_allowed(host: str, names: Sequence[str]) -> bool:
    """Return whether the value of a Host header is to be answered.

    `names` are host names in lower case. An IP address is known, as rebinding takes a name; so is a
    name without a dot, such as `localhost` or a container's, which no public DNS leads elsewhere.
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
    """The ASGI application behind a check of the host that was asked for."""

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
