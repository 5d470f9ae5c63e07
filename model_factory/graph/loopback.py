"""What leads to this machine and nowhere else: the one form of URL and of address that no two parsers read differently.

Not here: connections. Those of the local providers are checked once more where their sockets are made (`model_factory.local.loopback`).
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

_HOSTS: Final = frozenset({"127.0.0.1", "[::1]", "localhost"})
# Only what every parser takes as it stands: no user info, query, fragment, escape, backslash or control character.
_URL: Final = re.compile(r"(https?)://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?(?:/[A-Za-z0-9._~/-]*)?")
_TARGET: Final = re.compile(r"(127\.0\.0\.1|\[::1\]|localhost)(?::([0-9]{1,5}))?")
_PORTS: Final = {"http": 80, "https": 443}
_LAST_PORT: Final = 65535


def is_plain_url(url: str) -> bool:
    """Is the whole text an http(s) URL of scheme, host, port and path alone, which all clients read alike?"""
    return _URL.fullmatch(url) is not None


def loopback_port(url: str) -> int | None:
    """The port that an http(s) URL on loopback names or means; None for every other text.

    The whole text has to have the form `http://127.0.0.1:4610/a/path`, with 127.0.0.1, [::1] or localhost as the host.
    """
    found = _URL.fullmatch(url)
    if found is None or found[2] not in _HOSTS:
        return None
    port = int(found[3]) if found[3] else _PORTS[found[1]]
    return port if 0 < port <= _LAST_PORT else None


def on_loopback(url: str) -> bool:
    """Is `url` an http(s) address of this machine only? See `loopback_port`."""
    return loopback_port(url) is not None


def is_loopback_target(target: str) -> bool:
    """Is `target` a gRPC address (`127.0.0.1:4000`) of this machine only?"""
    found = _TARGET.fullmatch(target)
    return found is not None and found[2] is not None and 0 < int(found[2]) <= _LAST_PORT


def is_loopback_host(host: str) -> bool:
    """Does a request's Host header (`127.0.0.1:4610`) name this machine, by no name that a name server could give away?"""
    return _TARGET.fullmatch(host) is not None


def is_loopback_address(address: str) -> bool:
    """Is `address`, an IP address as a socket tells it, one of this machine only?"""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
