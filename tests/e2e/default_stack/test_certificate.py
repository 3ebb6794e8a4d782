"""A changed certificate is used without a restart if it is valid."""

import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.http_contract import Origin
from support.raw_http import ask
from support.server import until
from support.stack import Stack

pytestmark = [pytest.mark.slow, pytest.mark.stack]

FOLDER = "/etc/nginx/tls"


def pair(folder: Path, name: str, days: int = 10) -> tuple[str, str]:
    """Make a certificate and its key."""
    chain, key, request = (
        folder / f"{name}.{extension}" for extension in ("pem", "key", "request")
    )
    subprocess.run(
        ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc",
         "-subj", f"/CN={name}", "-keyout", key, "-out", request],
        check=True, capture_output=True,
    )  # fmt: skip
    subprocess.run(
        ["openssl", "x509", "-req", "-in", request, "-signkey", key, "-days", str(days),
         "-out", chain],
        check=True, capture_output=True,
    )  # fmt: skip
    return chain.read_text(), key.read_text()


class Folder:
    """The edge's certificate folder, its log, and the certificate that it serves."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    def run(self, script: str) -> str:
        return self.stack.run("nginx", "sh", "-c", script)

    def put(self, chain: str | None, key: str | None) -> None:
        """Write these files in one step, as the edge waits until they stay unchanged."""
        files = (("fullchain.pem", chain), ("privkey.pem", key))
        self.run(" && ".join(f"printf '%s' '{text}' >{FOLDER}/{n}" for n, text in files if text))

    def served(self) -> str:
        return ssl.get_server_certificate(("localhost", self.stack.ports["HTTPS"])).strip()

    def reasons(self) -> list[str]:
        return [line["reason"] for line in self.stack.events("nginx", "certificate_refused")]

    def refused_since(self, count: int) -> str:
        until(lambda: len(self.reasons()) > count or None, "it is refused")
        (reason,) = self.reasons()[count:]
        return reason


@pytest.fixture
def folder(stack: Stack) -> Iterator[Folder]:
    folder = Folder(stack)
    original = folder.served()
    folder.run(f"cd {FOLDER} && mkdir kept && cp -p *.pem made-by-the-edge kept/")
    yield folder
    folder.run(f"cd {FOLDER} && cp -p kept/* . && rm -r kept")
    until(lambda: folder.served() == original or None, "the edge has its own certificate again")


def test_an_invalid_certificate_is_refused_and_a_valid_one_is_loaded(
    origin: Origin, folder: Folder, tmp_path: Path
) -> None:
    original = folder.served()
    first, other = pair(tmp_path, "first.example.test"), pair(tmp_path, "other.example.test")
    count = len(folder.reasons())
    for chain, key, reason in [
        (None, other[1], "privkey.pem: is not the key of"),
        ("nonsense", None, "holds no certificate"),
        (first[0], "nonsense", "privkey.pem: "),
        (*pair(tmp_path, "old.example.test", -1), "has expired"),
        (first[0] + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", first[1],
         "cannot load certificate"),
    ]:  # fmt: skip
        folder.put(chain, key)
        assert reason in folder.refused_since(count)
        count += 1
        assert folder.served() == original
        assert origin.get("/media/file.mp4", "HEAD").status == 200
    folder.put(*first)
    until(lambda: folder.served() == first[0].strip() or None, "the valid pair is served")
    assert len(folder.reasons()) == count
    # A restart keeps it although it expires within the month in which the edge renews its own.
    folder.stack.compose("restart", "nginx")
    folder.stack.up()
    assert folder.served() == first[0].strip()


def test_acme_challenges_are_not_redirected_to_https(stack: Stack) -> None:
    base = f"http://localhost:{stack.ports['HTTP']}"
    for token, status in [
        ("not-there_1", 404),
        ("", 308),
        ("a/b", 308),
        ("..%2f..%2fetc/passwd", 308),
        (".hidden", 308),
    ]:
        answer = ask(base, f"/.well-known/acme-challenge/{token}")
        assert answer.status == status, token
