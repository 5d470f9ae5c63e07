"""Where objects are kept: what the provider asks of a rendered folder and of an API server alike."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from model_factory.graph.paths import Path
from model_factory.local.clouds.kubernetes.cluster import Reference
from model_factory.local.providers.base import Call

Object = dict[str, Any]

UNREACHABLE: Final = "Unreachable"
"""The code of a CloudError where no cluster answers."""
FORGET_VARIABLE: Final = "PULUMI_K8S_DELETE_UNREACHABLE"


@dataclass(frozen=True, slots=True)
class Kind:
    """What a type token stands for. A patch holds fields of an object that is not its own."""

    api_version: str
    name: str
    is_patch: bool = False


@dataclass(frozen=True, slots=True)
class Manner:
    """How an object is written: as whose, whether what is there may be taken over, and which of its paths are left alone."""

    manager: str
    is_patch: bool = False
    upsert: bool = False
    ignored: tuple[Path, ...] = ()


class Store(Protocol):
    """All calls raise ProviderError. Objects that come back are as they are kept, what the server filled in included."""

    @property
    def name(self) -> str:
        """What errors call it."""
        ...

    @property
    def namespace(self) -> str:
        """Where objects go that name no namespace, where the provider names none either."""
        ...

    @property
    def fills_in(self) -> tuple[str, ...]:
        """What of an object's metadata is known only once it is written."""
        ...

    @property
    def keeps_releases(self) -> bool:
        """Whether Helm releases may be recorded here."""
        ...

    def kind(self, token: str) -> Kind:
        """What a type token stands for. UnsupportedError, naming it, where its objects cannot be kept here."""
        ...

    def is_namespaced(self, kind: Kind) -> bool: ...

    def name_fault(self, metadata: Mapping[str, Any]) -> str:
        """Why the object cannot be named so; empty where it can."""
        ...

    def foresee(self, obj: Object, manner: Manner, *, is_new: bool) -> None:
        """Raise what a write would, of what can be told of it in a preview; nothing is kept."""
        ...

    def create(self, call: Call[Any], obj: Object, manner: Manner) -> Object:
        """Make the object; refuses where there is one of its name, unless `upsert`."""
        ...

    def update(self, call: Call[Any], obj: Object, manner: Manner) -> Object: ...

    def read(self, reference: Reference) -> Object | None: ...

    def ready(self, call: Call[Any], inputs: Object, live: Object) -> Object:
        """Wait until the object is ready, and answer what it is then. WaitError and CancelledError tell why it is not."""
        ...

    def not_ready(self, inputs: Object, live: Object) -> str:
        """Why an object is not ready now; empty where it is."""
        ...

    def delete(self, call: Call[Any], reference: Reference, inputs: Object, manner: Manner) -> None:
        """Delete the object, and wait until it is gone; of a patch, let its fields go."""
        ...

    def left_behind(self, obj: Object, manner: Manner, known: Collection[str]) -> Reference | None:
        """What a create that was killed made; None where it made nothing. `known` are ids that are somebody's already."""
        ...
