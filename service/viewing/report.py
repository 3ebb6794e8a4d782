"""The report of a player: what it measured since the one before. It names no viewer and no film."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from service.errors import HTTPError, InvalidRequestError

MAX_LENGTH = 1024
"""Bytes of a report. A player's has about 150."""

ErrorKind = Literal["interrupted", "network", "server", "gone", "decode", "unsupported"]

# A player reports every minute, or every two in a hidden window. Speeds go up to 3, rates to 240.
_Seconds = Annotated[float, Field(ge=0, le=300)]
_Count = Annotated[int, Field(ge=0, le=1000)]
_Frames = Annotated[int, Field(ge=0, le=300_000)]

_MAX_REASONS = 3
_MAX_NAME_LENGTH = 40  # characters of a name that a client sent


class ViewingReport(BaseModel):
    """What a player measured."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    first_frame: Annotated[float, Field(ge=0, le=600)] | None = None
    """Seconds from the press on play until the film played; once for each film."""
    played: _Seconds = 0
    stalled: _Seconds = 0
    """Seconds that the viewer waited after the film had begun, without having sought."""
    stalls: _Count = 0
    """How often such a wait began."""
    frames: _Frames = 0
    dropped: _Frames = 0
    """How many of `frames` were not shown."""
    errors: dict[ErrorKind, _Count] = {}

    @model_validator(mode="after")
    def _check_dropped(self) -> "ViewingReport":
        if self.dropped > self.frames:
            raise ValueError("more frames were dropped than there were")
        return self


def parse(body: bytes) -> ViewingReport:
    """Return the report in a request's body. Raises HTTPError, InvalidRequestError."""
    if len(body) > MAX_LENGTH:
        raise HTTPError(413, f"A report has {MAX_LENGTH} bytes at most.", {})
    try:
        return ViewingReport.model_validate_json(body)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        reasons = [f"{_name(one['loc'])}{one['msg']}" for one in found[:_MAX_REASONS]]
        raise InvalidRequestError("; ".join(reasons)) from error


def _name(location: tuple[int | str, ...]) -> str:
    name = ".".join(map(str, location))[:_MAX_NAME_LENGTH]
    return f"{name}: " if name else ""
