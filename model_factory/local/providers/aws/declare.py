"""An AWS resource type in one call: what all AWS types share is done here (regions, tags, facts, checks)."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, cast

from model_factory.local.providers.aws import checks
from model_factory.local.providers.aws.checks import Check
from model_factory.local.providers.aws.session import Aws
from model_factory.local.providers.aws.shapes import Api, tags_member
from model_factory.local.providers.base import (
    URN_TAG,
    Call,
    ResourceType,
    Transition,
    Update,
    any_change,
    inputs_still_there,
    nothing_found,
    ready_at_once,
)
from model_factory.local.providers.diff import Change
from model_factory.local.providers.errors import Failure, NotFoundError
from model_factory.local.providers.rules import Equivalent, load_rules
from model_factory.local.providers.values import mapping, text
from model_factory.local.wire import Properties, Value

FACTS: Final = Path(__file__).with_name("resources.json")
TAGS: Final = "__tags"
"""Where a read function leaves all tags of the object as a map; `declare` makes `tags` and `tagsAll` of them."""

Tagger = Callable[[Aws, Properties, Mapping[str, str], list[str]], None]
"""(session, the object's outputs and `id`, tags to set, keys to remove)."""


def declare(
    token: str,
    *,
    api: Api,
    create: Callable[[Call[Aws], Properties], str | None],
    read: Callable[[Call[Aws], str, Properties], Properties | None],
    delete: Callable[[Call[Aws], str, Properties], bool | None],
    update: Callable[[Call[Aws], Update], str | None] | None = None,
    ready: Callable[[Call[Aws], str, Properties], None] | None = None,
    find: Callable[[Call[Aws], Properties], str | None] | None = None,
    id_of: Callable[[Properties], str] | None = None,
    transition: Transition = any_change,
    refine: Callable[[Properties, Properties, list[Change]], list[Change]] | None = None,
    tagger: Tagger | None = None,
    check: Iterable[Check] = (),
    equivalent: Mapping[str, Equivalent] | None = None,
    write_only: Iterable[str] = (),
    signed: bool = True,
) -> ResourceType[Aws]:
    """A type from its calls and its facts in resources.json. With neither `update` nor `tagger`, every change replaces.

    id_of: where the id follows from the inputs. Then `create` answers nothing, and an object of that id that can be read
    is what a killed create left behind: no `find` is needed. Where the type has tags, that must be one of this create, so that
    nobody else's of the same name is taken; `signed` False: the tags come with a later call, and tell nothing of who made it.
    write_only: inputs that AWS takes and never tells again. They, and those that guide the provider alone
    (`forceDelete`), are taken to be as they were asked.
    """
    facts = load_rules(FACTS)[token]
    known_inputs, properties = facts.inputs, facts.inputs | facts.outputs
    all_checks = (checks.region, checks.tags(token), *check, checks.limits(token))
    untold = known_inputs & (api.ours | {*write_only})
    rules = dataclasses.replace(facts, equivalent=equivalent or {})

    def check_all(aws: Aws, inputs: Properties) -> Iterable[Failure]:
        for key in sorted({*inputs} - known_inputs - {"tagsAll"}):
            yield Failure(key, f"is no input of {token}")
        known = {key: value for key, value in inputs.items() if key in known_inputs}
        yield from api.failures(aws, known)
        for one in all_checks:
            yield from one(aws, inputs)

    signs = signed and id_of is not None and "tags" in known_inputs

    def create_all(call: Call[Aws], inputs: Properties) -> str:
        tags = mapping(inputs, "tagsAll")
        made = create(call, {**inputs, "tagsAll": {**tags, URN_TAG: call.urn_digest}} if signs else inputs)
        return id_of(inputs) if id_of else cast("str", made)

    def find_by_id(call: Call[Aws], inputs: Properties) -> str | None:
        object_id = cast("Callable[[Properties], str]", id_of)(inputs)
        found = read(call, object_id, inputs)
        ours = found is not None and (not signs or mapping(found, TAGS).get(URN_TAG) == call.urn_digest)
        return object_id if ours else None

    def read_all(call: Call[Aws], object_id: str, inputs: Properties) -> Properties | None:
        try:
            found = read(call, object_id, inputs)
        except NotFoundError:
            return None
        if found is None:
            return None
        outputs = {key: value for key, value in found.items() if key in properties and value is not None}
        if "region" in known_inputs:
            outputs["region"] = call.cloud.region
        if "tags" in known_inputs:
            outputs.pop("tags", None)  # as an answer has them, ours among them
            outputs |= _tag_outputs(call.cloud, mapping(found, TAGS), inputs)
        return {key: value for key, value in inputs.items() if key in untold and key not in outputs} | outputs

    def update_all(call: Call[Aws], change: Update) -> str | None:
        if tagger and change.changed("tagsAll"):
            want = {key: str(value) for key, value in mapping(change.new, "tagsAll").items()}
            have = mapping(change.old, "tagsAll")
            added = {key: value for key, value in want.items() if have.get(key) != value}
            tagger(call.cloud, {**change.old, "id": change.id}, added, [key for key in have if key not in want])
        return update(call, change) if update else None

    return ResourceType[Aws](
        token=token,
        create=create_all,
        ready=ready or ready_at_once,
        read=read_all,
        delete=delete,
        update=update_all if update or tagger else None,
        find=find_by_id if id_of else find or nothing_found,
        repeatable=id_of is not None,
        transition=transition,
        refine=refine,
        check=check_all,
        inputs_of=inputs_still_there,
        rules=rules,
    )


def _tag_outputs(aws: Aws, found: Mapping[str, Value], inputs: Properties) -> Properties:
    """`tagsAll`: all tags but our own and AWS's; `tags`: those of them that are not the provider's default tags."""
    everything: Properties = {
        # Ours ends so whatever stands before it: local clouds keep objects that an earlier version tagged.
        key: value
        for key, value in found.items()
        if not key.endswith(":urn-digest") and not key.startswith("aws:")
    }
    asked = mapping(inputs, "tags")
    default = aws.config.default_tags
    own: Properties = {key: value for key, value in everything.items() if key in asked or default.get(key) != value}
    return {"tagsAll": everything, **({"tags": own} if own or "tags" in inputs else {})}


def joined(*names: str, separator: str = ":") -> Callable[[Properties], str]:
    """For `id_of`: the id that these inputs make, in this order."""
    return lambda inputs: separator.join(text(inputs, name) for name in names)


def deletes(
    service: str, operation: str, *members: str, separator: str = ":"
) -> Callable[[Call[Aws], str, Properties], None]:
    """For `delete`: one call, whose members the parts of the id are, in this order."""

    def delete(call: Call[Aws], object_id: str, _state: Properties) -> None:
        parts = object_id.split(separator, len(members) - 1)
        call.cloud.call(service, operation, **dict(zip(members, parts, strict=True)))

    return delete


def put_again(
    put: Callable[[Call[Aws], Properties], str | None],
) -> Callable[[Call[Aws], Update], None]:
    """For `update`, where a setting is written as a whole: the create again."""

    def update(call: Call[Aws], change: Update) -> None:
        put(call, change.new)

    return update


def tagger(service: str, kind: str = "Resource", *, output: str = "arn") -> Tagger:
    """Tags by the service's operations for `kind` (TagResource, UntagResource), which take what `output` holds."""

    def tag(aws: Aws, outputs: Properties, added: Mapping[str, str], removed: list[str]) -> None:
        required = cast("list[str]", Api(service, f"Untag{kind}").structure(aws).required_members)
        subject, keys = sorted(required, key=lambda name: name.lower() == "tagkeys")
        if added:
            tagging = Api(service, f"Tag{kind}").structure(aws)
            aws.call(service, f"Tag{kind}", **{subject: outputs[output]}, **tags_member(tagging, added))
        if removed:
            aws.call(service, f"Untag{kind}", **{subject: outputs[output], keys: removed})

    return tag


def as_tag_list(tags: Mapping[str, Value]) -> list[dict[str, str]]:
    """A map of tags as EC2 and S3 have it."""
    return [{"Key": key, "Value": str(value)} for key, value in tags.items()]


def from_tag_list(tags: Iterable[Mapping[str, Any]] | None) -> Properties:
    """The reverse; services differ in the case of the keys."""
    return {
        str(tag.get("Key", tag.get("TagKey"))): str(tag.get("Value", tag.get("TagValue", ""))) for tag in tags or ()
    }


def as_json(value: Value) -> str:
    """A document as JSON text; the SDK passes it as text or as an object."""
    return value if isinstance(value, str) else json.dumps(value)


def same_json(old: Value, new: Value) -> bool:
    """Whether two documents are the same JSON."""
    try:
        return json.loads(as_json(old)) == json.loads(as_json(new))
    except ValueError:
        return False


def same_policy(old: Value, new: Value) -> bool:
    """Whether two IAM policies say the same: order of lists, one item or a list of one, do not count."""
    try:
        return _normal(json.loads(as_json(old))) == _normal(json.loads(as_json(new)))
    except ValueError:
        return False


def _normal(node: Any, key: str = "") -> Any:
    if isinstance(node, dict):
        return {name: _normal(item, name) for name, item in cast("dict[str, Any]", node).items()}
    if isinstance(node, list):
        found = sorted((_normal(item) for item in cast("list[Any]", node)), key=repr)
        return found[0] if len(found) == 1 and key != "" else found
    return node
