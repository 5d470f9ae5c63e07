"""What annotations ask of the provider, by pulumi-kubernetes' names. Pure.

Source: https://www.pulumi.com/registry/packages/kubernetes/how-to-guides/managing-resources-with-server-side-apply/, provider/pkg/metadata.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final, Literal

Propagation = Literal["Background", "Foreground", "Orphan"]

FIELD_MANAGER: Final = "pulumi.com/patchFieldManager"
FORCE: Final = "pulumi.com/patchForce"
FORCE_VARIABLE: Final = "PULUMI_K8S_ENABLE_PATCH_FORCE"
_PROPAGATION: Final = "pulumi.com/deletionPropagationPolicy"
_SKIP_AWAIT: Final = "pulumi.com/skipAwait"
_TIMEOUT: Final = "pulumi.com/timeoutSeconds"
_WAIT_FOR: Final = "pulumi.com/waitFor"
_REPLACE_UNREADY: Final = "pulumi.com/replaceUnready"
_PROPAGATIONS: Final[Mapping[str, Propagation]] = {
    "background": "Background", "foreground": "Foreground", "orphan": "Orphan",
}  # fmt: skip
DEFAULT_SECONDS: Final = 600.0


def annotation(obj: Mapping[str, Any], key: str) -> str:
    metadata: Any = obj.get("metadata")
    annotations: Any = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    return str(annotations.get(key, "")) if isinstance(annotations, Mapping) else ""


def is_forced(obj: Mapping[str, Any]) -> bool:
    """Whether fields of others are taken without asking."""
    return (annotation(obj, FORCE) or os.environ.get(FORCE_VARIABLE, "")).lower() == "true"


def skips_await(obj: Mapping[str, Any]) -> bool:
    return annotation(obj, _SKIP_AWAIT).lower() == "true"


def seconds(obj: Mapping[str, Any], asked: float) -> float:
    """How long an operation may take: customTimeouts, else the annotation, else ten minutes."""
    text = annotation(obj, _TIMEOUT)
    return asked or (float(text) if text.isdigit() else 0.0) or DEFAULT_SECONDS


def propagation(obj: Mapping[str, Any]) -> Propagation:
    return _PROPAGATIONS.get(annotation(obj, _PROPAGATION).lower(), "Foreground")


def violations(obj: Mapping[str, Any]) -> list[str]:
    """What of the annotations cannot be done."""
    found: list[str] = []
    text = annotation(obj, _TIMEOUT)
    if text and not text.isdigit():
        found.append(f'metadata.annotations["{_TIMEOUT}"]: {text!r} is no whole number of seconds; write "600"')
    policy = annotation(obj, _PROPAGATION)
    if policy and policy.lower() not in _PROPAGATIONS:
        known = ", ".join(_PROPAGATIONS)
        found.append(f'metadata.annotations["{_PROPAGATION}"]: {policy!r} is no way to delete; write one of {known}')
    if (awaited := annotation(obj, _WAIT_FOR)) and awaited_condition(obj) is None:
        found.append(
            f'metadata.annotations["{_WAIT_FOR}"]: {awaited!r} is not waited for here; '
            "write condition=TYPE or condition=TYPE=STATUS, or use the Pulumi CLI"
        )
    if annotation(obj, _REPLACE_UNREADY):
        found.append(
            f'metadata.annotations["{_REPLACE_UNREADY}"]: not supported here; leave it out, and replace the Job with --replace'
        )
    return found


def awaited_condition(obj: Mapping[str, Any]) -> tuple[str, str] | None:
    """The condition that `waitFor` names, and its status; None where it names none."""
    kind, _, rest = annotation(obj, _WAIT_FOR).partition("=")
    type_, _, status = rest.partition("=")
    return (type_, status or "True") if kind == "condition" and type_ else None
