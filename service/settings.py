"""The environment, read once into a frozen value. What is wrong stops the start, named."""

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)

PREFIX = "REELAY_"

# Read by docker-compose.yml and the edge: they may stand in the same environment.
COMPOSE_ONLY = frozenset(
    PREFIX + name
    for name in (
        "MEDIA_DIR",
        "BIND",
        "HTTP_PORT",
        "HTTPS_PORT",
        "OPERATOR_PORT",
        "HOSTNAME",
        "TLS_DIR",
        "CACHE_SIZE",
        "REQUIRE_STACK",
    )
)

_UNITS = {"": 1, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_SIZE = re.compile(r"([0-9]{1,12})\s*(|KiB|MiB|GiB)", re.ASCII | re.IGNORECASE)

# The least keeps the cost of a request small beside its bytes; the most is what an edge may have to
# hold for one viewer. nginx/docker-entrypoint.d/10-settings.envsh has the same two.
_LEAST_BLOCK, _MOST_BLOCK = 64 * 2**10, 2**30


class SettingsError(Exception):
    """Settings that cannot be used: a line for each, naming the variable."""


def parse_size(text: object) -> int:
    """Read a number of bytes such as 4MiB or 65536. Raises ValueError."""
    match = _SIZE.fullmatch(str(text).strip())
    if match is None:
        raise ValueError("should be a number of bytes such as 4MiB, 512KiB or 1048576")
    return int(match[1]) * _UNITS[match[2].upper()]


def _block_size(size: int) -> int:
    if not _LEAST_BLOCK <= size <= _MOST_BLOCK:
        raise ValueError("should lie between 64KiB and 1GiB")
    return size


def _listen(text: object) -> tuple[str, int]:
    host, colon, port = str(text).rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65535:  # noqa: PLR2004
        raise ValueError("should be ADDRESS:PORT, such as 127.0.0.1:8000 or [::]:8000")
    return host.strip("[]"), int(port)


def _media(text: object) -> Path:
    if re.match(r"[a-z0-9+]+://", str(text)):
        raise ValueError("should be a folder: object stores cannot be served yet")
    folder = Path(str(text)).expanduser()
    if not folder.is_dir():
        raise ValueError("should be a folder that exists")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise ValueError("should be a folder that this user may read")
    return folder.resolve()


def _default_derived() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "reelay"


Seconds = Annotated[float, Field(gt=0, le=86400, allow_inf_nan=False)]


class Settings(BaseModel):
    """Every setting; each is read from REELAY_<NAME>, or from the file named by
    REELAY_<NAME>_FILE."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    media: Annotated[Path, BeforeValidator(_media)] = Field(
        default=Path("media"), validate_default=True, description="The folder of videos"
    )
    listen: Annotated[tuple[str, int], BeforeValidator(_listen)] = Field(
        default=("127.0.0.1", 8000), description="Address and port to listen on"
    )
    max_partial_size: Annotated[int, AfterValidator(_block_size), BeforeValidator(parse_size)] = (
        Field(default=4 * 2**20, description="The block: the most that a partial response holds")
    )
    derived: Path = Field(
        default_factory=_default_derived, description="Where what is derived from videos is kept"
    )
    stall_timeout: Seconds = Field(
        default=30, description="Seconds without progress that end a response"
    )
    drain_delay: Annotated[float, Field(ge=0, le=3600)] = Field(
        default=2, description="Seconds between not being ready and accepting nothing, at a stop"
    )
    drain_timeout: Seconds = Field(default=25, description="The most seconds that a stop may take")
    rescan_interval: Seconds = Field(
        default=60, description="Seconds between scans, besides those that events cause"
    )
    settle_time: Annotated[float, Field(ge=0, le=3600)] = Field(
        default=3, description="Seconds for which a file must be unchanged to be listed"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least severe log lines to write"
    )


def load(environment: Mapping[str, str]) -> Settings:
    """Read the settings. Raises SettingsError, a line for each variable that is wrong."""
    values, problems = _read(environment)
    if platform_port := "PORT" in environment and "listen" not in values:
        values["listen"] = f"0.0.0.0:{environment['PORT']}"
    try:
        settings = Settings(**values)
    except ValidationError as error:
        for detail in error.errors():
            name = str(detail["loc"][0])
            variable, value = PREFIX + name.upper(), str(values.get(name, detail["input"]))
            if name == "listen" and platform_port:
                variable, value = "PORT", environment["PORT"]
            message = detail["msg"].removeprefix("Value error, ")
            problems.append(f"{variable}={value!r}: {message[:1].lower()}{message[1:]}")
    if problems:
        raise SettingsError("\n".join(problems))
    return settings


def _read(environment: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Find each setting's text, in its variable or in the file that its _FILE variable names."""
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
        elif variable.startswith(PREFIX) and variable not in COMPOSE_ONLY:
            close = difflib.get_close_matches(variable, known, 1)
            hint = f"; did you mean {close[0]}?" if close else ""
            problems.append(f"{variable}: there is no such setting{hint}")
    return values, problems
