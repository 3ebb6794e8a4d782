"""Reads the values of settings from their texts. Every function raises ValueError."""

import ipaddress
import os
import re
from pathlib import Path

from service.storage.object_store.config import is_store_url, validate_url

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_UNITS = {"": 1, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_SIZE = re.compile(r"([0-9]{1,12}) ?(|KiB|MiB|GiB)", re.ASCII | re.IGNORECASE)

_LISTEN = re.compile(r"(?:\[([0-9A-Fa-f:.]+(?:%\w+)?)\]|([^\[\]:\s]+)):([0-9]{1,5})", re.ASCII)
_MAX_PORT = 65535

_HOST_NAME = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*", re.ASCII)

_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)

# An address, or a network with its prefix length. 10-settings.envsh accepts the same.
_NETWORK = re.compile(r"[0-9A-Fa-f:.]+(?:/[0-9]{1,3})?", re.ASCII)

# Without a query and a fragment (OpenID Connect Discovery §3).
_ISSUER = re.compile(
    r"https://[^\s?#]+|http://(?:localhost|127\.0\.0\.1)(?:[:/][^\s?#]*)?", re.ASCII
)

MAX_SECRET = 1000
"""Characters of a password: as many of a form are read."""

_KEY = re.compile(r"[0-9a-f]{64}", re.ASCII)

# RFC 9110 §5.6.2, without the characters that no header in use has.
_HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)

# The minimum keeps the overhead of a request small; the maximum is what an edge may have to buffer
# for one viewer. nginx/docker-entrypoint.d/10-settings.envsh has the same two.
_MIN_BLOCK, _MAX_BLOCK = 64 * 2**10, 2**30

# Less would not hold the artefacts of one film and the probe results of a library.
_MIN_DERIVED = 16 * 2**20


def parse_size(text: object) -> int:
    """Return a number of bytes from a text such as 4MiB or 65536. Raises ValueError."""
    match = _SIZE.fullmatch(str(text))
    if match is None:
        raise ValueError("should be a number of bytes such as 4MiB, 512KiB or 1048576")
    return int(match[1]) * _UNITS[match[2].upper()]


def check_block_size(size: int) -> int:
    if not _MIN_BLOCK <= size <= _MAX_BLOCK:
        raise ValueError("should lie between 64KiB and 1GiB")
    return size


def check_derived_size(size: int) -> int:
    if size < _MIN_DERIVED:
        raise ValueError("should be 16MiB or more")
    return size


def parse_listen(text: object) -> tuple[str, int]:
    match = _LISTEN.fullmatch(str(text))
    if match is None or int(match[3]) > _MAX_PORT:
        raise ValueError("should be ADDRESS:PORT, such as 127.0.0.1:8000 or [::]:8000")
    return match[1] or match[2], int(match[3])


def listen_on_port(text: str) -> str:
    """Return the text of the address if only a port is set, as container platforms do."""
    if not _PORT.fullmatch(text) or int(text) > _MAX_PORT:
        raise ValueError(f"should be a port, 0 to {_MAX_PORT}")
    return f"0.0.0.0:{text}"


def parse_folder(text: object) -> Path:
    if not str(text):
        raise ValueError("should be the name of a folder")
    try:
        return Path(str(text)).expanduser()
    except RuntimeError as error:  # there is no such user, or none
        raise ValueError("should be a folder that exists") from error


def folder_or_store(text: object) -> Path | str:
    return validate_url(str(text)) if is_store_url(str(text)) else parse_folder(text)


def parse_media(text: object) -> Path | str:
    if is_store_url(str(text)):
        return validate_url(str(text))
    folder = parse_folder(text)
    if not folder.is_dir():
        raise ValueError("should be a folder that exists")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise ValueError("should be a folder that this user may read")
    return folder.resolve()


def parse_networks(text: object) -> tuple[Network, ...]:
    words = str(text).replace(",", " ").split()
    try:
        if all(_NETWORK.fullmatch(word) for word in words):
            return tuple(ipaddress.ip_network(word, strict=False) for word in words)
    except ValueError:
        pass
    raise ValueError("should be addresses and networks such as 10.0.0.0/8, 2001:db8::7")


def parse_hosts(text: object) -> tuple[str, ...]:
    names = str(text).lower().replace(",", " ").split()
    if not all(_HOST_NAME.fullmatch(name) for name in names):
        raise ValueError("should be host names such as video.example.org, video.lan")
    return tuple(names)


def parse_addresses(text: object) -> tuple[tuple[str, int], ...]:
    """Return the host names and ports in a list."""
    addresses = []
    for word in str(text).lower().replace(",", " ").split():
        host, _, port = word.rpartition(":")
        if not _HOST_NAME.fullmatch(host) or not _PORT.fullmatch(port) or int(port) > _MAX_PORT:
            raise ValueError("should be names with ports, such as service:8000")
        addresses.append((host, int(port)))
    return tuple(addresses)


def optional_text(text: object) -> str | None:
    """Return a text; None if it is empty, as Compose passes variables that are not set."""
    return str(text).strip() or None


def parse_secret(text: object) -> str | None:
    """Return a secret without white space around it; None if it is not set."""
    secret = str(text).strip()
    if text and not secret:
        raise ValueError("should not be white space alone")
    if len(secret) > MAX_SECRET:
        raise ValueError(f"should have at most {MAX_SECRET} characters")
    return secret or None


def parse_key(text: object) -> str | None:
    key = optional_text(text)
    if key is not None and _KEY.fullmatch(key) is None:
        raise ValueError("should be 64 hexadecimal digits, as `openssl rand -hex 32` prints them")
    return key


def parse_issuer(text: object) -> str | None:
    """Return an issuer's URL: with HTTPS (OpenID Connect Core §2), unless on this machine."""
    issuer = optional_text(text)
    if issuer is not None and _ISSUER.fullmatch(issuer) is None:
        raise ValueError("should be an HTTPS URL, such as https://login.example.org")
    return issuer


def parse_allowed(text: object) -> tuple[str, ...]:
    """Return who may sign in: e-mail addresses, domains, groups or all."""
    names = [name.strip() for name in str(text).split(",") if name.strip()]
    names = [name if name.startswith("group:") else name.lower() for name in names]
    if not all(name == "*" or "@" in name or name.startswith("group:") for name in names):
        raise ValueError("should be such as ada@example.org, @example.org, group:family, or *")
    return tuple(names)


def parse_header_name(text: object) -> str | None:
    name = optional_text(text)
    if name is not None and _HEADER_NAME.fullmatch(name) is None:
        raise ValueError("should be the name of a header, such as Remote-User")
    return name


def optional_folder_or_store(text: object) -> Path | str | None:
    return folder_or_store(text) if optional_text(text) else None


def default_state() -> Path:
    """Return the folder of the state. Raises ValueError if this user has no home."""
    return parse_folder(Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state") / "reelay")


def default_derived() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "reelay"
