"""Requests over HTTP/1.1 with control of connections, addresses and the bytes that are read."""

import http.client
import re
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

# Bytes. A response that is not read to its end costs what is on its way: at most this window.
_RECEIVE_BUFFER = 64 * 1024
_CHUNK = 64 * 1024
_CONTENT_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19})", re.ASCII)
_LENGTH = re.compile(r"\d{1,19}", re.ASCII)


class NoAnswerError(Exception):
    """There was no complete response head; the message says why."""


class BudgetSpentError(Exception):
    """The bytes or the seconds that the check may take are spent."""


class Budget:
    """The bytes and seconds that are left."""

    def __init__(self, max_bytes: int, max_seconds: float) -> None:
        self.max_bytes = max_bytes
        self.used = 0
        self._start = time.monotonic()
        self._deadline = self._start + max_seconds

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._start

    @property
    def left(self) -> int:
        """Bytes that may still be read."""
        return max(0, self.max_bytes - self.used)

    def spend(self, count: int) -> None:
        """Count bytes that were read."""
        self.used += count

    def timeout(self, usual: float) -> float:
        """Return how long the next step may take, in seconds. Raises BudgetSpentError."""
        left = self._deadline - time.monotonic()
        if left <= 0 or self.used >= self.max_bytes:
            raise BudgetSpentError
        return min(usual, left)


@dataclass(frozen=True, slots=True)
class ContentRange:
    """The numbers of a Content-Range; the last byte is included (RFC 9110 §14.4)."""

    first: int
    last: int
    total: int

    @property
    def length(self) -> int:
        return self.last - self.first + 1


def parse_content_range(text: str | None) -> ContentRange | None:
    """Parse a Content-Range; None if it is absent, malformed or does not know the total."""
    match = _CONTENT_RANGE.fullmatch(text or "")
    if match is None:
        return None
    parsed = ContentRange(int(match[1]), int(match[2]), int(match[3]))
    return parsed if parsed.first <= parsed.last < parsed.total else None


@dataclass(frozen=True, slots=True)
class Answer:
    """A response, of which the body was read up to a limit."""

    status: int
    fields: tuple[tuple[str, str], ...]
    """Header fields, names in lower case."""
    body: bytes
    is_cut: bool
    """Whether the body ended before the length that the head announces."""
    first_byte: float
    """Seconds from the request to the response's head and the first byte of its body."""

    def get(self, name: str) -> str | None:
        """Return the values of a header field, joined by ", " (RFC 9110 §5.3)."""
        values = [value for field, value in self.fields if field == name]
        return ", ".join(values) if values else None

    @property
    def length(self) -> int | None:
        """The value of Content-Length; None if it is absent or invalid."""
        text = self.get("content-length") or ""
        return int(text) if _LENGTH.fullmatch(text) else None

    @property
    def content_range(self) -> ContentRange | None:
        return parse_content_range(self.get("content-range"))


