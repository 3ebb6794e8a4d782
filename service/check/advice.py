"""What usually causes each problem, and what to set in which product: `advice.toml`."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from service.check.results import Problem


@dataclass(frozen=True, slots=True)
class Advice:
    """The usual cause, and what to set, by product."""

    cause: str
    settings: dict[str, str]


@cache
def advice() -> dict[Problem, Advice]:
    """Return the advice on every problem."""
    text = files(__package__).joinpath("advice.toml").read_text(encoding="utf-8")
    data = tomllib.loads(text)
    return {
        Problem(name): Advice(entry["cause"], data["settings"][entry["settings"]])
        for name, entry in data["problems"].items()
    }


# Which fields of a response name a product (lower case).
_TRACES = (
    ("Cloudflare", "cf-ray", ""),
    ("Varnish", "x-varnish", ""),
    ("Varnish", "via", "varnish"),
    ("Caddy", "server", "caddy"),
    ("Caddy", "via", "caddy"),
    ("Apache", "server", "apache"),
    ("Apache", "via", "apache"),
    ("nginx", "server", "nginx"),
)


def products_in(fields: tuple[tuple[str, str], ...]) -> list[str]:
    """Return the products that header fields of a response name."""
    return list(
        dict.fromkeys(
            product
            for product, name, word in _TRACES
            for field, value in fields
            if field == name and word in value.lower()
        )
    )
