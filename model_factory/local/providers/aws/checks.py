"""What AWS would refuse, found without a call: rules that its published shapes do not state."""

from __future__ import annotations

import difflib
import ipaddress
import itertools
import json
import re
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

from model_factory.graph.paths import to_text
from model_factory.local.limits import load_limits
from model_factory.local.providers.aws.session import Aws, known_regions
from model_factory.local.providers.errors import Failure
from model_factory.local.providers.values import mapping
from model_factory.local.wire import Properties, Unknown, Value, is_unknown

Check = Callable[[Aws, Properties], Iterable[Failure]]

LIMITS: Final = Path(__file__).with_name("limits.csv")
_ARN: Final = re.compile(r"arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:(\d{12}|aws)?:.+")
_TAG_KEY_MAX: Final = 128
_TAG_VALUE_MAX: Final = 256
_TAGS_MAX: Final = 50
_TAG_SIGNS_SHOWN: Final = "+-=._:/@"
_TAG_SIGNS: Final = frozenset({*_TAG_SIGNS_SHOWN, " "})


def region(_aws: Aws, inputs: Properties) -> Iterable[Failure]:
    """`region` is one that AWS has."""
    value = inputs.get("region")
    if isinstance(value, str) and value not in known_regions():
        near = difflib.get_close_matches(value, sorted(known_regions()), n=1)
        yield Failure("region", f"{value!r} is no AWS region; nearest is {near[0] if near else 'us-east-1'}")


def tags(token: str) -> Check:
    """Tags keep AWS's limits: 50 a resource, key up to 128 and value up to 256 characters, no key from `aws:`.

    EC2 takes any character, others letters, digits, spaces and some signs; IAM takes keys that differ by case for one.
    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions and
    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html#id_tags_rules
    """
    any_character = token.startswith(("aws:ec2/", "aws:vpc/"))

    def check(_aws: Aws, inputs: Properties) -> Iterable[Failure]:
        found = mapping(inputs, "tagsAll")
        for key, value in found.items():
            path = f'tags["{key}"]'
            if not 0 < len(key) <= _TAG_KEY_MAX:
                yield Failure(path, f"key of {len(key)} characters; AWS takes 1 to {_TAG_KEY_MAX}")
            if key.lower().startswith("aws:"):
                yield Failure(path, "keys from aws: are AWS's own; choose another prefix")
            if isinstance(value, Unknown):
                continue
            if not isinstance(value, str):
                yield Failure(path, f"{value!r} is no text")
            elif len(value) > _TAG_VALUE_MAX:
                yield Failure(path, f"value of {len(value)} characters; AWS takes at most {_TAG_VALUE_MAX}")
            elif (
                odd := ""
                if any_character
                else "".join(sorted({*key, *value} - _TAG_SIGNS - {*filter(str.isalnum, key + value)}))
            ):
                yield Failure(path, f"{key}={value!r} has {odd!r}; use letters, digits, spaces and {_TAG_SIGNS_SHOWN}")
        if len(found) >= _TAGS_MAX:
            yield Failure("tags", f"{len(found)} tags; AWS takes {_TAGS_MAX}, one of them is ours")
        if token.startswith("aws:iam/") and len({key.lower() for key in found}) < len(found):
            yield Failure("tags", f"{', '.join(found)} differ by case alone, which IAM does not tell; rename one")

    return check


def limits(token: str) -> Check:
    """What stands in `limits.csv` about a type."""
    rules = load_limits(LIMITS).get(token, ())

    def check(_cloud: Aws, inputs: Properties) -> Iterable[Failure]:
        for rule in rules:
            yield from (Failure(to_text(path), fault) for path, fault in rule.faults("AWS", inputs))

    return check


def cidr(*paths: str, low: int = 0, high: int = 32) -> Check:
    """IPv4 networks, written without host bits, with a prefix length from `low` to `high`."""

    def check(_aws: Aws, inputs: Properties) -> Iterable[Failure]:
        for path, value in _at(inputs, paths):
            try:
                network = ipaddress.IPv4Network(value)
            except ValueError as error:
                yield Failure(path, f"{value!r} is no IPv4 network: {error}{_without_host_bits(value)}")
                continue
            if "/" not in value:
                yield Failure(path, f"{value!r} has no prefix length; nearest is {network}")
            elif not low <= network.prefixlen <= high:
                yield Failure(path, f"{value} is /{network.prefixlen}; AWS takes /{low} to /{high} here")

    return check


def _without_host_bits(value: Any) -> str:
    try:
        return f"; nearest is {ipaddress.IPv4Network(value, strict=False)}"
    except ValueError:
        return ""


def zone(path: str) -> Check:
    """An availability zone of the resource's own region."""

    def fault(aws: Aws, value: Any) -> str:
        fits = re.fullmatch(rf"{re.escape(aws.region)}(-[a-z]+-\d)?[a-z]", str(value))
        return "" if fits else f"{value!r} is no zone of {aws.region}; for example {aws.region}a"

    return _each((path,), fault)


def arn(*paths: str) -> Check:
    """ARNs: arn:partition:service:region:account:resource."""

    def fault(_aws: Aws, value: Any) -> str:
        fits = _ARN.fullmatch(str(value))
        return "" if fits else f"{value!r} is no ARN (arn:aws:service:region:account:resource)"

    return _each(paths, fault)


def minor_version(inputs: Properties) -> int | None:
    """The minor number of `version`; None where it is not given, not known yet, or none."""
    found = re.fullmatch(r"1\.(\d+)", str(inputs.get("version")))
    return int(found[1]) if found else None