class Way(Protocol):
    """A way to the server: a protocol, a connection, an address."""

    def ask(
        self, target: str, headers: Mapping[str, str], method: str = "GET", limit: int = 0
    ) -> Answer:
        """Send a request; read up to `limit` bytes. Raises NoAnswerError, BudgetSpentError."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Server:
    """Where requests go, and what all of them have."""

    scheme: str
    host: str
    port: int
    headers: tuple[tuple[str, str], ...]
    context: ssl.SSLContext
    budget: Budget
    timeout: float

    @property
    def authority(self) -> str:
        """The value of Host (RFC 9112 §3.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = {"https": 443, "http": 80}[self.scheme]
        return host if self.port == usual else f"{host}:{self.port}"

    def addresses(self) -> list[str]:
        """Return the addresses of the host. Raises NoAnswerError."""
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise NoAnswerError(f"{self.host} has no address: {error.strerror}.") from error
        return list(dict.fromkeys(str(address[0]) for *_, address in found))


def target_of(url: str) -> str:
    """Return the target of a request for a URL: its path and query."""
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


class Http1:
    """HTTP/1.1 on one connection, which is opened again where it was closed."""

    def __init__(self, server: Server, address: str | None = None, *, fast: bool = False) -> None:
        self._server = server
        self._address = address
        self._fast = fast  # the kernel's usual buffers, to measure throughput
        self._connection: http.client.HTTPConnection | None = None

    def ask(
        self, target: str, headers: Mapping[str, str], method: str = "GET", limit: int = 0
    ) -> Answer:
        """Send a request; read up to `limit` bytes. Raises NoAnswerError, BudgetSpentError.

        The connection is closed if there is more, so that a large film costs no more than that.
        """
        reused = self._connection is not None
        try:
            return self._ask(target, headers, method, limit)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            # RFC 9112 §9.3.1: an idle connection may be closed at any time; ask once more.
            if reused and isinstance(error, (ConnectionError, http.client.BadStatusLine)):
                return self.ask(target, headers, method, limit)
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise NoAnswerError(f"{method} got no response: {reason}.") from error

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _ask(self, target: str, headers: Mapping[str, str], method: str, limit: int) -> Answer:
        budget = self._server.budget
        timeout = budget.timeout(self._server.timeout)
        if self._connection is None:
            self._connection = self._connect(timeout)
        connection = self._connection
        connection.sock.settimeout(timeout)
        start = time.monotonic()
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        fields = {"Host": self._server.authority, "User-Agent": "reelay-check", "Accept": "*/*"}
        for name, value in {**fields, **dict(self._server.headers), **headers}.items():
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        length = response.length
        body = bytearray()
        is_cut = False
        first_byte = time.monotonic() - start
        while len(body) < limit:
            connection_timeout = budget.timeout(self._server.timeout)
            if connection.sock is not None:
                connection.sock.settimeout(connection_timeout)
            try:
                chunk = response.read1(min(_CHUNK, limit - len(body)))
            except http.client.IncompleteRead:  # chunked
                is_cut, chunk = True, b""
            if not body:
                first_byte = time.monotonic() - start
            if not chunk:
                break
            body += chunk
            budget.spend(len(chunk))
        is_cut = is_cut or (length is not None and len(body) < min(length, limit))
        if not response.isclosed() and not self._drained(response, length, len(body)):
            self.close()
            # What was on its way is not read, but has been sent.
            budget.spend(min(_RECEIVE_BUFFER, (length or _RECEIVE_BUFFER) - len(body)))
        elif response.will_close:
            self.close()
        names = tuple((name.lower(), value.strip()) for name, value in response.getheaders())
        return Answer(response.status, names, bytes(body), is_cut, first_byte)

    @staticmethod
    def _drained(response: http.client.HTTPResponse, length: int | None, read: int) -> bool:
        """Read the end of a body that has been read completely; return whether it is at its end."""
        if length == read:
            response.read()
        return response.isclosed()

    def _connect(self, timeout: float) -> http.client.HTTPConnection:
        server = self._server
        connection = http.client.HTTPConnection(server.host, server.port)
        connection.sock = open_socket(
            server, self._address, timeout, None if self._fast else _RECEIVE_BUFFER
        )
        return connection


def open_socket(
    server: Server, address: str | None, timeout: float, receive_buffer: int | None = None
) -> socket.socket:
    """Connect to the server, at an address or at the first that answers. Raises OSError."""
    refused: OSError | None = None
    wanted = address or server.host
    for family, kind, number, _, at in socket.getaddrinfo(
        wanted, server.port, type=socket.SOCK_STREAM
    ):
        plain = socket.socket(family, kind, number)
        try:
            plain.settimeout(timeout)
            if receive_buffer:  # before it connects: it decides the window (tcp(7))
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            plain.connect(at)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if server.scheme == "http":
                return plain
            return server.context.wrap_socket(plain, server_hostname=server.host)
        except OSError as error:
            plain.close()
            refused = error
    raise refused or OSError(f"{wanted} has no address")
