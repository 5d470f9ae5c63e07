"""Buckets, repositories, keys, and the services of a project."""

from __future__ import annotations

from typing import Any, Final

from model_factory.local.discovery import Json
from model_factory.local.providers.base import Call, Update
from model_factory.local.providers.errors import CloudError
from model_factory.local.providers.gcp import checks
from model_factory.local.providers.gcp.declare import Api, changed, declare, patch
from model_factory.local.providers.gcp.session import Body, Gcp, creating, finish
from model_factory.local.providers.gcp.shapes import Field, Shape, outputs, same
from model_factory.local.providers.naming import AutoName
from model_factory.local.providers.values import flag, mapping, text
from model_factory.local.wire import Properties, Value

# Bucket

_CONDITION: Final[Shape] = (
    *same(
        "age", "createdBefore", "customTimeBefore", "daysSinceCustomTime", "daysSinceNoncurrentTime", "noncurrentTimeBefore",
        "numNewerVersions",
    ),
    Field("matchesPrefixes", "matchesPrefix"),
    Field("matchesSuffixes", "matchesSuffix"),
    Field("matchesStorageClasses", "matchesStorageClass"),
    Field("withState", "isLive", to=lambda state: {"LIVE": True, "ARCHIVED": False}.get(state), back=lambda live: "LIVE" if live else "ARCHIVED"),
)  # fmt: skip
_BUCKET: Final = Api(
    methods="storage.buckets",
    schema="Bucket",
    shape=(
        *same("name", "location", "storageClass", "labels", "defaultEventBasedHold", "rpo"),
        Field("versioning", fields=same("enabled")),
        Field("autoclass", fields=same("enabled", "terminalStorageClass")),
        Field("hierarchicalNamespace", fields=same("enabled")),
        Field("uniformBucketLevelAccess", "iamConfiguration.uniformBucketLevelAccess.enabled"),
        Field("publicAccessPrevention", "iamConfiguration.publicAccessPrevention"),
        Field("requesterPays", "billing.requesterPays"),
        Field("encryption", fields=same("defaultKmsKeyName")),
        Field("logging", fields=same("logBucket", "logObjectPrefix")),
        Field("website", fields=same("mainPageSuffix", "notFoundPage")),
        Field("cors", fields=(Field("origins", "origin"), Field("methods", "method"), Field("responseHeaders", "responseHeader"), *same("maxAgeSeconds"))),
        Field("lifecycleRules", "lifecycle.rule", fields=(Field("action", fields=same("type", "storageClass")), Field("condition", fields=_CONDITION))),
        Field("softDeletePolicy", fields=(Field("retentionDurationSeconds", back=int), Field("effectiveTime"))),
        Field("retentionPolicy", fields=(*same("retentionPeriod", "isLocked"),)),
        *outputs("selfLink", "timeCreated", "updated"),
        Field("projectNumber", back=int, output=True),
    ),
    id_template="{name}",
    parameters=lambda object_id: {"bucket": object_id},
    parent=lambda _parts: {},
    make="insert",
    ours=frozenset({"forceDestroy", "project"}),
    labels_field="labels",
    asynchronous=False,
    extras=lambda cloud, inputs: {"project": text(inputs, "project") or cloud.config.project},
)  # fmt: skip


def _complete_bucket(call: Call[Gcp], object_id: str, inputs: Properties, found: Properties, _body: Body) -> Properties:
    project = text(inputs, "project") or call.cloud.config.project
    return {
        **found,
        "url": f"gs://{object_id}",
        "project": project,
        "forceDestroy": flag(inputs, "forceDestroy"),
    }


def _update_bucket(call: Call[Gcp], change: Update) -> None:
    names = [f.name for f in _BUCKET.shape if not f.output and changed(change, f.name)]
    if "labels" in names:
        gone = [key for key in mapping(change.old_inputs, "labels") if key not in mapping(change.new, "labels")]
        if gone:
            # A merging patch keeps what it does not name: what goes must be said.
            call.cloud.call("storage.buckets.patch", bucket=change.id, body={"labels": dict.fromkeys(gone)})
    if names:
        patch(call, _BUCKET, change, names)


