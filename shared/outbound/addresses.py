"""Which IP addresses a tenant's request may go to: public ones."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

# IPv6 addresses that stand for an IPv4 one in their last 32 bits: what they stand for decides.
_TRANSLATED: Final = (IPv6Network("64:ff9b::/96"), IPv6Network("::ffff:0:0:0/96"), IPv6Network("::/96"))
_REFUSED_6: Final = (
    IPv6Network("64:ff9b:1::/48"),  # local-use NAT64
    IPv6Network("fec0::/10"),  # site-local, deprecated but still routed in places
    IPv6Network("2001::/23"),  # IETF protocols
    IPv6Network("3fff::/20"),  # documentation
    IPv6Network("5f00::/16"),  # segment routing
)
_REFUSED_4: Final = (
    IPv4Network("0.0.0.0/8"),
    IPv4Network("192.0.0.0/24"),
    IPv4Network("192.88.99.0/24"),  # 6to4 relays, deprecated
    IPv4Network("168.63.129.16/32"),  # a cloud's metadata service on a public address
)


def is_public(address: str) -> bool:
    """Whether an address, as a resolver gives it, is one of the public internet. Anything else is not."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return _public_4(parsed) if isinstance(parsed, IPv4Address) else _public_6(parsed)


def _public_4(address: IPv4Address) -> bool:
    return (
        address.is_global
        and not (address.is_multicast or address.is_reserved)
        and not any(address in network for network in _REFUSED_4)
    )


def _public_6(address: IPv6Address) -> bool:
    inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
    if inner is None and any(address in network for network in _TRANSLATED):
        inner = IPv4Address(int(address) & 0xFFFF_FFFF)
    if inner is not None:
        return _public_4(inner)
    return (
        address.is_global
        and not (address.is_multicast or address.is_reserved or address.is_link_local)
        and not any(address in network for network in _REFUSED_6)
    )
