"""HTTP/2 frame by frame, for requests that ordinary clients do not send."""

import contextlib
import socket
from collections.abc import Iterable, Iterator

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

from support.raw_http import open_socket

Header = tuple[str, str]


class Connection:
    """One connection that does not check what it sends and reads only in `wait` and `read`."""

    def __init__(self, client: socket.socket, window: int) -> None:
        config = h2.config.H2Configuration(
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
        self._socket = client
        self._h2 = h2.connection.H2Connection(config)
        self._h2.initiate_connection()
        self._h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
        self._flush()
        self.streams_allowed: int | None = None
        """SETTINGS_MAX_CONCURRENT_STREAMS (RFC 9113 §6.5.2), once received."""
        self.statuses: dict[int, int | None] = {}
        """The status of each answered stream; None if it was reset."""
        self.closed = False

    def ask(self, headers: Iterable[Header], body: bytes | None = None) -> int:
        """Send a request; return its stream number."""
        number = self._h2.get_next_available_stream_id()
        self._h2.send_headers(number, list(headers), end_stream=body is None)
        if body is not None:
            self._h2.send_data(number, body, end_stream=True)
        self._flush()
        return number

    def get(self, path: str, **fields: str) -> int:
        """Send a well-formed GET."""
        fixed = [(":method", "GET"), (":scheme", "https"), (":authority", "localhost")]
        return self.ask([*fixed, (":path", path), *fields.items()])

    def wait(self, *numbers: int) -> list[int | None]:
        """Read until these streams are answered or the server closes; return their statuses."""
        while not self.closed and not self.statuses.keys() >= set(numbers):
            self.read()
        return [self.statuses.get(number) for number in numbers]

    def read(self) -> None:
        """Receive data once, and handle its frames."""
        try:
            data = self._socket.recv(65536)
            events = self._h2.receive_data(data)
        except (ConnectionError, h2.exceptions.ProtocolError):
            data, events = b"", []
        self.closed = self.closed or not data
        for event in events:
            match event:
                case h2.events.ResponseReceived(stream_id=int(number), headers=headers):
                    self.statuses[number] = int(dict(headers or [])[b":status"])
                case h2.events.StreamReset(stream_id=int(number)):
                    self.statuses.setdefault(number, None)
                case h2.events.ConnectionTerminated():
                    self.closed = True
                case h2.events.RemoteSettingsChanged():
                    self.streams_allowed = self._h2.remote_settings.max_concurrent_streams
        with contextlib.suppress(OSError, h2.exceptions.ProtocolError):
            self._flush()

    def _flush(self) -> None:
        self._socket.sendall(self._h2.data_to_send())


@contextlib.contextmanager
def connection(base: str, window: int = 65535) -> Iterator[Connection]:
    """Connect. `window` is the initial flow-control window of a stream in bytes."""
    with open_socket(base, "h2") as client:
        yield Connection(client, window)
