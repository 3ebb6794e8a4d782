"""Checks of request heads: RFC 9110 §7.2 and §9.1, RFC 3986 §3.2.2."""

import ipaddress
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.protocol.request_head import MAX_FIELDS, MAX_PARAMETERS, MAX_TARGET, is_host, refusal

FINE = ("GET", [b"example.org"], 10, (b"/", b""))


@pytest.mark.parametrize(
    "host",
    [
        "example.org",
        "example.org.",
        "EXAMPLE.org:8443",
        "a:",  # RFC 3986 §3.2.3: a port may have no digits
        "a:080",
        "192.0.2.7",
        "192.0.2.7:80",
        "256.1.1.1",  # §3.2.2: an invalid IPv4 address is a name
        "my_box~1",
        "a!$&'()*+,;=b",  # sub-delims
        "%C3%A4.example",
        "[::1]",
        "[2001:db8::7]:8000",
        "[::ffff:192.0.2.7]",
        "[v1.fe80::a+en1]",  # IPvFuture
        "x" * 63 + ".example",
        ".".join(["x" * 60] * 4),
    ],
)
def test_a_host_may_have_a_port(host: str) -> None:
    assert is_host(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        ":80",
        "a b",
        " a",
        "a\tb",
        "a\x01b",
        "a\x7f",
        "a\0",
        "a\n",
        "\xe4.example",
        "a\u0661",
        "user@host",
        "user:word@host",
        "http://host",
        "host/path",
        "host?query",
        "host#fragment",
        'a"b',
        "a<b>",
        "a\\b",
        "a^b",
        "a|b",
        "{a}",
        "a`b",
        "%",
        "%4",
        "%zz",
        "a:b",
        "a:-1",
        "a:+1",
        "a: 1",
        "a:1:2",
        "a:\u0661",
        "::1",
        "[]",
        "[::1",
        "::1]",
        "[::g]",
        "[:::1]",
        "[1.2.3.4]",
        "[::1]x",
        "[[::1]]",
        "[fe80::1%eth0]",
        "[fe80::1%25eth0]",
        "[v.x]",
        "[v1.]",
        "[vg.x]",
        ".",
        "a..b",
        ".a",
        "x" * 64,
        ".".join(["x" * 60] * 5),
    ],
)
def test_other_text_is_no_host(host: str) -> None:
    assert not is_host(host)
    assert refusal(FINE[0], [b"example.org", host.encode()], *FINE[2:]) == (
        400,
        "The Host header names no host.",
    )


@given(st.ip_addresses(), st.none() | st.integers(0, 65535))
def test_every_ip_address_is_a_host(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int | None
) -> None:
    host = f"[{address}]" if address.version == 6 else str(address)
    assert is_host(host if port is None else f"{host}:{port}")


@given(
    st.text(st.characters(max_codepoint=255), max_size=300) | st.text("a.:[]@%1 \x01", max_size=9)
)
def test_a_host_has_no_character_that_ends_the_host_of_a_url(text: str) -> None:
    if is_host(text):
        assert re.fullmatch(r"[!-~]+", text)
        assert not set(text) & set('@/?#\\"<>^`{|}')
        text.lower().encode("idna")  # as Werkzeug does: it raises for labels that are too long


@pytest.mark.parametrize("method", ["get", "Get", "gET", "HEAd", "BREW", "PROPFIND", "GET ", ""])
def test_methods_are_case_sensitive_and_unknown_ones_not_implemented(
    method: str,
) -> None:
    error = refusal(method, *FINE[1:])
    assert error is not None
    assert error[0] == 501


@pytest.mark.parametrize(
    "method", ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]
)
def test_the_methods_of_the_rfcs_are_known(method: str) -> None:
    assert refusal(method, *FINE[1:]) is None


@pytest.mark.parametrize(
    ("fields", "path", "query", "status"),
    [
        (MAX_FIELDS, b"/", b"", None),
        (MAX_FIELDS + 1, b"/", b"", 431),
        (9, b"/", b"&".join([b"a=b"] * MAX_PARAMETERS), None),
        (9, b"/", b"&".join([b"a=b"] * (MAX_PARAMETERS + 1)), 400),
        (9, b"/", b"&" * MAX_PARAMETERS, 400),
        (9, b"/" * MAX_TARGET, b"", None),
        (9, b"/" * MAX_TARGET, b"x", 414),
        (9, b"/", b"x" * MAX_TARGET, 414),
    ],
)
def test_a_request_head_that_is_slow_to_parse_is_refused_before_parsing(
    fields: int, path: bytes, query: bytes, status: int | None
) -> None:
    error = refusal("GET", [b"a"], fields, (path, query))
    assert (error and error[0]) == status


def test_an_http_1_0_request_may_have_no_host_field() -> None:
    assert refusal("GET", [], 3, (b"/", b"")) is None
