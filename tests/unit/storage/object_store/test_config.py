import os
import sys
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.server import free_port

from service.storage.object_store.config import (
    StoreError,
    is_store_url,
    open_store,
    revision_of,
    validate_url,
    verify_access,
)

if TYPE_CHECKING:
    from support.object_store import Bucket


@pytest.mark.parametrize(
    ("url", "without_slash"),
    [
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/", "s3://bucket"),
        ("s3://my.bucket-1/films/of 2026", None),
        ("s3://my.bucket-1/films/of-2026/", "s3://my.bucket-1/films/of-2026"),
        ("gs://bucket/prefix", "gs://bucket/prefix"),
        ("az://container", "az://container"),
        ("s3://", None),
        ("s3:///prefix", None),
        ("s3://key:secret@bucket", None),
        ("s3://bucket?region=x", None),
        ("s3://bucket/a#b", None),
        ("S3://bucket", None),
        ("http://bucket", None),
        ("ftp://bucket", None),
    ],
)
def test_a_url_has_a_bucket_and_an_optional_prefix(url: str, without_slash: str | None) -> None:
    assert is_store_url(url)
    if without_slash is None:
        with pytest.raises(ValueError, match="should be a folder, or a bucket such as s3://bucket"):
            validate_url(url)
    else:
        assert validate_url(url) == without_slash


@pytest.mark.parametrize("folder", ["media", "/srv/films", "C:\\films", "~/films", "s3:bucket", ""])
def test_a_folder_is_no_store(folder: str) -> None:
    assert not is_store_url(folder)


def test_credentials_may_be_in_files(bucket: "Bucket", tmp_path: Path) -> None:
    environ = {}
    for number, (variable, value) in enumerate(bucket.environ().items()):
        file = tmp_path / str(number)
        file.write_text(value + "\n")
        environ[f"{variable}_FILE"] = str(file)
    bucket.put("film.mp4", b"film")
    store = open_store(bucket.url, environ)
    assert store.get("film.mp4").bytes() == b"film"


def test_a_value_and_a_file_of_it_exclude_each_other(tmp_path: Path) -> None:
    environ = {"AWS_REGION": "a", "AWS_REGION_FILE": str(tmp_path)}
    with pytest.raises(StoreError, match="AWS_REGION and AWS_REGION_FILE are both set"):
        open_store("s3://bucket", environ)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    with pytest.raises(StoreError, match=f"AWS_SECRET_ACCESS_KEY_FILE='{missing}': the file"):
        open_store("s3://bucket", {"AWS_SECRET_ACCESS_KEY_FILE": missing})


@pytest.mark.parametrize(
    "endpoint",
    [
        "localhost:9000",
        "http://",
        "http:///",
        "http://127.0.0.1:99999",
        "http://no such",
        "http://[::1",
        "ftp://host",
        "http://host/?k=x",
        "http://host/#x",
        "http://user:only-for-me@host",
    ],
)
def test_an_invalid_endpoint_is_refused_without_showing_it(endpoint: str) -> None:
    with pytest.raises(StoreError, match=r"^AWS_ENDPOINT_URL: should be http:") as error:
        open_store("s3://bucket", {"AWS_ENDPOINT_URL": endpoint})
    assert "only-for-me" not in str(error.value)


@pytest.mark.parametrize("variable", ["AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN"])
def test_a_value_of_two_lines_is_refused(variable: str) -> None:
    with pytest.raises(StoreError, match=f"^{variable}: should be one line$"):
        open_store("s3://bucket", {variable: "one\ntwo"})


def test_empty_variables_and_final_newlines_are_ignored(
    bucket: "Bucket", monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put("film.mp4", b"film")
    for name, value in bucket.environ().items():
        monkeypatch.setenv(name, f"{value}\n")
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "")
    store = open_store(bucket.url, os.environ)
    assert store.get("film.mp4").bytes() == b"film"


def test_a_prefix_has_no_dot_segments() -> None:
    for url in ("s3://bucket/../x", "s3://bucket/a/."):
        with pytest.raises(StoreError, match="should be a folder, or a bucket"):
            open_store(url, {})


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore.exceptions", None)  # an import of it fails
    with pytest.raises(StoreError, match=r"'s3://bucket': needs the extra `objects`: pip install"):
        open_store("s3://bucket", {})


def test_an_existing_bucket_passes_also_with_an_empty_prefix(bucket: "Bucket") -> None:
    verify_access(bucket.url, bucket.environ())
    verify_access(f"{bucket.url}/films", bucket.environ())


def test_a_missing_bucket_is_named(bucket: "Bucket") -> None:
    with pytest.raises(StoreError, match="'s3://no-such-bucket/x': there is no such bucket"):
        verify_access("s3://no-such-bucket/x", bucket.environ())


def test_wrong_credentials_are_named(bucket: "Bucket") -> None:
    environ = bucket.environ() | {"AWS_SECRET_ACCESS_KEY": "wrong"}
    with pytest.raises(StoreError, match=f"'{bucket.url}': the store refuses these credentials"):
        verify_access(bucket.url, environ)


def test_an_unreachable_store_is_named() -> None:
    environ = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
    }
    with pytest.raises(StoreError, match="'s3://bucket': the store cannot be asked: "):
        verify_access("s3://bucket", environ, timeout=1)


MD5 = "d41d8cd98f00b204e9800998ecf8427e"  # of nothing: RFC 1321 §A.5


@pytest.mark.parametrize(
    ("size", "e_tag", "revision"),
    [
        (0, f'"{MD5}"', f"0-{MD5}"),
        (255, MD5, f"ff-{MD5}"),
        (16, f'"{MD5}-3"', f"10-{sha256(f'{MD5}-3'.encode()).hexdigest()}"),  # S3's of three parts
        (16, '"0x8DB6"', f"10-{sha256(b'0x8DB6').hexdigest()}"),  # as Azure has them
        (16, f'"{MD5.upper()}"', f"10-{sha256(MD5.upper().encode()).hexdigest()}"),
        (16, f'W/"{MD5}"', None),
        (16, '""', None),
        (16, "", None),
        (16, None, None),
    ],
)
def test_the_entity_tag_is_the_revision(size: int, e_tag: str | None, revision: str | None) -> None:
    assert revision_of(size, e_tag) == revision
