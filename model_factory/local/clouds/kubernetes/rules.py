"""Rules that the API server holds objects to and the published schemas do not say: names, labels, selectors, quantities.

Sources: the validation packages of the API server, by way of its documentation. Rules that need the object's whole story
(quotas, admission, references to other objects) are not here.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from model_factory.graph import quantity
from model_factory.graph.paths import Path
from model_factory.local.clouds.kubernetes.kinds import DNS_LABEL, DNS_SUBDOMAIN, is_namespaced, name_rule
from model_factory.local.clouds.kubernetes.schema import Violation

Object: TypeAlias = Mapping[str, Any]
Check: TypeAlias = Callable[[Object, Path], Iterator[Violation]]

_LABEL_PART: Final = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_DATA_KEY: Final = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_MEBIBYTE: Final = 2**20
_DEADLINE_SECONDS: Final = 600
"""Of a Deployment that names none."""
SET_OPERATORS: Final = ("In", "NotIn", "Exists", "DoesNotExist")


def label_key_fault(key: str) -> str | None:
    """Why a label or annotation key is refused, or None: `[prefix/]name`."""
    prefix, slash, name = key.rpartition("/")
    if slash and DNS_SUBDOMAIN.broken_by(prefix):
        return f"the prefix of {key!r} is not a DNS subdomain"
    if len(name) > 63 or not _LABEL_PART.fullmatch(name):
        return f"{key!r} is not a label key: at most 63 letters, digits, '-', '_' and '.', after an optional prefix/"
    return None


def label_value_fault(value: str) -> str | None:
    """Why a label value is refused, or None."""
    if len(value) > 63 or (value and not _LABEL_PART.fullmatch(value)):
        return f"{value!r} is not a label value: empty, or at most 63 letters, digits, '-', '_' and '.'"
    return None


def identity(obj: Object) -> Iterator[Violation]:
    """The name and namespace of a whole object."""
    kind, metadata = str(obj.get("kind", "")), _mapping(obj, "metadata")
    name, namespace = metadata.get("name"), metadata.get("namespace")
    if isinstance(name, str):
        reason = name_rule(kind).broken_by(name)
        if reason:
            yield Violation(("metadata", "name"), reason)
    if isinstance(namespace, str):
        reason = (
            DNS_LABEL.broken_by(namespace) if is_namespaced(kind) else f"a {kind} belongs to no namespace; leave it out"
        )
        if reason:
            yield Violation(("metadata", "namespace"), reason)


def metadata_rules(metadata: Object, path: Path) -> Iterator[Violation]:
    yield from _labels(_mapping(metadata, "labels"), (*path, "labels"))
    annotations = _mapping(metadata, "annotations")
    for key in annotations:
        reason = label_key_fault(key.lower())
        if reason:
            yield Violation((*path, "annotations", key), reason.replace("label key", "annotation key"))
    if sum(len(key) + len(str(value)) for key, value in annotations.items()) > 256 * 1024:
        yield Violation((*path, "annotations"), "annotations take more than 256 KiB in all")


def label_selector(selector: Object, path: Path) -> Iterator[Violation]:
    yield from _labels(_mapping(selector, "matchLabels"), (*path, "matchLabels"))


def requirement(expression: Object, path: Path, operators: tuple[str, ...] = SET_OPERATORS) -> Iterator[Violation]:
    """A term of a selector: values go with some operators, and not with others."""
    operator, values = expression.get("operator"), expression.get("values")
    if operator in ("In", "NotIn") and not values:
        yield Violation((*path, "values"), f"operator {operator} needs values")
    elif operator in ("Exists", "DoesNotExist") and values:
        yield Violation((*path, "values"), f"operator {operator} takes no values")
    elif operator not in operators:
        yield Violation(
            (*path, "operator"), f"must be {', '.join(operators[:-1])} or {operators[-1]}, not {operator!r}"
        )


def node_requirement(expression: Object, path: Path) -> Iterator[Violation]:
    yield from requirement(expression, path, (*SET_OPERATORS, "Gt", "Lt"))


def workload(kind: str) -> Check:
    """Rules of the kinds that make pods from a template: the selector must select the template's own pods."""

    def check(spec: Object, path: Path) -> Iterator[Violation]:
        selector, template = spec.get("selector"), _mapping(spec, "template")
        if isinstance(selector, Mapping):
            wanted = _mapping(selector, "matchLabels")
            if not wanted and not selector.get("matchExpressions"):
                yield Violation((*path, "selector"), "an empty selector selects every pod; give matchLabels")
            labels = _mapping(_mapping(template, "metadata"), "labels")
            for key, value in wanted.items():
                if labels.get(key) != value:
                    found = f"has {labels[key]!r}" if key in labels else "lacks it"
                    yield Violation((*path, "selector", "matchLabels", key),
                                    f"selects {value!r}, but the template's label {found}; selector and template must agree")  # fmt: skip
        restart = _mapping(template, "spec").get("restartPolicy")
        allowed = ("OnFailure", "Never") if kind == "Job" else ("Always",)
        if (restart or "Always") not in allowed:
            yield Violation((*path, "template", "spec", "restartPolicy"),
                            f"must be {' or '.join(allowed)} in a {kind}, not {restart or 'Always'!r}")  # fmt: skip
        deadline = spec.get("progressDeadlineSeconds", _DEADLINE_SECONDS if kind == "Deployment" else None)
        quiet = spec.get("minReadySeconds", 0)
        if isinstance(deadline, int) and isinstance(quiet, int) and deadline <= quiet:
            yield Violation((*path, "progressDeadlineSeconds"), f"{deadline} must be more than minReadySeconds {quiet}")
        strategy = _mapping(spec, "strategy")
        rolling = _mapping(strategy, "rollingUpdate")
        if strategy.get("type") == "Recreate" and rolling:
            yield Violation((*path, "strategy", "rollingUpdate"), "is only for type RollingUpdate, not Recreate")
        if str(rolling.get("maxUnavailable", "1")) in ("0", "0%") and str(rolling.get("maxSurge", "1")) in (
            "0",
            "0%",
        ):
            yield Violation((*path, "strategy", "rollingUpdate", "maxUnavailable"), "must not be 0 while maxSurge is 0")

    return check


