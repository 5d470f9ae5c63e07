"""What a stack file may name as a runtime and as a place of weights, and the rules that come with each.

The values are registries of `components`, which stands above planning: whoever reads a stack file hands them in.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final, Protocol

from model_factory.facts.clouds import Cloud


@dataclass(frozen=True, slots=True)
class Hardware:
    """What a server asks of an accelerator."""

    compute_capability: Decimal = Decimal(0)
    """The least that it has kernels for: https://developer.nvidia.com/cuda-gpus"""
    formats: frozenset[str] = frozenset()
    """Number formats that it computes in, as bf16."""
    memory_share: Decimal = Decimal(1)
    """The part of an accelerator's usable memory that it takes."""
    memory_flag: str = ""
    """The argument that says another part."""


@dataclass(frozen=True, slots=True)
class Beside:
    """What runs in a replica's Pod beside its server requests."""

    cpu: Decimal
    memory_gib: Decimal
    scratch_gib: int


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a replica takes of its node besides what its model's keys ask for."""

    scratch_gib: int = 20
    """Of the node's disk, for what the server writes: compiled kernels and caches, and the weights where it fetches them."""
    fetched_gib: int = 0
    """Of the node's disk, once for all replicas there: weights that the node fetches."""
    beside: Mapping[Cloud, Beside] = field(default_factory=dict[Cloud, Beside])
    """By cloud, since each mounts in its own way; nothing where nothing runs there."""

    @property
    def without_gpus(self) -> Footprint:
        """The same of a server that compiles no kernels."""
        return replace(self, scratch_gib=self.scratch_gib - _KERNELS_GIB)

    def beside_in(self, cloud: Cloud) -> Beside:
        """What runs beside the server in a cloud."""
        return self.beside.get(cloud, _NOTHING)

    def disk_gib(self, cloud: Cloud) -> int:
        """Of the node's disk for each replica."""
        return self.scratch_gib + self.beside_in(cloud).scratch_gib


_KERNELS_GIB: Final = 16
"""Of what a server writes: kernels compiled for GPUs, and their caches."""
_NOTHING: Final = Beside(Decimal(0), Decimal(0), 0)


class RuntimeRules(Protocol):
    """What planning asks of a model server."""

    @property
    def title(self) -> str:
        """Its name in prose."""
        ...

    @property
    def runs_without_gpus(self) -> bool:
        """Do its images run on a machine that has no GPU?"""
        ...

    @property
    def fetches(self) -> Collection[str]:
        """Schemes of weights that it fetches by itself. What is mounted, every server reads."""
        ...

    @property
    def owned_flags(self) -> Collection[str]:
        """Flags that the stack sets on its command line, with every other spelling that the server takes."""
        ...

    @property
    def refused_flags(self) -> Mapping[str, str]:
        """Flags that would undo what the stack relies on → what each does, said behind its name."""
        ...

    @property
    def joined_values(self) -> bool:
        """Does it take --flag=value for a flag and its value?"""
        ...

    @property
    def share_flags(self) -> Collection[str]:
        """Flags whose value is a part of the memory of a GPU: above 0 and at most 1."""
        ...

    @property
    def parts_flags(self) -> Collection[str]:
        """Flags whose value has to divide the GPUs of a replica."""
        ...

    def notes(self, gpus_per_replica: int, revision: str | None, /) -> Iterator[tuple[tuple[str, ...], str]]:
        """What a user of it should know, who asks for so many GPUs and such a revision of weights: the model's key and the message."""
        ...

    @property
    def signals(self) -> Collection[str]:
        """The metrics by which its autoscaler goes and that an adapter has to serve."""
        ...

    def hardware(self, args: Sequence[str], /) -> Hardware:
        """What it asks of an accelerator when a model adds `args`."""
        ...


class RouteRules(Protocol):
    """What planning asks of a route of weights."""

    @property
    def title(self) -> str:
        """Its name in prose."""
        ...

    @property
    def form(self) -> str:
        """How a place is written, for errors: `hf://owner/model`."""
        ...

    @property
    def mounted(self) -> bool:
        """Is it a volume that any server reads? If not, the server fetches."""
        ...

    @property
    def cloud(self) -> Cloud | None:
        """The only cloud that reads from there; None: all of them."""
        ...

    @property
    def least_kubernetes(self) -> str:
        """The first minor version of Kubernetes that has it; empty: all that a stack may run."""
        ...

    @property
    def warning(self) -> str:
        """What a user of it should know; empty for nothing."""
        ...

    @property
    def footprint(self) -> Callable[[Decimal], Footprint]:
        """What replicas with so many GiB of weights take of their node."""
        ...

    def refuse(self, path: str, revision: str | None, /) -> Iterator[tuple[str, str]]:
        """What is wrong with a place's path or with its revision: the key and the message."""
        ...


@dataclass(frozen=True, slots=True)
class Serving:
    """The runtimes by name and the routes of weights by scheme, in the order in which errors list them."""

    runtimes: Mapping[str, RuntimeRules]
    routes: Mapping[str, RouteRules]

    @property
    def forms(self) -> str:
        """All forms of a place of weights, as prose."""
        *most, last = (route.form for route in self.routes.values())
        return f"{', '.join(most)} or {last}"
