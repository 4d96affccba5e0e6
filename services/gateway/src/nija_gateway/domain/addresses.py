"""Whose address a request came from, and the key under which addresses are counted."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

UNKNOWN = "unknown"
"""The peer of a connection without an address (a Unix socket)."""


def parse(text: str) -> Address | None:
    """An address as it stands in `X-Forwarded-For`: with or without a port, brackets, or a zone; None if it is none.

    An IPv4 address written as IPv6 (`::ffff:1.2.3.4`) is the IPv4 address.
    """
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def client_address(peer: str | None, forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """The peer's address; where that is a trusted proxy, the right-most entry of `forwarded` that is not one.

    `forwarded` are the values of `X-Forwarded-For`, in order. An entry that is no address ends the walk:
    nothing to the left of it is believed.
    """
    address = parse(peer or "")
    if address is None:
        return UNKNOWN
    if not trusted or not _within(address, trusted):
        return str(address)
    for entry in reversed(",".join(forwarded).split(",")):
        hop = parse(entry)
        if hop is None:
            break
        address = hop
        if not _within(hop, trusted):
            break
    return str(address)


def counted_as(address: str) -> str:
    """What a limit counts: an IPv4 address itself, of an IPv6 address its /64 (one household, one machine)."""
    if ":" not in address:
        return address
    return str(ipaddress.ip_network((address, 64), strict=False))


def _within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)
