"""A proxy in front of a real object store that records requests and injects faults."""

import contextlib
import http.client
import re
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import obstore

from support.object_store import Swift

_CHUNK = 16 * 1024


@dataclass(frozen=True)
class Request:
    """A request that the proxy received."""

    method: str
    key: str
    """The path in the bucket."""
    range: str | None
    condition: str | None
    """If-Match."""

    @property
    def first(self) -> int:
        """The first byte of the span; 0 without a span."""
        return int(re.findall("[0-9]+", self.range)[0]) if self.range else -1


@dataclass
class Fault:
    """A fault, the requests that it applies to (`when`), and how many times it does."""

    kind: str
    """refuse: no answer; status: answer with status `value`; hold: answer after `released`;
    truncate: send `value` bytes; stall: send `value` bytes, and the rest after `released`; shift:
    move the span by `value` bytes; whole: 200 and all bytes; unconditional: ignore If-Match."""
    value: int = 0
    times: int = 1_000_000
    when: Callable[[Request], bool] = lambda request: request.method == "GET" and bool(request.key)


class FaultyStore:
    """The proxy; it runs in threads of the test's process."""

    def __init__(self, swift: Swift) -> None:
        self.swift = swift
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.released = threading.Event()
        self.sent = 0
        """Bytes of response bodies."""
        self._lock = threading.Lock()
        outer = self

        class Handler(_Handler):
            proxy = outer

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def object_requests(self, method: str = "GET") -> list[Request]:
        """Return the requests for objects so far."""
        with self._lock:
            return [r for r in self.requests if r.method == method and r.key]

    def record(self, request: Request) -> Fault | None:
        """Record a request; return the fault that applies to it."""
        with self._lock:
            self.requests.append(request)
            for fault in self.faults:
                if fault.times and fault.when(request):
                    fault.times -= 1
                    return fault
        return None

    def signed_target(self, path: str) -> str:
        """Return a signed target: the client's signature covers only its own header fields."""
        bucket, _, key = unquote(path).lstrip("/").partition("/")
        url = obstore.sign(self.swift.client(bucket), "GET", key, timedelta(minutes=5))
        return url.removeprefix(self.swift.endpoint)

    def count(self, length: int) -> None:
        with self._lock:
            self.sent += length

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore the error: clients may disconnect at any time."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    proxy: FaultyStore

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 # the framework's name
        """Print nothing."""

    def _forward(self) -> None:
        parts = urlsplit(self.path)
        key = unquote(parts.path).lstrip("/").partition("/")[2]
        headers = {name: value for name, value in self.headers.items() if name != "Connection"}
        lower = {name.lower(): value for name, value in headers.items()}
        body = self.rfile.read(int(lower.get("content-length", 0)))
        request = Request(self.command, key, lower.get("range"), lower.get("if-match"))
        fault = self.proxy.record(request)
        kind, value = (fault.kind, fault.value) if fault else ("", 0)
        self.close_connection = True
        if kind == "refuse":
            return
        if kind == "status":
            self.send_response(value)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if kind == "hold":
            self.proxy.released.wait()
        target, host = self.path, f"127.0.0.1:{self.proxy.swift.proxy.port}"
        if kind in {"shift", "whole", "unconditional"}:
            target = self.proxy.signed_target(parts.path)
            headers = {"Range": _shifted(request.range or "", value)} if kind != "whole" else {}
        store = http.client.HTTPConnection(host, timeout=60)
        try:
            store.request(self.command, target, body or None, headers)
            self._answer(store.getresponse(), kind, value)
        finally:
            store.close()

    def _answer(self, answer: http.client.HTTPResponse, kind: str, value: int) -> None:
        self.send_response_only(answer.status)
        for name, text in answer.headers.items():
            if name.lower() not in {"connection", "transfer-encoding"}:
                self.send_header(name, text)
        if not answer.headers["Content-Length"]:
            self.send_header("Connection", "close")
        self.end_headers()
        left = value if kind in {"truncate", "stall"} else -1
        while chunk := answer.read(_CHUNK if left < 0 else min(left, _CHUNK)):
            self.wfile.write(chunk)
            self.proxy.count(len(chunk))
            left -= len(chunk) if left > 0 else 0
        self.wfile.flush()
        if kind == "stall":
            self.proxy.released.wait()
            self.wfile.write(answer.read())
        elif kind == "truncate":
            self.connection.shutdown(socket.SHUT_RDWR)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _forward  # noqa: N815 # the framework's names


def _shifted(text: str, value: int) -> str:
    first, last = map(int, re.findall(r"[0-9]+", text))
    return f"bytes={first + value}-{last + value}"


@contextlib.contextmanager
def faulty(swift: Swift) -> Iterator[FaultyStore]:
    """Run the proxy in front of a store."""
    store = FaultyStore(swift)
    try:
        yield store
    finally:
        store.close()
