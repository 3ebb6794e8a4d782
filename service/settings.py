"""The settings, read once from the environment. Invalid ones stop the start with a message."""

import difflib
import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from service.protocol import origin_list
from service.storage.ignore_patterns import parse_patterns
from service.storage.object_store.config import TIMEOUT, is_store_url, validate_url

PREFIX = "REELAY_"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Variables of docker-compose.yml and the edge, which may be in the same environment.
EDGE_VARIABLES = frozenset(
    PREFIX + name
    for name in (
        "MEDIA_DIR",
        "BIND",
        "HTTP_PORT",
        "HTTPS_PORT",
        "OPERATOR_PORT",
        "HOSTNAME",
        "TLS_DIR",
        "SERVICE",
        "CACHE_SIZE",
        "CONNECTIONS_PER_CLIENT",
        "REQUESTS_PER_CLIENT",
        "HSTS_MAX_AGE",
        "PROXY_PROTOCOL",
        "EDGES",
        "EDGE_NAME",
        "ACME_EMAIL",
        "ACME_SERVER",
        "ACME_CA",
        "ACME_INTERVAL",
        "REQUIRE_STACK",
    )
)

# Kubernetes sets these for a Service named reelay.
_KUBERNETES_VARIABLE = re.compile(
    PREFIX + r"(SERVICE_HOST|SERVICE_PORT\w*|PORT|PORT_[0-9]+_(TCP|UDP)\w*)"
)

# Credentials in a store's URL, which must not appear in logs.
_CREDENTIALS = re.compile(r"(://)[^/]*@|(?<=[?&])[^=&]*=[^&]*")

