"""Growth of the service's own metrics."""

from support.raw_http import ask
from support.stack import Stack


class Fetched:
    """Requests and bytes that the service has counted since this object was created."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._before = self._read()

    def _read(self) -> dict[str, float]:
        text = ask(self._stack.operator, "/metrics").body.decode()
        lines = [line.rpartition(" ") for line in text.splitlines() if line[0] != "#"]
        return {name: float(value) for name, _, value in lines}

    def since(self, name: str) -> float:
        now = self._read()
        return sum(now[n] - self._before.get(n, 0) for n in now if n.startswith(name))

    @property
    def media_requests(self) -> float:
        return self.since('reelay_requests_total{method="GET",route="media"')

    @property
    def sent_bytes(self) -> float:
        return self.since('reelay_sent_bytes_total{route="media"')
