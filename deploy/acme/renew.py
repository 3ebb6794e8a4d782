"""Get a certificate with certbot and renew it as long as the program runs.

The edge reads a key and its certificate through one symbolic link, so that both change in one
step. Only certificates of this program and of the edge itself are ever replaced.
"""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

CHAIN, KEY = "fullchain.pem", "privkey.pem"
CURRENT = "acme"  # the symbolic link to the folder that holds the pair in use
MADE_BY_THE_EDGE = "made-by-the-edge"  # nginx/docker-entrypoint.d/30-certificate.sh

# Let's Encrypt allows 5 failed validations of a name per hour; this interval stays below that.
RETRY = 900.0
# An order takes seconds. After this time something hangs, and a later try may succeed.
TIMEOUT = 900.0

stopping = threading.Event()

# RFC 1123 2.1, with a dot: no authority issues a certificate for `localhost`. As in RFC 1123, a
# last label of digits only means an address, not a name.
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_NAME = re.compile(rf"(?=.{{1,253}}$)(?:{_LABEL}\.)+(?!\d+$){_LABEL}")


class Problem(Exception):  # noqa: N818 # most are not errors of this program
    """A reason why there is no certificate, as a sentence for the log."""


@dataclass(frozen=True)
class Settings:
    """The environment's settings, and the paths of the image."""

    name: str
    server: str
    email: str
    interval: float  # seconds
    authorities: Path = Path("/authorities.pem")
    tls: Path = Path("/tls")
    challenges: Path = Path("/challenges")
    state: Path = Path("/state")
    scratch: Path = Path("/tmp/certbot")  # noqa: S108 # the container's own
    healthy: Path = Path("/tmp/healthy")  # noqa: S108 # as in the Dockerfile

    @property
    def account(self) -> Path:
        """Return the folder of certbot's data; each server has its own."""
        return self.state / quote(self.server, safe="")

    @property
    def lineage(self) -> Path:
        return self.account / "live" / self.name


def load(environment: Mapping[str, str]) -> Settings:
    """Read the settings; raise Problem if one is invalid."""
    name = environment.get("REELAY_HOSTNAME", "")
    if not _NAME.fullmatch(name):
        raise Problem(f"REELAY_HOSTNAME={name!r}: should be a public name like video.example.org")
    server = environment.get("REELAY_ACME_SERVER", "")
    if urlsplit(server).scheme != "https" or not urlsplit(server).hostname:
        raise Problem(f"REELAY_ACME_SERVER={server!r}: should be the https URL of a directory")
    interval = environment.get("REELAY_ACME_INTERVAL", "43200")
    if not re.fullmatch(r"[1-9]\d{0,5}", interval):
        raise Problem(f"REELAY_ACME_INTERVAL={interval!r}: should be whole seconds, 1 to 999999")
    return Settings(
        name=name.lower(),
        server=server,
        email=environment.get("REELAY_ACME_EMAIL", ""),
        interval=float(interval),
    )


def log(event: str, **fields: object) -> None:
    """Write one JSON object on a line, as the service and the edge do."""
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    print(json.dumps({"timestamp": at, "event": event, **fields}), flush=True)


def run_certbot(settings: Settings) -> None:
    """Run certbot, which gets or renews the certificate in its own folder if it is due."""
    contact = ["--register-unsafely-without-email"]
    if settings.email:
        contact = ["--email", settings.email]
    scratch = str(settings.scratch)
    command = [
        *("certbot", "certonly", "--non-interactive", "--agree-tos", "--no-eff-email", *contact),
        *("--server", settings.server, "--cert-name", settings.name, "--domain", settings.name),
        *("--webroot", "--webroot-path", str(settings.challenges), "--keep-until-expiring"),
        *("--config-dir", str(settings.account), "--no-directory-hooks"),
        *("--work-dir", scratch, "--logs-dir", scratch, "--max-log-backups", "0"),
    ]
    environment = dict(os.environ)
    if settings.authorities.is_file() and settings.authorities.stat().st_size:
        environment["REQUESTS_CA_BUNDLE"] = str(settings.authorities)
    with subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as certbot:
        started = time.monotonic()
        while True:
            try:
                text, _ = certbot.communicate(timeout=0.5)
                break
            except subprocess.TimeoutExpired:
                if stopping.is_set():
                    certbot.terminate()  # it removes its challenge files
                    raise Problem("told to stop") from None
                if time.monotonic() - started > TIMEOUT:
                    certbot.kill()
                    raise Problem(f"certbot has not ended within {TIMEOUT:g} s") from None
    if certbot.returncode:
        raise Problem(" ".join(text.split())[-2000:] or f"certbot ended with {certbot.returncode}")


