"""The `check` command: each fault of a chain is named, and nothing else is."""

import contextlib
import io
import json
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from support.access import PASSWORD, cookie_of, sign_in
from support.broken_proxies import FAULTS, Fault, proxy
from support.counting_proxy import CountingProxy
from support.server import Server, content, environment, serve, write

from service.check.results import Problem, Result, State
from service.check.run import connect, run
from service.check.session import Options
from service.check.ways.http1 import Budget
from service.cli.check import check
from service.cli.share import share

ROOT = Path(__file__).parents[2]
SITE = "https://site.example"
FILM = "/media/film.mp4"

NAMED = {
    "passes all on": set(),
    "drops Range": {Problem.RANGE_DROPPED},
    "rewrites 206 to 200": {Problem.STATUS_REWRITTEN},
    "gzips": {Problem.COMPRESSED},
    "strips ETag": {Problem.ETAG_MISSING},
    "weakens ETag": {Problem.ETAG_WEAK},
    "unquotes ETag": {Problem.ETAG_MALFORMED},
    "ignores If-Range": {Problem.IF_RANGE_IGNORED},
    "buffers": {Problem.RESPONSE_BUFFERED},
    "caches 206 by URL alone": {Problem.PARTIAL_CACHED},
    "caches fresh 206 by URL alone": {Problem.PARTIAL_CACHED},
    "writes a wrong Content-Range": {Problem.CONTENT_RANGE_WRONG},
    "truncates": {Problem.TRUNCATED},
    "changes bytes": {Problem.BYTES_DIFFER},
    "hides 416": {Problem.UNSATISFIABLE_HIDDEN},
    "hides HEAD": {Problem.HEAD_REFUSED},
    "drops If-None-Match": {Problem.CONDITIONS_IGNORED},
    "has its own Cache-Control": {Problem.CACHE_CONTROL_REWRITTEN},
    # What has a revision in its URL is then answered as what has none.
    "drops the query": {Problem.QUERY_DROPPED, Problem.CACHE_CONTROL_REWRITTEN},
}


class Done(NamedTuple):
    """What the command has printed."""

    status: int
    stdout: str
    stderr: str


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("check") / "media"
    folder.mkdir()
    write(folder, "film.mp4", content())
    write(folder, "other/film.mp4", content(seed=2))
    huge = write(folder, "huge.mp4", b"")
    os.truncate(huge, 50 * 1000**3)
    os.utime(huge, (1_600_000_000, 1_600_000_000))
    return folder


@pytest.fixture(scope="module")
def server(media: Path) -> Iterator[Server]:
    with serve(media, CORS_ORIGINS=SITE) as running:
        yield running


def port(server: Server) -> int:
    return int(server.base.rpartition(":")[2])


def results(url: str, **options: object) -> list[Result]:
    budget = Budget(64 * 1024**2, 300)
    return list(run(connect(Options(url, **options), (), budget)))  # type: ignore[arg-type] # keywords


def problems(found: list[Result]) -> set[Problem]:
    assert all((result.state == State.FAILED) == (result.problem is not None) for result in found)
    return {result.problem for result in found if result.problem}


def command(*arguments: str) -> Done:
    """Run the command in this process, as a new one takes a second to start."""
    out, err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = check(arguments)
        except SystemExit as error:  # argparse has found a wrong argument
            status = int(error.code or 0)
    out.seek(0)
    return Done(status, out.read(), err.getvalue())


@pytest.mark.parametrize("route", ["media", "download"])
def test_the_service_itself_passes(server: Server, route: str) -> None:
    found = results(f"{server.base}/{route}/film.mp4", origin=SITE)
    assert problems(found) == set()
    waiting = {"bytes of another URL", "HTTP/2", "HTTP/3", "certificate", "http to https"}
    assert {one.check for one in found if one.state != State.OK} == waiting


@pytest.mark.parametrize("name", FAULTS)
def test_the_fault_of_a_proxy_is_named(server: Server, name: str) -> None:
    with proxy(port(server), FAULTS[name]()) as base:
        assert problems(results(f"{base}{FILM}")) == NAMED[name]


