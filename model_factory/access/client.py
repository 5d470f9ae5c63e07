"""A small client of one cluster's API: objects of any kind, as plain mappings, by apiVersion, kind, namespace and name.

    client = ClusterClient.of(kubeconfig, context="aws/us-east-1")
    client.apply(deployment, manager="factory", force=True)
    for event in client.watch("v1", "Pod", namespace="models", labels="app=assistant", timeout_seconds=60): ...

Where an object's path is, is asked of the server (discovery) once. All errors are `AccessError`s. Not here: typed objects, waiting for
objects to become ready, caches.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import quote

import urllib3

from model_factory.access.errors import ApiError, NoKindError, UnreachableError, error_of
from model_factory.access.forward import Forward
from model_factory.access.kubeconfig import Access, access
from model_factory.access.transport import Answer, Params, Transport

Object = dict[str, Any]
Propagation = Literal["Background", "Foreground", "Orphan"]
PatchType = Literal["merge", "json", "strategic"]

_PATCHES: Final[Mapping[PatchType, str]] = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}
_APPLY: Final = "application/apply-patch+yaml"
_PAGE: Final = 500
_NOT_FOUND: Final = 404
_CREATED: Final = 201


@dataclass(frozen=True, slots=True)
class Kind:
    """What the server says of a kind: where its objects are, and what can be done with them."""

    api_version: str
    name: str
    plural: str
    is_namespaced: bool
    verbs: frozenset[str]


@dataclass(frozen=True, slots=True)
class Listing:
    """Objects as they were at one moment; a watch from `resource_version` misses nothing after it."""

    items: tuple[Object, ...]
    resource_version: str


@dataclass(frozen=True, slots=True)
class Event:
    """One change that a watch tells: ADDED, MODIFIED, DELETED or BOOKMARK, and the object after it (before it, if DELETED)."""

    type: str
    object: Object


class ClusterClient:
    """One cluster's API with one context's credentials. May be used from many threads; `close` lets its connections go."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._http = Transport(access)
        self._kinds: dict[str, dict[str, Kind]] = {}
        self._lock = threading.Lock()

    @classmethod
    def of(cls, kubeconfig: str = "", context: str = "") -> ClusterClient:
        """For a kubeconfig's text or path, as `access` takes it. Raises KubeconfigError; asks no server yet."""
        return cls(access(kubeconfig, context))

    @property
    def server(self) -> str:
        return self.access.server

    def close(self) -> None:
        self._http.close()

    # What the server is

    def version(self) -> Object:
        """`/version`: gitVersion, major, minor …"""
        return self._http.call("GET", "/version").object

    def kind(self, api_version: str, kind: str) -> Kind:
        """Discovery, remembered; a kind that was not there is asked for again. Raises NoKindError."""
        with self._lock:
            if (found := self._kinds.get(api_version, {}).get(kind)) is not None:
                return found
        served = self._discover(api_version)
        with self._lock:
            self._kinds[api_version] = served
        if kind not in served:
            raise NoKindError(api_version, kind, self.server)
        return served[kind]

    def path(self, api_version: str, kind: str, *, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The path of an object, of its subresource, or without a name of all objects (of a namespace)."""
        served = self.kind(api_version, kind)
        parts = [_root(api_version)]
        if namespace and served.is_namespaced:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(served.plural)
        parts += [quote(part, safe="") for part in (name, subresource) if part]
        return "/".join(parts)

    def call(self, method: str, path: str, *, params: Params | None = None, body: object = None) -> Answer:
        """Any request that has no method of its own: a subresource (eviction, scale, token), a service's proxy."""
        return self._http.call(method, path, params=params, body=body)

    # Objects

    def get(self, api_version: str, kind: str, name: str, *, namespace: str = "") -> Object | None:
        """The object; None where it is gone. NoKindError where there is no such kind."""
        path = self.path(api_version, kind, namespace=namespace, name=name)
        try:
            return self._http.call("GET", path, operation=f"{api_version}/{kind}.read").object
        except ApiError as error:
            if error.status == _NOT_FOUND:
                return None
            raise

    def list(
        self, api_version: str, kind: str, *, namespace: str = "", labels: str = "", fields: str = ""
    ) -> tuple[Object, ...]:
        """All objects that the selectors let through; without a namespace, of all of them."""
        return self.listing(api_version, kind, namespace=namespace, labels=labels, fields=fields).items

    def listing(
        self, api_version: str, kind: str, *, namespace: str = "", labels: str = "", fields: str = ""
    ) -> Listing:
        """As `list`, with the moment from which a watch goes on. Items have apiVersion and kind."""
        path = self.path(api_version, kind, namespace=namespace)
        items: list[Object] = []
        token = ""
        while True:
            params = {"labelSelector": labels, "fieldSelector": fields, "limit": _PAGE, "continue": token}
            page = self._http.call("GET", path, params=params, operation=f"{api_version}/{kind}.list").object
            items += [{"apiVersion": api_version, "kind": kind, **item} for item in page.get("items") or ()]
            metadata: Object = page.get("metadata") or {}
            token = str(metadata.get("continue") or "")
            if not token:
                return Listing(tuple(items), str(metadata.get("resourceVersion") or ""))

    def create(self, obj: Mapping[str, Any], *, manager: str = "", dry_run: bool = False) -> Answer:
        """A new object; ApiError AlreadyExists where there is one. With `generateName` the server names it. Strictly validated."""
        api_version, kind, namespace, _ = _names(obj)
        path = self.path(api_version, kind, namespace=namespace)
        params = _writing(manager, dry_run=dry_run)
        return self._http.call("POST", path, params=params, body=obj, operation=f"{api_version}/{kind}.create")

    def apply(
        self,
        obj: Mapping[str, Any],
        *,
        manager: str,
        force: bool = False,
        dry_run: bool = False,
        subresource: str = "",
    ) -> Answer:
        """Server-side apply: makes the object, or what `manager` owns of it, be so; strictly validated.

        Status 201 says that it is new. Fields of other managers raise ApiError Conflict (a cause a field), unless `force` takes them.
        Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/
        """
        api_version, kind, namespace, name = _names(obj)
        path = self.path(api_version, kind, namespace=namespace, name=name, subresource=subresource)
        return self._http.call(
            "PATCH",
            path,
            params={**_writing(manager, dry_run=dry_run), "force": force},
            body=obj,
            content_type=_APPLY,
            repeatable=True,
            operation=f"{api_version}/{kind}.apply",
        )

    def replace(self, obj: Mapping[str, Any], *, manager: str = "", subresource: str = "") -> Answer:
        """The whole object, as it was read and changed; ApiError Conflict where it has changed since (resourceVersion)."""
        api_version, kind, namespace, name = _names(obj)
        path = self.path(api_version, kind, namespace=namespace, name=name, subresource=subresource)
        params = _writing(manager, dry_run=False)
        return self._http.call("PUT", path, params=params, body=obj, operation=f"{api_version}/{kind}.update")

    def patch(
        self,
        api_version: str,
        kind: str,
        name: str,
        patch: object,
        *,
        namespace: str = "",
        type: PatchType = "merge",  # noqa: A002 - kubectl's word for it
        manager: str = "",
        subresource: str = "",
        dry_run: bool = False,
    ) -> Answer:
        """Change a part of an object that is there. `patch`: a mapping, for "json" the list of operations."""
        return self._http.call(
            "PATCH",
            self.path(api_version, kind, namespace=namespace, name=name, subresource=subresource),
            params=_writing(manager, dry_run=dry_run),
            body=patch,
            content_type=_PATCHES[type],
            operation=f"{api_version}/{kind}.patch",
        )

    def delete(
        self,
        api_version: str,
        kind: str,
        name: str,
        *,
        namespace: str = "",
        propagation: Propagation = "Background",
        uid: str = "",
        grace_seconds: int | None = None,
    ) -> bool:
        """Start the deletion; False where the object is gone already. With `uid` only the very object is deleted (else Conflict).

        Finalizers, and with Foreground what it owns, may keep it for a while: `get` tells when it is gone.
        """
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        if uid:
            options["preconditions"] = {"uid": uid}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        path = self.path(api_version, kind, namespace=namespace, name=name)
        try:
            self._http.call(
                "DELETE", path, body=options, repeatable=bool(uid), operation=f"{api_version}/{kind}.delete"
            )
        except ApiError as error:
            if error.status == _NOT_FOUND:
                return False
            raise
        return True

    def watch(
        self,
        api_version: str,
        kind: str,
        *,
        namespace: str = "",
        labels: str = "",
        fields: str = "",
        resource_version: str = "",
        timeout_seconds: int = 300,
    ) -> Generator[Event]:
        """Changes as they come, until the server ends the watch after `timeout_seconds`; close the generator to end it before.

        Without `resource_version` what is there comes first, as ADDED. With one, ApiError Expired where it is too old: list again.
        """
        params = {
            "watch": True,
            "allowWatchBookmarks": True,
            "labelSelector": labels,
            "fieldSelector": fields,
            "resourceVersion": resource_version,
            "timeoutSeconds": timeout_seconds,
        }
        operation = f"{api_version}/{kind}.watch"
        path = self.path(api_version, kind, namespace=namespace)
        for line in self._lines(path, params, operation, idle_seconds=timeout_seconds + 30.0):
            event = json.loads(line)
            if event["type"] == "ERROR":
                raise error_of(operation, int(event["object"].get("code") or 0), event["object"], line)
            yield Event(event["type"], event["object"])

    # Pods

    def logs(
        self,
        pod: str,
        *,
        namespace: str,
        container: str = "",
        follow: bool = False,
        previous: bool = False,
        tail_lines: int | None = None,
        timestamps: bool = False,
    ) -> Generator[str]:
        """The lines that a container wrote, without their ends; with `follow` until it ends or the generator is closed."""
        params: dict[str, str | int | bool] = {
            "container": container, "follow": follow, "previous": previous, "timestamps": timestamps,
        }  # fmt: skip
        if tail_lines is not None:
            params["tailLines"] = tail_lines
        path = self.path("v1", "Pod", namespace=namespace, name=pod, subresource="log")
        yield from self._lines(path, params, "v1/Pod.log", idle_seconds=None if follow else 60.0)

    def forward(self, pod: str, port: int, *, namespace: str) -> Forward:
        """A stream to a Pod's port through the API server, like `kubectl port-forward`: one connection, closed by the caller."""
        path = self.path("v1", "Pod", namespace=namespace, name=pod, subresource="portforward")
        return Forward.open(self.access, path, port)

    def _lines(self, path: str, params: Params, operation: str, *, idle_seconds: float | None) -> Generator[str]:
        response = self._http.stream(path, params=params, idle_seconds=idle_seconds, operation=operation)
        try:
            yield from _split(response, operation, self.server)
        finally:
            response.close()

    def _discover(self, api_version: str) -> dict[str, Kind]:
        try:
            found = self._http.call("GET", _root(api_version)).object
        except ApiError as error:
            if error.status == _NOT_FOUND:
                return {}
            raise
        return {
            str(item["kind"]): Kind(
                api_version,
                str(item["kind"]),
                str(item["name"]),
                bool(item["namespaced"]),
                frozenset(str(verb) for verb in item.get("verbs") or ()),
            )
            for item in found.get("resources") or ()
            if "/" not in item["name"]  # a subresource
        }


def _split(response: urllib3.BaseHTTPResponse, operation: str, server: str) -> Iterator[str]:
    rest = b""
    try:
        for piece in response.stream(amt=None, decode_content=True):
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                yield line.decode(errors="replace")
    except urllib3.exceptions.HTTPError as error:
        raise UnreachableError(operation, f"{server} ended its answer in the middle: {error}", sent=True) from error
    if rest:
        yield rest.decode(errors="replace")


def _root(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def _names(obj: Mapping[str, Any]) -> tuple[str, str, str, str]:
    metadata: Mapping[str, Any] = obj.get("metadata") or {}
    return (
        str(obj.get("apiVersion", "")),
        str(obj.get("kind", "")),
        str(metadata.get("namespace") or ""),
        str(metadata.get("name") or ""),
    )


def _writing(manager: str, *, dry_run: bool) -> dict[str, str | int | bool]:
    return {"fieldManager": manager, "fieldValidation": "Strict", "dryRun": "All" if dry_run else ""}
