"""Balancers that forward connections and send the client's address by the PROXY protocol.

https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt
"""

import socket
from collections.abc import Callable, Iterator

import pytest
from support.raw_http import answers_to, ask, open_socket
from support.stack import Stack
from support.trusted_proxies import OWN_ADDRESS, VIEWER, client_of, fresh

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def proxied(trusting: Stack) -> Iterator[Stack]:
    """Configure the stack for the PROXY protocol."""
    trusting.configure(PROXY_PROTOCOL="on")
    yield trusting
    trusting.configure(PROXY_PROTOCOL="off")


def version_1(source: str) -> bytes:
    """Return a header of version 1 (§2.1)."""
    family, here = ("TCP6", "2001:db8::1") if ":" in source else ("TCP4", "198.51.100.1")
    return f"PROXY {family} {source} {here} 50000 443\r\n".encode()


def version_2(source: str) -> bytes:
    """Return a header of version 2 (§2.2)."""
    kind = socket.AF_INET6 if ":" in source else socket.AF_INET
    here = "2001:db8::1" if ":" in source else "198.51.100.1"
    addresses = socket.inet_pton(kind, source) + socket.inet_pton(kind, here)
    ports = (50000).to_bytes(2, "big") + (443).to_bytes(2, "big")
    size = len(addresses + ports).to_bytes(2, "big")
    family = b"\x21" if kind == socket.AF_INET6 else b"\x11"
    return b"\r\n\r\n\x00\r\nQUIT\n" + b"\x21" + family + size + addresses + ports


@pytest.mark.parametrize("write", [version_1, version_2])
@pytest.mark.parametrize("source", [VIEWER, "2001:db8::7"])
@pytest.mark.parametrize(("port", "status"), [("HTTPS", 404), ("HTTP", 308)])
def test_the_client_address_is_the_one_in_the_header(
    proxied: Stack, write: Callable[[str], bytes], source: str, port: str, status: int
) -> None:
    target = fresh()
    base = proxied.base if port == "HTTPS" else proxied.unencrypted
    # Header fields of the client itself are not trusted.
    request = (f"GET {target} HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 10.9.9.9\r\n"
               "X-Forwarded-Proto: https\r\nConnection: close\r\n\r\n")  # fmt: skip
    with open_socket(base, hello=write(source)) as client:
        assert answers_to(client, request.encode(), 1) == [status]
    assert client_of(proxied, target) == source


@pytest.mark.parametrize("hello", [b"PROXY UNKNOWN\r\n", b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"])
def test_a_header_without_an_address_means_the_proxy_itself(proxied: Stack, hello: bytes) -> None:
    target = fresh()
    request = f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with open_socket(proxied.base, hello=hello) as client:
        assert answers_to(client, request.encode(), 1) == [404]
    assert client_of(proxied, target) == proxied.gateway


def test_connections_without_the_header_are_not_answered(proxied: Stack) -> None:
    with pytest.raises((OSError, EOFError)):
        ask(proxied.base, "/")
    with open_socket(proxied.unencrypted) as client:
        assert answers_to(client, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") == []


def test_headers_from_untrusted_clients_are_ignored(proxied: Stack) -> None:
    target = fresh()
    source = f"""
import socket
client = socket.create_connection(("nginx", 8080))
client.sendall({version_1(VIEWER)!r} + b"GET {target} HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
print(client.recv(100))
"""
    assert "308" in proxied.inside(source)
    assert client_of(proxied, target) == proxied.inside(OWN_ADDRESS).strip()


def test_the_operator_port_needs_no_header(proxied: Stack) -> None:
    assert ask(proxied.operator, "/edge/healthz").status == 200
    assert ask(proxied.operator, "/healthz").status == 200
