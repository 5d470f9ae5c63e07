"""Rules for pods: containers, ports, probes, volumes, tolerations. See `rules` for where they come from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from model_factory.graph.paths import Path
from model_factory.local.clouds.kubernetes.kinds import DNS_LABEL
from model_factory.local.clouds.kubernetes.rules import Object, label_key_fault, label_value_fault
from model_factory.local.clouds.kubernetes.schema import Violation

_PORT_NAME: Final = re.compile(r"(?=[^a-z]*[a-z])(?!.*--)[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_HANDLERS: Final = ("exec", "httpGet", "tcpSocket", "grpc")
_VARIABLE: Final = re.compile(r"[-._a-zA-Z0-9]+")


def pod_spec(spec: Object, path: Path) -> Iterator[Violation]:
    containers, volumes = _objects(spec, "containers"), _objects(spec, "volumes")
    if "containers" in spec and not containers:
        yield Violation((*path, "containers"), "a pod needs a container")
    yield from _unique(containers + _objects(spec, "initContainers"), (*path, "containers"), "container")
    yield from _unique(volumes, (*path, "volumes"), "volume")
    known = {volume.get("name") for volume in volumes}
    for group in ("initContainers", "containers"):
        for index, container in enumerate(_objects(spec, group)):
            for place, mount in enumerate(_objects(container, "volumeMounts")):
                if mount.get("name") not in known:
                    yield Violation((*path, group, index, "volumeMounts", place, "name"),
                                    f"{mount.get('name')!r} is not a volume of this pod")  # fmt: skip
    for key, value in (spec.get("nodeSelector") or {}).items():
        reason = label_key_fault(key) or (label_value_fault(value) if isinstance(value, str) else None)
        if reason:
            yield Violation((*path, "nodeSelector", key), reason)


def container(body: Object, path: Path) -> Iterator[Violation]:
    name = body.get("name")
    reason = DNS_LABEL.broken_by(name) if isinstance(name, str) else None
    if reason:
        yield Violation((*path, "name"), reason)
    image = body.get("image")
    if image == "" or (isinstance(image, str) and image != image.strip()):
        yield Violation((*path, "image"), f"{image!r} is not an image reference")
    yield from _container_ports(body, path)
    mounted: set[object] = set()
    for index, mount in enumerate(_objects(body, "volumeMounts")):
        if mount.get("mountPath") in mounted:
            yield Violation((*path, "volumeMounts", index, "mountPath"), f"{mount.get('mountPath')!r} is mounted twice")
        mounted.add(mount.get("mountPath"))
    for index, variable in enumerate(_objects(body, "env")):
        where, text = (*path, "env", index), variable.get("name")
        if isinstance(text, str) and not _VARIABLE.fullmatch(text):
            yield Violation((*where, "name"), f"{text!r} is not a variable name: letters, digits, '-', '_' and '.'")
        if variable.get("value") and variable.get("valueFrom"):
            yield Violation((*where, "valueFrom"), "give value or valueFrom, not both")


def security_context(context: Object, path: Path) -> Iterator[Violation]:
    if context.get("privileged") is True and context.get("allowPrivilegeEscalation") is False:
        yield Violation((*path, "allowPrivilegeEscalation"), "cannot be false while privileged is true")


def probe(body: Object, path: Path) -> Iterator[Violation]:
    given = [handler for handler in _HANDLERS if body.get(handler) is not None]
    if len(given) != 1:
        found = "none" if not given else " and ".join(given)
        yield Violation(path, f"a probe needs one of {', '.join(_HANDLERS)}; it has {found}")
    for key in (
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ):
        number = body.get(key)
        if isinstance(number, int) and number < 0:
            yield Violation((*path, key), f"{number} is negative")


def liveness_probe(body: Object, path: Path) -> Iterator[Violation]:
    if body.get("successThreshold", 1) not in (0, 1):
        yield Violation((*path, "successThreshold"), f"must be 1 here, not {body.get('successThreshold')}")


def toleration(body: Object, path: Path) -> Iterator[Violation]:
    if not body.get("key") and body.get("operator") != "Exists":
        yield Violation((*path, "operator"), "must be Exists where the key is empty")
    if body.get("operator") == "Exists" and body.get("value"):
        yield Violation((*path, "value"), "must be empty where the operator is Exists")

    if body.get("tolerationSeconds") is not None and body.get("effect") != "NoExecute":
        yield Violation((*path, "effect"), "must be NoExecute where tolerationSeconds is given")


def port_number(value: object, path: Path) -> Iterator[Violation]:
    """A port given by number, or by a container port's name."""
    if isinstance(value, int) and not isinstance(value, bool) and not 1 <= value <= 65535:
        yield Violation(path, f"{value} is not a port; use 1 to 65535")
    elif isinstance(value, str) and (len(value) > 15 or not _PORT_NAME.fullmatch(value)):
        yield Violation(path, f"{value!r} is not a port name: at most 15 lower-case letters, digits and '-'")


def _container_ports(body: Object, path: Path) -> Iterator[Violation]:
    names: set[str] = set()
    for index, port in enumerate(_objects(body, "ports")):
        name = port.get("name")
        if isinstance(name, str):
            yield from port_number(name, (*path, "ports", index, "name"))
            if name in names:
                yield Violation((*path, "ports", index, "name"), f"{name!r} is taken by another port")
            names.add(name)


def _unique(items: list[Mapping[str, Any]], path: Path, what: str) -> Iterator[Violation]:
    seen: set[str] = set()
    for item in items:
        name = item.get("name")
        if isinstance(name, str):
            if name in seen:
                yield Violation(path, f"two are named {name!r}; each {what} needs its own name")
            seen.add(name)


def _objects(obj: Object, key: str) -> list[Mapping[str, Any]]:
    value = obj.get(key)
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []
