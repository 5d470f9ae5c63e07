"""AWS clients for one region, on loopback alone, with the cloud's errors in our own terms."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Final, cast

import boto3
import botocore.session
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnectionError
from botocore.model import ServiceModel
from botocore.parsers import ResponseParserError

from model_factory.facts.aws.services import OPTIONAL, SERVICES
from model_factory.graph.loopback import on_loopback
from model_factory.local.errors import LeavesLoopbackError
from model_factory.local.providers.aws.causes import CAUSES
from model_factory.local.providers.aws.transport import keep_on_loopback, refuse_broken_answers
from model_factory.local.providers.errors import (
    AnswerLostError,
    BusyError,
    CloudError,
    ConfigurationError,
    NotFoundError,
    kind_of,
)
from model_factory.local.providers.retries import persistently
from model_factory.local.providers.values import mapping, text
from model_factory.local.wire import Properties, Value

GLOBAL_REGION: Final = "us-east-1"
READ_SECONDS: Final = 60.0
_GONE: Final = re.compile(r"NotFound|NoSuch|NonExist")
# Operations that bring about the same when they are done twice, as far as their names tell. Others (Create, Associate, Update of
# EKS, which refuses while one is under way) are not made again when it is not known whether they were done.
_REPEATABLE: Final = re.compile(
    r"(Describe|Get|List|Head|Put|Delete|Tag|Untag|Modify|Set|Enable|Disable)[A-Z].*|CreateTags|AttachRolePolicy|DetachRolePolicy"
)


@dataclass(frozen=True, slots=True)
class AwsConfig:
    """The provider's configuration, read once."""

    region: str
    endpoints: Mapping[str, str]
    default_tags: Mapping[str, str] = field(default_factory=dict[str, str])
    access_key: str = "local"
    secret_key: str = "local"  # noqa: S105 - the local cloud takes any


def read_config(config: Properties) -> AwsConfig:
    """The configuration from provider inputs, where nested values may be JSON text. Raises ConfigurationError."""
    region = text(config, "region")
    if region not in known_regions():
        raise ConfigurationError(f"aws:region {region!r} is no AWS region; for example us-east-1")
    given = _endpoints(_structured(config.get("endpoints")))
    endpoints: dict[str, str] = {}
    for service, keys in SERVICES.items():
        url = next((given[key] for key in keys if given.get(key)), "")
        if not url and service in OPTIONAL:
            continue
        if not on_loopback(url):
            said = f"aws:endpoints gives {url!r} for {service}" if url else f"aws:endpoints names no {service} endpoint"
            raise ConfigurationError(
                f"{said}: the local provider only talks to loopback; use the Pulumi CLI for real accounts"
            )
        endpoints[service] = url
    default_tags = _structured(config.get("defaultTags"))
    tags = mapping(default_tags, "tags") if isinstance(default_tags, dict) else {}
    return AwsConfig(
        region=region,
        endpoints=endpoints,
        default_tags={key: str(value) for key, value in tags.items()},
        access_key=text(config, "accessKey", "local"),
        secret_key=text(config, "secretKey", "local"),
    )


@cache
def known_regions() -> frozenset[str]:
    """All regions of all partitions, as botocore's endpoint data lists them."""
    session = botocore.session.Session()
    names = (session.get_available_regions("ec2", partition) for partition in session.get_available_partitions())
    return frozenset(region for regions in names for region in regions)


@cache
def partition_data(partition: str) -> dict[str, Any]:
    """What botocore knows of a partition: `dnsSuffix`, and `regions` with their descriptions."""
    partitions = cast("list[dict[str, Any]]", botocore.session.Session().get_data("endpoints")["partitions"])
    return next(found for found in partitions if found["partition"] == partition)


def _structured(value: Value) -> Value:
    return cast("Value", json.loads(value)) if isinstance(value, str) and value else value


def _endpoints(value: Value) -> dict[str, str]:
    blocks = value if isinstance(value, list) else [value]
    return {
        key: str(url) for block in blocks if isinstance(block, dict) for key, url in block.items() if url is not None
    }


