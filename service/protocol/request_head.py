"""Checks the head of any request: method, host, length and number of fields.

Nothing here raises, whatever a client sends."""

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache

# RFC 9110 §9.3, and RFC 5789. The names are case-sensitive (§9.1).
_METHODS = frozenset(
    {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}
)

# Each of these costs time to parse, so their number is checked first.
MAX_PARAMETERS = 100  # of a query; our own links have at most six
MAX_FIELDS = (
    200  # lines of the header section; Apache's LimitRequestFields is 100, browsers send 20
)

# Bytes of path and query. The longest path of Linux has 4,096 bytes (PATH_MAX); in the parameter
# of /oembed each takes five characters. nginx accepts 16 KiB.
MAX_TARGET = 24 * 1024

_MAX_HOST = 255  # characters (RFC 3986 §3.2.2)
_MAX_LABEL = 63  # characters of a label of a host name (RFC 1034 §3.1)

# RFC 9110 §7.2 and RFC 3986 §3.2.2: uri-host [ ":" port ], without userinfo.
_HOST_AND_PORT = re.compile(
    r"(?:\[(?P<literal>[^\[\]]+)\]"
    r"|(?P<name>(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+))"
    r"(?::[0-9]*)?",
    re.ASCII,
)
_IP_FUTURE = re.compile(r"[vV][0-9A-Fa-f]+\.[A-Za-z0-9._~!$&'()*+,;=:-]+", re.ASCII)


@lru_cache(256)
def is_host(text: str) -> bool:
    """Return whether a text is a host with an optional port, as in Host fields and URLs.

    An empty host is invalid in http URLs (RFC 9110 §4.2.1).
    """
    match = _HOST_AND_PORT.fullmatch(text)
    if match is None:
        return False
    literal, name = match["literal"], match["name"]
    if literal is not None:
        return _is_ipv6(literal) or _IP_FUTURE.fullmatch(literal) is not None
    labels = name.removesuffix(".").split(".")
    return len(name) <= _MAX_HOST and all(0 < len(label) <= _MAX_LABEL for label in labels)


def refusal(
    method: str, hosts: Iterable[bytes], fields: int, target: tuple[bytes, bytes]
) -> tuple[int, str] | None:
    """Return the status and the sentence of a refusal; None if the request is acceptable.

    `hosts` are the values of the Host fields and the authority of an absolute target, `fields` is
    the number of header lines, and `target` has path and query as they were sent.
    """
    path, query = target
    if method not in _METHODS:
        return 501, "This method is not implemented."  # RFC 9110 §9.1
    if not all(is_host(host.decode("latin-1")) for host in hosts):
        return 400, "The Host header names no host."  # RFC 9112 §3.2
    if len(path) + len(query) > MAX_TARGET:
        return 414, f"Path and query may have {MAX_TARGET} bytes."  # RFC 9110 §15.5.15
    if query.count(b"&") >= MAX_PARAMETERS:
        return 400, f"A query may have {MAX_PARAMETERS} parameters."
    if fields > MAX_FIELDS:
        return 431, f"A request may have {MAX_FIELDS} header fields."  # RFC 6585 §5
    return None


def _is_ipv6(text: str) -> bool:
    try:
        return ipaddress.IPv6Address(text).scope_id is None
    except ValueError:
        return False
