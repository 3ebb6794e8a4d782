"""What Hypercorn's connections speak: HTTP/1.1, and HTTP/2 in clear text by prior knowledge, as
platforms do to a container (RFC 9113 §3.3)."""

from typing import Any

import h11
import hypercorn.protocol
from h11._receivebuffer import ReceiveBuffer
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.typing import ConnectionState

from service.http2.connection import Http2
from service.protocol.request_head import MAX_FIELDS


def speak_http_2() -> None:
    """Have Hypercorn use the protocols that are here; it has no setting for that."""
    replaced = {"H2Protocol": Http2, "H11Protocol": Http1}
    for name, protocol in replaced.items():
        getattr(hypercorn.protocol, name)  # AttributeError, rather than its own used silently
        setattr(hypercorn.protocol, name, protocol)


class _BoundedLines(ReceiveBuffer):
    """What h11 has not parsed yet. It parses each line by itself, 60 KiB of short ones in 20 ms."""

    def maybe_extract_lines(self) -> Any:
        """Return the lines of a head. Raises RemoteProtocolError for too many (RFC 6585 §5)."""
        lines = super().maybe_extract_lines()
        if lines is not None and len(lines) > MAX_FIELDS + 1:  # and the request's own line
            raise h11.RemoteProtocolError("too many header fields", error_status_hint=431)
        return lines


class Http1(H11Protocol):
    """Knows HTTP/2 by its preface alone, and that as a connection's first words alone.

    `Upgrade: h2c` is obsolete (RFC 9113 §3.1), and would be a tunnel past the rules of a proxy that
    passes it on. A server may ignore it (RFC 9110 §7.8).

    It passes on the method as it was sent: names of methods are case-sensitive (RFC 9110 §9.1), and
    Hypercorn writes them in upper case. The application finds it in the state of the request.
    """

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        connection: Any = self.connection
        # h11 has no setting for it. AttributeError, rather than a bound that binds nothing:
        del connection._receive_buffer  # noqa: SLF001
        connection._receive_buffer = _BoundedLines()  # noqa: SLF001

    async def _check_protocol(self, event: h11.Request) -> None:
        if event.http_version == b"2.0" and not event.headers and not self.keep_alive_requests:
            await super()._check_protocol(event)

    async def _create_stream(self, request: h11.Request) -> None:
        # A new one: what the server gave is one for all connections.
        method = request.method.decode("ascii")
        self.connection_state = ConnectionState({**self.connection_state, "method": method})
        await super()._create_stream(request)
