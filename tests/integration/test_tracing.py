"""Requests are traced by OpenTelemetry if a collector's address is set."""

import gzip
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from support.object_store import Bucket
from support.raw_http import ask, begin
from support.server import content, environment, serve, until, write

from service import __version__

DATA = content(5000)
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED = {"traceparent": f"00-{TRACE}-{PARENT}-01"}

# Prints how many parts of an application trace, and how many modules of OpenTelemetry are loaded.
COUNT = """
import gc, os, sys
from service.composition.app import create_app
from service.settings.environment import load
app = create_app(load(os.environ))
modules = [name for name in sys.modules if name.partition(".")[0] == "opentelemetry"]
tracing = [one for one in gc.get_objects() if type(one).__name__ == "TracingMiddleware"]
print(len(tracing), len(modules))
"""


class Collector:
    """Receives spans by OTLP over HTTP, as any OpenTelemetry collector does."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.spans: list[Span] = []
        self.resource: dict[str, str] = {}

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]

    def receive(self, body: bytes) -> None:
        for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for one in of_resource.resource.attributes:
                self.resource[one.key] = one.value.string_value
            for of_scope in of_resource.scope_spans:
                self.spans.extend(of_scope.spans)


@contextmanager
def collecting() -> Iterator[Collector]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.path == "/v1/traces"
            zipped = self.headers.get("Content-Encoding") == "gzip"
            collector.receive(gzip.decompress(body) if zipped else body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector = Collector(f"http://127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def environ_of(collector: Collector) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.base, "OTEL_BSP_SCHEDULE_DELAY": "100"}


def attributes_of(span: Span) -> dict[str, str | int]:
    return {
        one.key: one.value.string_value or one.value.int_value
        for one in span.attributes
        if not one.value.HasField("array_value")
    }


def test_a_request_continues_its_callers_trace(tmp_path: Path) -> None:
    write(tmp_path / "media", "film.mp4", DATA)
    with collecting() as collector:
        with serve(tmp_path / "media", environ=environ_of(collector)) as server:
            answer = ask(server.base, "/media/film.mp4", SAMPLED | {"Range": "bytes=0-99"})
            assert answer.status == 206
            ask(server.base, "/s/1.0.abcdefghijklmnop.-.dg.x/media/film.mp4", SAMPLED)
            ask(server.base, "/viewing-reports", SAMPLED, "POST", b'{"played": 1}')
            ask(server.base, "/readyz", SAMPLED)
            ask(server.base, "/api/videos", {"traceparent": f"00-{'1' * 32}-{PARENT}-00"})
        # The last spans are sent when the service stops.
        [media] = collector.named("GET media")
        assert (media.trace_id.hex(), media.parent_span_id.hex()) == (TRACE, PARENT)
        assert media.kind == Span.SPAN_KIND_SERVER
        assert attributes_of(media) == {
            "http.request.method": "GET",
            "http.route": "media",
            "url.path": "/media/film.mp4",
            "http.response.status_code": 206,
            "http.response.body.size": 100,
            "reelay.request_id": answer.headers["X-Request-ID"],
        }
        assert media.status.code == Status.STATUS_CODE_UNSET
        assert collector.resource["service.name"] == "reelay"
        assert collector.resource["service.version"] == __version__
        paths = [attributes_of(span)["url.path"] for span in collector.spans]
        assert "/s/…/media/film.mp4" in paths  # without the token
        assert not {path for path in paths if "report" in str(path) or path == "/readyz"}
        # The caller does not want this one.
        assert not [span for span in collector.spans if span.trace_id.hex() == "1" * 32]


def test_requests_to_the_object_store_are_a_part_of_the_trace(
    bucket: Bucket, tmp_path: Path
) -> None:
    bucket.put("film.mp4", DATA)
    with collecting() as collector:
        with serve(
            tmp_path / "media",
            environ=bucket.environ() | environ_of(collector),
            MEDIA=bucket.url,
            DERIVED=str(tmp_path / "derived"),
        ) as server:
            assert ask(server.base, "/media/film.mp4", SAMPLED).body == DATA
        [media] = collector.named("GET media")
        inner = [span for span in collector.spans if span.parent_span_id == media.span_id]
        assert {span.name for span in inner} >= {"HEAD object", "GET object"}
        assert {span.trace_id.hex() for span in inner} == {TRACE}
        assert {attributes_of(span)["reelay.object"] for span in inner} == {"film.mp4"}


def test_a_response_that_breaks_off_is_an_error_unless_the_viewer_left(tmp_path: Path) -> None:
    large = content(64 * 2**20)
    film, _ = (write(tmp_path / "media", name, large) for name in ("film.mp4", "other.mp4"))
    with collecting() as collector:
        with serve(
            tmp_path / "media", environ=environ_of(collector), STALL_TIMEOUT="600"
        ) as server:
            with begin(server.base, "/media/film.mp4") as client:
                client.recv(1000)
                os.truncate(film, 10)
                while client.recv(2**20):
                    pass
            with begin(server.base, "/media/other.mp4") as client:
                client.recv(1000)
        broken, left = sorted(
            collector.named("GET media"), key=lambda span: str(attributes_of(span)["url.path"])
        )
        assert broken.status.code == Status.STATUS_CODE_ERROR
        assert attributes_of(broken)["http.response.status_code"] == 200
        assert left.status.code == Status.STATUS_CODE_UNSET


def test_without_a_collector_nothing_is_added_and_nothing_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "media").mkdir()

    def count(**variables: str) -> tuple[int, bool]:
        printed = subprocess.run(
            [sys.executable, "-c", COUNT],
            env=environment(tmp_path / "media") | variables,
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        tracing, modules = map(int, printed.split())
        return tracing, modules > 0

    assert count() == (0, False)
    assert count(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9") == (1, True)


def test_a_lost_collector_disturbs_nobody(tmp_path: Path) -> None:
    write(tmp_path / "media", "film.mp4", DATA)
    with collecting() as collector:
        environ = environ_of(collector)
    with serve(tmp_path / "media", environ=environ) as server:
        for _ in range(3):
            assert ask(server.base, "/media/film.mp4").body == DATA
        until(
            lambda: any("Failed to export" in line for line in server.lines) or None,
            "it is reported",
        )
        assert ask(server.base, "/readyz").status == 200
        server.process.send_signal(signal.SIGTERM)
        assert server.ended() == 0


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"},
            "OTEL_EXPORTER_OTLP_ENDPOINT=collector:4318: should be a URL, http:// or https://",
        ),
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            },
            "OTEL_EXPORTER_OTLP_PROTOCOL=grpc: only http/protobuf is supported",
        ),
    ],
)
def test_a_wrong_variable_is_named(tmp_path: Path, variables: dict[str, str], message: str) -> None:
    (tmp_path / "media").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "service"],
        env=environment(tmp_path / "media") | variables,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr.strip()) == (2, message)
