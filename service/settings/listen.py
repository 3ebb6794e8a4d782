"""The address to listen on, read without the other settings: the health check must be light."""

from collections.abc import Mapping
from pathlib import Path

from service.settings.values import listen_on_port, parse_listen

DEFAULT_LISTEN = ("127.0.0.1", 8000)

_VARIABLE = "REELAY_LISTEN"


def listen_source(environment: Mapping[str, str]) -> str:
    """Return the variable that the listening address comes from, with its value."""
    for variable in (_VARIABLE, f"{_VARIABLE}_FILE", "PORT"):
        if variable in environment:
            return f"{variable}={environment[variable]!r}"
    return f"{_VARIABLE}={':'.join(map(str, DEFAULT_LISTEN))!r}"


def listening_address(environment: Mapping[str, str]) -> tuple[str, int]:
    """Return the address and the port. Raises ValueError, and OSError if no file can be read."""
    text = environment.get(_VARIABLE)
    if text is None and (file := environment.get(f"{_VARIABLE}_FILE")) is not None:
        text = Path(file).read_text(encoding="utf-8").strip()
    if text is None and (port := environment.get("PORT")) is not None:
        text = listen_on_port(port)
    return DEFAULT_LISTEN if text is None else parse_listen(text)
