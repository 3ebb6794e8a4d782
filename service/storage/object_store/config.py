"""Opens object stores by URL and environment: S3 and compatible ones, Google Cloud, Azure.

obstore is an optional dependency, so it is imported only if a store is opened."""

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from service.protocol.revisions import tagged_revision

if TYPE_CHECKING:
    from obstore.store import ObjectStore

# A bucket's or container's name and a prefix. No query and no password, as logs have the URL.
_URL = re.compile(r"(?:s3|gs|az)://([A-Za-z0-9][A-Za-z0-9._-]{1,221})(/[^?#\x00-\x20\x7f]*)?")

_SCHEME = re.compile(r"[A-Za-z0-9+]+://")

# Variables of each kind of store, as its own tools name them. obstore itself reads what platforms
# put into the environment for their identity (AWS_ROLE_ARN and
# AWS_WEB_IDENTITY_TOKEN_FILE, AWS_CONTAINER_CREDENTIALS_…, GOOGLE_APPLICATION_CREDENTIALS …).
_VARIABLES = {
    "s3": {
        "AWS_ACCESS_KEY_ID": "access_key_id",
        "AWS_SECRET_ACCESS_KEY": "secret_access_key",
        "AWS_SESSION_TOKEN": "session_token",
        "AWS_DEFAULT_REGION": "region",
        "AWS_REGION": "region",
        "AWS_ENDPOINT_URL": "endpoint",
        "AWS_ENDPOINT_URL_S3": "endpoint",
    },
    "gs": {"GOOGLE_SERVICE_ACCOUNT_KEY": "service_account_key"},
    "az": {
        "AZURE_STORAGE_ACCOUNT_NAME": "account_name",
        "AZURE_STORAGE_ACCOUNT_KEY": "account_key",
    },
}

TIMEOUT = 10.0
"""Seconds for a response, with retries, or between two chunks of it."""

# Requests are retried after a 5xx, a refused or broken connection, or half of TIMEOUT without data.
# The pauses double and have jitter, so that replicas do not retry all at once (AWS Builders'
# Library, "Timeouts, retries, and backoff with jitter").
_MAX_RETRIES = 3
_MIN_BACKOFF, _MAX_BACKOFF = timedelta(milliseconds=100), timedelta(seconds=2)

# Some stores leave out the quotes.
_STRONG = re.compile(r'"?([\x21\x23-\x7e\x80-\xff]+)"?')
_HEXADECIMAL = re.compile(r"[0-9a-f]{8,64}")

_STATUS = re.compile(r"non-2xx status code: ([0-9]{3})")
_ACCESS_ERRORS = {
    401: "the store refuses these credentials",
    403: "the store refuses these credentials",
    404: "there is no such bucket",
}


class StoreError(Exception):
    """A store cannot be used. The text names the setting and what is wrong with it."""


def is_store_url(text: str) -> bool:
    """Return whether a text is a URL and not a folder."""
    return _SCHEME.match(text) is not None


def validate_url(url: str) -> str:
    """Return the URL of a store without a final slash. Raises ValueError."""
    if _URL.fullmatch(url) is None or not {".", ".."}.isdisjoint(url.split("/")):
        raise ValueError(
            "should be a folder, or a bucket such as s3://bucket or s3://bucket/prefix "
            "(gs:// and az:// likewise)"
        )
    return url.rstrip("/")


