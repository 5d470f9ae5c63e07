"""Cloud KMS: key rings and keys with their primary version. Keys hold no material: nothing is encrypted here."""

from __future__ import annotations

import re
from typing import Final

from model_factory.local.clouds.gcp import catalogue, errors
from model_factory.local.clouds.gcp.bodies import Body, apply_mask, timestamp, visible
from model_factory.local.clouds.gcp.core import Call, handles, page
from model_factory.local.discovery import Json

KEY_RING: Final = "cloudkms.keyRings"
CRYPTO_KEY: Final = "cloudkms.cryptoKeys"
VERSION: Final = "cloudkms.cryptoKeyVersions"
_ID: Final = re.compile(r"[a-zA-Z0-9_-]{1,63}")
_MUTABLE: Final = (
    "labels",
    "rotationPeriod",
    "nextRotationTime",
    "versionTemplate",
    "keyAccessJustificationsPolicy",
)
_LOCATIONS: Final = frozenset({"global", "us", "europe", "asia", "eur4", "nam4"})


def _identifier(call: Call, parameter: str) -> str:
    value = call.query.get(parameter, "")
    if not _ID.fullmatch(value):
        raise errors.invalid(f"Invalid {parameter} '{value}': it must match {_ID.pattern}.")
    return value


@handles("cloudkms.projects.locations.keyRings.create")
def create_ring(call: Call) -> Body:
    parent = call.parameter("parent")
    location = parent.rpartition("/")[2]
    if location not in catalogue.REGIONS and location not in _LOCATIONS:
        raise errors.not_found(f"The request concerns location '{location}' but was sent to location 'global'.")
    key = f"cloudkms/{parent}/keyRings/{_identifier(call, 'keyRingId')}"
    if call.cloud.store.get(key) is not None:
        raise errors.exists(f"KeyRing {key.removeprefix('cloudkms/')} already exists.")
    body: Body = {"name": key.removeprefix("cloudkms/"), "createTime": timestamp(call.cloud.clock())}
    call.cloud.put(key, KEY_RING, body)
    return body


@handles("cloudkms.projects.locations.keyRings.cryptoKeys.create")
def create_key(call: Call) -> Body:
    parent = call.parameter("parent")
    call.cloud.require(f"cloudkms/{parent}", f"KeyRing {parent} not found.")
    key = f"cloudkms/{parent}/cryptoKeys/{_identifier(call, 'cryptoKeyId')}"
    if call.cloud.store.get(key) is not None:
        raise errors.exists(f"CryptoKey {key.removeprefix('cloudkms/')} already exists.")
    purpose = call.body.get("purpose", "CRYPTO_KEY_PURPOSE_UNSPECIFIED")
    if purpose == "CRYPTO_KEY_PURPOSE_UNSPECIFIED":
        raise errors.invalid("The purpose of a key must be specified.")
    rotation = call.body.get("rotationPeriod")
    if rotation and float(rotation.removesuffix("s")) < 86400:
        raise errors.invalid("CryptoKey.rotation_period must be at least 24 hours.")
    now = timestamp(call.cloud.clock())
    template = {
        "algorithm": "GOOGLE_SYMMETRIC_ENCRYPTION",
        "protectionLevel": "SOFTWARE",
        **call.body.get("versionTemplate", {}),
    }
    name = key.removeprefix("cloudkms/")
    body: Body = {
        "destroyScheduledDuration": "2592000s", **call.body, "name": name, "createTime": now, "versionTemplate": template,
    }  # fmt: skip
    if call.query.get("skipInitialVersionCreation") != "true":
        version: Body = {
            "name": f"{name}/cryptoKeyVersions/1",
            "state": "ENABLED",
            "createTime": now,
            **template,
        }
        call.cloud.put(f"{key}/cryptoKeyVersions/1", VERSION, version)
        if purpose == "ENCRYPT_DECRYPT":
            body["primary"] = version
    call.cloud.put(key, CRYPTO_KEY, body)
    return body


@handles(
    "cloudkms.projects.locations.keyRings.get",
    "cloudkms.projects.locations.keyRings.cryptoKeys.get",
    "cloudkms.projects.locations.keyRings.cryptoKeys.cryptoKeyVersions.get",
)
def get(call: Call) -> Body:
    name = call.parameter("name")
    return visible(call.cloud.require(f"cloudkms/{name}", f"{name} not found.").body)


_LISTED: Final = {"keyRings": KEY_RING, "cryptoKeys": CRYPTO_KEY, "cryptoKeyVersions": VERSION}


@handles(
    "cloudkms.projects.locations.keyRings.list",
    "cloudkms.projects.locations.keyRings.cryptoKeys.list",
    "cloudkms.projects.locations.keyRings.cryptoKeys.cryptoKeyVersions.list",
)
def list_(call: Call) -> Body:
    field = call.method.split(".")[-2]
    found = call.cloud.store.children(f"cloudkms/{call.parameter('parent')}", _LISTED[field])
    return {**page(call, [stored.body for stored in found], field), "totalSize": len(found)}


@handles("cloudkms.projects.locations.keyRings.cryptoKeys.patch")
def patch_key(call: Call) -> Body:
    name = call.parameter("name")
    stored = call.cloud.require(f"cloudkms/{name}", f"{name} not found.")
    mask = call.query.get("updateMask")
    if not mask:
        raise errors.invalid("The update mask must be specified.")
    given: Json = {k: v for k, v in call.body.items() if k in _MUTABLE}
    body = apply_mask(stored.body, given, mask, _MUTABLE)
    call.cloud.put(stored.key, CRYPTO_KEY, body)
    return visible(body)


@handles("cloudkms.projects.locations.keyRings.cryptoKeys.cryptoKeyVersions.destroy")
def destroy_version(call: Call) -> Body:
    name = call.parameter("name")
    stored = call.cloud.require(f"cloudkms/{name}", f"{name} not found.")
    if stored.body["state"] not in ("ENABLED", "DISABLED"):
        raise errors.precondition(f"{name} is not enabled or disabled: its state is {stored.body['state']}.")
    body = {
        **stored.body,
        "state": "DESTROY_SCHEDULED",
        "destroyTime": timestamp(call.cloud.clock() + 30 * 86400),
    }
    call.cloud.put(stored.key, VERSION, body)
    parent = call.cloud.require(stored.key.split("/cryptoKeyVersions/")[0])
    if parent.body.get("primary", {}).get("name") == name:
        call.cloud.put(parent.key, CRYPTO_KEY, {k: v for k, v in parent.body.items() if k != "primary"})
    return body
