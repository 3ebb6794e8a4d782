"""A proxy over HTTP/1.1 with one fault, as misconfigured proxies and CDNs have it."""

import contextlib
import gzip
import http.client
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding"}
_BYTES_PER_SECOND = 2_500_000  # of a slow line behind the proxy that buffers
_MOST_BYTES = 40_000  # that the proxy which truncates passes on
_PLACE = 8_000  # the byte of a response that is changed


@dataclass
class Request:
    """What the client has sent; names of header fields are in lower case."""

    method: str
    target: str
    headers: dict[str, str]


@dataclass
class Response:
    """What the client gets."""

    status: int
    headers: dict[str, str]
    body: bytes
    promised: int | None = None
    """The value of Content-Length, if it is not the body's."""


@dataclass
class Fault:
    """How a proxy changes requests and responses. It does nothing by itself."""

    request: Callable[[Request], None] = lambda _request: None
    response: Callable[[Request, Response], None] = lambda _request, _response: None
    cache: dict[str, Response] = field(default_factory=dict)
    may_cache: Callable[[Response], bool] = lambda _response: False


@contextlib.contextmanager
def proxy(port: int, fault: Fault, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """Run a proxy in front of a port of this machine; yield its base URL."""

    class Handler(_Handler):
        upstream = port

    Handler.fault = fault
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if context:
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"{'https' if context else 'http'}://localhost:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    upstream: int
    fault: Fault

    def _answer(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers)
        self.fault.request(request)
        response = self.fault.cache.get(request.target)
        if response is None:
            response = self._fetch(request)
            self.fault.response(request, response)
            if self.fault.may_cache(response):
                self.fault.cache[request.target] = response
        self.send_response_only(response.status)
        has_body = request.method != "HEAD" and response.status not in {204, 304}
        if has_body:
            promised = len(response.body) if response.promised is None else response.promised
            response.headers["content-length"] = str(promised)
            self.close_connection = self.close_connection or promised > len(response.body)
        for name, value in response.headers.items():
            self.send_header(name, value)
        # A client may have what it wants before the end.
        with contextlib.suppress(OSError):
            self.end_headers()
            if has_body:
                self.wfile.write(response.body)

    do_GET = do_HEAD = do_OPTIONS = _answer  # noqa: N815 # the names that http.server calls

    def _fetch(self, request: Request) -> Response:
        upstream = http.client.HTTPConnection("127.0.0.1", self.upstream, timeout=60)
        try:
            upstream.putrequest(
                request.method, request.target, skip_host=True, skip_accept_encoding=True
            )
            for name, value in request.headers.items():
                if name not in _HOP_BY_HOP:
                    upstream.putheader(name, value)
            upstream.endheaders()
            found = upstream.getresponse()
            fields = {n.lower(): v for n, v in found.getheaders() if n.lower() not in _HOP_BY_HOP}
            return Response(found.status, fields, found.read())
        finally:
            upstream.close()

    def handle(self) -> None:
        """Serve a connection; the client may reset it, as it has what it wants."""
        with contextlib.suppress(ConnectionError):
            super().handle()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 # the base class's name
        """Log nothing."""


def dropping_request_header(name: str) -> Fault:
    return Fault(request=lambda request: (request.headers.pop(name, None), None)[1])


def dropping_response_header(name: str) -> Fault:
    return Fault(response=lambda _, response: (response.headers.pop(name, None), None)[1])


def _rewrite_status(_: Request, response: Response) -> None:
    if response.status == 206:
        response.status = 200
        response.headers.pop("content-range", None)


def _compress(request: Request, response: Response) -> None:
    accepted = request.headers.get("accept-encoding", "")
    if "gzip" in accepted and response.status in {200, 206} and request.method == "GET":
        response.body = gzip.compress(response.body, 1)
        response.headers["content-encoding"] = "gzip"


def _weaken(_: Request, response: Response) -> None:
    if "etag" in response.headers:
        response.headers["etag"] = f"W/{response.headers['etag']}"


def _unquote(_: Request, response: Response) -> None:
    if "etag" in response.headers:
        response.headers["etag"] = response.headers["etag"].strip('"')


def _buffer(_: Request, response: Response) -> None:
    if response.status == HTTPStatus.OK:  # a whole film; the rest is too short to be noticed
        time.sleep(len(response.body) / _BYTES_PER_SECOND)


def _shift_content_range(_: Request, response: Response) -> None:
    if response.status == 206 and "content-range" in response.headers:
        span, total = response.headers["content-range"].removeprefix("bytes ").split("/")
        first, last = map(int, span.split("-"))
        response.headers["content-range"] = f"bytes {first + 1}-{last + 1}/{total}"


def _truncate(_: Request, response: Response) -> None:
    response.promised = len(response.body)
    response.body = response.body[:_MOST_BYTES]


def _change_a_byte(_: Request, response: Response) -> None:
    if len(response.body) > _PLACE:
        changed = bytearray(response.body)
        changed[_PLACE] ^= 1
        response.body = bytes(changed)


def _hide_416(_: Request, response: Response) -> None:
    if response.status == 416:
        response.status, response.body = 404, b"not found"
        response.headers.pop("content-range", None)


def _hide_head(request: Request, response: Response) -> None:
    if request.method == "HEAD":
        response.status, response.headers = 405, {"content-length": "0"}


def _may_store(response: Response) -> bool:
    """Return whether Cache-Control allows it, so that only the key is wrong."""
    return response.status == 206 and "immutable" in response.headers.get("cache-control", "")


def _for_a_day(_: Request, response: Response) -> None:
    response.headers["cache-control"] = "public, max-age=86400"


def _drop_query(request: Request) -> None:
    request.target = request.target.partition("?")[0]


FAULTS: dict[str, Callable[[], Fault]] = {
    "passes all on": Fault,
    "drops Range": lambda: dropping_request_header("range"),
    "rewrites 206 to 200": lambda: Fault(response=_rewrite_status),
    "gzips": lambda: Fault(response=_compress),
    "strips ETag": lambda: dropping_response_header("etag"),
    "weakens ETag": lambda: Fault(response=_weaken),
    "unquotes ETag": lambda: Fault(response=_unquote),
    "ignores If-Range": lambda: dropping_request_header("if-range"),
    "buffers": lambda: Fault(response=_buffer),
    "caches 206 by URL alone": lambda: Fault(may_cache=lambda response: response.status == 206),
    "caches fresh 206 by URL alone": lambda: Fault(may_cache=_may_store),
    "writes a wrong Content-Range": lambda: Fault(response=_shift_content_range),
    "truncates": lambda: Fault(response=_truncate),
    "changes bytes": lambda: Fault(response=_change_a_byte),
    "hides 416": lambda: Fault(response=_hide_416),
    "hides HEAD": lambda: Fault(response=_hide_head),
    "drops If-None-Match": lambda: dropping_request_header("if-none-match"),
    "has its own Cache-Control": lambda: Fault(response=_for_a_day),
    "drops the query": lambda: Fault(request=_drop_query),
}