def test_a_library_with_a_password_passes_by_a_cookie_and_by_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    media = tmp_path / "media"
    media.mkdir()
    write(media, "film.mp4", content())
    state = str(tmp_path / "state")
    with serve(media, PASSWORD=PASSWORD, STATE=state) as server:
        refused = command(f"{server.base}{FILM}")
        assert (refused.status, refused.stderr) == (2, "The URL is answered with 401.\n")
        cookie = f"Cookie: {cookie_of(sign_in(server.base))}"
        by_cookie = command(f"{server.base}{FILM}", "--header", cookie)
        assert (by_cookie.status, by_cookie.stderr) == (0, "")
        for name, value in environment(media, PASSWORD=PASSWORD, STATE=state).items():
            monkeypatch.setenv(name, value)
        assert share(["film.mp4"]) == 0
        link = capsys.readouterr().out.strip()
        token = link.split("/s/")[1].split("/")[0]
        by_link = command(f"{server.base}/s/{token}{FILM}")
        assert (by_link.status, by_link.stderr) == (0, "")
        assert "another revision gets 410" in by_link.stdout


def test_bytes_are_compared_with_those_of_another_url(server: Server) -> None:
    here, other = f"{server.base}{FILM}", f"{server.base}/media/other/film.mp4"
    assert problems(results(here, against=f"{server.base}/download/film.mp4")) == set()
    assert problems(results(here, against=other)) == {Problem.BYTES_DIFFER}


def test_another_origin_is_not_allowed(server: Server) -> None:
    found = results(f"{server.base}{FILM}", origin="https://other.example")
    assert problems(found) == {Problem.CORS_MISSING}


def test_a_film_of_50_gb_costs_a_few_megabytes(server: Server) -> None:
    with CountingProxy(port(server)) as counting:
        found = results(f"{counting.endpoint}/download/huge.mp4")
        assert problems(found) == set()
        assert counting.received < 32 * 1000**2  # with what is on its way when a connection closes


def test_a_spent_budget_ends_the_check(server: Server) -> None:
    session = connect(Options(f"{server.base}{FILM}"), (), Budget(100_000, 60))
    found = list(run(session))
    assert problems(found) == set()
    assert found[-6].detail == "The bytes or the seconds are spent."
    assert session.server.budget.used < 300_000


@pytest.fixture(scope="module")
def short_lived(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """Return a context with a certificate of 90 days that ends in three, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=87))
        .not_valid_after(now + timedelta(days=3))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    file.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def test_certificates_are_judged(server: Server, short_lived: ssl.SSLContext) -> None:
    with proxy(port(server), Fault(), short_lived) as base:
        url = f"{base}{FILM}"
        assert problems(results(url)) == {Problem.CERTIFICATE_NOT_TRUSTED}
        found = results(url, is_insecure=True, http_port=port(server))
        assert problems(found) == {Problem.CERTIFICATE_EXPIRES, Problem.HTTP_NOT_REDIRECTED}
        (http2,) = (one for one in found if one.check == "HTTP/2")
        assert http2.state == State.NOTE


def test_secrets_are_not_sent_without_trust(server: Server, short_lived: ssl.SSLContext) -> None:
    seen: list[dict[str, str]] = []
    fault = Fault(request=lambda request: seen.append(request.headers))
    with proxy(port(server), fault, short_lived) as base:
        done = command(f"{base}{FILM}", "--header", "Cookie: a=b")
    assert done.status == 2
    assert "self-signed certificate" in done.stderr
    assert seen == []


def test_a_share_link_is_not_sent_over_http(
    tmp_path: Path,
    short_lived: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write(tmp_path / "media", "film.mp4", content())
    state = str(tmp_path / "state")
    plain: list[str] = []
    fault = Fault(request=lambda request: plain.append(request.target))
    with serve(tmp_path / "media", PASSWORD=PASSWORD, STATE=state) as server:
        variables = environment(tmp_path / "media", PASSWORD=PASSWORD, STATE=state)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        assert share(["film.mp4"]) == 0
        link = "/s/" + capsys.readouterr().out.strip().split("/s/")[1].split("/")[0]
        with proxy(port(server), fault) as http, proxy(port(server), Fault(), short_lived) as base:
            http_port = int(http.rpartition(":")[2])
            found = results(f"{base}{link}{FILM}", is_insecure=True, http_port=http_port)
    assert Problem.HTTP_NOT_REDIRECTED in problems(found)
    assert plain == [f"/s/x{FILM}"]


def test_what_a_server_sends_cannot_control_the_terminal(server: Server) -> None:
    tag = '"\x1b[2Jä"'
    fault = Fault(response=lambda _, response: response.headers.update({"etag": tag}))
    with proxy(port(server), fault) as base:
        done = command(f"{base}{FILM}")
    assert done.status == 1
    assert "?[2J" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr


@pytest.mark.parametrize("field", ["Cookie", "a b: c", ": c", "Cookie: a\nX: b", "Cookie: ä"])
def test_what_is_no_header_field_is_refused(field: str) -> None:
    done = command("http://127.0.0.1:1/film.mp4", "--header", field)
    assert done.status == 2
    assert "is no header field" in done.stderr


def test_exit_status_and_table(server: Server) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "service", "check", f"{server.base}{FILM}"],
        cwd=ROOT, check=False, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "206, capped at 1,048,576 bytes" in done.stdout
    assert "Read " in done.stdout.splitlines()[-1]


def test_failures_are_printed_with_what_to_set(server: Server) -> None:
    with proxy(port(server), FAULTS["drops Range"]()) as base:
        done = command(f"{base}{FILM}")
    assert done.status == 1
    assert "Range dropped: usually a proxy that removes Range" in done.stdout
    for product in ("nginx", "Apache", "HAProxy", "Varnish", "Caddy", "Traefik", "Cloudflare"):
        assert f"\n  {product}: " in done.stdout


def test_json_has_each_check(server: Server) -> None:
    with proxy(port(server), FAULTS["weakens ETag"]()) as base:
        done = command(f"{base}{FILM}", "--json", "--seed", "7")
    assert done.status == 1
    document = json.loads(done.stdout)
    assert (document["failed"], document["seed"]) == (True, 7)
    (failed,) = (one for one in document["results"] if one["state"] == "failed")
    assert (failed["check"], failed["problem"]) == ("entity tag", "ETag weak")
    assert failed["settings"]["Cloudflare"].startswith("Cache Rule: Respect strong ETags")


def test_a_seed_chooses_the_same_spans_on_every_way(server: Server) -> None:
    def spans(route: str) -> str:
        found = results(f"{server.base}/{route}/film.mp4", seed=3)
        return next(one.detail for one in found if one.check == "bytes of random spans")

    assert "SHA-256" in spans("media")
    assert spans("media") == spans("download")


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("/media/missing.mp4", "The URL is answered with 404."),
        ("/healthz", "that is no film."),
    ],
)
def test_what_is_no_film_is_not_checked(server: Server, target: str, said: str) -> None:
    done = command(f"{server.base}{target}")
    assert done.status == 2
    assert said in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("url", ["film.mp4", "ftp://host/film.mp4", "http://h/a b", "http://h:x/"])
def test_what_is_no_url_is_refused(url: str) -> None:
    done = command(url)
    assert done.status == 2
    assert "is no URL such as" in done.stderr


def test_a_closed_port_is_no_film() -> None:
    done = command("http://127.0.0.1:1/film.mp4")
    assert (done.status, done.stdout) == (2, "")
    assert "Connection refused" in done.stderr


def test_the_start_of_the_service_does_not_import_it() -> None:
    source = "import sys, service.__main__; print([n for n in sys.modules if 'check' in n])"
    done = subprocess.run(
        [sys.executable, "-c", source], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert not [name for name in json.loads(done.stdout.replace("'", '"')) if "service" in name]
