"""What became of updates to clusters, node groups and add-ons."""

from __future__ import annotations

from model_factory.local.clouds.aws.eks.state import Context, Document, Resource, not_found, paged


def describe_update(context: Context, parameters: Document) -> Document:
    found = _resource(context, parameters).updates.get(parameters["updateId"])
    if found is None:
        raise not_found(f"No update found for ID: {parameters['updateId']}")
    return {"update": found}


def list_updates(context: Context, parameters: Document) -> Document:
    return paged("updateIds", list(_resource(context, parameters).updates), parameters)


def _resource(context: Context, parameters: Document) -> Resource:
    cluster = context.cluster(parameters["name"])
    nodegroup, addon = parameters.get("nodegroupName", ""), parameters.get("addonName", "")
    found = cluster if not (nodegroup or addon) else cluster.nodegroups.get(nodegroup) or cluster.addons.get(addon)
    if found is None:
        raise not_found(f"No node group or addon found for name: {nodegroup or addon}.")
    return found
