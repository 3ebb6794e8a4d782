"""Debian's HAProxy, Varnish, Apache and Caddy in front of a port of this machine."""

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.server import free_port, until


@contextlib.contextmanager
def real_proxy(name: str, upstream: int, folder: Path, lines: str) -> Iterator[str]:
    """Run a proxy with further lines in its configuration; yield its base URL.

    Varnish gets its lines as subroutines, the others where they say how requests are passed on.
    """
    program, configure, command = _PROXIES[name]
    found = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        assert not os.environ.get("REELAY_REQUIRE_STACK"), f"{program} is not installed"
        pytest.skip(f"{program} is not installed")
    port = free_port()
    file = folder / f"{name}.conf"
    file.write_text(configure(port, upstream, folder, lines), encoding="utf-8")
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [found, *command(file, port, folder)],
            cwd=folder,
            env={**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        until(lambda: _listens(process, port, log), f"{name} listens")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(300)


def _listens(process: subprocess.Popen[bytes], port: int, log: Path) -> bool:
    assert process.poll() is None, log.read_text(encoding="utf-8", errors="replace")
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def _haproxy(port: int, upstream: int, folder: Path, lines: str) -> str:
    return f"""
defaults
    mode http
    timeout connect 10s
    timeout client 60s
    timeout server 60s
frontend viewers
    bind 127.0.0.1:{port}
    default_backend reelay
backend reelay
    {lines}
    server one 127.0.0.1:{upstream}
"""


def _varnish(port: int, upstream: int, folder: Path, lines: str) -> str:
    return f"""
vcl 4.1;
backend default {{ .host = "127.0.0.1"; .port = "{upstream}"; }}
{lines}
"""


def _apache(port: int, upstream: int, folder: Path, lines: str) -> str:
    modules = [
        "mpm_event",
        "authz_core",
        "proxy",
        "proxy_http",
        "headers",
        "env",
        "filter",
        "deflate",
    ]
    loads = "\n".join(
        f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in modules
    )
    return f"""
{loads}
ServerRoot {folder}
ServerName localhost
PidFile {folder}/apache.pid
ErrorLog {folder}/apache.log
User www-data
Listen 127.0.0.1:{port}
ProxyPass / http://127.0.0.1:{upstream}/ flushpackets=on
{lines}
"""


def _caddy(port: int, upstream: int, folder: Path, lines: str) -> str:
    return f"""
{{
    admin off
    auto_https off
}}
http://127.0.0.1:{port} {{
    {lines}
}}
""".replace("UPSTREAM", f"127.0.0.1:{upstream}")


_Configure = Callable[[int, int, Path, str], str]
_Command = Callable[[Path, int, Path], list[str]]

_PROXIES: dict[str, tuple[str, _Configure, _Command]] = {
    "HAProxy": ("haproxy", _haproxy, lambda file, _, __: ["-f", str(file)]),
    "Varnish": (
        "varnishd",
        _varnish,
        lambda file, port, folder: [
            "-F", "-j", "none", "-f", str(file), "-a", f"127.0.0.1:{port}",
            "-n", str(folder / "varnish"), "-s", "malloc,64m",
            # Less than the service's five seconds: no request meets a connection that it closes.
            "-p", "backend_idle_timeout=4",
        ],
    ),
    "Apache": ("apache2", _apache, lambda file, _, __: ["-D", "FOREGROUND", "-f", str(file)]),
    "Caddy": (
        "caddy",
        _caddy,
        lambda file, _, __: ["run", "--config", str(file), "--adapter", "caddyfile"],
    ),
}  # fmt: skip