def service_spec(spec: Object, path: Path) -> Iterator[Violation]:
    ports = _objects(spec, "ports")
    if not ports and spec.get("type") != "ExternalName" and spec.get("clusterIP") != "None":
        yield Violation((*path, "ports"), "a Service needs a port, unless it is headless or an ExternalName")
    if spec.get("type") == "ExternalName" and not spec.get("externalName"):
        yield Violation((*path, "externalName"), "is required for type ExternalName")
    names: set[str] = set()
    numbers: set[tuple[object, object]] = set()
    for index, port in enumerate(ports):
        name = port.get("name")
        if len(ports) > 1 and not name:
            yield Violation((*path, "ports", index, "name"), "is required where a Service has several ports")
        if isinstance(name, str) and name in names:
            yield Violation((*path, "ports", index, "name"), f"{name!r} is taken by another port")
        names.add(str(name))
        taken = (port.get("port"), port.get("protocol", "TCP"))
        if taken in numbers:
            yield Violation((*path, "ports", index, "port"), f"{taken[0]} ({taken[1]}) is taken by another port")
        numbers.add(taken)
    selector = spec.get("selector")
    if isinstance(selector, Mapping):
        yield from _labels(selector, (*path, "selector"))


def autoscaler_spec(spec: Object, path: Path) -> Iterator[Violation]:
    low, high = spec.get("minReplicas", 1), spec.get("maxReplicas")
    if isinstance(low, int) and low < 1:
        yield Violation((*path, "minReplicas"), f"{low} is below 1; an autoscaler cannot scale to zero here")
    if isinstance(high, int) and isinstance(low, int) and high < max(low, 1):
        yield Violation((*path, "maxReplicas"), f"{high} is below minReplicas {low}")


