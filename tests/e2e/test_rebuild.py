"""An image that is built once more has the same files."""

import os
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


# Mode, owner, group, target of a link and path of everything, then the digests of all files: in the
# container, as an export would send the whole image through the engine.
LIST = """
find / -xdev -printf '%y%m %U %G %l %p\\0'
find / -xdev -type f -exec sha256sum --zero {} +
"""


def files(image: str) -> set[str]:
    """Return what describes each file of an image."""
    alike = ("--user", "0", "--network", "none", "--hostname", "alike")
    listing = docker("run", "--rm", *alike, "--entrypoint", "sh", image, "-ec", LIST)
    return set(listing.split("\0"))


@pytest.mark.parametrize("context", CONTEXTS.values(), ids=list(CONTEXTS))
def test_a_rebuild_gives_the_same_files(context: str, tag: str) -> None:
    build(context, f"{tag}:1")  # from the build cache, if it has been built before
    build(context, f"{tag}:2", "--no-cache")
    first, second = files(f"{tag}:1"), files(f"{tag}:2")
    assert len(first) > 1000
    assert first ^ second == set()


def test_the_password_file_has_no_day_of_the_build(tag: str) -> None:
    build(CONTEXTS["service"], f"{tag}:1")
    docker("tag", f"{tag}:1", f"{tag}:2")
    read = ("--user", "0", "--entrypoint", "grep", f"{tag}:1", "^reelay:", "/etc/shadow")
    assert docker("run", "--rm", *read) == "reelay:!:::::::"
