"""Tags of EKS resources, by ARN."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from model_factory.local.clouds.aws.eks.state import (
    Context,
    Document,
    check_tags,
    invalid_parameter,
    not_found,
)

MAXIMUM: Final = 50


def tag_resource(context: Context, parameters: Document) -> Document:
    check_tags(parameters["tags"])
    document = _find(context, parameters["resourceArn"])
    tags = document["tags"] | parameters["tags"]
    if len(tags) > MAXIMUM:
        raise invalid_parameter(f"{len(tags)} tags are more than {MAXIMUM}")
    document["tags"] = tags
    return {}


def untag_resource(context: Context, parameters: Document) -> Document:
    document = _find(context, parameters["resourceArn"])
    document["tags"] = {key: value for key, value in document["tags"].items() if key not in parameters["tagKeys"]}
    return {}


def list_tags_for_resource(context: Context, parameters: Document) -> Document:
    return {"tags": _find(context, parameters["resourceArn"])["tags"]}


def _find(context: Context, arn: str) -> Document:
    for document in _tagged(context):
        if arn in {
            document.get(key) for key in ("nodegroupArn", "addonArn", "accessEntryArn", "associationArn", "arn")
        }:
            return document
    raise not_found(f"No resource found for ARN: {arn}")


def _tagged(context: Context) -> Iterator[Document]:
    for cluster in context.clusters.values():
        yield cluster.document
        yield from (nodegroup.document for nodegroup in cluster.nodegroups.values())
        yield from (addon.document for addon in cluster.addons.values())
        yield from (entry.document for entry in cluster.access_entries.values())
        yield from cluster.associations.values()
