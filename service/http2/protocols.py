"""What Hypercorn's connections speak: HTTP/1.1, and HTTP/2 in clear text by prior knowledge, as
platforms do to a container (RFC 9113 §3.3)."""

import h11
import hypercorn.protocol
from hypercorn.protocol.h11 import H11Protocol

from service.http2.connection import Http2


def speak_http_2() -> None:
    """Have Hypercorn use the protocols that are here; it has no setting for that."""
    replaced = {"H2Protocol": Http2, "H11Protocol": Http1}
    for name, protocol in replaced.items():
        getattr(hypercorn.protocol, name)  # AttributeError, rather than its own used silently
        setattr(hypercorn.protocol, name, protocol)


class Http1(H11Protocol):
    """Knows HTTP/2 by its preface alone, and that as a connection's first words alone.

    `Upgrade: h2c` is obsolete (RFC 9113 §3.1), and would be a tunnel past the rules of a proxy that
    passes it on. A server may ignore it (RFC 9110 §7.8).
    """

    async def _check_protocol(self, event: h11.Request) -> None:
        if event.http_version == b"2.0" and not event.headers and not self.keep_alive_requests:
            await super()._check_protocol(event)
