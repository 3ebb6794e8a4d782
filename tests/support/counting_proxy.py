"""A TCP proxy on loopback that counts the bytes that the server sends."""

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self


class CountingProxy:
    """Forward connections from its own port."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.received = 0
        """Bytes from the server, including headers."""

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._port))
                for source, target, counts in ((client, server, False), (server, client, True)):
                    threading.Thread(
                        target=self._pass_on, args=(source, target, counts), daemon=True
                    ).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, counts: bool) -> None:  # noqa: FBT001 # one of two threads
        with source, suppress(OSError):
            while data := source.recv(1 << 16):
                self.received += len(data) if counts else 0
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
