"""TLS: the handshake, and whom a connection trusts."""

import ssl
from dataclasses import dataclass, replace

from service.check.ways.http1 import NoAnswerError, Server, open_socket


@dataclass(frozen=True, slots=True)
class Handshake:
    """What a TLS handshake has agreed on."""

    protocol: str | None
    """The protocol above TLS (RFC 7301)."""
    certificate: bytes
    """The server's, in DER."""


def handshake(server: Server, context: ssl.SSLContext) -> Handshake:
    """Offer HTTP/2 and HTTP/1.1. Raises NoAnswerError, also if the certificate is not trusted."""
    context.set_alpn_protocols(["h2", "http/1.1"])
    try:
        client = open_socket(
            replace(server, context=context), None, server.budget.timeout(server.timeout)
        )
    except OSError as error:
        reason = getattr(error, "verify_message", "") or str(error)
        raise NoAnswerError(f"The TLS handshake fails: {reason}.") from error
    with client:
        if not isinstance(client, ssl.SSLSocket):
            raise NoAnswerError("The connection has no TLS.")
        return Handshake(
            client.selected_alpn_protocol(), client.getpeercert(binary_form=True) or b""
        )


def tls_context(*, is_trusting: bool) -> ssl.SSLContext:
    """Return a context that trusts everybody, or the authorities of this machine."""
    context = ssl.create_default_context()
    if is_trusting:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