def open_store(url: str, environ: Mapping[str, str], *, timeout: float = TIMEOUT) -> "ObjectStore":
    """Return a client of a store. No request is sent yet.

    `environ` has the standard variables (AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID …), or
    NAME_FILE with the path of a file that holds the value. `timeout` is in seconds. Raises
    StoreError.
    """
    try:
        validate_url(url)
    except ValueError as error:
        raise StoreError(f"{url!r}: {error}") from error
    try:
        from obstore.exceptions import BaseError  # noqa: PLC0415 # an optional dependency
        from obstore.store import from_url  # noqa: PLC0415
    except ImportError as error:
        raise StoreError(f"{url!r}: needs the extra `objects`: pip install '.[objects]'") from error
    config = _config(url.partition(":")[0], environ)
    endpoint = config.get("endpoint", "https://aws")
    if not _is_endpoint(endpoint):  # it may hold a password, so it is not shown
        raise StoreError(
            "AWS_ENDPOINT_URL: should be http:// or https://, a host, and maybe a port and a path"
        )
    try:
        return from_url(
            url,
            config=cast("Any", config),
            client_options={
                "allow_http": endpoint.startswith("http://"),
                "connect_timeout": timedelta(seconds=timeout / 2),
                "read_timeout": timedelta(seconds=timeout / 2),
                # For the whole response, which lasts as long as its reader takes.
                "timeout": timedelta(days=1),
                "pool_idle_timeout": timedelta(seconds=50),  # S3 and Swift close theirs after 60
            },
            retry_config={
                "max_retries": _MAX_RETRIES,
                "retry_timeout": timedelta(seconds=timeout),
                "backoff": {"init_backoff": _MIN_BACKOFF, "max_backoff": _MAX_BACKOFF, "base": 2},
            },
        )
    except (BaseError, ValueError) as error:
        raise StoreError(f"{url!r}: {error_summary(error)}") from error


def verify_access(url: str, environ: Mapping[str, str], *, timeout: float = TIMEOUT) -> None:
    """Check that a bucket exists and may be listed. Blocks.

    Raises StoreError.
    """
    store = open_store(url, environ, timeout=timeout)
    from obstore.exceptions import BaseError  # noqa: PLC0415 # open_store has imported it

    try:
        for _ in store.list(chunk_size=1):
            break
    except (BaseError, OSError) as error:
        problem = _ACCESS_ERRORS.get(http_status(error), "the store cannot be asked")
        raise StoreError(f"{url!r}: {problem}: {error_summary(error)}") from error


def revision_of(size: int, e_tag: str | None) -> str | None:
    """Return the revision of an object by its size in bytes and its entity tag.

    An entity tag that is not hexadecimal, as of multipart uploads, is replaced by its SHA-256.
    None if there is no strong one (RFC 9110 §13.1.1).
    """
    match = _STRONG.fullmatch(e_tag or "")
    if match is None:
        return None
    tag = match[1] if _HEXADECIMAL.fullmatch(match[1]) else sha256(match[1].encode()).hexdigest()
    return tagged_revision(size, tag)


def http_status(error: BaseException) -> int:
    """Return the status of a store's response if the error's text has it, else 0.

    For listings, obstore has it only in the text.
    """
    match = _STATUS.search(str(error))
    return int(match[1]) if match else 0


def error_summary(error: BaseException) -> str:
    """Return the text of obstore's error in one line, without debug output."""
    return " ".join(str(error).partition("\n\nDebug source")[0].split())[:500]


def _config(scheme: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Return obstore's options from the environment; the last variable of an option wins."""
    values = {}
    for variable, key in _VARIABLES[scheme].items():
        file, value = f"{variable}_FILE", environ.get(variable, "").strip()
        if os.environ.get(variable, "set").strip() == "":
            del os.environ[variable]  # obstore reads it, too, and takes an empty value
        if value and file in environ:
            raise StoreError(f"{variable} and {file} are both set: only one may be")
        if file in environ:
            try:
                value = Path(environ[file]).read_text(encoding="utf-8").strip()
            except (OSError, ValueError) as error:
                raise StoreError(
                    f"{file}={environ[file]!r}: the file cannot be read: {error}"
                ) from error
        if not value.isprintable():
            raise StoreError(f"{variable}: should be one line")
        if value:
            values[key] = value
    return values


def _is_endpoint(text: str) -> bool:
    """Return whether a text is an http(s) URL without user, query and fragment."""
    try:
        url = urlsplit(text)
        _ = url.port  # ValueError if it is invalid
    except ValueError:
        return False
    plain = not (url.username or url.password or url.query or url.fragment)
    right = url.scheme in {"http", "https"} and url.hostname and " " not in text
    return bool(right and plain)
