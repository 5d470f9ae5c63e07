"""Ranges of addresses in rules: which are private, which let in more than an office."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network

# RFC 1918, RFC 6598 (carriers and clouds use it inside), RFC 4193.
PRIVATE = tuple(map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")))


def network(cidr: str) -> IPv4Network | IPv6Network | None:
    """A range; None where the text is none, which providers refuse by themselves."""
    try:
        return ip_network(cidr, strict=False)
    except ValueError:
        return None


def is_private(cidr: str) -> bool:
    """Whether all of a range lies in one that the internet does not route."""
    inside = network(cidr)
    return inside is not None and any(
        inside.version == home.version and inside.subnet_of(home)  # pyright: ignore[reportArgumentType]
        for home in PRIVATE
    )


def is_wide(cidr: str, least_prefix: float) -> bool:
    """Whether a range is larger than /least_prefix, or than twice that in IPv6. What is no range counts as wide."""
    given = network(cidr)
    return given is None or given.prefixlen < least_prefix * (2 if given.version == 6 else 1)
