"""Which operation of which service a request is.

The service comes from the signature's scope, the operation from botocore's own model of that service: the Action parameter,
the X-Amz-Target header, or method and path. moto's routers do the matching. Only `SERVICES` are served.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from botocore.model import Shape
from moto.core.request import Request
from moto.core.routing import get_service_router
from werkzeug.exceptions import HTTPException

from model_factory.facts.aws.services import SERVICES
from model_factory.local.clouds.aws.errors import AwsError, NotImplementedHereError

_SCOPE: Final = re.compile(r"Credential=[^/]+/\d+/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")
_READS: Final = re.compile(
    r"(Describe|List|Get|Head|Search|Lookup|Simulate|BatchGet|BatchCheck|Filter|Test|Select|Verify|Encrypt|Decrypt"
    r"|ReEncrypt|Sign|GenerateDataKey|GenerateRandom|GenerateMac|GenerateCredentialReport|GenerateServiceLastAccessed)"
)
# moto does not know these parts of a bucket, and would take the call for another one.
_S3_NOT_HERE: Final = re.compile(
    r"Analytics|IntelligentTiering|Metrics|BucketMetadata|Abac|Annotation|Torrent|RenameObject|UpdateObjectEncryption"
    r"|WriteGetObjectResponse|CreateSession|ListDirectoryBuckets"
)
_UNSIGNED_STS: Final = frozenset({"AssumeRoleWithWebIdentity", "AssumeRoleWithSAML"})


@dataclass(frozen=True, slots=True)
class Call:
    """A request that is an operation of a service here."""

    service: str
    operation: str
    region: str
    protocol: str
    """As botocore's models name it: ec2, query, json, rest-json or rest-xml."""
    input_shape: Shape | None
    request: Request
    path_parameters: Mapping[str, Any]

    @property
    def name(self) -> str:
        """As fault patterns see it: `eks:CreateNodegroup`."""
        return f"{self.service}:{self.operation}"

    @property
    def reads(self) -> bool:
        """Whether it changes nothing that must survive a restart."""
        return _READS.match(self.operation) is not None


def guess_protocol(environ: Mapping[str, Any]) -> str:
    """The protocol to word an error in when the operation is not known."""
    if environ.get("HTTP_X_AMZ_TARGET"):
        return "json"
    scope = _scope(environ)
    if scope is None:
        return "rest-xml"
    return {"ec2": "ec2", "s3": "rest-xml", "iam": "query", "sts": "query"}.get(scope[0], "rest-json")


def resolve(environ: dict[str, Any]) -> Call:
    """Raises AwsError where the request names no service, and NotImplementedHereError where it is none of ours."""
    request = Request(environ)
    scope = _scope(environ)
    if scope is None:
        if request.values.get("Action") not in _UNSIGNED_STS:
            raise AwsError("MissingAuthenticationToken", "the request is not signed, so it names no service", 403)
        scope = ("sts", "us-east-1")  # as unsigned calls go to the global endpoint
    service, region = scope
    if service not in SERVICES:
        raise NotImplementedHereError(f"the service {service}; it has {', '.join(sorted(SERVICES))}")
    try:
        operation, parameters = _match(service, request)
    except HTTPException as error:
        asked = (
            request.values.get("Action") or request.headers.get("X-Amz-Target") or f"{request.method} {request.path}"
        )
        raise NotImplementedHereError(f"{service}: {asked}") from error
    if service == "s3" and _S3_NOT_HERE.search(operation.name):
        raise NotImplementedHereError(f"s3:{operation.name}")
    protocol = operation.service_model.metadata["protocol"]
    return Call(service, operation.name, region, protocol, operation.input_shape, request, parameters)


def load(service: str) -> None:
    """Read the service's model, which takes a while for the large ones."""
    get_service_router(service)


def _match(service: str, request: Request) -> tuple[Any, Mapping[str, Any]]:
    # botocore's models compute their attributes lazily, which its types do not tell: the operation is Any here alone.
    return get_service_router(service).match(request)


def _scope(environ: Mapping[str, Any]) -> tuple[str, str] | None:
    signed = environ.get("HTTP_AUTHORIZATION") or unquote(environ.get("QUERY_STRING", ""))
    match = _SCOPE.search(signed)
    return (match["service"].lower(), match["region"]) if match else None
