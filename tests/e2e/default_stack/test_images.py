"""The contents of the images that compose builds, and the networks of their containers."""

import json
from collections.abc import Iterator

import pytest
from support import notices
from support.stack import Stack, docker

pytestmark = pytest.mark.stack

# Files that are setuid or setgid.
PRIVILEGED = """
find / -xdev -perm /6000
"""

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

PACKAGES = """
import json, pathlib, re
from importlib.metadata import distributions
print(json.dumps({
    "packages": [[re.sub("[-_.]+", "-", d.name).lower(), d.version] for d in distributions()],
    "libraries": [[file.parent.name.removesuffix(".libs"), file.name]
                  for file in pathlib.Path("/opt").rglob("*.libs/*")],
}))
"""

# Packages of Debian without a notice.
UNLICENSED = """
dpkg-query --show --showformat '${Package}\\n' | while read -r name; do
    [ -e "/usr/share/doc/$name/copyright" ] || echo "$name"
done
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
def test_an_image_has_no_privileged_file_no_installer_and_all_licences(
    images: dict[str, str], name: str
) -> None:
    assert run(images[name], "sh", "-c", f"{PRIVILEGED} {INSTALLERS} {UNLICENSED}") == ""


@pytest.mark.parametrize(("name", "notice"), [("service", "service"), ("acme", "certificates")])
def test_the_licence_of_every_python_package_and_library_is_listed(
    images: dict[str, str], name: str, notice: str
) -> None:
    found = json.loads(run(images[name], "python", "-c", PACKAGES))
    assert {(package, version) for package, version in found["packages"]} <= notices.packages(
        notice
    )
    assert len(found["packages"]) > 10
    for package, file in found["libraries"]:
        library = file.removeprefix("lib").partition(".so")[0][: -len("-01234567")]
        assert (package, library) in notices.libraries(), file
    assert bool(found["libraries"]) == (name == "service")


def test_the_service_brings_its_licence_and_those_of_others(images: dict[str, str]) -> None:
    for file in ("LICENSE", "THIRD-PARTY.md"):
        shown = run(images["service"], "cat", f"/usr/share/doc/reelay/{file}")
        assert shown == (notices.PAGE.parent / file).read_text(encoding="utf-8").strip()


@pytest.mark.parametrize(("name", "limit"), [("service", 275e6), ("nginx", 1e6), ("acme", 32e6)])
def test_an_image_is_as_small_as_the_docs_say(
    images: dict[str, str], name: str, limit: float
) -> None:
    layers = docker(
        "history", "--human=false", "--format", "{{.Size}} {{.CreatedBy}}", images[name]
    )
    copied = [int(line.split()[0]) for line in layers.splitlines() if line.split()[1] == "COPY"]
    assert limit / 10 < sum(copied) < limit


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