def exactly_one(*names: str) -> Check:
    """Exactly one of these inputs is given; an unknown one counts."""

    def check(_aws: Aws, inputs: Properties) -> Iterable[Failure]:
        given = [name for name in names if inputs.get(name) not in (None, "")]
        if len(given) != 1:
            said = f"{', '.join(given)} are given" if given else "none is given"
            yield Failure(given[0] if given else names[0], f"{said}; give exactly one of {', '.join(names)}")

    return check


def instance_types(path: str) -> Check:
    """Instance types that EC2's published model lists."""

    def fault(aws: Aws, value: Any) -> str:
        known = _known_instance_types(aws.model("ec2"))
        if value in known:
            return ""
        near = difflib.get_close_matches(str(value), known, n=1)
        return f"{value!r} is no EC2 instance type" + (f"; nearest is {near[0]}" if near else "")

    return _each((path,), fault)


def one_of(path: str, *allowed: str | int) -> Check:
    """One of a fixed set of values that the model leaves open."""
    said = ", ".join(map(str, allowed))
    return _each((path,), lambda _, value: "" if value in allowed else f"{value!r} is not allowed; one of {said}")


def pattern(path: str, expression: str, meaning: str) -> Check:
    """Text of a form that the model leaves open."""
    fits = re.compile(expression).fullmatch
    return _each((path,), lambda _, value: "" if fits(str(value)) else f"{value!r} is not {meaning}")


def between(path: str, low: int, high: int) -> Check:
    """A number in a range that the model leaves open."""
    return _each((path,), lambda _, value: "" if low <= value <= high else f"{value} is outside {low} to {high}")


def json_text(path: str) -> Check:
    """Text that must be JSON."""

    def fault(_aws: Aws, value: Any) -> str:
        try:
            json.loads(value)
        except ValueError as error:
            return f"is not JSON: {error}"
        return ""

    return _each((path,), fault)


def policy(path: str, *, trust: bool = False) -> Check:
    """An IAM policy document; a trust policy names principals and no resources, an identity policy the reverse."""

    def check(_aws: Aws, inputs: Properties) -> Iterable[Failure]:
        value = inputs.get(path)
        if value is not None and not is_unknown(value):
            for reason in policy_faults(value, trust=trust):
                yield Failure(path, reason)

    return check


def policy_faults(document: Value, *, trust: bool) -> Iterable[str]:
    """What is wrong with an IAM policy document, given as JSON text or as an object."""
    try:
        parsed: Any = json.loads(document) if isinstance(document, str) else document
    except ValueError as error:
        yield f"is not JSON: {error}"
        return
    if not isinstance(parsed, dict) or not cast("dict[str, Any]", parsed).get("Statement"):
        yield "has no Statement"
        return
    policy = cast("dict[str, Any]", parsed)
    if policy.get("Version", "2012-10-17") not in ("2012-10-17", "2008-10-17"):
        yield f"Version {policy['Version']!r} is unknown; use 2012-10-17"
    statements: Any = policy["Statement"]
    for index, statement in enumerate(cast("list[Any]", statements if isinstance(statements, list) else [statements])):
        yield from (f"Statement[{index}] {fault}" for fault in _statement_faults(statement, trust=trust))


def _statement_faults(statement: Any, *, trust: bool) -> Iterable[str]:
    if not isinstance(statement, dict):
        yield f"is {statement!r}, no object"
        return
    if statement.get("Effect") not in ("Allow", "Deny"):
        yield f"has Effect {statement.get('Effect')!r}; use Allow or Deny"
    if not statement.get("Action") and not statement.get("NotAction"):
        yield "has no Action"
    if trust and not statement.get("Principal") and not statement.get("NotPrincipal"):
        yield "has no Principal; a trust policy says who may assume the role"
    if trust and (statement.get("Resource") or statement.get("NotResource")):
        yield "has a Resource; a trust policy has none"


def min_max(path: str, low: str, high: str, *middle: str) -> Check:
    """low ≤ middle ≤ high, for numbers in one object, none negative."""

    def check(_aws: Aws, inputs: Properties) -> Iterable[Failure]:
        block = mapping(inputs, path)
        numbers = {name: value for name, value in block.items() if isinstance(value, (int, float))}
        for name, value in numbers.items():
            if value < 0:
                yield Failure(f"{path}.{name}", f"{value} is negative")
        order = [name for name in (low, *middle, high) if name in numbers]
        for smaller, larger in itertools.pairwise(order):
            if numbers[smaller] > numbers[larger]:
                yield Failure(
                    f"{path}.{smaller}",
                    f"{numbers[smaller]} is more than {larger} ({numbers[larger]}); raise {larger}",
                )

    return check


@cache
def _known_instance_types(model: Any) -> tuple[str, ...]:
    return tuple(model.shape_for("InstanceType").enum)


def _each(paths: tuple[str, ...], fault: Callable[[Aws, Any], str]) -> Check:
    """A check of each known value at some paths; `fault` says what is wrong with one, "" where nothing is."""

    def check(aws: Aws, inputs: Properties) -> Iterable[Failure]:
        for path, value in _at(inputs, paths):
            if reason := fault(aws, value):
                yield Failure(path, reason)

    return check


def _at(inputs: Properties, paths: Iterable[str]) -> Iterable[tuple[str, Any]]:
    """The known values at some paths; `block.property`, and each item of a list."""
    for path in paths:
        *blocks, name = path.split(".")
        block = inputs
        for step in blocks:
            block = mapping(block, step)
        value = block.get(name)
        if isinstance(value, list):
            known = ((index, str(item)) for index, item in enumerate(value) if not isinstance(item, Unknown))
            yield from ((f"{path}[{index}]", item) for index, item in known if item)
        elif value is not None and not isinstance(value, Unknown):
            yield path, value
