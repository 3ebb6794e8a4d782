"""A real object store: OpenStack Swift with its S3 API, on loopback.

Each object is on all three object servers, so any one of them is enough to read it.
"""

import contextlib
import hmac
import http.client
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import obstore
import pytest
from obstore.store import S3Store

from service.storage.object_store.config import open_store
from support.raw_http import ask
from support.server import free_port, until

if TYPE_CHECKING:
    from obstore.store import ObjectStore

ACCESS_KEY, SECRET_KEY, REGION = "test:tester", "testing", "us-east-1"
NODE = Path(__file__).parents[2] / "deploy/swift/swift_node.py"
NAMES = ("proxy", "account", "container", "object1", "object2", "object3")


class Node:
    """One process of the store, which keeps its port over restarts."""

    def __init__(self, description: Path, name: str, port: int) -> None:
        self.name = name
        self.port = port
        self._description = description
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """The process's log."""
        return self._description.with_name(f"{self.name}.log")

    @property
    def pid(self) -> int:
        """The id of the process, which must be running."""
        assert self._process, f"{self.name} is not running"
        return self._process.pid

    def start(self) -> None:
        """Start the process unless it is running."""
        if self._process is None:
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(
                    [sys.executable, NODE, self.name, self._description],
                    stdout=log,
                    stderr=log,
                )

    def wait(self) -> None:
        """Wait until it answers."""
        until(self._answers, f"{self.name} answers")

    def stop(self) -> None:
        """Kill the process, as a power failure does."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Suspend the process for the block; its connections stay open."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def _answers(self) -> bool | None:
        assert self._process, self.name
        assert self._process.poll() is None, self.log.read_text(errors="replace")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", "/healthcheck")
            return connection.getresponse().status == 200 or None
        except OSError:
            return None
        finally:
            connection.close()


class Swift:
    """The processes and the address of the store."""

    def __init__(self, folder: Path) -> None:
        ports = {name: free_port() for name in NAMES}
        description = folder / "store.json"
        store = {
            "folder": str(folder),
            "devices": str(folder / "devices"),
            "bind": "127.0.0.1",
            "nodes": {name: ("127.0.0.1", port) for name, port in ports.items()},
            "access_key": ACCESS_KEY,
            "secret_key": SECRET_KEY,
        }
        description.write_text(json.dumps(store))
        nodes = [Node(description, name, port) for name, port in ports.items()]
        self.proxy, self.account, self.container, *self.objects = nodes
        self._numbers = itertools.count()

    @property
    def nodes(self) -> list[Node]:
        """Every process."""
        return [self.account, self.container, *self.objects, self.proxy]

    @property
    def endpoint(self) -> str:
        """The URL of its S3 API."""
        return f"http://127.0.0.1:{self.proxy.port}"

    def environ(self, endpoint: str | None = None) -> dict[str, str]:
        """Return the environment variables for the store, or for an endpoint in front of it."""
        return {
            "AWS_ENDPOINT_URL": endpoint or self.endpoint,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        }

    def start(self) -> None:
        """Start the processes that are not running, and wait for them."""
        for node in self.nodes:
            node.start()
        for node in self.nodes:
            node.wait()

    def stop(self) -> None:
        """Stop every process."""
        for node in reversed(self.nodes):
            node.stop()

    def client(self, bucket: str, prefix: str = "", **headers: str) -> S3Store:
        """Return a client that adds these header fields; underscores in names become hyphens."""
        return S3Store(
            bucket,
            prefix=prefix or None,
            config={
                "endpoint": self.endpoint,
                "region": REGION,
                "access_key_id": ACCESS_KEY,
                "secret_access_key": SECRET_KEY,
            },
            client_options={
                "allow_http": True,
                "default_headers": {k.replace("_", "-"): v for k, v in headers.items()},
            },
        )

    def bucket(self, prefix: str = "") -> "Bucket":
        """Create a bucket with a unique name."""
        name = f"bucket{next(self._numbers)}"
        # The client cannot create buckets, but it can sign the request.
        url = obstore.sign(self.client(name), "PUT", "", timedelta(minutes=5))
        answer = ask(self.endpoint, url.removeprefix(self.endpoint), {"Content-Length": "0"}, "PUT")
        assert answer.status == 200, answer.body
        return Bucket(self, name, prefix)


class Bucket:
    """A bucket of the store, or the keys below a prefix in it."""

    def __init__(self, swift: Swift, name: str, prefix: str = "") -> None:
        self.swift = swift
        self.name = name
        self.prefix = prefix
        self.url = f"s3://{name}/{prefix}".rstrip("/")

    def environ(self, endpoint: str | None = None) -> dict[str, str]:
        """Return the environment variables for its store."""
        return self.swift.environ(endpoint)

    @property
    def store(self) -> "ObjectStore":
        """Return a client of the bucket."""
        return open_store(self.url, self.environ())

    def put(self, key: str, data: bytes, *, age: float = 3600, at: float | None = None) -> str:
        """Write an object; return its entity tag without quotes.

        Its modification time is `age` seconds ago, or `at`. Of several objects with one name, the
        store keeps the one with the latest time, in whatever order they are written.
        """
        written = time.time() - age if at is None else at
        client = self.swift.client(self.name, self.prefix, X_Timestamp=f"{written:.5f}")
        tag = client.put(key, data, use_multipart=False)["e_tag"]
        assert tag, "the store has an object with a later time"
        return tag.strip('"')

    def put_key(self, key: str, data: bytes) -> None:
        """Write an object whose key is not a path, which the client refuses."""
        path = f"/{self.name}/{quote(key)}"
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        scope = [now[:8], REGION, "s3", "aws4_request"]
        headers = {
            "host": self.swift.endpoint.removeprefix("http://"),
            "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
            "x-amz-date": now,
        }
        # AWS Signature Version 4: canonical request, string to sign, signing key.
        named = ";".join(headers)
        lines = [f"{name}:{value}" for name, value in headers.items()]
        canonical = "\n".join(["PUT", path, "", *lines, "", named, "UNSIGNED-PAYLOAD"])
        to_sign = "\n".join(
            ["AWS4-HMAC-SHA256", now, "/".join(scope), sha256(canonical.encode()).hexdigest()]
        )
        secret = f"AWS4{SECRET_KEY}".encode()
        for part in (*scope, to_sign):
            secret = hmac.digest(secret, part.encode(), sha256)
        credential = f"Credential={ACCESS_KEY}/{'/'.join(scope)}"
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={named}, Signature={secret.hex()}"
        )
        connection = http.client.HTTPConnection(headers["host"], timeout=60)
        connection.request("PUT", path, data, headers)
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        connection.close()

    def delete(self, key: str) -> None:
        """Delete an object."""
        self.store.delete(key)


def supports_attributes(folder: Path) -> bool:
    """Return whether the file system supports user attributes as long as Swift's metadata."""
    probe = folder / "attributes"
    probe.touch()
    try:
        os.setxattr(probe, "user.swift.metadata", bytes(2000))
    except (AttributeError, OSError):
        return False
    else:
        return True
    finally:
        probe.unlink()


@pytest.fixture(scope="session")
def swift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swift]:
    """Run a store for all tests of the session."""
    folder = tmp_path_factory.mktemp("swift")
    if not supports_attributes(folder):
        reason = f"Swift needs a file system with user extended attributes: {folder} has none"
        (pytest.fail if os.environ.get("REELAY_REQUIRE_STACK") == "1" else pytest.skip)(reason)
    store = Swift(folder)
    try:
        store.start()
        yield store
    finally:
        store.stop()


@pytest.fixture
def bucket(swift: Swift) -> Bucket:
    """Return a bucket for one test."""
    swift.start()  # another test may have killed some of its processes
    return swift.bucket()
