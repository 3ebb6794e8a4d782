"""Hypercorn's connection class, limited to HTTP/1.1; the edge serves HTTP/2."""

from typing import Any

import h11
import hypercorn.protocol
from h11._receivebuffer import ReceiveBuffer
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.typing import ConnectionState

from service.protocol.request_head import MAX_FIELDS


def install_protocol() -> None:
    """Make Hypercorn use `Http1Connection`. Hypercorn has no setting for it."""
    module: Any = hypercorn.protocol
    del module.H11Protocol  # raises AttributeError if a new release has no such name
    module.H11Protocol = Http1Connection


class _BoundedLines(ReceiveBuffer):
    """h11's receive buffer with a limit on lines: 60 KiB of short lines take 20 ms to parse."""

    def maybe_extract_lines(self) -> Any:
        """Return the lines of a head. Raises RemoteProtocolError for too many (RFC 6585 §5).

        A head with up to twice as many is parsed and then refused with a reason (`refusal`).
        """
        lines = super().maybe_extract_lines()
        if lines is not None and len(lines) > 2 * MAX_FIELDS:
            raise h11.RemoteProtocolError("too many header fields", error_status_hint=431)
        return lines


class Http1Connection(H11Protocol):
    """An HTTP/1.1 connection that is never upgraded to HTTP/2.

    Hypercorn 0.18 does not limit the memory of an HTTP/2 connection. `Upgrade: h2c` is obsolete
    (RFC 9113 §3.1) and may be ignored (RFC 9110 §7.8); the HTTP/2 preface is parsed as a request
    with an unknown method. There is no TLS here, so ALPN never selects HTTP/2.

    Methods are case-sensitive (RFC 9110 §9.1), but Hypercorn converts them to upper case. The
    original method is put into the request's state.
    """

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        connection: Any = self.connection
        # h11 has no setting for it. `del` raises AttributeError if a new release has no such name.
        del connection._receive_buffer  # noqa: SLF001
        connection._receive_buffer = _BoundedLines()  # noqa: SLF001

    async def _check_protocol(self, event: h11.Request) -> None:
        """Do nothing: the protocol never changes."""

    async def _create_stream(self, request: h11.Request) -> None:
        # Hypercorn shares one state among all connections: use a copy.
        method = request.method.decode("ascii")
        self.connection_state = ConnectionState({**self.connection_state, "method": method})
        await super()._create_stream(request)
