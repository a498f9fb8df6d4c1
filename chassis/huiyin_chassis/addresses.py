"""Which addresses of the network may be called on behalf of a text that somebody else wrote."""

from __future__ import annotations

import ipaddress
from typing import Final

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052
_COMPATIBLE: Final = ipaddress.IPv6Network("::/96")  # RFC 4291, 2.5.5.1, deprecated; ::1 and :: are in it


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet: not of this machine, a private network or a cloud's own.

    What an IPv6 address carries within it (mapped, translated, 6to4, Teredo) decides. Raises ValueError on a name.
    """
    found: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        if found in _NAT64 or found in _COMPATIBLE:
            found = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        else:
            found = found.ipv4_mapped or found.sixtofour or (found.teredo or (found, found))[1]
    return found.is_global and not found.is_multicast


def may_be_public(host: str) -> bool:
    """False for a host that is plainly not of the open internet; what a name means is looked up when it is called."""
    if host == "localhost" or host.endswith(".localhost"):
        return False
    try:
        return is_public(host)
    except ValueError:
        return True
