"""What a process that we start is given of our environment: what it needs by name, and none of what it could tell others.

Not here: what a caller adds for one process, such as a program's configuration.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

_NEEDED: Final = frozenset({
    "PATH", "HOME", "USER", "LOGNAME", "TZ", "TMPDIR", "TMP", "TEMP", "LANG", "LANGUAGE", "VIRTUAL_ENV", "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH", "XDG_CACHE_HOME",
    "KUBECONFIG",  # a path; pulumi_kubernetes takes it for configuration, and the provider must know that nobody wrote it
})  # fmt: skip
_NEEDED_PREFIXES: Final = ("LC_", "PYTHON", "COVERAGE_", "PULUMI_K8S_")
# It triples the time that the SDKs take to import.
_UNWANTED: Final = frozenset({"PYTHONDONTWRITEBYTECODE"})
_PROXIES: Final = frozenset({"http_proxy", "https_proxy", "all_proxy", "grpc_proxy"})
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


def for_child(given: Mapping[str, str] = os.environ) -> dict[str, str]:
    """For a process that talks to loopback alone: no passphrase, token, credential or proxy of `given` is in it."""
    return {
        key: value
        for key, value in given.items()
        if (key in _NEEDED or key.startswith(_NEEDED_PREFIXES)) and key not in _UNWANTED
    }


def past_proxies(given: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What keeps calls to loopback from the proxies that `given` names; nothing where it names none.

    For processes that need their proxies for real accounts. Go and the SDKs read NO_PROXY in either case; gRPC's core reads the lower
    case only, and no_grpc_proxy before it: https://github.com/grpc/grpc/blob/master/doc/environment_variables.md
    """
    if not any(key.lower() in _PROXIES and value for key, value in given.items()):
        return {}
    either = given.get("no_proxy") or given.get("NO_PROXY") or ""
    found = {name: given.get(name) or either for name in ("no_proxy", "NO_PROXY")}
    if "no_grpc_proxy" in given:
        found["no_grpc_proxy"] = given["no_grpc_proxy"]
    return {name: _with_loopback(value) for name, value in found.items()}


def _with_loopback(hosts: str) -> str:
    listed = [each for host in hosts.split(",") if (each := host.strip())]
    return ",".join(listed if "*" in listed else dict.fromkeys([*listed, *_LOOPBACK]))
