"""A cluster that is a folder of manifests, in the layout of pulumi-kubernetes' `renderYamlToDirectory`.

`0-crd/` holds CustomResourceDefinitions, `1-manifest/` the rest, one file an object: `<apiVersion>-<kind>-<namespace>-<name>.yaml`. Unlike
there, Namespaces have a folder of their own before it, `0-namespace/`, so that `kubectl apply --recursive -f` makes them before what is
in them. Those that an older version wrote to `1-manifest/` are read, and move when they are written. An object is written to a draft and renamed, so a reader never sees half of
one; it is not synced to disk, as a lost file is drift that the next refresh finds.

As an API server would, it refuses a second object of the same name, a missing namespace and a change of an immutable field,
and deletes what is left in a namespace with it. It schedules nothing, fills in no status and checks no other reference.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from model_factory.graph import quantity
from model_factory.local.clouds.kubernetes import control
from model_factory.local.clouds.kubernetes.kinds import BUILT_IN_NAMESPACES, STORAGE, group_of, immutable_fields
from model_factory.local.clouds.kubernetes.manifest import dump, files, load
from model_factory.local.clouds.kubernetes.place import CRDS, MANIFESTS, NAMESPACES, PARTS
from model_factory.local.folders import make_private
from model_factory.local.wire import Unknown

_ATTEMPTS: Final = 100
_FIRST: Final = {("apiextensions.k8s.io", "CustomResourceDefinition"): CRDS, ("", "Namespace"): NAMESPACES}
_NO_SEGMENT: Final = re.compile(r"[/\x00-\x1f\x7f]")


class ClusterError(Exception):
    """The cluster's refusal, in the API server's words: a reason (AlreadyExists, Invalid…), HTTP status, message."""

    def __init__(self, operation: str, reason: str, status: int, message: str) -> None:
        super().__init__(f"{operation}: {reason}: {message}")
        self.operation = operation
        self.reason = reason
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class Reference:
    """What names an object. `namespace` is empty for cluster-scoped kinds."""

    api_version: str
    kind: str
    namespace: str
    name: str

    @classmethod
    def of(cls, obj: Mapping[str, Any]) -> Reference:
        metadata: Mapping[str, Any] = obj.get("metadata") or {}
        return cls(
            str(obj.get("apiVersion", "")),
            str(obj.get("kind", "")),
            str(metadata.get("namespace") or ""),
            str(metadata.get("name") or ""),
        )

    @property
    def file(self) -> Path:
        """The object's file, relative to the cluster's folder. ClusterError where a name is no segment of a path."""
        for part in (self.kind, self.namespace, self.name):
            if _NO_SEGMENT.search(part):
                # https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#path-segment-names
                message = f"{part!r} is no name: a name has no slash and no control character; write another"
                raise _refused(self, "create", "Invalid", 422, message)
        version = self.api_version.replace("/", "_").replace(":", "_")
        name = f"{version}-{self.kind.lower()}-{self.namespace or 'default'}-{self.name}.yaml"
        return Path(_FIRST.get((group_of(self.api_version), self.kind), MANIFESTS)) / name

    @property
    def files(self) -> tuple[Path, ...]:
        """Where the object may stand: its file, and where an older version wrote it."""
        return tuple(dict.fromkeys((self.file, Path(MANIFESTS) / self.file.name)))

    def __str__(self) -> str:
        group = group_of(self.api_version)
        where = f" in namespace {self.namespace}" if self.namespace else ""
        return f'{self.kind}{"." + group if group else ""} "{self.name}"{where}'

    def operation(self, verb: str) -> str:
        return f"{self.api_version}/{self.kind}.{verb}"


@dataclass(frozen=True, slots=True)
class Cluster:
    """One rendered cluster. Operations on different objects may run at the same time."""

    folder: Path

    def create(self, obj: Mapping[str, Any]) -> None:
        reference = self._begin(Reference.of(obj), "create")
        found = self._load(reference)
        if found is not None:
            holder = Reference.of(found)
            other = "" if holder == reference else f", which holds {holder}"
            raise _refused(reference, "create", "AlreadyExists", 409,
                           f"{reference} already exists, as {reference.file}{other}")  # fmt: skip
        namespace = reference.namespace
        if namespace and namespace not in BUILT_IN_NAMESPACES and not self._holds_namespace(namespace):
            raise _refused(reference, "create", "NotFound", 404,
                           f'namespace "{namespace}" does not exist; create it first, and depend on it')  # fmt: skip
        self._write(reference, obj, "create")

    def read(self, reference: Reference) -> dict[str, Any] | None:
        """The object as its file says; None where it is gone."""
        found = self._load(self._begin(reference, "read"))
        return found if found is not None and Reference.of(found) == reference else None

    def find(self, reference: Reference) -> dict[str, Any] | None:
        """`read` for a recovery: faults and latency do not touch it."""
        found = self._load(reference)
        return found if found is not None and Reference.of(found) == reference else None

    def update(self, obj: Mapping[str, Any]) -> None:
        """Replace the object; creates it where it was deleted behind our back, as server-side apply does."""
        reference = self._begin(Reference.of(obj), "update")
        found = self._load(reference)
        for field in changed_immutable_fields(found or {}, obj):
            raise _refused(reference, "update", "Invalid", 422, f"{reference} is invalid: {field}: field is immutable")
        self._write(reference, obj, "update")

    def delete(self, reference: Reference) -> bool:
        """Remove the object, and with a namespace all it holds; False where it was gone already."""
        self._begin(reference, "delete")
        found = self._load(reference)
        if found is None or Reference.of(found) != reference:
            return False
        gone = [reference]
        if reference.kind == "Namespace":
            gone += [other for other in self.objects() if other.namespace == reference.name]
        for each in gone:
            for file in each.files:
                (self.folder / file).unlink(missing_ok=True)
        for folder in (*(self.folder / part for part in PARTS), self.folder):
            with suppress(OSError):  # not empty, or not there
                folder.rmdir()
        return True

    def objects(self) -> Iterator[Reference]:
        """All objects, in the order of their files."""
        for path in files(self.folder):
            if (found := _parse(path)) is not None:
                yield Reference.of(found)

    def _begin(self, reference: Reference, verb: str) -> Reference:
        fault = control.before(self.folder.parent, reference.operation(verb))
        if fault is not None:
            raise _refused(reference, verb, fault.error, fault.status, fault.message)
        return reference

    def _holds_namespace(self, name: str) -> bool:
        return any((self.folder / file).exists() for file in Reference("v1", "Namespace", "", name).files)

    def _load(self, reference: Reference) -> dict[str, Any] | None:
        return next((found for file in reference.files if (found := _parse(self.folder / file)) is not None), None)

    def _write(self, reference: Reference, obj: Mapping[str, Any], verb: str) -> None:
        path, text = self.folder / reference.file, dump(obj)
        draft = path.with_name(f".{path.name}.draft")
        for attempt in range(_ATTEMPTS):
            try:
                make_private(path.parent)
                descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    file.write(text)
                draft.replace(path)
            except (FileNotFoundError, FileExistsError):
                # A delete of the folder's last object took the folder with it in between.
                if attempt + 1 == _ATTEMPTS:
                    raise
            except OSError as error:
                raise _refused(
                    reference, verb, "InternalError", 500, f"cannot write {reference.file}: {error}"
                ) from error
            else:
                for older in reference.files[1:]:
                    (self.folder / older).unlink(missing_ok=True)
                return


def _parse(path: Path) -> dict[str, Any] | None:
    try:
        return load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ClusterError("read", "InternalError", 500, f"{path}: {error}; correct or delete the file") from error


def _refused(reference: Reference, verb: str, reason: str, status: int, message: str) -> ClusterError:
    return ClusterError(reference.operation(verb), reason, status, message)


def changed_immutable_fields(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """The fields that an API server would not let change so; a claim's storage may only grow. What is not known yet passes."""
    if not old:
        return
    reference = Reference.of(new)
    for field in immutable_fields(reference.api_version, reference.kind, immutable=old.get("immutable") is True):
        before, after = _at(old, field), _at(new, field)
        kept = after is None and field == "spec.clusterIP"
        if before != after and not kept and not isinstance(after, Unknown):
            yield field
    if reference.kind == "PersistentVolumeClaim":
        before, after = _at(old, STORAGE), _at(new, STORAGE)
        if not isinstance(after, Unknown) and quantity.amount(after) < quantity.amount(before):
            yield STORAGE


def _at(obj: Mapping[str, Any], field: str) -> Any:
    value: Any = obj
    for key in field.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