class Clients:
    """boto3 clients by service and region, made once. Knows nothing of the machine's own AWS set-up."""

    def __init__(self, config: AwsConfig) -> None:
        # An AWS profile of this machine must neither be needed nor be used.
        core = botocore.session.Session(session_vars={"profile": (None, None, None, None)})
        core.set_config_variable("config_file", os.devnull)
        core.set_config_variable("credentials_file", os.devnull)
        self._config = config
        self._session = boto3.Session(
            aws_access_key_id=config.access_key,
            aws_secret_access_key=config.secret_key,
            botocore_session=core,
        )
        self._lock = threading.Lock()
        self._made: dict[tuple[str, str], Any] = {}

    def get(self, service: str, region: str) -> Any:
        """The client of a service. ConfigurationError where no loopback endpoint is known for it."""
        with self._lock:
            client = self._made.get((service, region))
            if client is None:
                client = self._make(service, region)
                self._made[service, region] = client
            return client

    def _make(self, service: str, region: str) -> Any:
        settings = Config(
            connect_timeout=5,
            read_timeout=READ_SECONDS,
            max_pool_connections=32,
            proxies={},
            retries={"mode": "standard", "total_max_attempts": 1},  # botocore repeats creates: see `persistently`
            s3={"addressing_style": "path"},
        )
        url = self._config.endpoints.get(service)
        if url is None:
            raise ConfigurationError(f"aws:endpoints names no {service} endpoint, and this resource needs it")
        make = cast("Any", self._session).client
        client = make(service, region_name=region, endpoint_url=url, config=settings)
        keep_on_loopback(client)
        refuse_broken_answers(client)
        return client


@dataclass(frozen=True, slots=True)
class Aws:
    """All that a type's functions need of AWS: calls, in one region, and the provider's configuration."""

    config: AwsConfig
    clients: Clients
    region: str

    def in_region(self, region: str) -> Aws:
        """The same account in another region."""
        return self if region in ("", self.region) else replace(self, region=region)

    def model(self, service: str) -> ServiceModel:
        """The published model of a service: the shapes that inputs are checked against."""
        return cast("ServiceModel", self.clients.get(service, self.region).meta.service_model)

    def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """One API call, `operation` as AWS spells it (CreateVpc), again where `persistently` allows.

        Raises NotFoundError, BusyError, AnswerLostError, CloudError.
        """
        client = self.clients.get(service, self.region)

        def attempt() -> dict[str, Any]:
            with _own_errors(service, operation):
                return cast("dict[str, Any]", getattr(client, xform_name(operation))(**parameters))

        return persistently(attempt, repeatable=_REPEATABLE.fullmatch(operation) is not None)

    def all(self, service: str, operation: str, key: str, **parameters: Any) -> list[Any]:
        """All pages of a listing, `key` being the list in each answer. Raises NotFoundError or CloudError."""
        client, name = self.clients.get(service, self.region), xform_name(operation)
        if not client.can_paginate(name):
            return self.call(service, operation, **parameters).get(key, [])

        def attempt() -> list[Any]:
            with _own_errors(service, operation):
                pages = client.get_paginator(name).paginate(**parameters)
                return [item for page in pages for item in page.get(key, ())]

        return persistently(attempt, repeatable=True)

    @property
    def account_id(self) -> str:
        """The account that the credentials belong to."""
        return str(self.call("sts", "GetCallerIdentity")["Account"])

    @property
    def partition(self) -> str:
        """aws, aws-cn or aws-us-gov."""
        return str(botocore.session.Session().get_partition_for_region(self.region))

    def arn(self, service: str, resource: str, account: str) -> str:
        """An ARN in this region."""
        return f"arn:{self.partition}:{service}:{self.region}:{account}:{resource}"


def connect(config: AwsConfig) -> Aws:
    """Clients for a configuration. Opens no connection."""
    return Aws(config, Clients(config), config.region)


@contextmanager
def _own_errors(service: str, operation: str) -> Generator[None]:
    try:
        yield
    except ClientError as error:
        raise _cloud_error(service, operation, cast("dict[str, Any]", error.response)) from error
    except (BotoCoreError, ResponseParserError) as error:
        where, code = f"{service}:{operation}", type(error).__name__
        raise _kind_of_failure(error)(cloud="aws", operation=where, code=code, message=str(error)) from error


def _kind_of_failure(error: Exception) -> type[CloudError]:
    if isinstance(error, NoConnectionError):
        return BusyError
    refused_by_us = isinstance(error, HTTPClientError) and isinstance(error.kwargs.get("error"), LeavesLoopbackError)
    lost = isinstance(error, (HTTPClientError, ResponseParserError)) and not refused_by_us
    return AnswerLostError if lost else CloudError


def _cloud_error(service: str, operation: str, response: dict[str, Any]) -> CloudError:
    error = cast("dict[str, Any]", response.get("Error", {}))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    code = str(error.get("Code") or status)
    kind = kind_of(CAUSES.cause((code,), status), status, gone=bool(_GONE.search(code)) or code == "404")
    if kind is NotFoundError and code == "404" and not operation.startswith("Head"):  # whose answers have no body
        kind, error = AnswerLostError, {"Message": "404 without one of the API's codes; what stands at this address?"}
    return kind(
        cloud="aws",
        operation=f"{service}:{operation}",
        code=code,
        message=str(error.get("Message") or "no message"),
        status=status,
        request_id=str(response.get("ResponseMetadata", {}).get("RequestId") or ""),
        causes=CAUSES,
    )
