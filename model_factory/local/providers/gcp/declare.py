"""A GCP resource type in one declaration: what all types share is done here (ids, labels, facts, checks, operations)."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

from model_factory.local.discovery import Json, Violation
from model_factory.local.providers.base import (
    Call,
    Onward,
    ResourceType,
    Transition,
    Update,
    any_change,
    any_way,
    inputs_still_there,
    ready_at_once,
)
from model_factory.local.providers.diff import Change, is_same
from model_factory.local.providers.errors import Failure, NotFoundError, UnsupportedError
from model_factory.local.providers.gcp import checks
from model_factory.local.providers.gcp.checks import Check
from model_factory.local.providers.gcp.session import Body, Gcp, creating, finish, patiently
from model_factory.local.providers.gcp.shapes import (
    Field,
    Shape,
    fill_silent,
    from_api,
    property_path,
    to_api,
    unknown_properties,
)
from model_factory.local.providers.naming import AutoName
from model_factory.local.providers.rules import Equivalent, Rules, load_rules
from model_factory.local.providers.values import mapping, text
from model_factory.local.wire import Properties, Unknown, Value

FACTS: Final = Path(__file__).with_name("resources.json")
OURS: Final = frozenset({"deletionPolicy"})
"""Inputs of every type that guide the provider alone."""

Parameters = Callable[[str], Mapping[str, str]]


@dataclass(frozen=True)
class Api:
    """How a type stands in its API.

    methods: the method ids' common part (`compute.networks`). schema: the message of one object. shape: its properties.
    id_template: the id in terms of properties, `{project}` taken from the configuration where it is not given.
    make: the method that makes an object, `insert` or `create`, and `parameters` those of get, delete and change, from an id.
    parent: the parameters of the list's place, from inputs. body_field: where a request wraps the object.
    """

    methods: str
    schema: str
    shape: Shape
    id_template: str
    parameters: Parameters
    parent: Callable[[Mapping[str, str]], Mapping[str, str]]
    make: str = "create"
    body_field: str = ""
    ours: frozenset[str] = frozenset()
    labels_field: str = ""
    asynchronous: bool = True
    masked: bool = False
    fingerprinted: bool = False
    extras: Callable[[Gcp, Properties], Body] = field(default=lambda _cloud, _inputs: {})

    @property
    def service(self) -> str:
        return self.methods.partition(".")[0]


def declare(
    token: str,
    api: Api,
    *,
    name: AutoName | None = None,
    create: Callable[[Call[Gcp], Properties], str] | None = None,
    update: Callable[[Call[Gcp], Update], str | None] | None = None,
    delete: Callable[[Call[Gcp], str, Properties], None] | None = None,
    ready: Callable[[Call[Gcp], str, Properties], None] | None = None,
    complete: Callable[[Call[Gcp], str, Properties, Properties, Body], Properties | None] | None = None,
    check: Iterable[Check] = (),
    equivalent: Mapping[str, Equivalent] | None = None,
    unordered: Iterable[str] = (),
    computed_on_update: tuple[str, ...] = (),
    unchangeable: bool = False,
    transition: Transition = any_change,
    onward: Onward = any_way,
    refine: Callable[[Properties, Properties, list[Change]], list[Change]] | None = None,
) -> ResourceType[Gcp]:
    """A type from its API and its facts in resources.json; the functions replace the generic ones.

    complete: adds to what was read: (call, id, inputs, properties, message); None says that the object counts as gone. unchangeable: every change replaces.
    """
    rules = dataclasses.replace(
        rules_of(token, name),
        equivalent=equivalent or {},
        unordered=frozenset(unordered),
        computed_on_update=computed_on_update,
    )
    ours = api.ours | OURS
    all_checks = (*check, checks.limits(token))

    def check_all(cloud: Gcp, inputs: Properties) -> Iterable[Failure]:
        known = {key: value for key, value in inputs.items() if key not in ours}
        yield from unknown_properties(known_shape(api), known, token)
        if inputs.get("deletionPolicy", "DELETE") not in ("DELETE", ""):
            yield Failure("deletionPolicy", f"is {inputs['deletionPolicy']!r}; the local provider knows DELETE only")
        yield from schema_failures(cloud, api, known)
        for one in all_checks:
            yield from one(cloud, inputs)

    def create_all(call: Call[Gcp], inputs: Properties) -> str:
        object_id = id_of(api, call.cloud, inputs)
        body = message(api, call.cloud, inputs)
        parent = api.parent(named_parts(api, object_id))
        extra = api.extras(call.cloud, inputs)
        method = f"{api.methods}.{api.make}"
        operation = creating(call, object_id, lambda: patiently(call, method, body=body, **parent, **extra))
        settle(call, api, operation, object_id, method)
        return object_id

    def read_all(call: Call[Gcp], object_id: str, inputs: Properties) -> Properties | None:
        if object_id in call.cloud.released:
            return None
        try:
            body = call.cloud.call(f"{api.methods}.get", **api.parameters(object_id))
        except NotFoundError:
            return None
        return read_properties(call, object_id, inputs, body)

    def read_properties(call: Call[Gcp], object_id: str, inputs: Properties, body: Body) -> Properties | None:
        found = from_api(api.shape, body)
        parts = named_parts(api, object_id)
        found |= {key: value for key, value in parts.items() if key not in found}
        if api.labels_field:
            found |= label_outputs(
                call.cloud,
                body.get(api.labels_field, {}),
                inputs,
                "resourceLabels" if "resourceLabels" in {f.name for f in api.shape} else "labels",
            )
        if complete:
            completed = complete(call, object_id, inputs, found, body)
            if completed is None:
                return None
            found = completed
        kept = {key: value for key, value in inputs.items() if key in ours and key not in found}
        asked = {key: value for key, value in inputs.items() if key in {f.name for f in api.shape if not f.output}}
        filled = fill_silent(asked, found)
        return {**(filled if isinstance(filled, dict) else found), **kept}

    def update_all(call: Call[Gcp], change: Update) -> str | None:
        return (update or generic_update(api))(call, change)

    def delete_all(call: Call[Gcp], object_id: str, state: Properties) -> None:
        if delete:
            delete(call, object_id, state)
            return
        method = f"{api.methods}.delete"
        settle(call, api, patiently(call, method, **api.parameters(object_id)), object_id, method)

    def find(call: Call[Gcp], inputs: Properties) -> str | None:
        object_id = id_of(api, call.cloud, inputs)
        return object_id if read_all(call, object_id, inputs) is not None else None

    return ResourceType[Gcp](
        token=token,
        create=create or create_all,
        ready=ready or ready_at_once,
        read=read_all,
        delete=delete_all,
        update=None if unchangeable else update_all,
        find=find,
        repeatable=True,
        check=check_all,
        transition=transition,
        onward=onward,
        refine=refine,
        inputs_of=inputs_still_there,
        rules=rules,
    )


def generic_update(api: Api) -> Callable[[Call[Gcp], Update], str | None]:
    """Send what differs: a masked patch where the API takes a mask, else a merging one."""

    def update(call: Call[Gcp], change: Update) -> str | None:
        names = [f.name for f in api.shape if not f.output and changed(change, f.name)]
        if names:
            patch(call, api, change, names)
        return None

    return update


def patch(call: Call[Gcp], api: Api, change: Update, names: Iterable[str]) -> None:
    """Patch these properties of an object to what is asked now; those not asked for any more are cleared."""
    wanted = frozenset(names)
    body = to_api(api.shape, change.new, only=wanted)
    if api.labels_field and wanted & {"labels", "resourceLabels"}:
        body[api.labels_field] = labels_to_write(call.cloud, change)
    fields = [f for f in api.shape if f.name in wanted]
    parameters: dict[str, Json] = dict(api.parameters(change.id))
    if api.masked:
        parameters["updateMask"] = ",".join(dict.fromkeys(".".join(f.path) for f in fields))
    else:
        for each in fields:
            if each.name not in change.new:
                _set_null(body, each.path)
    if api.fingerprinted:
        body["fingerprint"] = call.cloud.call(f"{api.methods}.get", **api.parameters(change.id)).get("fingerprint")
    method = f"{api.methods}.patch"
    settle(call, api, patiently(call, method, body=body, **parameters), change.id, method)


def changed(change: Update, name: str) -> bool:
    """Whether a property must be set: what is asked differs from what the cloud has, or is not asked any more.

    What the cloud adds to a nested object by itself does not count.
    """
    asked, before = change.new.get(name), change.old_inputs.get(name)
    return differs((name,), asked, change.old.get(name), before, change.rules)


def differs(path: tuple[str | int, ...], asked: Value, found: Value, before: Value, rules: Rules) -> bool:
    """`changed` for one path: what is asked, what the cloud has, what was asked before."""
    if asked is None:
        return before is not None and found is not None
    if is_same(path, found, asked, rules):
        return False
    if isinstance(asked, dict) and isinstance(found, dict):
        earlier = before if isinstance(before, dict) else {}
        return any(
            differs((*path, key), asked.get(key), found.get(key), earlier.get(key), rules) for key in {*asked, *earlier}
        )
    if isinstance(asked, list) and isinstance(found, list) and len(asked) == len(found):
        earlier_items = before if isinstance(before, list) and len(before) == len(asked) else [None] * len(asked)
        items = zip(asked, found, earlier_items, strict=True)
        return any(differs((*path, i), *values, rules) for i, values in enumerate(items))
    return True


def _set_null(body: Body, path: tuple[str, ...]) -> None:
    target = body
    for step in path[:-1]:
        target = target.setdefault(step, {})
    target.setdefault(path[-1], None)


def settle(call: Call[Gcp], api: Api, answer: Body, object_id: str, method: str) -> None:
    """Wait for the operation that a call answered with, where it did."""
    is_operation = "operation" in str(answer.get("kind", "")).lower() or "operationType" in answer or (
        "name" in answer and ("done" in answer or "/operations/" in str(answer["name"]))
    )  # fmt: skip
    if api.asynchronous and is_operation:
        finish(call, api.service, answer, location="/".join(object_id.split("/")[:4]), method=method)


# Ids


def id_of(api: Api, cloud: Gcp, inputs: Mapping[str, Value]) -> str:
    """The id that an object with these inputs has."""
    return re.sub(r"\{(\w+)\}", lambda match: part_of(cloud, inputs, match.group(1)), api.id_template)


def part_of(cloud: Gcp, inputs: Mapping[str, Value], part: str) -> str:
    value = text(inputs, part)
    if not value and part == "project":
        value = cloud.config.project
    if not value and part == "location" and "/locations/" in text(inputs, "cluster"):
        value = text(inputs, "cluster").partition("/locations/")[2].partition("/")[0]
    if not value and part in ("region", "location"):
        value = cloud.config.region
    return value.rpartition("/")[2] if part not in ("keyRing", "service_account") else value


@cache
def _id_pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"(\{\w+\})", template)
    return re.compile(
        "".join(
            f"(?P<{p[1:-1]}>{'.+' if p == '{keyRing}' else '[^/]+'})" if p.startswith("{") else re.escape(p)
            for p in parts
        )
    )


def named_parts(api: Api, object_id: str) -> dict[str, str]:
    """What an id says of the properties in its template."""
    match = _id_pattern(api.id_template).fullmatch(object_id)
    if match is None:
        raise UnsupportedError(f"{object_id!r} is no id of the form {api.id_template}")
    return match.groupdict()


# Messages and labels


def known_shape(api: Api) -> Shape:
    """The shape with what the id alone says (a location) as inputs."""
    names = {f.name for f in api.shape if not f.output}
    return (
        *api.shape,
        *(Field(part) for part in re.findall(r"\{(\w+)\}", api.id_template) if part not in names),
    )


def message(api: Api, cloud: Gcp, inputs: Properties) -> Body:
    body = to_api(api.shape, inputs)
    if api.labels_field:
        body[api.labels_field] = {**cloud.config.labels, **labels_of(inputs)}
    return {api.body_field: body} if api.body_field else body


def labels_of(inputs: Mapping[str, Value]) -> Properties:
    return mapping(inputs, "labels") or mapping(inputs, "resourceLabels")


def labels_to_write(cloud: Gcp, change: Update) -> dict[str, Value]:
    """All labels to set: what others put on the object is kept, what the program stopped giving goes."""
    old, before, now = (
        mapping(change.old, "effectiveLabels"),
        labels_of(change.old_inputs),
        labels_of(change.new),
    )
    kept = {key: value for key, value in old.items() if key not in before}
    return {**kept, **cloud.config.labels, **now}


def label_outputs(cloud: Gcp, found: Mapping[str, Json], inputs: Properties, name: str) -> Properties:
    """`labels`: those asked for, as they are now; `pulumiLabels`: with the provider's; `effectiveLabels`: all."""
    asked = labels_of(inputs)
    ours = {key: value for key, value in found.items() if key in asked}
    provided = {key: value for key, value in found.items() if key in asked or key in cloud.config.labels}
    result: Properties = {"pulumiLabels": provided, "effectiveLabels": dict(found)}
    if asked or name in inputs:
        result[name] = ours
    return result


# Facts and checks


def rules_of(token: str, name: AutoName | None) -> Rules:
    rules = load_rules(FACTS)[token]
    if name is None:
        return rules
    required = tuple(path for path in rules.required if path != name.property)
    return dataclasses.replace(rules, auto_name=name, required=required)


def schema_failures(cloud: Gcp, api: Api, inputs: Properties) -> Iterable[Failure]:
    """What Google's published model says against the message that these inputs make."""
    body = to_api(api.shape, inputs)
    method = f"{api.methods}.{api.make}"
    _, violations = cloud.document(api.service).check(
        api.schema, body, method=method, skip=lambda value: isinstance(value, Unknown)
    )
    for violation in violations:
        yield Failure(property_path(api.shape, violation), _reason(violation))


def _reason(violation: Violation) -> str:
    if violation.kind == "required":
        return "missing; Google requires it"
    if violation.kind == "unknown":
        return f"Google's API has no such field ({violation.value!r})"
    return f"is {violation.value!r}; {violation.message}"