_UNITS = {"": 1, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_SIZE = re.compile(r"([0-9]{1,12}) ?(|KiB|MiB|GiB)", re.ASCII | re.IGNORECASE)

_LISTEN = re.compile(r"(?:\[([0-9A-Fa-f:.]+(?:%\w+)?)\]|([^\[\]:\s]+)):([0-9]{1,5})", re.ASCII)
_MAX_PORT = 65535

_HOST_NAME = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*", re.ASCII)

# An address, or a network with its prefix length. 10-settings.envsh accepts the same.
_NETWORK = re.compile(r"[0-9A-Fa-f:.]+(?:/[0-9]{1,3})?", re.ASCII)

# The minimum keeps the overhead of a request small; the maximum is what an edge may have to buffer
# for one viewer. nginx/docker-entrypoint.d/10-settings.envsh has the same two.
_MIN_BLOCK, _MAX_BLOCK = 64 * 2**10, 2**30

# Less would not hold the artefacts of one film and the probe results of a library.
_MIN_DERIVED = 16 * 2**20


class SettingsError(Exception):
    """Invalid settings: one line for each variable."""


def parse_size(text: object) -> int:
    """Return a number of bytes from a text such as 4MiB or 65536. Raises ValueError."""
    match = _SIZE.fullmatch(str(text))
    if match is None:
        raise ValueError("should be a number of bytes such as 4MiB, 512KiB or 1048576")
    return int(match[1]) * _UNITS[match[2].upper()]


def _block_size(size: int) -> int:
    if not _MIN_BLOCK <= size <= _MAX_BLOCK:
        raise ValueError("should lie between 64KiB and 1GiB")
    return size


def _derived_size(size: int) -> int:
    if size < _MIN_DERIVED:
        raise ValueError("should be 16MiB or more")
    return size


def _listen(text: object) -> tuple[str, int]:
    match = _LISTEN.fullmatch(str(text))
    if match is None or int(match[3]) > _MAX_PORT:
        raise ValueError("should be ADDRESS:PORT, such as 127.0.0.1:8000 or [::]:8000")
    return match[1] or match[2], int(match[3])


def _folder(text: object) -> Path:
    if not str(text):
        raise ValueError("should be the name of a folder")
    try:
        return Path(str(text)).expanduser()
    except RuntimeError as error:  # there is no such user, or none
        raise ValueError("should be a folder that exists") from error


def _derived(text: object) -> Path | str:
    return validate_url(str(text)) if is_store_url(str(text)) else _folder(text)


def _media(text: object) -> Path | str:
    if is_store_url(str(text)):
        return validate_url(str(text))
    folder = _folder(text)
    if not folder.is_dir():
        raise ValueError("should be a folder that exists")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise ValueError("should be a folder that this user may read")
    return folder.resolve()


def _networks(text: object) -> tuple[Network, ...]:
    words = str(text).replace(",", " ").split()
    try:
        if all(_NETWORK.fullmatch(word) for word in words):
            return tuple(ipaddress.ip_network(word, strict=False) for word in words)
    except ValueError:
        pass
    raise ValueError("should be addresses and networks such as 10.0.0.0/8, 2001:db8::7")


def _hosts(text: object) -> tuple[str, ...]:
    names = str(text).lower().replace(",", " ").split()
    if not all(_HOST_NAME.fullmatch(name) for name in names):
        raise ValueError("should be host names such as video.example.org, video.lan")
    return tuple(names)


def _default_derived() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "reelay"


Seconds = Annotated[float, Field(gt=0, le=86400, allow_inf_nan=False)]


class Settings(BaseModel):
    """The settings, each from REELAY_<NAME> or from the file that REELAY_<NAME>_FILE names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    media: Annotated[Path | str, BeforeValidator(_media)] = Field(
        default=Path("media"),
        validate_default=True,
        description="The folder of videos, or an object store's: s3://bucket/prefix",
    )
    listen: Annotated[tuple[str, int], BeforeValidator(_listen)] = Field(
        default=("127.0.0.1", 8000), description="Address and port to listen on"
    )
    max_partial_size: Annotated[int, AfterValidator(_block_size), BeforeValidator(parse_size)] = (
        Field(
            default=4 * 2**20,
            description="The block size: the maximum length of a partial response",
        )
    )
    derived: Annotated[Path | str, BeforeValidator(_derived)] = Field(
        default_factory=_default_derived,
        validate_default=True,
        description="Where artefacts of videos are stored: a folder, or s3://bucket/prefix",
    )
    derived_size: Annotated[int, AfterValidator(_derived_size), BeforeValidator(parse_size)] = (
        Field(
            default=2 * 2**30,
            description="The maximum bytes of artefacts; the least recently used go",
        )
    )
    sound: Literal["on", "off"] = Field(
        default="on", description="Whether sound that browsers play is made for films that lack it"
    )
    workers: Annotated[int, Field(ge=1, le=64)] = Field(
        default=1, description="Processes that build posters, storyboards and captions"
    )
    stall_timeout: Seconds = Field(
        default=30, description="Seconds without progress that end a response"
    )
    drain_delay: Annotated[float, Field(ge=0, le=3600)] = Field(
        default=2, description="Seconds at a stop between not being ready and closing the port"
    )
    drain_timeout: Seconds = Field(
        default=25, description="The maximum seconds that a stop may take"
    )
    rescan_interval: Seconds = Field(
        default=60, description="Seconds between scans, besides those caused by events"
    )
    settle_time: Annotated[float, Field(ge=0, le=3600)] = Field(
        default=3, description="Seconds for which a file must be unchanged to be listed"
    )
    embed_origins: Annotated[str, BeforeValidator(origin_list.parse)] = Field(
        default="*", description="The origins whose pages may embed the player: *, none, or a list"
    )
    cors_origins: Annotated[str, BeforeValidator(origin_list.parse)] = Field(
        default="none", description="The origins whose scripts may read responses: likewise"
    )
    ignore: Annotated[tuple[str, ...], BeforeValidator(parse_patterns)] = Field(
        default=(), description="What is left out of the library: patterns as in .gitignore"
    )
    hosts: Annotated[tuple[str, ...], BeforeValidator(_hosts)] = Field(
        default=(), description="The host names that are answered; none: any"
    )
    trusted_proxies: Annotated[tuple[Network, ...], BeforeValidator(_networks)] = Field(
        default=(), description="Proxies whose forwarding headers are trusted: addresses, networks"
    )
    search_engines: Literal["off", "on"] = Field(
        default="off", description="Whether search engines may list the pages"
    )
    block_cache: Annotated[int, BeforeValidator(parse_size)] = Field(
        default=64 * 2**20, description="The maximum bytes of objects that are cached in memory"
    )
    store_timeout: Seconds = Field(
        default=TIMEOUT, description="Seconds that an object store may take to respond"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The minimum severity of log lines"
    )


def load(environment: Mapping[str, str]) -> Settings:
    """Read the settings. Raises SettingsError with a line for each invalid variable."""
    values, problems = _read_values(environment)
    if "PORT" in environment and "listen" not in values:
        port = environment["PORT"]
        if re.fullmatch(r"[0-9]{1,5}", port, re.ASCII) and int(port) <= _MAX_PORT:
            values["listen"] = f"0.0.0.0:{port}"
        else:
            problems.append(f"PORT={port!r}: should be a port, 0 to {_MAX_PORT}")
    try:
        settings = Settings(**values)
    except ValidationError as error:
        for detail in error.errors():
            name = str(detail["loc"][0])
            variable, value = PREFIX + name.upper(), str(values.get(name, detail["input"]))
            message = detail["msg"].removeprefix("Value error, ")
            if not any(
                problem.startswith((variable + "=", variable + "_FILE")) for problem in problems
            ):
                shown = _CREDENTIALS.sub(r"\1…", value)
                problems.append(f"{variable}={shown!r}: {message[:1].lower()}{message[1:]}")
    if problems:
        raise SettingsError("\n".join(problems))
    return settings


def listen_source(environment: Mapping[str, str]) -> str:
    """Return the variable that the listening address came from, with its value."""
    listen = PREFIX + "LISTEN"
    for variable in (listen, f"{listen}_FILE", "PORT"):
        if variable in environment:
            return f"{variable}={environment[variable]!r}"
    return f"{listen}={Settings.model_fields['listen'].default!r}"


def _is_foreign_variable(variable: str) -> bool:
    return variable in EDGE_VARIABLES or _KUBERNETES_VARIABLE.fullmatch(variable) is not None


def _read_values(environment: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Return each setting's text, from its variable or its _FILE variable, and the errors."""
    values: dict[str, Any] = {}
    problems: list[str] = []
    known = {PREFIX + name.upper(): name for name in Settings.model_fields}
    for variable, value in sorted(environment.items()):
        target = variable.removesuffix("_FILE")
        if variable in known:
            values[known[variable]] = value
        elif target in known and target in environment:
            problems.append(f"{target} and {variable} are both set: only one may be")
        elif target in known:
            try:
                values[known[target]] = Path(value).read_text(encoding="utf-8").strip()
            except (OSError, ValueError) as error:
                problems.append(f"{variable}={value!r}: the file cannot be read: {error}")
        elif variable.startswith(PREFIX) and not _is_foreign_variable(variable):
            bare = [name.removeprefix(PREFIX) for name in known]
            close = difflib.get_close_matches(variable.removeprefix(PREFIX), bare, 1)
            hint = f"; did you mean {PREFIX}{close[0]}?" if close else ""
            problems.append(f"{variable}: there is no such setting{hint}")
    return values, problems