def made_by_the_edge(certificate: Path) -> bool:
    """Return whether this is the self-signed certificate of 30-certificate.sh."""
    command = ["openssl", "x509", "-noout", "-issuer", "-nameopt", "RFC2253", "-in"]
    done = subprocess.run([*command, str(certificate)], capture_output=True, text=True, check=False)
    return done.stdout.strip() == "issuer=CN=Reelay"


def published(settings: Settings, name: str) -> bool:
    """Return whether the edge reads this file through the link."""
    file = settings.tls / name
    return file.is_symlink() and file.readlink() == Path(CURRENT, name)


def require_right_to_replace(settings: Settings) -> None:
    """Raise Problem if the folder holds an operator's certificate, or is read-only."""
    if not os.access(settings.tls, os.W_OK):
        raise Problem(f"the folder of certificates cannot be written by user {os.getuid()}")
    chain = settings.tls / CHAIN
    if chain.exists() and not published(settings, CHAIN) and not made_by_the_edge(chain):
        raise Problem("the folder of certificates holds one from elsewhere, which is not replaced")


def publish(settings: Settings) -> bool:
    """Publish certbot's pair unless the edge has it already; return whether it was new."""
    pair = {name: (settings.lineage / name).read_bytes() for name in (CHAIN, KEY)}
    if all(
        published(settings, name) and (settings.tls / name).exists()
        and (settings.tls / name).read_bytes() == data
        for name, data in pair.items()
    ):  # fmt: skip
        return False
    require_right_to_replace(settings)
    new = _folder(settings, pair)
    if not all(published(settings, name) for name in pair):
        # First move an existing pair behind the link, without any other change.
        files = {name: settings.tls / name for name in pair}
        if all(file.exists() for file in files.values()):
            old = {name: file.read_bytes() for name, file in files.items()}
            _link(settings, CURRENT, _folder(settings, old).name)
        else:
            _link(settings, CURRENT, new.name)
        for name in pair:
            _link(settings, name, f"{CURRENT}/{name}")
    _link(settings, CURRENT, new.name)
    (settings.tls / MADE_BY_THE_EDGE).unlink(missing_ok=True)
    for folder in settings.tls.glob(f"{CURRENT}-*"):
        if folder != new:
            shutil.rmtree(folder, ignore_errors=True)
    return True


def _folder(settings: Settings, files: Mapping[str, bytes]) -> Path:
    """Write files into a new folder that only this user, which is also the edge's, can read."""
    folder = Path(tempfile.mkdtemp(prefix=f"{CURRENT}-", dir=settings.tls))
    for name, data in files.items():
        with (folder / name).open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # else after a crash the link could exist without the bytes
    return folder


def _link(settings: Settings, name: str, target: str) -> None:
    """Create a symbolic link atomically, replacing any file of its name."""
    new = settings.tls / f"{name}.new"
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(settings.tls / name)


def check(settings: Settings) -> bool:
    """Get or renew the certificate if it is due, and log the result."""
    try:
        require_right_to_replace(settings)
        run_certbot(settings)
        new = publish(settings)
    except (Problem, OSError) as problem:
        log("certificate_check_failed", name=settings.name, reason=str(problem))
        settings.healthy.unlink(missing_ok=True)
        return False
    log("certificate_published" if new else "certificate_not_due", name=settings.name)
    settings.healthy.touch()
    return True


def stop(*_: object) -> None:
    """Stop soon; the next start finishes what is incomplete."""
    stopping.set()


def main() -> int:
    """Run until a signal."""
    signal.signal(signal.SIGTERM, stop)
    os.umask(0o077)
    try:
        settings = load(os.environ)
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 2
    while not stopping.is_set():
        wait = settings.interval if check(settings) else min(RETRY, settings.interval)
        # Authorities ask clients to spread their requests.
        stopping.wait(wait * random.uniform(0.75, 1.25))  # noqa: S311 # no secret
    return 0


if __name__ == "__main__":
    sys.exit(main())
