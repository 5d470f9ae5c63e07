"""Cloud Storage: buckets and their objects. Names are global; objects are whole bytes (no resumable upload)."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from typing import Final

from model_factory.local.clouds.gcp import catalogue, errors
from model_factory.local.clouds.gcp.bodies import Body, digest, merge_patch, timestamp, visible
from model_factory.local.clouds.gcp.core import Call, Media, Stored, handles, page
from model_factory.local.discovery import Json

BUCKET: Final = "storage.buckets"
OBJECT: Final = "storage.objects"
ROOT: Final = "https://www.googleapis.com/storage/v1/b/"
_MULTI_REGIONS: Final = frozenset({"US", "EU", "ASIA"})
_DUAL_REGIONS: Final = frozenset({"NAM4", "EUR4", "ASIA1", "EUR5", "EUR7", "EUR8"})
_CLASSES: Final = frozenset(
    {
        "STANDARD",
        "NEARLINE",
        "COLDLINE",
        "ARCHIVE",
        "MULTI_REGIONAL",
        "REGIONAL",
        "DURABLE_REDUCED_AVAILABILITY",
    }
)
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]")
_WEEK_SECONDS: Final = "604800"


@handles("storage.buckets.insert")
def insert(call: Call) -> Body:
    project = call.query.get("project", "")
    if not project:
        raise errors.invalid("Required parameter: project", "required")
    number = call.cloud.project_number(project)
    name = call.body.get("name", "")
    if not _NAME.fullmatch(name) or name.startswith("goog") or "google" in name or ".." in name:
        raise errors.invalid(f"Invalid bucket name: '{name}'")
    key = f"storage/b/{name}"
    existing = call.cloud.store.get(key)
    if existing is not None:
        mine = existing.body["projectNumber"] == number
        raise errors.exists(
            "Your previous request to create the named bucket succeeded and you already own it."
            if mine
            else "The requested bucket name is not available. The bucket namespace is shared by all users of the system. "
            "Please select a different name and try again.",
            "conflict",
        )
    now = timestamp(call.cloud.clock())
    body: Body = {
        **call.body,
        "kind": "storage#bucket",
        "id": name,
        "selfLink": ROOT + name,
        "projectNumber": number,
        "timeCreated": now,
        "metageneration": "0",
    }
    call.cloud.put(key, BUCKET, complete(body, now))
    return visible(complete(body, now))


def complete(body: Body, now: str) -> Body:
    """Fill in a bucket's defaults and check what the schema cannot say. Raises ApiError."""
    location = str(body.get("location") or "US").upper()
    type_ = (
        "multi-region" if location in _MULTI_REGIONS else "dual-region" if location in _DUAL_REGIONS
        else "region" if location.lower() in catalogue.REGIONS else ""
    )  # fmt: skip
    if not type_:
        raise errors.invalid(f"The specified location constraint is not valid: {location}.")
    storage_class = str(body.get("storageClass") or "STANDARD").upper()
    if storage_class not in _CLASSES:
        raise errors.invalid(f"Invalid storage class: {storage_class}.")
    iam = dict(body.get("iamConfiguration", {}))
    prevention = iam.setdefault("publicAccessPrevention", "inherited")
    if prevention not in ("inherited", "enforced", "unspecified"):
        raise errors.invalid(f"Invalid public access prevention: {prevention}.")
    uniform = dict(iam.get("uniformBucketLevelAccess", {"enabled": False}))
    if uniform.get("enabled"):
        uniform.setdefault("lockedTime", now)
    else:
        uniform.pop("lockedTime", None)
    iam |= {"uniformBucketLevelAccess": uniform, "bucketPolicyOnly": uniform}
    for rule in body.get("lifecycle", {}).get("rule", []):
        if rule.get("action", {}).get("type") not in (
            "Delete",
            "SetStorageClass",
            "AbortIncompleteMultipartUpload",
        ):
            raise errors.invalid(f"Invalid lifecycle action: {rule.get('action', {}).get('type')}.")
        if not rule.get("condition"):
            raise errors.invalid("A lifecycle rule needs at least one condition.")
    soft = dict(body.get("softDeletePolicy", {"retentionDurationSeconds": _WEEK_SECONDS}))
    if soft.get("retentionDurationSeconds") not in (None, "0"):
        soft.setdefault("effectiveTime", now)
    generation = str(int(body["metageneration"]) + 1)
    completed: Body = {
        **body,
        "location": location,
        "locationType": type_,
        "storageClass": storage_class,
        "iamConfiguration": iam,
        "softDeletePolicy": soft,
        "metageneration": generation,
        "updated": now,
    }
    if type_ == "multi-region" or type_ == "dual-region":
        completed.setdefault("rpo", "DEFAULT")
    completed["etag"] = digest([body["id"], generation])
    return completed


def _bucket(call: Call, parameter: str = "bucket") -> Stored:
    return call.cloud.require(f"storage/b/{call.parameter(parameter)}", "The specified bucket does not exist.")


def _check_generation(call: Call, body: Body) -> None:
    wanted = call.query.get("ifMetagenerationMatch")
    unwanted = call.query.get("ifMetagenerationNotMatch")
    if (wanted is not None and wanted != body["metageneration"]) or (
        unwanted is not None and unwanted == body["metageneration"]
    ):
        raise errors.mismatch("At least one of the pre-conditions you specified did not hold.")


@handles("storage.buckets.get")
def get(call: Call) -> Body:
    body = _bucket(call).body
    _check_generation(call, body)
    return visible(body)


