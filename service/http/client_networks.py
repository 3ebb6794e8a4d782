"""Which addresses count as one client."""

import ipaddress


def network_of(address: str) -> str:
    """Return what an address counts as: of IPv6 its /64, as a client has all of it."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        mapped = parsed.ipv4_mapped
        return str(mapped or ipaddress.ip_network((int(parsed), 64), strict=False))
    return str(parsed)
