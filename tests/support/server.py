"""The real service as a process on a free port that serves a folder of the test."""

import contextlib
import hashlib
import http.client
import itertools
import json
import os
import random
import signal
import socket
import stat
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from support.forked import ForkedProcess

BLOCK = 1024 * 1024
SIZE = 3 * BLOCK + 12_345


def content(size: int = SIZE, seed: int = 1) -> bytes:
    """Return pseudorandom bytes; those of one seed have a common prefix for all sizes."""
    key = hashlib.sha256(str(seed).encode()).digest()
    return Cipher(AES(key), CTR(bytes(16))).encryptor().update(bytes(size))


def write(folder: Path, name: str, data: bytes, age: float = 3600) -> Path:
    """Write a file with a modification time `age` seconds ago."""
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    at = time.time() - age
    os.utime(file, (at, at))
    return file


class Server:
    """A running service."""

    def __init__(self, process: ForkedProcess, base: str) -> None:
        self.process = process
        self.base = base
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.lines.append(line.rstrip("\n"))

    def answers(self, target: str) -> bool:
        """Return whether it answers with 200. Its process must be running."""
        assert self.process.poll() is None, self.lines
        connection = http.client.HTTPConnection(self.base.removeprefix("http://"), timeout=60)
        try:
            connection.request("GET", target)
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def ended(self, timeout: float = 60) -> int:
        """Wait until the process ends; return its exit status."""
        status = self.process.wait(timeout)
        self._reader.join(timeout)
        return status

    def logged(self, event: str = "request", **fields: Any) -> list[dict[str, Any]]:
        """Return the log lines of an event with these field values."""
        objects = [json.loads(line) for line in self.lines if line.startswith("{")]
        wanted = {"event": event, **fields}.items()
        return [line for line in objects if wanted <= line.items()]

    def wait_for_log(self, event: str = "request", **fields: Any) -> dict[str, Any]:
        """Wait until such a line is logged; return the last one."""
        lines: list[dict[str, Any]] = until(
            lambda: self.logged(event, **fields) or None, f"{event} {fields}"
        )
        return lines[-1]

    def metric(self, name: str) -> float:
        """Return the value of a series, named as in the text format; 0 if it does not exist yet."""
        connection = http.client.HTTPConnection(self.base.removeprefix("http://"), timeout=30)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        values = [line.rpartition(" ")[2] for line in text.splitlines() if line.startswith(name)]
        return sum(float(value) for value in values)

    def in_progress(self) -> int:
        """Return the number of responses in progress, not counting that of this request."""
        return round(self.metric("reelay_responses_in_progress")) - 1

    def resident(self) -> int:
        """Return the resident memory of its process in bytes."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGESIZE")


def until(ask: Any, what: str, timeout: float = 300, pause: float = 0.05) -> Any:
    """Call `ask` until its result is true in Python's sense; return the result.

    It pauses after each call, at first so many seconds. What takes long is asked for less often:
    each request takes processor time from what it waits for.
    """
    start = time.monotonic()
    while (elapsed := time.monotonic() - start) < timeout:
        answer = ask()
        if answer:
            return answer
        time.sleep(max(pause, min(0.5, elapsed / 20)))
    raise AssertionError(f"not within {timeout} s: {what}")


def until_ended(process: ForkedProcess | subprocess.Popen[str]) -> None:
    """Wait for a stopping process; kill it and fail if it does not end."""
    try:
        process.wait(120)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


def free_port() -> int:
    """Return a free port that no other test has.

    It is below the ephemeral ports (ip(7), ip_local_port_range): the kernel may give one of those
    to an outgoing connection before the caller binds it.
    """
    return next(port for port in _PORTS if _is_free(port))


def _worker_ports() -> Iterator[int]:
    """Return the ports of this process of pytest-xdist, again and again, from a random one on."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    ports = range(20_000 + worker % _MAX_WORKERS, 32_000, _MAX_WORKERS)
    start = random.SystemRandom().randrange(len(ports))  # two runs at once rarely meet
    return itertools.cycle([*ports[start:], *ports[:start]])


def _is_free(port: int) -> bool:
    try:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True


_MAX_WORKERS = 16
_PORTS = _worker_ports()


def environment(media: Path, **settings: str) -> dict[str, str]:
    """Return the environment with only these settings of Reelay."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("REELAY_") and k != "PORT"}
    ours = {"MEDIA": str(media), "DERIVED": str(media.parent / "derived"), **settings}
    return clean | {f"REELAY_{name}": value for name, value in ours.items()}


def _age(folder: Path) -> None:
    """Make files old that have just been made.

    Without a settle time they are listed at once. But they may be changing still, so that players
    get the file itself for two seconds, whatever has been made of it.
    """
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            status = path.lstat()
            if stat.S_ISREG(status.st_mode) and 0 <= time.time() - status.st_mtime < 10:
                os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns - 60 * 10**9))


@contextlib.contextmanager
def start(
    media: Path,
    *,
    module: str = "service",
    log: int = subprocess.PIPE,
    environ: Mapping[str, str] | None = None,
    **settings: str,
) -> Iterator[Server]:
    """Run the service for the block; afterwards it must stop on SIGTERM.

    `module` is the module to run. `log` is PIPE, or DEVNULL for no `lines`; then only stderr is
    shown. `environ` adds variables that are not settings.
    """
    if "SETTLE_TIME" not in settings:
        _age(media)
    port = free_port()
    defaults = {
        "LISTEN": f"127.0.0.1:{port}",
        "MAX_PARTIAL_SIZE": str(BLOCK),
        "SETTLE_TIME": "0",
        "DRAIN_DELAY": "0",
    }
    env = environment(media, **(defaults | settings)) | dict(environ or {})
    process = ForkedProcess(module, env, log=log)
    server = Server(process, f"http://127.0.0.1:{port}")
    try:
        yield server
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            until_ended(process)
        server._reader.join()  # noqa: SLF001
        if process.stdout:
            process.stdout.close()


@contextlib.contextmanager
def serve(
    media: Path,
    *,
    ready: bool = True,
    module: str = "service",
    log: int = subprocess.PIPE,
    environ: Mapping[str, str] | None = None,
    **settings: str,
) -> Iterator[Server]:
    """Run the service as `start` does, and wait until it is ready, or at least alive."""
    with start(media, module=module, log=log, environ=environ, **settings) as server:
        target = "/readyz" if ready else "/healthz"
        until(lambda: server.answers(target) or None, "the service is ready")
        yield server
