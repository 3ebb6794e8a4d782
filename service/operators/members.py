"""Reads the metrics of all replicas and edges, which DNS names lead to."""

import asyncio
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from httpx2 import AsyncClient

Series = Mapping[str, float]
"""Values by name and labels, as in Prometheus' text format."""

Kind = Literal["replica", "edge"]

Address = tuple[str, int]

_PATHS: Mapping[Kind, str] = {"replica": "/metrics", "edge": "/edge/metrics"}

_TIMEOUT = 3.0  # seconds for a whole response

# Bytes of a response. Those of a service have 60 kB.
_MAX_LENGTH = 4 * 2**20

_OK = 200

# Seconds for which a member is shown that DNS no longer names, as it does not name containers that
# have stopped. Later it counts as removed.
_REMEMBERED = 600.0


@dataclass(frozen=True, slots=True)
class Member:
    """A replica or an edge, and its metrics; None if it does not answer."""

    kind: Kind
    address: str
    series: Series | None = field(repr=False)


class Members:
    """The replicas and the edges of a library."""

    def __init__(
        self,
        own_metrics: Callable[[], str],
        replicas: Sequence[Address],
        edges: Sequence[Address],
        credential: str | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`own_metrics` returns those of this replica, which are used if no `replicas` are named.

        `credential` opens the metrics of replicas, if access is controlled. `clock` is in seconds.
        """
        self._own_metrics = own_metrics
        self._names: Mapping[Kind, Sequence[Address]] = {"replica": replicas, "edge": edges}
        self._headers = {"X-Reelay-Edge": credential} if credential else {}
        self._clock = clock
        self._named: Mapping[Kind, dict[Address, float]] = {"replica": {}, "edge": {}}
        """When DNS named each address last."""

    async def read(self) -> list[Member]:
        """Return all members in the order of their addresses, replicas first."""
        members = await self._read_named() if any(self._names.values()) else []
        if not self._names["replica"]:
            members.insert(0, Member("replica", "this one", parse(self._own_metrics())))
        return members

    async def _read_named(self) -> list[Member]:
        # A service on its own has no others: it is spared the import, which takes 60 ms and 4 MiB.
        from httpx2 import AsyncClient  # noqa: PLC0415

        # Nothing here uses TLS. Reading the authorities' certificates would take 30 ms each time.
        async with AsyncClient(timeout=_TIMEOUT, trust_env=False, verify=False) as client:
            kinds = await asyncio.gather(*(self._read(client, kind) for kind in _PATHS))
        return [member for kind in kinds for member in kind]

    async def _read(self, client: "AsyncClient", kind: Kind) -> list[Member]:
        found, unknown = await _resolve(self._names[kind])
        now, named = self._clock(), self._named[kind]
        named.update(dict.fromkeys(found, now))
        for address in [one for one, at in named.items() if at < now - _REMEMBERED]:
            del named[address]
        answers = await asyncio.gather(*(self._ask(client, kind, one) for one in found))
        # The others are not asked: their addresses may be other programs' by now.
        series: dict[Address, Series | None] = dict.fromkeys([*named, *unknown])
        series.update(zip(found, answers, strict=True))
        return [Member(kind, _text(address), series[address]) for address in sorted(series)]

    async def _ask(self, client: "AsyncClient", kind: Kind, address: Address) -> Series | None:
        from httpx2 import HTTPError, InvalidURL  # noqa: PLC0415 # as above

        url = f"http://{_text(address)}{_PATHS[kind]}"
        headers = self._headers if kind == "replica" else {}
        body = bytearray()
        try:
            async with (
                asyncio.timeout(_TIMEOUT),
                client.stream("GET", url, headers=headers) as response,
            ):
                async for part in response.aiter_bytes():
                    body += part
                    if len(body) > _MAX_LENGTH:
                        return None
            return parse(body.decode()) if response.status_code == _OK else None
        except (HTTPError, InvalidURL, OSError, ValueError):  # OSError: also TimeoutError
            return None


def _text(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def _resolve(names: Sequence[Address]) -> tuple[list[Address], list[Address]]:
    """Return all addresses of some names, and the names that have none."""
    found: set[Address] = set()
    unknown: list[Address] = []
    for host, port in names:
        try:
            loop = asyncio.get_running_loop()
            infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError:
            unknown.append((host, port))
        else:
            found.update((str(info[4][0]), port) for info in infos)
    return list(found), unknown


def parse(text: str) -> Series:
    """Return the series of metrics in Prometheus' text format, without time stamps.

    Raises ValueError.
    """
    lines = (line.rsplit(" ", 1) for line in text.splitlines() if line and line[0] != "#")
    return {name: float(value) for name, value in lines}
