"""Subnets, gateways and lists of excluded addresses, of both families (spec ncm 3, 5, defect 3). Pure."""

from __future__ import annotations

import ipaddress
from typing import Literal

Family = Literal[4, 6]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_BITS = {4: 32, 6: 128}


class BadAddress(ValueError):
    """The text is what the user is told."""


def check_subnet(family: Family, *, subnet: str, gateway: str, excluded: str) -> None:
    """Raises ``BadAddress``. ``gateway`` is in CIDR form, it and ``excluded`` may be empty."""
    _, network = _cidr(family, subnet, "subnet")
    if gateway:
        address, _ = _cidr(family, gateway, "gateway")
        if address not in network:
            raise BadAddress(f"invalid gateway: {gateway} is not in subnet {subnet}")
    for entry in excluded.split():
        if not _is_excludable(family, entry, network):
            raise BadAddress(f"invalid ipv{family} exclude list {excluded}")


def _cidr(family: Family, text: str, what: str) -> tuple[Address, Network]:
    """Address and network of ``a/len``; the address may have host bits, as a gateway's has."""
    address, _, length = text.partition("/")
    found = _address(family, address)
    if found is None or not length.isascii() or not length.isdigit() or int(length[:4]) > _BITS[family]:
        raise BadAddress(f"invalid {what}: could not parse ipv{family} cidr {text}: invalid CIDR address: {text}")
    return found, ipaddress.ip_network((found, int(length)), strict=False)


def _is_excludable(family: Family, entry: str, network: Network) -> bool:
    """Whether the entry is an address, or a range ``a..b`` in order, inside of the network."""
    first, dots, last = entry.partition("..")
    low = _address(family, first)
    high = _address(family, last) if dots else low
    if low is None or high is None:
        return False
    return int(low) <= int(high) and low in network and high in network


def _address(family: Family, text: str) -> Address | None:
    try:
        if family == 4:
            return ipaddress.IPv4Address(text)
        found = ipaddress.IPv6Address(text)
    except ValueError:
        return None
    return None if found.scope_id else found
