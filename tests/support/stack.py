"""The real stack: `docker compose up` with its own project name, ports and volumes."""

import contextlib
import json
import os
import secrets
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any, NoReturn

import pytest

from support.raw_http import ask
from support.server import BLOCK, free_port, until

ROOT = Path(__file__).parents[2]
EAGER = ROOT / "tests" / "e2e" / "eager.yml"
EDGE_WAIT = 10 - 1
"""Seconds within which a replica must be back: for 10 s the edge asks for a block again, with up to
1 s between two tries (nginx/njs/retry.js)."""


def missing(reason: str) -> NoReturn:
    """Skip the test because something is missing; fail if REELAY_REQUIRE_STACK is set."""
    if os.environ.get("REELAY_REQUIRE_STACK") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def require_engine() -> None:
    """Skip the test without a Docker engine."""
    if command := _failing_command():
        missing(f"needs a Docker engine with the compose plugin: `{command}` fails")


@cache
def _failing_command() -> str:
    """Return the command that fails without an engine or the plugin, or an empty string."""
    for command in (["docker", "info"], ["docker", "compose", "version"]):
        try:
            available = subprocess.run(command, capture_output=True, check=False).returncode == 0
        except OSError:
            available = False
        if not available:
            return " ".join(command)
    return ""


@dataclass
class Stack:
    """A stack of containers."""

    media: Path
    settings: dict[str, str] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    """Compose files in addition to `compose_file`."""
    variables: dict[str, str] = field(default_factory=dict)  # for compose itself
    compose_file: Path = ROOT / "docker-compose.yml"
    project: str = field(default_factory=lambda: f"reelay-test-{secrets.token_hex(4)}")
    ports: dict[str, int] = field(
        default_factory=lambda: {n: free_port() for n in ("HTTP", "HTTPS", "OPERATOR")}
    )

    @property
    def base(self) -> str:
        return f"https://localhost:{self.ports['HTTPS']}"

    @property
    def operator(self) -> str:
        return f"http://127.0.0.1:{self.ports['OPERATOR']}"

    def containers(self, service: str, *words: str) -> list[str]:
        """Return the names of a service's running containers, or of all with `--all`.

        This queries the engine directly, as compose takes a second to read its files.
        """
        labels = {"project": self.project, "service": service, "oneoff": "False"}
        wanted = [f"label=com.docker.compose.{name}={value}" for name, value in labels.items()]
        filters = [word for label in wanted for word in ("--filter", label)]
        return docker("ps", "--quiet", *words, *filters).split()

    def container(self, service: str) -> dict[str, Any]:
        """Return the engine's description of a service's first container."""
        description: dict[str, Any] = json.loads(docker("inspect", self.containers(service)[0]))[0]
        return description

    def address(self, service: str) -> str:
        """Return a container's own address, without the engine's proxy of published ports."""
        return address_of(self.containers(service)[0])

    @property
    def unencrypted(self) -> str:
        return f"http://localhost:{self.ports['HTTP']}"

    @property
    def gateway(self) -> str:
        """Return this machine's address as the containers see it."""
        networks = self.container("nginx")["NetworkSettings"]["Networks"]
        return str(networks[f"{self.project}_default"]["Gateway"])

    def environment(self) -> dict[str, str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("REELAY_", "COMPOSE_"))}
        ports = {f"REELAY_{name}_PORT": str(port) for name, port in self.ports.items()}
        own = {f"REELAY_{name}": value for name, value in self.settings.items()}
        folder = {"REELAY_MEDIA_DIR": str(self.media), "REELAY_BIND": "127.0.0.1"}
        return clean | folder | ports | own | self.variables

    def compose(self, *words: str, check: bool = True) -> str:
        """Run a compose command on this stack; return what it prints."""
        files = [word for f in (self.compose_file, *self.files) for word in ("-f", str(f))]
        result = subprocess.run(
            ["docker", "compose", *files, "--project-name", self.project, *words],
            cwd=self.compose_file.parent,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if check and result.returncode:
            raise AssertionError(f"compose {' '.join(words)}\n{result.stdout}\n{result.stderr}")
        return result.stdout

    def up(self, *words: str) -> None:
        """Start the containers with the current settings, and wait until they are healthy."""
        try:
            self.compose("up", "--detach", "--wait", *words)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.compose('logs', check=False)}") from None

    def configure(self, **settings: str) -> None:
        """Change settings; the affected containers restart."""
        self.settings.update(settings)
        self.up()

    def inside(self, source: str, *words: str) -> str:
        """Run Python in the service's container, which has its own address; return its output."""
        return self.run("service", "python", "-c", source, *words)

    def run(self, service: str, *words: str) -> str:
        """Run a command in a service's first container; return what it prints."""
        return docker("exec", self.containers(service)[0], *words)

    def lines(self, service: str, *options: str) -> list[str]:
        """Return the log lines of a service's containers; `options` are those of `docker logs`."""
        output = b""
        for name in self.containers(service, "--all"):
            command = ["docker", "logs", *options, name]
            output += subprocess.run(
                command, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            ).stdout
        return output.decode().splitlines()

    def events(self, service: str, event: str = "request", *words: str) -> list[dict[str, Any]]:
        """Return the log lines of an event, such as the requests of `nginx` or the service."""
        objects = [json.loads(line) for line in self.lines(service, *words) if line[:1] == "{"]
        return [line for line in objects if line["event"] == event]