def _delete_bucket(call: Call[Gcp], object_id: str, state: Properties) -> None:
    if flag(state, "forceDestroy"):
        while objects := call.cloud.call("storage.objects.list", bucket=object_id, versions=True).get("items", []):
            for each in objects:
                call.cloud.call("storage.objects.delete", bucket=object_id, object=each["name"])
    try:
        call.cloud.call("storage.buckets.delete", bucket=object_id)
    except CloudError as error:
        if error.status == 409 and not flag(state, "forceDestroy"):
            hint = f"{error.message} Empty it, or set forceDestroy and run `up` first."
            raise CloudError(
                cloud="gcp", operation=error.operation, code=error.code, message=hint, status=409
            ) from error
        raise


BUCKET: Final = declare(
    "gcp:storage/bucket:Bucket",
    _BUCKET,
    name=AutoName("name", max_length=63, transform=str.lower),
    update=_update_bucket,
    delete=_delete_bucket,
    complete=_complete_bucket,
    computed_on_update=("updated",),
    equivalent={"location": lambda old, new: str(old).upper() == str(new).upper()},
    check=(
        checks.pattern(
            "name", checks.BUCKET_NAME, "use 3 to 63 lowercase letters, digits, dots, hyphens and underscores"
        ),
        checks.labels("labels"),
    ),
)

# Artifact Registry


def _policies_to_api(value: Any) -> Json:
    return {policy["id"]: dict(policy) for policy in value}


def _policies_from_api(value: Any) -> Value:
    return [{**policy, "id": name} for name, policy in sorted(value.items())]


_REPOSITORY: Final = Api(
    methods="artifactregistry.projects.locations.repositories",
    schema="Repository",
    shape=(
        *same("format", "description", "labels", "kmsKeyName", "mode", "cleanupPolicyDryRun"),
        Field("dockerConfig", fields=same("immutableTags")),
        Field("mavenConfig", fields=same("allowSnapshotOverwrites", "versionPolicy")),
        Field("cleanupPolicies", to=_policies_to_api, back=_policies_from_api),
        Field(
            "vulnerabilityScanningConfig",
            fields=(*same("enablementConfig"), *outputs("enablementState", "enablementStateReason")),
        ),
        *outputs("createTime", "updateTime", "registryUri"),
    ),
    id_template="projects/{project}/locations/{location}/repositories/{repositoryId}",
    parameters=lambda object_id: {"name": object_id},
    parent=lambda parts: {"parent": f"projects/{parts['project']}/locations/{parts['location']}"},
    labels_field="labels",
    masked=True,
    extras=lambda _cloud, inputs: {"repositoryId": text(inputs, "repositoryId")},
)


def _complete_repository(
    _call: Call[Gcp], object_id: str, _inputs: Properties, found: Properties, _body: Body
) -> Properties:
    return {**found, "name": object_id.rpartition("/")[2]}


REPOSITORY: Final = declare(
    "gcp:artifactregistry/repository:Repository",
    _REPOSITORY,
    complete=_complete_repository,
    computed_on_update=("updateTime",),
    unordered=("cleanupPolicies",),
    check=(
        checks.pattern(
            "repositoryId", checks.REPOSITORY_ID, "use lowercase letters, digits and hyphens, a letter first"
        ),
        checks.labels("labels"),
        checks.refuse("mode", "STANDARD_REPOSITORY", "the local provider knows standard repositories only"),
    ),
)

# KMS: Google deletes neither rings nor keys; the provider destroys a key's versions and lets go

_RING: Final = Api(
    methods="cloudkms.projects.locations.keyRings",
    schema="KeyRing",
    shape=(),
    id_template="projects/{project}/locations/{location}/keyRings/{name}",
    parameters=lambda object_id: {"name": object_id},
    parent=lambda parts: {"parent": f"projects/{parts['project']}/locations/{parts['location']}"},
    asynchronous=False,
    extras=lambda _cloud, inputs: {"keyRingId": text(inputs, "name")},
)


def _let_go(call: Call[Gcp], object_id: str, _state: Properties) -> None:
    call.cloud.released.add(object_id)


