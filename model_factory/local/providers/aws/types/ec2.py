"""What EC2's objects have in common: read by id, tagged at birth, found again by their tag."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from model_factory.local.providers.aws.declare import TAGS, as_tag_list, from_tag_list
from model_factory.local.providers.aws.session import Aws
from model_factory.local.providers.aws.shapes import Api
from model_factory.local.providers.base import URN_TAG, Call
from model_factory.local.providers.errors import NotFoundError
from model_factory.local.providers.values import mapping
from model_factory.local.wire import Properties

Describe = Callable[[Call[Aws], dict[str, Any], Properties], Properties]
"""(call, the object as EC2 answers it, inputs) → what only this type knows to say of it."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of EC2 object: `vpc`, described by DescribeVpcs(VpcIds=…) → Vpcs[].VpcId, of shape Vpc."""

    tag_type: str
    shape: str
    plural: str
    id_member: str
    gone: frozenset[str] = frozenset({"deleted"})

    @classmethod
    def named(cls, tag_type: str, shape: str) -> Kind:
        """One whose members are named after its shape, as most are."""
        return cls(tag_type, shape, f"{shape}s", f"{shape}Id")

    def one(self, aws: Aws, object_id: str) -> dict[str, Any] | None:
        """The object, or None when it is not there (any more)."""
        try:
            found = aws.call("ec2", f"Describe{self.plural}", **{f"{self.id_member}s": [object_id]}).get(
                self.plural, []
            )
        except NotFoundError:
            return None
        return found[0] if found and found[0].get("State") not in self.gone else None

    def create(self, call: Call[Aws], api: Api, inputs: Properties, **more: Any) -> str:
        """Do the operation that `api` names, and answer the new object's id."""
        request = {**api.request(call.cloud, inputs), **more}
        tags = self.tag_specifications(call, inputs)
        made = call.cloud.call("ec2", api.shape, **request, TagSpecifications=tags)
        return call.created(str(made.get(self.shape, made)[self.id_member]))

    def read(self, api: Api, describe: Describe) -> Callable[[Call[Aws], str, Properties], Properties | None]:
        """A read function: the object in Pulumi's terms, with what `describe` adds to it."""

        def read(call: Call[Aws], object_id: str, inputs: Properties) -> Properties | None:
            found = self.one(call.cloud, object_id)
            if found is None:
                return None
            return {**self.properties(call, api, found), **describe(call, found, inputs)}

        return read

    def properties(self, call: Call[Aws], api: Api, found: Mapping[str, Any]) -> Properties:
        """The object in Pulumi's terms, with its tags."""
        properties = api.properties(call.cloud, found, self.shape)
        return {**properties, TAGS: from_tag_list(found.get("Tags"))}

    def tag_specifications(self, call: Call[Aws], inputs: Properties) -> list[dict[str, Any]]:
        """Tags given at birth, with the one that finds the object again."""
        tags = {**mapping(inputs, "tagsAll"), URN_TAG: call.urn_digest}
        return [{"ResourceType": self.tag_type, "Tags": as_tag_list(tags)}]

    def find(self, call: Call[Aws], _inputs: Properties) -> str | None:
        """The object that a killed create with the same inputs left behind."""
        filters = [{"Name": f"tag:{URN_TAG}", "Values": [call.urn_digest]}]
        parameter = "Filter" if self.plural in ("NatGateways", "FlowLogs") else "Filters"
        for found in call.cloud.all("ec2", f"Describe{self.plural}", self.plural, **{parameter: filters}):
            if found[self.id_member] not in call.known and found.get("State") not in self.gone:
                return str(found[self.id_member])
        return None


def tagger(aws: Aws, outputs: Properties, added: Mapping[str, str], removed: Iterable[str]) -> None:
    """Set and remove tags of any EC2 object."""
    if added:
        aws.call("ec2", "CreateTags", Resources=[outputs["id"]], Tags=as_tag_list(added))
    if removed:
        aws.call("ec2", "DeleteTags", Resources=[outputs["id"]], Tags=[{"Key": key} for key in removed])


def arn(call: Call[Aws], resource: str, found: Mapping[str, Any]) -> str:
    """The ARN of an EC2 object, which most answers leave out."""
    return call.cloud.arn("ec2", resource, str(found.get("OwnerId") or call.cloud.account_id))
