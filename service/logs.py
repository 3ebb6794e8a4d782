"""Logging in JSON lines on standard output, for this code and its libraries."""

import asyncio
import json
import logging
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from typing import TextIO, cast

import structlog

_FLUSH_DELAY = 0.1  # seconds

_to_json = json.JSONEncoder(default=repr).encode


def _add_timestamp(
    _logger: object, level: str, event: structlog.typing.EventDict
) -> dict[str, object]:
    return {**event, "timestamp": _timestamp(), "level": level}


def _render(_logger: object, _level: str, event: structlog.typing.EventDict) -> str:
    return _to_json(event)


def _timestamp() -> str:
    seconds, rest = divmod(time.time_ns(), 1_000_000_000)
    return f"{_format_second(seconds)}.{rest // 1000:06}Z"


@lru_cache(1)
def _format_second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


_SHARED: tuple[structlog.typing.Processor, ...] = (
    _add_timestamp,
    structlog.processors.format_exc_info,
)


class _LogOutput:
    """Standard output, without what cannot be written, as to a full disk: no work fails by it."""

    def write(self, text: str) -> None:
        with suppress(OSError):
            sys.stdout.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stdout.flush()


_output = _LogOutput()


def configure(level: str) -> None:
    """Write all lines of `level` and above to standard output."""
    structlog.configure(
        processors=[*_SHARED, _render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _output)),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(_output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _render],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    logging.getLogger("httpx2").setLevel("WARNING")  # at "info" it reports each of its requests


class RequestLog:
    """Writes a line for each request, at the level `info`.

    It bypasses structlog and flushes several lines at a time: otherwise a line would take a sixth
    of the processor time of a short response.
    """

    def __init__(self) -> None:
        self._flush: asyncio.TimerHandle | None = None

    def write(self, fields: Mapping[str, object]) -> None:
        """Write a line. It is flushed within _FLUSH_DELAY seconds, on a terminal at once."""
        if not logging.root.isEnabledFor(logging.INFO):
            return
        line = {"event": "request", **fields, "timestamp": _timestamp(), "level": "info"}
        _output.write(f"{_to_json(line)}\n")
        if self._flush is None:
            self._flush = asyncio.get_running_loop().call_later(_FLUSH_DELAY, self._flush_now)

    def _flush_now(self) -> None:
        self._flush = None
        _output.flush()