@handles("storage.buckets.list")
def list_(call: Call) -> Body:
    number = call.cloud.project_number(call.query.get("project", ""))
    prefix = call.query.get("prefix", "")
    found = [s.body for s in call.cloud.store.children("storage", BUCKET)]
    mine = [body for body in found if body["projectNumber"] == number and body["id"].startswith(prefix)]
    return {"kind": "storage#buckets", **page(call, mine, "items")}


@handles("storage.buckets.patch", "storage.buckets.update")
def change(call: Call) -> Body:
    stored = _bucket(call)
    _check_generation(call, stored.body)
    old = stored.body
    kept = {
        k: old[k]
        for k in (
            "kind",
            "id",
            "name",
            "selfLink",
            "projectNumber",
            "timeCreated",
            "metageneration",
            "location",
        )
    }
    if str(call.body.get("location", old["location"])).upper() != old["location"]:
        raise errors.invalid("The location of a bucket cannot be changed.")
    given: Json = call.body
    body = {**given, **kept} if call.method.endswith(".update") else {**merge_patch(old, given), **kept}
    completed = complete(body, timestamp(call.cloud.clock()))
    call.cloud.put(stored.key, BUCKET, completed)
    return visible(completed)


@handles("storage.buckets.delete")
def delete(call: Call) -> None:
    stored = _bucket(call)
    _check_generation(call, stored.body)
    if call.cloud.store.children(stored.key, OBJECT):
        raise errors.exists("The bucket you tried to delete is not empty.", "conflict")
    call.cloud.store.remove(stored.key)


# Objects


def _object_key(call: Call) -> str:
    # A name may hold slashes; the key must not, or one object would stand below another.
    return f"storage/b/{call.parameter('bucket')}/o/{_flat(call.parameter('object'))}"


def _flat(name: str) -> str:
    return name.replace("%", "%25").replace("/", "%2F")


def put_object(call: Call) -> Body:
    """An upload: `uploadType` media (the body is the object) or multipart (metadata, then the object)."""
    bucket = _bucket(call)
    kind = call.query.get("uploadType")
    if kind == "multipart":
        metadata, data, content_type = _parts(call)
    elif kind == "media":
        metadata, data, content_type = {}, call.data, call.content_type
    else:
        raise errors.not_implemented(f"upload type {kind!r}: use media or multipart")
    name = metadata.get("name") or call.query.get("name")
    if not name:
        raise errors.invalid("Required parameter: name", "required")
    now = timestamp(call.cloud.clock())
    key = f"{bucket.key}/o/{_flat(name)}"
    generation = str(int(call.cloud.clock() * 1_000_000))
    body: Body = {
        **metadata,
        "kind": "storage#object",
        "id": f"{bucket.body['id']}/{name}/{generation}",
        "name": name,
        "bucket": bucket.body["id"],
        "generation": generation,
        "metageneration": "1",
        "contentType": metadata.get("contentType") or content_type or "application/octet-stream",
        "size": str(len(data)),
        "md5Hash": base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode(),
        "timeCreated": now,
        "updated": now,
        "storageClass": bucket.body["storageClass"],
        "_crc": zlib.crc32(data),
    }
    call.cloud.put(key, OBJECT, body)
    call.cloud.store.put_content(key, data)
    return visible(body)


def _parts(call: Call) -> tuple[Body, bytes, str]:
    header = f"Content-Type: {call.content_type}\r\nMIME-Version: 1.0\r\n\r\n".encode()
    message: Message = BytesParser(policy=HTTP).parsebytes(header + call.data)
    parts = message.get_payload()
    if not isinstance(parts, list) or len(parts) != 2:
        raise errors.invalid("A multipart upload has two parts: the metadata and the object.")
    metadata, content = (part for part in parts if isinstance(part, Message))
    document, data = metadata.get_payload(decode=True), content.get_payload(decode=True)
    if not isinstance(document, bytes) or not isinstance(data, bytes):
        raise errors.invalid("A multipart upload has two parts: the metadata and the object.")
    return json.loads(document), data, content.get_content_type()


@handles("storage.objects.insert")
def insert_object(call: Call) -> Body:
    return put_object(call)


@handles("storage.objects.get")
def get_object(call: Call) -> Body | Media:
    _bucket(call)
    key = _object_key(call)
    stored = call.cloud.require(key, f"No such object: {call.parameter('bucket')}/{call.parameter('object')}")
    if call.query.get("alt") == "media":
        return Media(call.cloud.store.content(key) or b"", stored.body["contentType"])
    return visible(stored.body)


@handles("storage.objects.list")
def list_objects(call: Call) -> Body:
    bucket = _bucket(call)
    prefix, delimiter = call.query.get("prefix", ""), call.query.get("delimiter", "")
    items: list[Body] = []
    prefixes: set[str] = set()
    for stored in call.cloud.store.children(bucket.key, OBJECT):
        name = stored.body["name"]
        if not name.startswith(prefix):
            continue
        rest = name[len(prefix) :]
        if delimiter and delimiter in rest:
            prefixes.add(prefix + rest.split(delimiter)[0] + delimiter)
        else:
            items.append(stored.body)
    items.sort(key=lambda body: body["name"])
    result: Body = {"kind": "storage#objects", **page(call, items, "items")}
    if prefixes:
        result["prefixes"] = sorted(prefixes)
    return result


@handles("storage.objects.delete")
def delete_object(call: Call) -> None:
    _bucket(call)
    key = _object_key(call)
    call.cloud.require(key, f"No such object: {call.parameter('bucket')}/{call.parameter('object')}")
    call.cloud.store.remove(key)
