"""Send requests exactly as written: no normalised target, no added header field, no redirect."""

import email
import email.message
import http.client
import re
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

TRUSTING = ssl.create_default_context()
TRUSTING.check_hostname = False
TRUSTING.verify_mode = ssl.CERT_NONE  # the stack's certificate is self-signed


@dataclass(frozen=True)
class Answer:
    """A complete response."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def span(self) -> tuple[int, int]:
        """Return the first and last byte that Content-Range names."""
        match = re.fullmatch(r"bytes (\d+)-(\d+)/\d+", self.headers["Content-Range"])
        assert match, self.headers["Content-Range"]
        return int(match[1]), int(match[2])

    def parts(self) -> list[tuple[tuple[int, int], bytes]]:
        """Parse a multipart/byteranges body: inclusive spans and their bytes."""
        boundary = self.headers["Content-Type"].partition("boundary=")[2].encode()
        parts = []
        for part in self.body.split(b"\r\n--" + boundary)[1:-1]:
            head, _, data = part.partition(b"\r\n\r\n")
            message: email.message.Message = email.message_from_bytes(head.lstrip(b"\r\n"))
            parts.append((Answer(206, message, b"").span(), data))  # type: ignore[arg-type]
        assert self.body.endswith(b"\r\n--" + boundary + b"--\r\n")
        return parts


def connect(base: str, timeout: float = 60) -> http.client.HTTPConnection:
    """Open a connection to `https://host:port` or `http://host:port`."""
    parts = urlsplit(base)
    assert parts.hostname
    if parts.scheme == "https":
        return http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=timeout, context=TRUSTING
        )
    return http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)


def ask(
    base: str,
    target: str,
    headers: Mapping[str, str] | None = None,
    method: str = "GET",
    body: bytes | None = None,
) -> Answer:
    """Send one request on a new connection; return the complete response."""
    connection = connect(base)
    try:
        own_host = any(name.lower() == "host" for name in headers or {})
        connection.putrequest(method, target, skip_host=own_host, skip_accept_encoding=True)
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


def ask_beginning(base: str, target: str, headers: Mapping[str, str], length: int) -> Answer:
    """Send one request; return the response with at most so many bytes of its body."""
    connection = connect(base)
    try:
        connection.request("GET", target, headers=dict(headers))
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read(length))
    finally:
        connection.close()


def begin(base: str, target: str) -> socket.socket:
    """Send a request without reading the response. The socket's buffer is small."""
    parts = urlsplit(base)
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    client.settimeout(60)
    client.connect((parts.hostname, parts.port))
    client.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return client


def open_socket(base: str, protocol: str = "http/1.1", hello: bytes = b"") -> socket.socket:
    """Connect, send `hello` in clear text, then speak TLS if `base` is HTTPS."""
    parts = urlsplit(base)
    # Before it connects: the context is slow to make, and the server would wait for the handshake.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols([protocol])
    plain = socket.create_connection((parts.hostname, parts.port), timeout=60)
    plain.sendall(hello)
    if parts.scheme == "http":
        return plain
    try:
        return context.wrap_socket(plain, server_hostname=parts.hostname)
    except BaseException:
        plain.close()
        raise


def answers_to(client: socket.socket, data: bytes, expected: int = 0) -> list[int]:
    """Send bytes; return the status of each final response.

    Read until the server closes, or until it sends nothing for two seconds after so many responses.
    """
    received = bytearray()
    client.sendall(data)
    try:
        while True:
            client.settimeout(2 if len(_final_statuses(received)) >= expected else 120)
            chunk = client.recv(65536)
            if not chunk:
                break
            received += chunk
    except (TimeoutError, ConnectionError, ssl.SSLError):
        pass  # an answer may be lost if the server closes before it has read all data
    return _final_statuses(received)


def _final_statuses(received: bytearray) -> list[int]:
    statuses = [int(code) for code in re.findall(rb"HTTP/1\.[01] (\d{3}) ", received)]
    return [status for status in statuses if status >= 200]


def url_of(route: str, path: str) -> str:
    """Return the target of a file on a route such as `media`, `download` or `watch`."""
    return f"/{route}/{quote(path)}"
