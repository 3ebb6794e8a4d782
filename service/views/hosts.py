"""Under which names the service answers: REELAY_HOSTS.

The site of a stranger can have its name lead to a machine that only its visitor reaches, and then
read what is answered there (DNS rebinding). Its requests carry its own name, which is refused here.
"""

import ipaddress
from collections.abc import Sequence
from typing import Any

from service.views.exchange import ASGIApp, Receive, Send

# Probes of platforms, whatever they have in Host. They tell nobody anything.
_PROBES = frozenset({"/healthz", "/readyz"})

_MISDIRECTED = b"This host is not answered for here: REELAY_HOSTS.\n"


def is_known(host: str, names: Sequence[str]) -> bool:
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


class KnownHosts:
    """The ASGI application behind a check of the Host header."""

    def __init__(self, app: ASGIApp, names: Sequence[str]) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _PROBES or self._knows(scope):
            await self._app(scope, receive, send)
            return
        headers = [
            (b"content-type", b"text/plain"),
            (b"content-length", str(len(_MISDIRECTED)).encode()),
            (b"cache-control", b"no-store"),
        ]
        # RFC 9110 §15.5.20: the server does not answer for this origin.
        await send({"type": "http.response.start", "status": 421, "headers": headers})
        await send({"type": "http.response.body", "body": _MISDIRECTED, "more_body": False})

    def _knows(self, scope: Any) -> bool:
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        return all(is_known(host.decode("latin-1"), self._names) for host in hosts)
