"""The protocol that Hypercorn's connections speak: HTTP/1.1 alone. HTTP/2 is the edge's."""

from typing import Any

import h11
import hypercorn.protocol
from h11._receivebuffer import ReceiveBuffer
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.typing import ConnectionState

from service.protocol.request_head import MAX_FIELDS


def install_protocol() -> None:
    """Make Hypercorn use `Http1Connection`; it has no setting for that."""
    module: Any = hypercorn.protocol
    del module.H11Protocol  # AttributeError, rather than its own used silently
    module.H11Protocol = Http1Connection


class _BoundedLines(ReceiveBuffer):
    """The bytes that h11 has not parsed yet. It takes 20 ms for 60 KiB of short lines."""

    def maybe_extract_lines(self) -> Any:
        """Return the lines of a head. Raises RemoteProtocolError for too many (RFC 6585 §5).

        A head with only a few too many is parsed, and refused with a reason (`refusal`).
        """
        lines = super().maybe_extract_lines()
        if lines is not None and len(lines) > 2 * MAX_FIELDS:
            raise h11.RemoteProtocolError("too many header fields", error_status_hint=431)
        return lines


class Http1Connection(H11Protocol):
    """A connection of HTTP/1.1 that is never upgraded to HTTP/2.

    Hypercorn 0.18 does not bound what one connection of HTTP/2 holds in memory. `Upgrade: h2c` is
    obsolete (RFC 9113 §3.1) and may be ignored (RFC 9110 §7.8); the preface of HTTP/2 is read as a
    request with an unknown method. There is no TLS here, so ALPN never selects HTTP/2.

    Methods are case-sensitive (RFC 9110 §9.1), but Hypercorn makes them upper-case. The method as
    it was sent is put into the state of the request.
    """

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        connection: Any = self.connection
        # h11 has no setting for it. AttributeError, rather than a bound that binds nothing:
        del connection._receive_buffer  # noqa: SLF001
        connection._receive_buffer = _BoundedLines()  # noqa: SLF001

    async def _check_protocol(self, event: h11.Request) -> None:
        """Never change the protocol."""

    async def _create_stream(self, request: h11.Request) -> None:
        # A new state, as Hypercorn's is shared by all connections.
        method = request.method.decode("ascii")
        self.connection_state = ConnectionState({**self.connection_state, "method": method})
        await super()._create_stream(request)