def metric_spec(metric: Object, path: Path) -> Iterator[Violation]:
    kind = str(metric.get("type", ""))
    block = kind[:1].lower() + kind[1:]
    if block and metric.get(block) is None:
        yield Violation((*path, block), f"is required for a metric of type {kind}")


def ip_block(block: Object, path: Path) -> Iterator[Violation]:
    """Exceptions lie in the range that they are taken out of."""
    for index, text in enumerate(block.get("except") or []):
        try:
            outer, inner = ipaddress.ip_network(str(block.get("cidr"))), ipaddress.ip_network(str(text))
            inside = outer != inner and inner.subnet_of(outer)  # type: ignore[arg-type]
        except (ValueError, TypeError):
            inside = False
        if not inside:
            yield Violation((*path, "except", index), f"{text!r} is no range within {block.get('cidr')!r}")


def disruption_budget_spec(spec: Object, path: Path) -> Iterator[Violation]:
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        yield Violation((*path, "minAvailable"), "give minAvailable or maxUnavailable, not both")


def config_data(kind: str) -> Check:
    """Rules for the data of a ConfigMap or Secret."""

    def check(obj: Object, path: Path) -> Iterator[Violation]:
        size = 0
        for field in ("data", "binaryData", "stringData"):
            for key, value in _mapping(obj, field).items():
                size += len(str(value).encode())
                if not _DATA_KEY.fullmatch(key) or key in (".", ".."):
                    yield Violation(
                        (*path, field, key),
                        f"{key!r} is not a key: letters, digits, '-', '_' and '.', at most 253",
                    )
                encoded = field == "binaryData" or (kind == "Secret" and field == "data")
                if encoded and isinstance(value, str) and not _is_base64(value):
                    yield Violation((*path, field, key), "is not base64; use stringData for plain text" if kind == "Secret"
                                    else "is not base64; use data for plain text")  # fmt: skip
        if size > _MEBIBYTE:
            yield Violation(path, f"the data of a {kind} takes {size} bytes; at most {_MEBIBYTE} are allowed")

    return check


def quantity_rule(value: object, path: Path) -> Iterator[Violation]:
    if isinstance(value, str):
        try:
            quantity.parse(value)
        except ValueError as error:
            yield Violation(path, str(error))


def resources_rules(resources: Object, path: Path) -> Iterator[Violation]:
    """Requests within limits; extended resources (GPUs) whole, and the same in both."""
    requests, limits = _mapping(resources, "requests"), _mapping(resources, "limits")
    for name, text in {**limits, **requests}.items():
        amount, request, limit = _amount(text), _amount(requests.get(name)), _amount(limits.get(name))
        where = (*path, "requests" if name in requests else "limits", name)
        if amount is None:
            continue
        if amount < 0:
            yield Violation(where, f"{text} is negative")
        if _is_extended(name):
            if amount != amount.to_integral_value():
                yield Violation(where, f"{text} is not whole; {name} is given in whole devices")
            if name in requests and limits.get(name) is None:
                yield Violation(
                    (*path, "limits", name),
                    f"is required: {name} is never shared, its limit equals its request",
                )
            elif request is not None and limit is not None and request != limit:
                yield Violation(
                    where, f"request {text} differs from limit {limits[name]}; {name} needs the same in both"
                )
        elif request is not None and limit is not None and request > limit:
            yield Violation(where, f"request {text} is above limit {limits[name]}")


def _is_extended(name: str) -> bool:
    return "/" in name and not name.split("/")[0].endswith("kubernetes.io")


def _amount(value: object) -> Any:
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        try:
            return quantity.parse(quantity.canonical(value)).amount
        except ValueError:
            return None
    return None


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _labels(labels: Object, path: Path) -> Iterator[Violation]:
    for key, value in labels.items():
        reason = label_key_fault(key) or (label_value_fault(value) if isinstance(value, str) else None)
        if reason:
            yield Violation((*path, key), reason)


def _mapping(obj: Object, key: str) -> Object:
    value = obj.get(key)
    return value if isinstance(value, Mapping) else {}


def _objects(obj: Object, key: str) -> list[Object]:
    value = obj.get(key)
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []
