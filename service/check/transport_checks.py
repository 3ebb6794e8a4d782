"""Checks of what is below HTTP: protocol versions, the certificate, the redirect from http."""

import re
import shutil
import ssl
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import urlsplit

from cryptography import x509

from service.check.byte_checks import compare_spans
from service.check.results import FailedError, NotTriedError, Problem, RemarkError
from service.check.session import Session
from service.check.ways.http1 import Http1, NoAnswerError, Server
from service.check.ways.http2 import Http2
from service.check.ways.tls import handshake, tls_context

_HTTP_PORT, _HTTPS_PORT = 80, 443
_EXPIRES_SOON = 14  # days
_REDIRECTS = {301, 302, 307, 308}


def check_http2(session: Session) -> str:
    """Check that HTTP/2 is offered, and has the same bytes and validators."""
    server = session.server
    _require_https(server)
    if handshake(server, session_context(session)).protocol != "h2":
        raise RemarkError("HTTP/2 is not offered: browsers open up to six connections instead.")
    way = Http2(replace(server, context=session_context(session)))
    try:
        if session.ranges_work:
            compare_spans(session, way, session.target, "over HTTP/2", session.spans[:2])
        tag = way.ask(session.target, {}, "HEAD").get("etag")
    except NoAnswerError as error:
        raise FailedError(Problem.NO_ANSWER, str(error)) from error
    finally:
        way.close()
    if tag != session.tag:
        raise FailedError(
            Problem.VALIDATORS_DIFFER, f"ETag is {tag} over HTTP/2 and {session.tag} over HTTP/1.1."
        )
    return "the same bytes and entity tag"


def check_http3(session: Session) -> str:
    """Check that HTTP/3 answers ranges where it is announced, if curl here has it."""
    server = session.server
    _require_https(server)
    if "h3" not in (session.whole.get("alt-svc") or ""):
        raise NotTriedError("Alt-Svc does not announce HTTP/3.")
    curl = shutil.which("curl")
    if curl is None or "HTTP3" not in _run(curl, "--version"):
        raise NotTriedError("No curl with HTTP/3 is installed here.")
    port = re.search(r'h3=":(\d+)"', session.whole.get("alt-svc") or "")
    host = replace(server, port=int(port[1]) if port else server.port).authority
    insecure = ["--insecure"] if session.options.is_insecure else []
    fields = [word for name, value in server.headers for word in ("--header", f"{name}: {value}")]
    said = _run(
        curl, "--silent", "--http3-only", "--range", "0-9", "--output", "-", "--max-time",
        str(server.budget.timeout(server.timeout)), "--write-out", "%{stderr}%{http_code}",
        *insecure, *fields, f"https://{host}{session.target}",
    )  # fmt: skip
    if said != "206":
        raise FailedError(
            Problem.NO_ANSWER, f"HTTP/3 is announced, but a range over it gets {said}."
        )
    return "206"


def _run(*words: str) -> str:
    """Return what a program prints: on standard error, or else on standard output.

    curl prints its version on the latter.
    """
    done = subprocess.run(words, capture_output=True, check=False)  # noqa: S603 # curl, without a shell
    return (done.stderr or done.stdout).decode("utf-8", "replace").strip()


def check_certificate(session: Session) -> str:
    """Check that the certificate and its chain are trusted here, and do not expire soon."""
    server = session.server
    _require_https(server)
    if not session.options.is_insecure:
        try:
            handshake(server, tls_context(is_trusting=False))
        except NoAnswerError as error:
            raise FailedError(Problem.CERTIFICATE_NOT_TRUSTED, str(error)) from error
    found = handshake(server, tls_context(is_trusting=True))
    certificate = x509.load_der_x509_certificate(found.certificate)
    end = certificate.not_valid_after_utc
    lifetime = end - certificate.not_valid_before_utc
    days = (end - datetime.now(UTC)).total_seconds() / 86_400
    # Certificates of a few days are renewed after two thirds of their lifetime.
    if days < min(_EXPIRES_SOON, lifetime.total_seconds() / 86_400 / 3):
        raise FailedError(
            Problem.CERTIFICATE_EXPIRES,
            f"The certificate expires on {end:%Y-%m-%d}, in {days:.0f} days.",
        )
    trust = "not judged (--insecure)" if session.options.is_insecure else "trusted"
    return f"{trust}, until {end:%Y-%m-%d}"


def check_redirect(session: Session) -> str:
    """Check that http is redirected to https, at the same path."""
    server = session.server
    _require_https(server)
    port = session.options.http_port or (_HTTP_PORT if server.port == _HTTPS_PORT else None)
    if port is None:
        raise NotTriedError("--http-port names no port of http.")
    way = Http1(replace(server, scheme="http", port=port, headers=()))  # no secrets without TLS
    target = _without_secrets(session.target)
    try:
        answer = way.ask(target, {"Host": server.authority})
    except NoAnswerError:
        raise RemarkError(
            f"Port {port} is closed: a viewer who types the name without https:// reaches nothing."
        ) from None
    finally:
        way.close()
    place = answer.get("location") or ""
    if answer.status not in _REDIRECTS or not place.startswith("https://"):
        raise FailedError(
            Problem.HTTP_NOT_REDIRECTED,
            f"http gets {answer.status} {place or 'without a Location'}, no redirect to https.",
        )
    if not place.endswith(target):
        raise FailedError(
            Problem.HTTP_NOT_REDIRECTED, f"http is redirected to another path: {place}."
        )
    return f"{answer.status} to https"


def _without_secrets(target: str) -> str:
    """Return the path of a target without the token of a share link, and without the query."""
    return re.sub(r"^/s/[^/]+", "/s/x", urlsplit(target).path)


def _require_https(server: Server) -> None:
    if server.scheme != "https":
        raise NotTriedError("The URL is not https.")


def session_context(session: Session) -> ssl.SSLContext:
    """Return a context like that of all requests, whose protocols can be chosen."""
    return tls_context(is_trusting=session.server.context.verify_mode == ssl.CERT_NONE)
