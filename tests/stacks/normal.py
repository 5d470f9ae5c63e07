"""One form for the states of one program on two sets of clouds: what chance and time decided is named, nothing else is touched.

Each rule says why two correct runs differ there. Whatever still differs is a difference of the engines.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

LEFT_OUT: Final[Mapping[str, str]] = {
    "created": "time of the run",
    "modified": "time of the run",
    "stackTrace": "the local engine has programs not send it: it costs time, and names files outside the project",
}
SETS: Final[Mapping[str, str]] = {
    "dependencies": "a set, sent by the SDK in the order of its hashes",
    "propertyDependencies": "sets, as dependencies are",
}

# A random token in a name or an id belongs to the first resource whose id holds it. It is replaced by that resource's name, so
# that a reference to another resource shows.
TOKEN: Final = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"  # KMS keys, providers, autoscaling groups
    r"|(?<=-)[0-9a-f]{17}(?![0-9A-Za-z])|(?<=^r-rtb-)[0-9a-f]{17}"  # EC2; a route's id is its table's and a hash of the range
    r"|(?<=-)[0-9a-f]{7,8}(?![0-9A-Za-z])"  # the ends of auto-names
)

# Values that clouds choose and that are no resource's id.
CHOSEN: Final[Mapping[str, tuple[re.Pattern[str], str]]] = {
    "<port>": (re.compile(r"(?<=127\.0\.0\.1:)\d+"), "each stack's clouds have ports of their own"),
    "<time>": (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "when the cloud made it"),
    "<cluster>": (re.compile(r"\b[0-9A-F]{32}\b"), "EKS names endpoints and issuers by a random digest"),
    "<address>": (re.compile(r"^\d+\.\d+\.\d+\.\d+$"), "the cloud gives out addresses at random"),
    "<certificate>": (re.compile(r"^LS0tLS1CRUdJTi[A-Za-z0-9+/=]+$"), "each cluster has a CA of its own"),
    "<role>": (re.compile(r"^AROA[A-Z0-9]{17}$"), "IAM's unique ids are random"),
    "<number>": (re.compile(r"^\d{18,21}$"), "Google Cloud numbers its resources at random"),
    "<group>": (re.compile(r"(?<=-)[0-9a-z]{8}(?=-grp$)"), "GKE ends the names of instance groups at random"),
}
ETAG: Final = "etag"  # the version of a policy at Google Cloud, random
NUMBERED_FROM: Final = 10**17  # the same random numbers, where the schema has them as integers


def resources(deployment: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The resources by URN, normalised. Wants an export with secrets in plain text, as each encryption has its own nonce."""
    rows: list[dict[str, Any]] = deployment["resources"]
    owners = _owners(rows)
    result: dict[str, dict[str, Any]] = {}
    for row in rows:
        kept = {key: value for key, value in row.items() if key not in LEFT_OUT}
        kept["dependencies"] = sorted(row.get("dependencies", ()))
        kept["propertyDependencies"] = {
            key: sorted(urns or ()) for key, urns in row.get("propertyDependencies", {}).items()
        }
        assert row["urn"] not in result, f"{row['urn']} is there twice"
        result[row["urn"]] = _map(kept, lambda text: _text(text, owners))
    return result


def _owners(rows: list[dict[str, Any]]) -> dict[str, str]:
    """Of each token, the name of the resource that it was made for: states have dependencies before dependents."""
    owners: dict[str, str] = {}
    for row in rows:
        for token in TOKEN.findall(row.get("id", "")):
            owners.setdefault(token, row["urn"].split("::", 2)[2].rpartition("$")[2])
    return owners


def _text(text: str, owners: Mapping[str, str]) -> str:
    for name, (pattern, _) in CHOSEN.items():
        text = pattern.sub(name, text)
    return TOKEN.sub(lambda found: f"<{owners.get(found[0], '')}>", text)


def _map(value: Any, change: Callable[[str], str], key: str = "") -> Any:
    if isinstance(value, dict):
        return {change(name): _map(item, change, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_map(item, change, key) for item in value]
    if isinstance(value, int) and value >= NUMBERED_FROM:
        return "<number>"
    if not isinstance(value, str):
        return value
    return "<etag>" if key == ETAG else change(value)


def differences(left: Any, right: Any, path: str = "") -> Iterator[str]:
    """Where two documents differ, a line each."""
    if isinstance(left, dict) and isinstance(right, dict):
        for key in sorted(left.keys() | right.keys()):
            yield from differences(left.get(key, "(missing)"), right.get(key, "(missing)"), f"{path}.{key}")
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for index, (ours, theirs) in enumerate(zip(left, right, strict=True)):
            yield from differences(ours, theirs, f"{path}[{index}]")
    elif left != right:
        yield f"{path}: {left!r} | {right!r}"
