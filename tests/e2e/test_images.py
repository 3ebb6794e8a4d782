"""The contents of the images that compose builds, and the networks of their containers."""

from collections.abc import Iterator

import pytest
from support.stack import Stack, docker

pytestmark = pytest.mark.stack

# For each installed Python: those of the base image and of the environment.
INSTALLERS = """
for python in python python3 /usr/bin/python3 /usr/local/bin/python3; do
    command -v "$python" >/dev/null || continue
    "$python" -c '
import importlib.util
for name in ("pip", "ensurepip", "setuptools", "wheel"):
    if importlib.util.find_spec(name):
        print(name)
'
done
for name in pip pip3; do command -v "$name"; done
find / -xdev -name "pip-*.whl" -o -xdev -name "setuptools-*.whl"
"""

REACH = """
import socket, sys
socket.setdefaulttimeout(3)
for address in (("192.0.2.1", 443), ("1.1.1.1", 443), (sys.argv[1], 80)):
    try:
        socket.create_connection(address).close()
        print("reached", address)
    except OSError as error:
        print("not", type(error).__name__, error.errno)
"""


@pytest.fixture(scope="module")
def images(stack: Stack) -> Iterator[dict[str, str]]:
    """Yield the names of the images. That of the ACME client is built separately."""
    stack.compose("--profile", "acme", "build", "acme")
    yield {name: f"{stack.project}-{name}" for name in ("service", "nginx", "acme")}
    docker("rmi", f"{stack.project}-acme")


def run(image: str, *words: str) -> str:
    return docker("run", "--rm", "--user", "0", "--entrypoint", words[0], image, *words[1:])


@pytest.mark.parametrize("name", ["service", "nginx", "acme"])
def test_no_file_is_setuid_or_setgid(images: dict[str, str], name: str) -> None:
    assert run(images[name], "find", "/", "-xdev", "-perm", "/6000") == ""


@pytest.mark.parametrize("name", ["service", "nginx", "acme"])
def test_no_python_package_installer_is_present(images: dict[str, str], name: str) -> None:
    assert run(images[name], "sh", "-c", f"{INSTALLERS} true") == ""


def test_the_network_of_the_service_is_internal_and_shared_only_with_the_edge(
    stack: Stack,
) -> None:
    networks = stack.container("service")["NetworkSettings"]["Networks"]
    (name,) = networks
    output = docker("network", "inspect", "--format", "{{.Internal}} {{len .Containers}}", name)
    assert output == "true 2"
    # There is no route at all: an immediate error (ENETUNREACH), not a timeout.
    lines = stack.inside(REACH, "example.org").splitlines()
    assert [line.split()[0] for line in lines] == ["not"] * 3
    assert lines[:2] == ["not OSError 101"] * 2
