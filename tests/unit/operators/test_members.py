"""How the metrics of replicas and edges are read, at real ports of this machine."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from service.operators import members as module
from service.operators.members import Address, Members

OWN = "own 1\n"
OK, REFUSED = "HTTP/1.1 200 OK", "HTTP/1.1 401 Unauthorized"


@asynccontextmanager
async def answering(head: str, body: bytes) -> AsyncIterator[tuple[Address, list[bytes]]]:
    """Answer each request in the same way. Return the address, and the requests."""
    requests: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(f"{head}\r\nConnection: close\r\n\r\n".encode() + body)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, family=socket.AF_INET)
    async with server:
        yield ("127.0.0.1", server.sockets[0].getsockname()[1]), requests


@pytest.mark.parametrize(
    ("head", "body", "series"),
    [
        (OK, b'# TYPE a counter\na{b="c d"} 2\n', {'a{b="c d"}': 2}),
        (OK, b"<html>no metrics</html>", None),
        (OK, b"a \xff\n", None),
        (OK, b"# a comment\n" * (2**22 // 12 + 1), None),
        (REFUSED, b"a 1\n", None),
        ("no HTTP", b"", None),
    ],
    ids=["metrics", "page", "no text", "too long", "refused", "no HTTP"],
)
async def test_a_member_has_metrics_or_does_not_answer(
    head: str, body: bytes, series: dict[str, float] | None
) -> None:
    async with answering(head, body) as (address, _):
        (member,) = await Members(lambda: OWN, [address], [], None).read()
    assert (member.kind, member.series) == ("replica", series)
    assert member.address == f"127.0.0.1:{address[1]}"


async def test_the_credential_is_sent_to_replicas_alone() -> None:
    async with answering(OK, b"a 1\n") as (one, to_one), answering(OK, b"a 2\n") as (two, to_two):
        found = await Members(lambda: OWN, [one], [two], "the key").read()
    assert [(member.kind, member.series) for member in found] == [
        ("replica", {"a": 1}),
        ("edge", {"a": 2}),
    ]
    assert to_one[0].startswith(b"GET /metrics HTTP/1.1\r\n")
    assert b"x-reelay-edge: the key\r\n" in to_one[0].lower()
    assert to_two[0].startswith(b"GET /edge/metrics HTTP/1.1\r\n")
    assert b"the key" not in to_two[0]


async def test_without_names_it_is_this_replica() -> None:
    (member,) = await Members(lambda: OWN, [], [], None).read()
    assert (member.kind, member.series) == ("replica", {"own": 1})


async def test_a_member_that_dns_no_longer_names_is_shown_as_silent_for_ten_minutes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    async with answering(OK, b"a 1\n") as (address, requests):
        names = {"service": [address]}

        async def resolve(asked: Sequence[Address]) -> tuple[list[Address], list[Address]]:
            found = [one for host, _ in asked for one in names.get(host, [])]
            return found, [one for one in asked if one[0] not in names]

        monkeypatch.setattr(module, "_resolve", resolve)
        members = Members(lambda: OWN, [("service", 8000)], [], None, clock=lambda: now)
        assert [member.series for member in await members.read()] == [{"a": 1}]

        names["service"] = []
        assert [member.series for member in await members.read()] == [None]
        now += 600
        assert [member.series for member in await members.read()] == [None]
        now += 1
        assert await members.read() == []
        del names["service"]
        (member,) = await members.read()
        assert (member.address, member.series) == ("service:8000", None)
        assert len(requests) == 1  # its address may be another program's
