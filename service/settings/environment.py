"""The settings, read once from the environment. Invalid ones stop the start with a message."""

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from service.protocol import origin_list
from service.settings.listen import DEFAULT_LISTEN
from service.settings.values import (
    Network,
    check_block_size,
    check_derived_size,
    default_derived,
    folder_or_store,
    listen_on_port,
    optional_folder_or_store,
    optional_text,
    parse_addresses,
    parse_allowed,
    parse_header_name,
    parse_hosts,
    parse_issuer,
    parse_key,
    parse_listen,
    parse_media,
    parse_networks,
    parse_secret,
    parse_size,
)
from service.storage.ignore_patterns import parse_patterns
from service.storage.object_store.config import TIMEOUT

PREFIX = "REELAY_"

# Variables of the compose files and the edge, which may be in the same environment.
EDGE_VARIABLES = frozenset(
    PREFIX + name
    for name in (
        "IMAGES",
        "VERSION",
        "MEDIA_DIR",
        "BIND",
        "HTTP_PORT",
        "HTTPS_PORT",
        "OPERATOR_PORT",
        "HOSTNAME",
        "TLS_DIR",
        "SERVICE",
        "CACHE_SIZE",
        "CACHE_MIN_USES",
        "CACHE_MEMORY",
        "OVERLOAD_DELAY",
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
        "PROMETHEUS_PORT",
        "ALERTMANAGERS",
        "REQUIRE_STACK",
    )
)

# Kubernetes sets these for a Service named reelay.
_KUBERNETES_VARIABLE = re.compile(
    PREFIX + r"(SERVICE_HOST|SERVICE_PORT\w*|PORT|PORT_[0-9]+_(TCP|UDP)\w*)"
)

# Settings whose values must not appear in logs.
_SECRETS = frozenset({"key", "password", "oidc_client_secret", "metrics_token"})

# Credentials in a store's URL, which must not appear in logs.
_CREDENTIALS = re.compile(r"(://)[^/]*@|(?<=[?&])[^=&]*=[^&]*")


class SettingsError(Exception):
    """Invalid settings: one line for each variable."""


Seconds = Annotated[float, Field(gt=0, le=86400, allow_inf_nan=False)]


class Settings(BaseModel):
    """The settings, each from REELAY_<NAME> or from the file that REELAY_<NAME>_FILE names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @property
    def has_access_control(self) -> bool:
        """Whether the library is open only to people who sign in, and by share links."""
        return any((self.password, self.oidc_issuer, self.auth_header))

    media: Annotated[Path | str, BeforeValidator(parse_media)] = Field(
        default=Path("media"),
        validate_default=True,
        description="The folder of videos, or an object store's: s3://bucket/prefix",
    )
    listen: Annotated[tuple[str, int], BeforeValidator(parse_listen)] = Field(
        default=DEFAULT_LISTEN, description="Address and port to listen on"
    )
    max_partial_size: Annotated[
        int, AfterValidator(check_block_size), BeforeValidator(parse_size)
    ] = Field(
        default=4 * 2**20,
        description="The block size: the maximum length of a partial response",
    )
    derived: Annotated[Path | str, BeforeValidator(folder_or_store)] = Field(
        default_factory=default_derived,
        validate_default=True,
        description="Where artefacts of videos are stored: a folder, or s3://bucket/prefix",
    )
    derived_size: Annotated[
        int, AfterValidator(check_derived_size), BeforeValidator(parse_size)
    ] = Field(
        default=2 * 2**30,
        description="The maximum bytes of artefacts; the least recently used go",
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
    hosts: Annotated[tuple[str, ...], BeforeValidator(parse_hosts)] = Field(
        default=(), description="The host names that are answered; none: any"
    )
    trusted_proxies: Annotated[tuple[Network, ...], BeforeValidator(parse_networks)] = Field(
        default=(), description="Proxies whose forwarding headers are trusted: addresses, networks"
    )
    search_engines: Literal["off", "on"] = Field(
        default="off", description="Whether search engines may list the pages"
    )
    viewing_reports: Literal["on", "off"] = Field(
        default="on", description="Whether players report how films played"
    )
    password: Annotated[str | None, BeforeValidator(parse_secret)] = Field(
        default=None, description="The word that opens the library; none: it is open to everybody"
    )
    oidc_issuer: Annotated[str | None, BeforeValidator(parse_issuer)] = Field(
        default=None, description="The OpenID provider that signs people in: its URL"
    )
    oidc_client_id: Annotated[str | None, BeforeValidator(optional_text)] = Field(
        default=None, description="The name of this library at the provider"
    )
    oidc_client_secret: Annotated[str | None, BeforeValidator(parse_secret)] = Field(
        default=None, description="Its secret there; none: a public client"
    )
    oidc_allowed: Annotated[tuple[str, ...], BeforeValidator(parse_allowed)] = Field(
        default=(), description="Who may sign in: e-mail addresses, @domain, group:NAME, or *"
    )
    auth_header: Annotated[str | None, BeforeValidator(parse_header_name)] = Field(
        default=None, description="The header in which trusted proxies name who signed in"
    )
    state: Annotated[Path | str | None, BeforeValidator(optional_folder_or_store)] = Field(
        default=None,
        description="Where share links are kept: a folder, or s3://bucket/prefix",
    )
    key: Annotated[str | None, BeforeValidator(parse_key)] = Field(
        default=None, description="The key of share links and sessions; by default in the state"
    )
    metrics_token: Annotated[str | None, BeforeValidator(parse_secret)] = Field(
        default=None, description="The bearer token for /metrics, if the library is not open"
    )
    replicas: Annotated[tuple[tuple[str, int], ...], BeforeValidator(parse_addresses)] = Field(
        default=(), description="Names and ports that lead to all replicas; none: only this one"
    )
    edge_metrics: Annotated[tuple[tuple[str, int], ...], BeforeValidator(parse_addresses)] = Field(
        default=(), description="Names and ports that lead to the operators' ports of all edges"
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
        try:
            values["listen"] = listen_on_port(port)
        except ValueError as error:
            problems.append(f"PORT={port!r}: {error}")
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
                shown = "…" if name in _SECRETS else _CREDENTIALS.sub(r"\1…", value)
                problems.append(f"{variable}={shown!r}: {message[:1].lower()}{message[1:]}")
    if problems:
        raise SettingsError("\n".join(problems))
    return settings


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
        # Compose passes variables that are not set as empty ones.
        elif target in known and environment.get(target):
            problems.append(f"{target} and {variable} are both set: only one may be")
        elif target in known:
            try:
                text = Path(value).read_text(encoding="utf-8").strip()
            except (OSError, ValueError) as error:
                problems.append(f"{variable}={value!r}: the file cannot be read: {error}")
                continue
            if not text and known[target] in _SECRETS:  # would open the library to everybody
                problems.append(f"{variable}={value!r}: the file is empty")
            values[known[target]] = text
        elif variable.startswith(PREFIX) and not _is_foreign_variable(variable):
            bare = [name.removeprefix(PREFIX) for name in known]
            close = difflib.get_close_matches(variable.removeprefix(PREFIX), bare, 1)
            hint = f"; did you mean {PREFIX}{close[0]}?" if close else ""
            problems.append(f"{variable}: there is no such setting{hint}")
    return values, problems