KEY_RING: Final = declare(
    "gcp:kms/keyRing:KeyRing", _RING, name=AutoName("name", max_length=63), delete=_let_go, unchangeable=True
)
_KEY: Final = Api(
    methods="cloudkms.projects.locations.keyRings.cryptoKeys",
    schema="CryptoKey",
    shape=(
        *same(
            "purpose",
            "labels",
            "rotationPeriod",
            "destroyScheduledDuration",
            "importOnly",
            "cryptoKeyBackend",
        ),
        Field("versionTemplate", fields=same("algorithm", "protectionLevel")),
    ),
    id_template="{keyRing}/cryptoKeys/{name}",
    parameters=lambda object_id: {"name": object_id},
    parent=lambda parts: {"parent": parts["keyRing"]},
    labels_field="labels",
    asynchronous=False,
    masked=True,
    ours=frozenset({"skipInitialVersionCreation"}),
    extras=lambda _cloud, inputs: {
        "cryptoKeyId": text(inputs, "name"),
        **({"skipInitialVersionCreation": True} if inputs.get("skipInitialVersionCreation") else {}),
    },
)


def _delete_key(call: Call[Gcp], object_id: str, state: Properties) -> None:
    versions = call.cloud.call(f"{_KEY.methods}.cryptoKeyVersions.list", parent=object_id).get("cryptoKeyVersions", [])
    for version in versions:
        if version["state"] in ("ENABLED", "DISABLED"):
            call.cloud.call(f"{_KEY.methods}.cryptoKeyVersions.destroy", name=version["name"], body={})
    _let_go(call, object_id, state)


def _complete_key(_call: Call[Gcp], _id: str, _inputs: Properties, found: Properties, body: Body) -> Properties:
    primary = body.get("primary")
    return {**found, "primaries": [{"name": primary["name"], "state": primary["state"]}] if primary else []}


CRYPTO_KEY: Final = declare(
    "gcp:kms/cryptoKey:CryptoKey",
    _KEY,
    name=AutoName("name", max_length=63),
    delete=_delete_key,
    complete=_complete_key,
    check=(checks.labels("labels"),),
)

# Services of a project

_SERVICE: Final = Api(
    methods="serviceusage.services",
    schema="EnableServiceRequest",
    shape=(),
    id_template="{project}/{service}",
    parameters=lambda object_id: {"name": "projects/{}/services/{}".format(*object_id.split("/"))},
    parent=lambda parts: {"name": f"projects/{parts['project']}/services/{parts['service']}"},
    make="enable",
    ours=frozenset({"disableOnDestroy", "disableDependentServices", "checkIfServiceHasUsageOnDestroy"}),
)


def _create_service(call: Call[Gcp], inputs: Properties) -> str:
    project = text(inputs, "project") or call.cloud.config.project
    object_id = f"{project}/{text(inputs, 'service')}"
    call.cloud.released.discard(object_id)
    name = _SERVICE.parameters(object_id)["name"]
    answer = creating(call, object_id, lambda: call.cloud.call("serviceusage.services.enable", name=name, body={}))
    finish(call, "serviceusage", answer, method="serviceusage.services.enable")
    return object_id


def _delete_service(call: Call[Gcp], object_id: str, state: Properties) -> None:
    if flag(state, "disableOnDestroy"):
        name = _SERVICE.parameters(object_id)["name"]
        answer = call.cloud.call("serviceusage.services.disable", name=name, body={})
        finish(call, "serviceusage", answer, method="serviceusage.services.disable")
    call.cloud.released.add(object_id)


def _enabled(_call: Call[Gcp], _id: str, _inputs: Properties, found: Properties, body: Body) -> Properties | None:
    return found if body.get("state") == "ENABLED" else None


SERVICE: Final = declare(
    "gcp:projects/service:Service",
    _SERVICE,
    create=_create_service,
    delete=_delete_service,
    update=lambda _call, _change: None,
    complete=_enabled,
    check=(
        checks.pattern(
            "service", r"[a-z0-9.-]+\.googleapis\.com", "use the full name, such as container.googleapis.com"
        ),
    ),
)
TYPES: Final = (BUCKET, REPOSITORY, KEY_RING, CRYPTO_KEY, SERVICE)
