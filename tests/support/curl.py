"""The curl in the edge's image, which supports HTTP/3 on any machine."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from support.stack import Stack, missing

VERSIONS = {"1.1": "--http1.1", "2": "--http2", "3": "--http3-only"}


@dataclass(frozen=True)
class CurlResponse:
    """A response as curl prints it."""

    version: str
    status: int
    headers: dict[str, str]
    body: bytes


class Curl:
    """Curl in a container on one of the engine's networks."""

    def __init__(self, stack: Stack, network: str, base: str) -> None:
        # The image's user may write to this folder.
        options = ["--rm", "--network", network, "--workdir", "/var/cache/nginx"]
        self.name = docker(
            "run", "--detach", *options, "--entrypoint", "sleep", f"{stack.project}-nginx", "3600"
        ).decode().strip()  # fmt: skip
        self.base = base

    def has_http3(self) -> bool:
        return b"HTTP3" in self("--version")

    def __call__(self, *words: str) -> bytes:
        return docker("exec", self.name, "curl", *words)

    def shell(self, script: str) -> str:
        """Run a shell script in the container; return what it prints."""
        return docker("exec", self.name, "sh", "-c", script).decode()

    def get(self, version: str, target: str, headers: dict[str, str]) -> CurlResponse:
        options = [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
        output = self("--silent", "--show-error", "--insecure", "--include", "--max-time", "300",
                      VERSIONS[version], *options, self.base + target)  # fmt: skip
        head, _, body = output.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        protocol, status = first.split()[:2]
        fields = {name.lower(): value.strip() for name, _, value in
                  (line.partition(":") for line in lines)}  # fmt: skip
        return CurlResponse(protocol, int(status), fields, body)

    def remove(self) -> None:
        docker("rm", "--force", self.name)


def docker(*words: str) -> bytes:
    result = subprocess.run(["docker", *words], capture_output=True, check=False)
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout


@contextmanager
def curl_container(stack: Stack) -> Iterator[Curl]:
    """Run a container with curl on the stack's network, where the edge is `nginx`."""
    client = Curl(stack, f"{stack.project}_default", "https://nginx:8443")
    try:
        if not client.has_http3():
            missing("needs a curl with HTTP/3 in the edge's image: `curl --version` has no HTTP3")
        yield client
    finally:
        client.remove()
