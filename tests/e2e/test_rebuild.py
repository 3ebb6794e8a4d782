"""An image that is built once more has the same files."""

import hashlib
import os
import subprocess
import tarfile
from collections.abc import Iterator

import pytest
from support.stack import ROOT, docker, require_engine

pytestmark = [pytest.mark.slow, pytest.mark.stack]

CONTEXTS = {"service": ".", "edge": "nginx", "certificates": "deploy/acme"}


@pytest.fixture
def tag() -> Iterator[str]:
    require_engine()
    tag = f"reelay-test-rebuild-{os.getpid()}"
    yield tag
    docker("rmi", f"{tag}:1", f"{tag}:2")


def build(context: str, tag: str, *options: str) -> None:
    arguments = ("--build-arg", "PYTHON_IMAGE", "--build-arg", "NGINX_IMAGE")
    pairs = zip(arguments[::2], arguments[1::2], strict=True)
    named = [word for flag, name in pairs if name in os.environ for word in (flag, name)]
    docker("build", "--quiet", *named, *options, "--tag", tag, str(ROOT / context))


def files(image: str) -> dict[str, tuple[int, int, int, str]]:
    """Return mode, owner, group and contents of each file by its path."""
    container = docker("create", image)
    command = ["docker", "export", container]
    try:
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout
            with tarfile.open(fileobj=process.stdout, mode="r|") as tree:
                found = {}
                for each in tree:
                    data = tree.extractfile(each) if each.isreg() else None
                    digest = hashlib.sha256(data.read()).hexdigest() if data else each.linkname
                    found[each.name] = (each.mode, each.uid, each.gid, digest)
    finally:
        docker("rm", container)
    return found


@pytest.mark.parametrize("context", CONTEXTS.values(), ids=list(CONTEXTS))
def test_a_rebuild_gives_the_same_files(context: str, tag: str) -> None:
    build(context, f"{tag}:1")  # from the build cache, if it has been built before
    build(context, f"{tag}:2", "--no-cache")
    first, second = files(f"{tag}:1"), files(f"{tag}:2")
    assert len(first) > 1000
    assert {name for name in first | second if first.get(name) != second.get(name)} == set()


def test_the_password_file_has_no_day_of_the_build(tag: str) -> None:
    build(CONTEXTS["service"], f"{tag}:1")
    docker("tag", f"{tag}:1", f"{tag}:2")
    read = ("--user", "0", "--entrypoint", "grep", f"{tag}:1", "^reelay:", "/etc/shadow")
    assert docker("run", "--rm", *read) == "reelay:!:::::::"