def docker(*words: str) -> str:
    """Run a command of the engine; return what it prints."""
    result = subprocess.run(["docker", *words], capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"docker {' '.join(words)}\n{result.stdout}\n{result.stderr}"
    return result.stdout.strip()


def pause(container: str) -> None:
    """Freeze a container's processes. On a busy machine runc can fail to ("unable to freeze")."""
    until(lambda: _is_paused(container), f"{container} is paused")


def _is_paused(container: str) -> bool:
    with contextlib.suppress(AssertionError):
        docker("pause", container)
    return docker("inspect", "--format", "{{.State.Paused}}", container) == "true"


@contextmanager
def suspended(container: str) -> Iterator[None]:
    """Suspend all processes of a container but the first, which is Docker's.

    Unlike `pause`, this does not end its health checks: Docker calls a container unhealthy that was
    paused, until its next check.
    """
    send = ("exec", container, "sh", "-c", 'kill -"$0" -1')
    docker(*send, "STOP")
    try:
        yield
    finally:
        docker(*send, "CONT")


def address_of(container: str, network: str = "") -> str:
    """Return a container's address on the network of this name within its project.

    Without a name, use `default`, else `backend`.
    """
    output = docker("inspect", "--format", "{{json .NetworkSettings.Networks}}", container)
    networks = {name.rpartition("_")[2]: value for name, value in json.loads(output).items()}
    wanted = network or next(name for name in ("default", "backend") if name in networks)
    return str(networks[wanted]["IPAddress"])


@contextlib.contextmanager
def container(stack: Stack, *words: str, network: str = "default") -> Iterator[str]:
    """Run another container on one of the stack's networks; yield its name.

    The networks are `default` for clients and `backend` for the service.
    """
    name = docker("run", "--detach", "--network", f"{stack.project}_{network}", *words)
    try:
        yield name
    finally:
        docker("rm", "--force", name)


@contextlib.contextmanager
def failing_replica(stack: Stack) -> Iterator[str]:
    """Replace all replicas by one that truncates each span once."""
    source = (ROOT / "tests" / "support" / "failing_replica.py").read_text(encoding="utf-8")
    image = f"{stack.project}-service"
    media = f"{stack.media}:/media:ro"
    with container(stack, "--volume", media, image, network="backend") as replica:
        with container(
            stack, "--network-alias", "service", "--entrypoint", "python",
            image, "-c", source, address_of(replica), network="backend",
        ) as name:  # fmt: skip
            until(partial(_listens, name), "the failing replica listens")
            stack.compose("stop", "service")
            yield name
    stack.up()


def _listens(container: str) -> bool:
    """Return whether a container of the service's network accepts connections."""
    with contextlib.suppress(OSError):
        socket.create_connection((address_of(container, "backend"), 8000), timeout=10).close()
        return True
    return False


@contextlib.contextmanager
def running(
    media: Path, *files: Path, variables: Mapping[str, str] | None = None, **settings: str
) -> Iterator[Stack]:
    """Build and start a stack for the block; remove it completely afterwards."""
    require_engine()
    # All clients of a test have one address, and a test machine is often too busy.
    unlimited = dict.fromkeys(
        ("CONNECTIONS_PER_CLIENT", "REQUESTS_PER_CLIENT", "OVERLOAD_DELAY"), "0"
    )
    timing = {"SETTLE_TIME": "0", "DRAIN_DELAY": "0"}
    defaults = {"MAX_PARTIAL_SIZE": str(BLOCK)} | unlimited | timing
    stack = Stack(media, defaults | settings, (EAGER, *files), dict(variables or {}))
    try:
        stack.compose("build")
        stack.up()
        yield stack
    finally:
        stack.compose("down", "--volumes", "--remove-orphans", "--rmi", "local", "--timeout", "10")


def restart_edge(stack: Stack) -> None:
    """Restart the edge, and wait until it answers."""
    docker("restart", "--time", "1", stack.containers("nginx")[0])

    def answers() -> bool:
        try:
            return ask(stack.operator, "/edge/healthz").status == 200
        except OSError:
            return False

    until(answers, "the edge answers")
