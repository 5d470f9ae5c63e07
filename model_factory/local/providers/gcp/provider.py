"""The local GCP provider: pulumi_gcp's types over Google's APIs, on loopback alone."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Final

from model_factory.local.providers.base import Function, ResourceType, types_in
from model_factory.local.providers.gcp import types
from model_factory.local.providers.gcp.declare import rules_of
from model_factory.local.providers.gcp.session import Gcp, read_config
from model_factory.local.providers.naming import add_default
from model_factory.local.providers.provider import Provider
from model_factory.local.wire import Properties

TYPES: Final[Mapping[str, ResourceType[Gcp]]] = types_in(types)
_LOCATED: Final = ("project", "region", "location")


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


FUNCTIONS: Final[Mapping[str, Function[Gcp]]] = {
    "gcp:organizations/getClientConfig:getClientConfig": _client_config,
    "gcp:organizations/getProject:getProject": _project,
}


class GcpProvider(Provider[Gcp]):
    """`gcp` for the local engine, and for the Pulumi CLI through PULUMI_DEBUG_PROVIDERS."""

    name = "gcp"
    types = TYPES
    functions = FUNCTIONS

    def __init__(self) -> None:
        super().__init__()
        self.version = version("pulumi-gcp")

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
