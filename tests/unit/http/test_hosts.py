"""The hosts that are answered if REELAY_HOSTS is set."""

import pytest

from service.http.hosts import is_allowed

NAMES = ("video.example.org", "video.lan")


@pytest.mark.parametrize(
    "host",
    [
        "video.example.org",
        "video.example.org:8443",
        "VIDEO.Example.ORG",
        "video.example.org.",  # fully qualified (RFC 3986 §3.2.2)
        "video.lan",
        # Names that public DNS cannot resolve to this machine.
        "192.0.2.7",
        "127.0.0.1:8000",
        "[::1]",
        "[2001:db8::7]:8000",
        "[::ffff:192.0.2.7]",
        "localhost",
        "localhost:8000",
        "service",
        "",
    ],
)
def test_configured_names_addresses_and_names_without_a_dot_are_allowed(host: str) -> None:
    assert is_allowed(host, NAMES)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "video.example.org.evil.example",
        "sub.video.example.org",
        "evil.example.",
        "127.0.0.1.evil.example",
        "127.0.0.1.nip.io",
        "localhost.evil.example",
        "1.2.3",
        "1.2.3.4.5",
        "192.0.2.256",
        "example.org",
    ],
)
def test_other_names_are_not_allowed(host: str) -> None:
    assert not is_allowed(host, NAMES)
