"""The local GCP provider: pulumi_gcp's types over Google's APIs, on loopback alone."""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

from model_factory.local.providers.base import Function, Registry, ResourceType
from model_factory.local.providers.errors import UnsupportedError
from model_factory.local.providers.gcp.declare import rules_of
from model_factory.local.providers.gcp.session import Gcp, read_config
from model_factory.local.providers.gcp.types import cluster, compute, iam, nodes, stores
from model_factory.local.providers.naming import add_default
from model_factory.local.providers.provider import Provider
from model_factory.local.wire import Properties

TYPES: Final = {
    declared.token: declared
    for declared in (*compute.TYPES, *cluster.TYPES, *nodes.TYPES, *iam.TYPES, *stores.TYPES)
}
_LOCATED: Final = ("project", "region", "location")


class GcpProvider(Provider[Gcp], Registry[Gcp]):
    """`gcp` for the local engine, and for the Pulumi CLI through PULUMI_DEBUG_PROVIDERS."""

    name = "gcp"

    def __init__(self) -> None:
        super().__init__()
        self.version = version("pulumi-gcp")

    def resource_type(self, token: str) -> ResourceType[Gcp]:
        declared = TYPES.get(token)
        if declared is None:
            raise UnsupportedError(
                f"the local gcp provider does not implement {token}; it has {', '.join(sorted(TYPES))}. "
                "Use the Pulumi CLI with the real provider for it"
            )
        return declared

    def function(self, token: str) -> Function[Gcp]:
        function = FUNCTIONS.get(token)
        if function is None:
            raise UnsupportedError(
                f"the local gcp provider does not implement the function {token}; it has {', '.join(sorted(FUNCTIONS))}"
            )
        return function

    def configure(self, config: Properties) -> Gcp:
        return Gcp(read_config(config))

    def prepare(self, cloud: Gcp, declared: ResourceType[Gcp], inputs: Properties) -> None:
        """Where the program leaves project, region or location out, the provider's own hold."""
        own = {
            "project": cloud.config.project,
            "region": cloud.config.region,
            "location": cloud.config.region,
        }
        rules = rules_of(declared.token, None)
        for key in _LOCATED:
            taken = key in rules.computed or key in rules.replace_on_changes
            if taken and inputs.get(key) is None and own[key] and not _located_otherwise(key, inputs):
                inputs[key] = own[key]
                add_default(inputs, key)


def _located_otherwise(key: str, inputs: Properties) -> bool:
    """A pool's place may stand in its cluster's id, a member's in its repository's."""
    return any("/" in str(inputs.get(name, "")) for name in ("cluster", "repository")) and key in (
        "project",
        "location",
    )


def _client_config(cloud: Gcp, _arguments: Properties) -> Properties:
    config = cloud.config
    return {
        "id": f"projects/{config.project}",
        "project": config.project,
        "region": config.region,
        "zone": "",
        "accessToken": "local",
    }


def _project(cloud: Gcp, arguments: Properties) -> Properties:
    project = str(arguments.get("projectId") or cloud.config.project)
    found = cloud.call("cloudresourcemanager.projects.get", projectId=project)
    return {
        "id": f"projects/{project}",
        "projectId": project,
        "number": found["projectNumber"],
        "name": found["name"],
    }


FUNCTIONS: Final[dict[str, Function[Gcp]]] = {
    "gcp:organizations/getClientConfig:getClientConfig": _client_config,
    "gcp:organizations/getProject:getProject": _project,
}
