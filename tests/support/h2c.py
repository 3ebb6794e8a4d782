"""HTTP/2 in clear text, by prior knowledge: a client that does what the test says, and no more."""

import http.client
import io
import socket
import struct
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

from support.raw_http import Answer

Header = tuple[bytes, bytes]
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"  # RFC 9113 §3.4
ANY_STREAM = 2**31 - 1  # the last stream that a GOAWAY names while all may still come

# RFC 9113 §6.
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, _GOAWAY, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 9


@dataclass
class Response:
    """What has come of one."""

    status: int = 0
    headers: dict[str, list[str]] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    ended: bool = False
    reset: int | None = None
    """The error code, where the server has reset the stream."""


class Client:
    """One connection. What it sends is not checked; what comes is read only when asked for.

    `window`: bytes of each stream that may come unasked. `taking`: whether what has come is
    acknowledged, so that more may.
    """

    def __init__(self, base: str, window: int = 2**20, *, taking: bool = True) -> None:
        parts = urlsplit(base)
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        config = h2.config.H2Configuration(
            validate_outbound_headers=False, normalize_outbound_headers=False
        )
        self.h2 = h2.connection.H2Connection(config)
        self.h2.initiate_connection()
        self.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
        if taking:
            self.h2.increment_flow_control_window(2**30)
        self._taking = taking
        self.responses: dict[int, Response] = {}
        self.goaways: list[tuple[int, int]] = []
        """The last stream and the error code of each."""
        self.order: list[int] = []
        """The streams whose bytes came, in that order."""
        self.pings: list[bytes] | None = None
        """While a list, what has come and is not answered."""
        self.closed = False
        self._partial = b""
        self.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(
        self, headers: Iterable[Header], *, ended: bool = True, flushed: bool = True
    ) -> Response:
        """Send a request's headers; what comes back will be found in what this gives."""
        number = self.h2.get_next_available_stream_id()
        self.h2.send_headers(number, list(headers), end_stream=ended)
        if flushed:
            self.flush()
        return self.responses.setdefault(number, Response())

    def get(
        self, target: str, method: str = "GET", *, flushed: bool = True, **fields: str
    ) -> Response:
        """Send a well-formed request without a body."""
        return self.send(request(target, method, fields), flushed=flushed)

    def number(self, response: Response) -> int:
        """Give the number of its stream."""
        return next(number for number, known in self.responses.items() if known is response)

    def flush(self) -> None:
        """Send what there is to send."""
        self.socket.sendall(self.h2.data_to_send())

    def answer_pings(self) -> None:
        """Answer those that were held back, and all from now on."""
        for held in self.pings or ():
            self.h2.receive_data(held)
        self.pings = None
        self.flush()

    def wait(self, *responses: Response) -> None:
        """Read until these have ended, one way or the other, or the connection has."""
        while not self.closed and not all(r.ended or r.reset is not None for r in responses):
            self.read()

    def wait_for_body(self, response: Response, length: int) -> None:
        """Read until so much of a body has come."""
        while len(response.body) < length:
            assert not self.closed
            assert response.reset is None
            self.read()

    def wait_for_end(self) -> None:
        """Read until the server closes."""
        while not self.closed:
            self.read()

    def read(self) -> None:
        """Take what has come, at least something."""
        try:
            data = self.socket.recv(256 * 1024)
        except ConnectionError:
            data = b""
        if not data:
            self.closed = True
            return
        for frame in self._frames(data):
            if frame[3] == _GOAWAY:  # h2 would refuse whatever comes behind one
                self.goaways.append(struct.unpack_from(">LL", frame, 9))
                continue
            if frame[3] == PING and self.pings is not None:
                self.pings.append(frame)
                continue
            for event in self.h2.receive_data(frame):
                self._take(event)
        try:
            self.flush()
        except OSError:
            self.closed = True

    def _take(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.ResponseReceived():
                response = self.responses[event.stream_id]
                for name, value in event.headers:
                    if name == b":status":
                        response.status = int(value)
                    else:
                        response.headers.setdefault(name.decode(), []).append(value.decode())
            case h2.events.DataReceived():
                self.responses[event.stream_id].body += event.data
                self.order.append(event.stream_id)
                if self._taking and event.flow_controlled_length:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.StreamEnded():
                self.responses[event.stream_id].ended = True
            case h2.events.StreamReset():
                self.responses[event.stream_id].reset = int(event.error_code)

    def _frames(self, data: bytes) -> Iterator[bytes]:
        """Cut what has come into whole frames (RFC 9113 §4.1)."""
        self._partial += data
        while len(self._partial) >= 9:
            end = 9 + int.from_bytes(self._partial[:3], "big")
            if len(self._partial) < end:
                return
            frame, self._partial = self._partial[:end], self._partial[end:]
            yield frame


def request(
    target: str, method: str = "GET", fields: Mapping[str, str] | None = None
) -> list[Header]:
    """Give the fields of a well-formed request; underscores in names stand for dashes."""
    fixed = {":method": method, ":scheme": "http", ":authority": "localhost", ":path": target}
    named = {name.lower().replace("_", "-"): value for name, value in (fields or {}).items()}
    return [(name.encode(), value.encode("latin-1")) for name, value in (fixed | named).items()]


def frame(kind: int, payload: bytes = b"", flags: int = 0, stream: int = 0) -> bytes:
    """Write any frame (RFC 9113 §4.1, §6)."""
    return struct.pack(">L", len(payload))[1:] + struct.pack(">BBL", kind, flags, stream) + payload


def ask(base: str, target: str, headers: Mapping[str, str], method: str) -> Answer:
    """Send one request on a connection of its own and read the response to its end."""
    with Client(base) as client:
        response = client.send(request(target, method, headers))
        client.wait(response)
        assert response.ended
        message = http.client.HTTPMessage()
        for name, values in response.headers.items():
            for value in values:
                message[name] = value
        return Answer(response.status, message, bytes(response.body))


def ask_by_curl(base: str, target: str, headers: Mapping[str, str], method: str) -> Answer:
    """Do the same by curl."""
    command = ["curl", "--http2-prior-knowledge", "--path-as-is", "--globoff", "--silent",
               "--show-error", "--dump-header", "-"]  # fmt: skip
    command += ["--head"] if method == "HEAD" else ["--request", method]
    for name, value in headers.items():
        command += ["--header", f"{name}: {value}" if value else f"{name};"]
    with tempfile.TemporaryDirectory() as folder:
        body = Path(folder) / "body"
        body.touch()
        output = ["--output", str(body)]
        done = subprocess.run([*command, *output, base + target], check=True, capture_output=True)
        status, _, fields = done.stdout.partition(b"\r\n")
        version, code = status.split()
        assert version == b"HTTP/2"
        message = http.client.parse_headers(io.BytesIO(fields))
        return Answer(int(code), message, b"" if method == "HEAD" else body.read_bytes())
