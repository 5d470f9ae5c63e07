"""Objects in a rendered folder: `model_factory.local.clouds.kubernetes.cluster`, where all is ready as soon as it is written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from model_factory.local.clouds.kubernetes.cluster import Cluster, ClusterError, Reference
from model_factory.local.clouds.kubernetes.kinds import is_namespaced
from model_factory.local.providers.base import Call
from model_factory.local.providers.errors import CloudError
from model_factory.local.providers.kubernetes.causes import CAUSES
from model_factory.local.providers.kubernetes.objects import object_id
from model_factory.local.providers.kubernetes.store import Kind, Manner, Object
from model_factory.local.providers.kubernetes.tokens import published_kind

R = TypeVar("R")


# ruff: noqa: ARG002 - the methods keep the signatures of `Store`
@dataclass(frozen=True, slots=True)
class FolderStore:
    """A `Store` of kinds whose schemas are published."""

    cluster: Cluster

    @property
    def name(self) -> str:
        return f"kubernetes cluster {self.cluster.folder.name}"

    @property
    def namespace(self) -> str:
        return "default"

    @property
    def fills_in(self) -> tuple[str, ...]:
        return ()

    @property
    def keeps_releases(self) -> bool:
        return False

    def kind(self, token: str) -> Kind:
        return published_kind(token)

    def is_namespaced(self, kind: Kind) -> bool:
        return is_namespaced(kind.name)

    def name_fault(self, metadata: Mapping[str, Any]) -> str:
        if metadata.get("generateName"):
            return "metadata.generateName: not supported when objects are rendered; leave the name out for an auto-name"
        return ""

    def foresee(self, obj: Object, manner: Manner, *, is_new: bool) -> None:
        return None

    def create(self, call: Call[Any], obj: Object, manner: Manner) -> Object:
        self._asked(lambda: self.cluster.update(obj) if manner.upsert else self.cluster.create(obj))
        return obj

    def update(self, call: Call[Any], obj: Object, manner: Manner) -> Object:
        self._asked(lambda: self.cluster.update(obj))
        return obj

    def read(self, reference: Reference) -> Object | None:
        return self._asked(lambda: self.cluster.read(reference))

    def ready(self, call: Call[Any], inputs: Object, live: Object) -> Object:
        return live

    def not_ready(self, inputs: Object, live: Object) -> str:
        return ""

    def delete(self, call: Call[Any], reference: Reference, inputs: Object, manner: Manner) -> None:
        self._asked(lambda: self.cluster.delete(reference))

    def left_behind(self, obj: Object, manner: Manner, known: Collection[str]) -> Reference | None:
        """The file of that name, if it holds the object."""
        reference = Reference.of(obj)
        found = self._asked(lambda: self.cluster.find(reference))
        return reference if found == obj and object_id(reference) not in known else None

    def _asked(self, call: Callable[[], R]) -> R:
        try:
            return call()
        except ClusterError as error:
            raise CloudError(
                cloud=self.name,
                operation=error.operation,
                code=error.reason,
                message=error.message,
                status=error.status,
                causes=CAUSES,
            ) from error
