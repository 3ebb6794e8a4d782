"""What players have reported, by the metrics of a stack."""

from support.raw_http import ask
from support.stack import Stack


def viewing(stack: Stack) -> dict[str, float]:
    """Return the sums of reports, by the name of the series after `reelay_viewing_`."""
    prefix = "reelay_viewing_"
    lines = ask(stack.operator, "/metrics").body.decode().splitlines()
    series = [line.removeprefix(prefix).rsplit(" ", 1) for line in lines if line.startswith(prefix)]
    return {name: float(value) for name, value in series}


def added(stack: Stack, before: dict[str, float], name: str) -> float:
    return viewing(stack).get(name, 0) - before.get(name, 0)
