"""The AWS provider: the declared types and functions over boto3, on loopback."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from model_factory.local.providers.aws import types
from model_factory.local.providers.aws.functions import FUNCTIONS
from model_factory.local.providers.aws.session import Aws, connect, read_config
from model_factory.local.providers.base import ResourceType, types_in
from model_factory.local.providers.errors import ConfigurationError, Failure
from model_factory.local.providers.provider import Provider
from model_factory.local.providers.values import mapping
from model_factory.local.wire import UNKNOWN, Properties, Unknown, Value, is_unknown

TYPES: Final[Mapping[str, ResourceType[Aws]]] = types_in(types)


class AwsProvider(Provider[Aws]):
    """pulumi-aws 7.51.1's tokens and property names, for the types in `TYPES`. Talks to loopback alone."""

    name = "aws"
    version = "7.51.1"
    types = TYPES
    functions = FUNCTIONS

    def configure(self, config: Properties) -> Aws:
        return connect(read_config(config))

    def check_config(self, config: Properties) -> Iterable[Failure]:
        if any(is_unknown(value) for value in config.values()):
            return  # An endpoint that a resource of the stack gives: Configure checks it.
        try:
            read_config(config)
        except ConfigurationError as error:
            yield Failure("region" if "aws:region" in str(error) else "endpoints", str(error))

    def session(self, cloud: Aws, inputs: Mapping[str, Value]) -> Aws:
        region = inputs.get("region")
        return cloud.in_region(region) if isinstance(region, str) else cloud

    def prepare(self, cloud: Aws, declared: ResourceType[Aws], inputs: Properties) -> None:
        """Regional types get the provider's region; taggable ones `tagsAll`: the default tags with their own."""
        if "region" in declared.rules.inputs and inputs.get("region") is None:
            inputs["region"] = cloud.region
        if "tags" in declared.rules.inputs:
            own = inputs.get("tags")
            if isinstance(own, Unknown):
                inputs["tagsAll"] = UNKNOWN
            elif own or cloud.config.default_tags:
                inputs["tagsAll"] = {**cloud.config.default_tags, **mapping(inputs, "tags")}
