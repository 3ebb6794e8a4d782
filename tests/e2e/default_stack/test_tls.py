"""TLS as checked by testssl.sh, and HSTS."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.http_contract import Origin
from support.raw_http import ask
from support.stack import Stack, missing

pytestmark = [pytest.mark.slow, pytest.mark.stack]

YEAR = 365 * 86400

# Findings of a self-signed certificate that one from an authority does not have.
SELF_SIGNED = {
    "cert_chain_of_trust",
    "cert_revocation",  # no CRL, no OCSP
}

# A finding about this machine's openssl, not about the server: it has no GOST engine.
CLIENT_FINDINGS = {"engine_problem"}


@pytest.fixture
def strict(stack: Stack) -> Iterator[Stack]:
    stack.settings["HSTS_MAX_AGE"] = str(YEAR)
    try:
        stack.up()
        yield stack
    finally:
        del stack.settings["HSTS_MAX_AGE"]
        stack.up()


def test_hsts_is_off_by_default(origin: Origin) -> None:
    for target in ("/", "/media/file.mp4", "/metrics"):
        assert "Strict-Transport-Security" not in origin.get(target).headers


def test_testssl_reports_no_finding_above_low_and_hsts_is_sent(
    strict: Stack, tmp_path: Path
) -> None:
    for target in ("/", "/media/file.mp4", "/download/file.mp4", "/media/missing.mp4", "/metrics"):
        answer = ask(strict.base, target, {"Range": "bytes=0-9"})
        assert answer.headers.get_all("Strict-Transport-Security") == [f"max-age={YEAR}"]
    # RFC 6797 §7.2: not in answers without TLS.
    plain = ask(f"http://127.0.0.1:{strict.ports['HTTP']}", "/")
    assert "Strict-Transport-Security" not in plain.headers

    # A check may fail to connect on a busy machine: a true finding is there every time.
    for attempt in range(3):
        findings = run_testssl(strict, tmp_path / f"findings-{attempt}.json")
        unexpected = above_low(findings)
        if not unexpected:
            break
    assert unexpected == {}
    assert len(findings) > 80  # else it has not checked
    (hsts,) = (f for f in findings if f["id"] == "HSTS_time")
    assert hsts["severity"] == "OK"


def above_low(findings: list[dict[str, str]]) -> dict[str, str]:
    """Return the unexpected findings by name."""
    graded = {"MEDIUM", "HIGH", "CRITICAL", "WARN", "FATAL"}
    above = {f["id"]: f["finding"] for f in findings if f["severity"] in graded}
    # With several certificates names look like "cert_revocation <cert#1>".
    return {
        name: text
        for name, text in above.items()
        if name.split()[0] not in SELF_SIGNED | CLIENT_FINDINGS
    }


def run_testssl(stack: Stack, report: Path) -> list[dict[str, str]]:
    """Run testssl.sh for protocols, ciphers, key exchange, certificate, headers, vulnerabilities.

    Without the client simulation it takes half a minute.
    """
    program = shutil.which("testssl") or shutil.which("testssl.sh")
    if program is None:
        missing("needs testssl.sh: apt-get install testssl.sh")
    checks = ["--protocols", "--standard", "--pfs", "--server-preference", "--server-defaults",
             "--headers", "--vulnerable"]  # fmt: skip
    quiet = ["--quiet", "--color", "0", "--warnings", "off", "--nodns", "none"]
    done = subprocess.run(
        [program, *quiet, *checks, "--ip", "127.0.0.1", "--jsonfile", report, stack.base],
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    # It exits with the number of findings.
    assert report.exists(), done.stdout + done.stderr
    findings: list[dict[str, str]] = json.loads(report.read_text())
    return findings
