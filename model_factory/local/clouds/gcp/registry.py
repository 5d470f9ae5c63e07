"""Artifact Registry: repositories."""

from __future__ import annotations

import re
from typing import Final

from model_factory.local.clouds.gcp import catalogue, errors
from model_factory.local.clouds.gcp.bodies import Body, apply_mask, timestamp, visible
from model_factory.local.clouds.gcp.core import Call, Effect, handles, page
from model_factory.local.clouds.gcp.operations import start_longrunning

REPOSITORY: Final = "artifactregistry.repositories"
_MULTI_REGIONS: Final = frozenset({"us", "europe", "asia"})
_METADATA: Final = "google.devtools.artifactregistry.v1.OperationMetadata"
_TYPE: Final = "google.devtools.artifactregistry.v1.Repository"
_IMMUTABLE: Final = ("format", "mode", "kmsKeyName")


@handles("artifactregistry.projects.locations.repositories.create")
def create(call: Call) -> Body:
    parent = call.parameter("parent")
    project, location = parent.split("/")[1], parent.split("/")[3]
    identifier = call.query.get("repositoryId", "")
    if location not in catalogue.REGIONS and location not in _MULTI_REGIONS:
        raise errors.denied(f"Location {location} is not found or access is unauthorized.")
    if not re.fullmatch(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", identifier):
        raise errors.invalid(
            f'invalid repository ID "{identifier}": it must begin with a lowercase letter, and hold lowercase letters, digits and hyphens.'
        )
    if call.body.get("format", "FORMAT_UNSPECIFIED") == "FORMAT_UNSPECIFIED":
        raise errors.invalid("the repository's format must be specified.")
    key = f"artifactregistry/{parent}/repositories/{identifier}"
    if call.cloud.store.get(key) is not None:
        raise errors.exists("the repository already exists")
    now = timestamp(call.cloud.clock())
    format_: str = call.body["format"]
    body: Body = {
        "mode": "STANDARD_REPOSITORY",
        **call.body,
        "name": key.removeprefix("artifactregistry/"),
        "createTime": now,
        "updateTime": now,
        "registryUri": f"{location}-{format_.lower()}.pkg.dev/{project}/{identifier}" if format_ != "DOCKER" else
        f"{location}-docker.pkg.dev/{project}/{identifier}",
        "satisfiesPzi": True,
        "sizeBytes": "0",
        "vulnerabilityScanningConfig": {
            "enablementConfig": "INHERITED", **call.body.get("vulnerabilityScanningConfig", {}),
            "enablementState": "SCANNING_DISABLED",
            "enablementStateReason": "API containerscanning.googleapis.com is not enabled.",
        },
    }  # fmt: skip
    call.cloud.put(key, REPOSITORY, body, ready=False)
    return start_longrunning(call, key, _METADATA, Effect(merge={key: {}}), response=key, response_type=_TYPE)


def _key(call: Call) -> str:
    return f"artifactregistry/{call.parameter('name')}"


def _require(call: Call) -> Body:
    name = call.parameter("name")
    return call.cloud.require(_key(call), f"Requested entity was not found: {name}.").body


@handles("artifactregistry.projects.locations.repositories.get")
def get(call: Call) -> Body:
    return visible(_require(call))


@handles("artifactregistry.projects.locations.repositories.list")
def list_(call: Call) -> Body:
    parent = f"artifactregistry/{call.parameter('parent')}"
    return page(call, [stored.body for stored in call.cloud.store.children(parent, REPOSITORY)], "repositories")


@handles("artifactregistry.projects.locations.repositories.patch")
def patch(call: Call) -> Body:
    old = _require(call)
    fields = [f for f in call.match.document.schema("Repository")["properties"] if f not in ("name", "createTime")]
    body = apply_mask(old, call.body, call.query.get("updateMask"), fields)
    changed = next((field for field in _IMMUTABLE if body.get(field) != old.get(field)), None)
    if changed:
        raise errors.invalid(f"the field {changed} of a repository cannot be changed.")
    body |= {"name": old["name"], "updateTime": timestamp(call.cloud.clock())}
    call.cloud.put(_key(call), REPOSITORY, body)
    return visible(body)


@handles("artifactregistry.projects.locations.repositories.delete")
def delete(call: Call) -> Body:
    _require(call)
    key = _key(call)
    return start_longrunning(call, key, _METADATA, Effect(remove=(key,)), response=None)


@handles("artifactregistry.projects.locations.repositories.dockerImages.list")
def list_images(call: Call) -> Body:
    call.cloud.require(f"artifactregistry/{call.parameter('parent')}")
    return {}
