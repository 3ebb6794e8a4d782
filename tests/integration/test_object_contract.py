"""The range contract for the service over an object store."""

import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import md5

import pytest
from support.http_contract import DATA, FILM_REVISION, ORIGINAL, REVISION, Contract, Origin, fill
from support.object_store import Bucket, Swift
from support.server import serve

REFRESH_DELAY = 1.1  # seconds: a response about an object is reused for one second


def revision(data: bytes) -> str:
    """Return the revision of an object: its size and its S3 entity tag."""
    return f"{len(data):x}-{md5(data, usedforsecurity=False).hexdigest()}"


@dataclass(frozen=True)
class BucketOrigin(Origin):
    """A folder whose files are in a bucket."""

    bucket: Bucket | None = None

    def replace(self, name: str, data: bytes, age: float = 3600) -> None:
        assert self.bucket
        self.bucket.put(name, data, age=age)
        time.sleep(REFRESH_DELAY)


@pytest.fixture(scope="module")
def origin(swift: Swift, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Origin]:
    swift.start()
    media = tmp_path_factory.mktemp("objects") / "media"
    fill(media)
    bucket = swift.bucket("films/of this year".replace(" ", "-"))
    Bucket(swift, bucket.name).put("secret.mp4", b"secret")
    for file in media.rglob("*"):
        status = file.lstat()
        if stat.S_ISREG(status.st_mode):
            path = file.relative_to(media).as_posix()
            bucket.put(path, file.read_bytes(), at=status.st_mtime)
    revisions = {REVISION: revision(DATA), FILM_REVISION: revision(ORIGINAL)}
    with serve(media, MEDIA=bucket.url, environ=bucket.environ()) as server:
        yield BucketOrigin(server.base, media, revisions, bucket)


class TestObjects(Contract):
    """The service without an edge."""

    test_symlinks_within_the_root_are_followed = None  # type: ignore[assignment] # there are none
