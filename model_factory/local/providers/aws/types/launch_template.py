"""EC2 launch templates: every change but the name's makes a new version in place."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

from model_factory.local.providers.aws import checks
from model_factory.local.providers.aws.declare import TAGS, declare, deletes, from_tag_list
from model_factory.local.providers.aws.session import Aws
from model_factory.local.providers.aws.shapes import Api
from model_factory.local.providers.aws.types import ec2
from model_factory.local.providers.base import Call, Update
from model_factory.local.providers.values import flag, objects, text
from model_factory.local.wire import Properties

TEMPLATE: Final = ec2.Kind.named("launch-template", "LaunchTemplate")

_OURS: Final = frozenset({"name", "description", "defaultVersion", "updateDefaultVersion"})
_API: Final = Api(
    "ec2",
    "RequestLaunchTemplateData",
    names={
        "vpcSecurityGroupIds": "SecurityGroupIds",
        "securityGroupNames": "SecurityGroups",
        "networkInterfaces.securityGroups": "Groups",
        "networkInterfaces.ipv4PrefixCount": "Ipv4PrefixCount",
        "networkInterfaces.ipv4AddressCount": "SecondaryPrivateIpAddressCount",
    },
    quoted=frozenset(
        {
            "ebsOptimized",
            "blockDeviceMappings.ebs.deleteOnTermination",
            "blockDeviceMappings.ebs.encrypted",
            "networkInterfaces.associateCarrierIpAddress",
            "networkInterfaces.associatePublicIpAddress",
            "networkInterfaces.deleteOnTermination",
            "networkInterfaces.primaryIpv6",
        }
    ),
    ours=_OURS,
)
_READ_API: Final = dataclasses.replace(_API, shape="ResponseLaunchTemplateData")


def _described(inputs: Properties) -> dict[str, str]:
    return {"VersionDescription": text(inputs, "description")} if text(inputs, "description") else {}


def _create(call: Call[Aws], inputs: Properties) -> str:
    made = call.cloud.call(
        "ec2",
        "CreateLaunchTemplate",
        LaunchTemplateName=text(inputs, "name"),
        LaunchTemplateData=_API.request(call.cloud, inputs),
        TagSpecifications=TEMPLATE.tag_specifications(call, inputs),
        ClientToken=call.urn_digest,
        **_described(inputs),
    )
    return str(made["LaunchTemplate"]["LaunchTemplateId"])


def _read(call: Call[Aws], template_id: str, inputs: Properties) -> Properties | None:
    template = TEMPLATE.one(call.cloud, template_id)
    if template is None:
        return None
    latest = template["LatestVersionNumber"]
    versions = call.cloud.call(
        "ec2", "DescribeLaunchTemplateVersions", LaunchTemplateId=template_id, Versions=[str(latest)]
    )["LaunchTemplateVersions"]
    version: dict[str, Any] = versions[0] if versions else {}
    data = _READ_API.properties(call.cloud, version.get("LaunchTemplateData", {}))
    if "tagSpecifications" in data:
        # moto lists the template's own tags among those it gives to instances; AWS does not.
        own = TEMPLATE.tag_type
        data["tagSpecifications"] = [
            item for item in objects(data, "tagSpecifications") if item.get("resourceType") != own
        ] or None
    return {
        **data,
        "name": template["LaunchTemplateName"],
        "description": version.get("VersionDescription"),
        "latestVersion": latest,
        "defaultVersion": template["DefaultVersionNumber"],
        "arn": ec2.arn(call, f"launch-template/{template_id}", {}),
        "updateDefaultVersion": inputs.get("updateDefaultVersion"),
        TAGS: from_tag_list(template.get("Tags")),
    }


def _update(call: Call[Aws], change: Update) -> None:
    version = 0
    data = {*change.new, *change.old_inputs} - _OURS - {"region", "tags", "tagsAll"}
    if change.changed("description", *data):
        made = call.cloud.call(
            "ec2",
            "CreateLaunchTemplateVersion",
            LaunchTemplateId=change.id,
            LaunchTemplateData=_API.request(call.cloud, change.new),
            **_described(change.new),
        )
        version = int(made["LaunchTemplateVersion"]["VersionNumber"])
    default = version if flag(change.new, "updateDefaultVersion") else change.new.get("defaultVersion")
    if default and default != change.old.get("defaultVersion"):
        call.cloud.call("ec2", "ModifyLaunchTemplate", LaunchTemplateId=change.id, DefaultVersion=str(default))


def _find(call: Call[Aws], inputs: Properties) -> str | None:
    filters = [{"Name": "launch-template-name", "Values": [text(inputs, "name")]}]
    found = call.cloud.all("ec2", "DescribeLaunchTemplates", "LaunchTemplates", Filters=filters)
    return str(found[0]["LaunchTemplateId"]) if found else None


TYPES: Final = (
    declare(
        "aws:ec2/launchTemplate:LaunchTemplate",
        api=_API,
        create=_create,
        read=_read,
        update=_update,
        delete=deletes("ec2", "DeleteLaunchTemplate", "LaunchTemplateId"),
        find=_find,
        tagger=ec2.tagger,
        check=(checks.instance_types("instanceType"),),
    ),
)
