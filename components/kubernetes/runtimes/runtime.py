"""What the stack must know of a model server to run it. Data alone: each server is a file beside this one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from model_factory.planning.settings.arguments import share_of
from model_factory.planning.settings.serving import Hardware

WEIGHTS_ROOT: Final = "/models"
CONFIG_ROOT: Final = "/etc/model-server"
SCRATCH_ROOT: Final = "/tmp"  # noqa: S108 (inside the container, an emptyDir)

HUB_OFFLINE: Final[Mapping[str, str]] = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
"""huggingface.co/docs/huggingface_hub/package_reference/environment_variables, huggingface.co/docs/transformers/installation"""


@dataclass(frozen=True, slots=True)
class Signal:
    """A figure a Pod gives, by which its autoscaler adds replicas: an average over the replicas.

    `metric` is the name under which a metrics adapter serves it; Kubernetes names have no colons.
    """

    metric: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """A model server as Kubernetes and the stack file see it.

    In `args`, `files`, `fetches`, `ready_path` and `live_path`: {name} is the model's name, {weights} its folder (or repository),
    {revision} the weights' fixed version, {gpus} the GPUs of a replica, {cpus} the whole cores that it asks for. `startup_seconds` covers loading the largest weights this
    server is meant for; `drain_seconds` its longest request.
    """

    title: str
    runs_without_gpus: bool = False
    """Its images run on a machine that has no GPU."""
    command: tuple[str, ...]
    args: tuple[str, ...]
    ports: Mapping[str, int]
    health_port: str = "http"
    ready_path: str
    live_path: str
    protocol: str
    """How it is asked at its port `http`: a name in `model_factory.live.protocols`."""
    metrics_port: str = "http"
    rate_metric: str | None
    """The requests that it answers in a second. None where it does not count them."""
    startup_seconds: int
    drain_seconds: int
    queue: Signal | None = None
    """The requests that wait. None where the server tells no queue: CPU is the signal then."""
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    env_without_gpus: Mapping[str, str] = field(default_factory=dict[str, str])
    """Variables of a replica without GPUs, filled as `args`: how many threads it starts. By itself it takes all cores of its node, whatever
    its Pod asks for, and its autoscaler goes by what was asked for."""
    offline: Mapping[str, str] = field(default_factory=dict[str, str])
    """Variables that keep it from asking for what its weights have already; for models whose weights are mounted, whose Pods cannot go out
    and would wait for each answer until it times out."""
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    """Name → text of what it reads below CONFIG_ROOT."""
    shared_memory_gib: int = 0
    """What its processes exchange through /dev/shm; it counts as memory of the Pod."""
    scale_down_seconds: int = 300
    fetches: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """Schemes of weights that it fetches by itself → arguments that this takes besides {weights}."""
    aliases: tuple[str, ...] = ()
    """Other spellings of the flags in `args` and `fetches`, and flags that would undo them."""
    refused_flags: Mapping[str, str] = field(default_factory=dict[str, str])
    """Flags that would undo what the stack relies on → what each does, said behind its name."""
    joined_values: bool = True
    """It takes --flag=value for a flag and its value. Otherwise the value is an argument of its own."""
    share_flags: tuple[str, ...] = ()
    """Flags whose value is a part of the memory of a GPU: above 0 and at most 1."""
    parts_flags: tuple[str, ...] = ()
    """Flags whose value has to divide the GPUs of a replica."""
    warning: str = ""
    """What its users should know, and what to do about it."""
    splits_heads: bool = False
    """It gives each GPU of a replica as many of the model's attention heads."""
    versioned: bool = False
    """It looks for a version below {weights}: a folder whose name is a number."""
    compute_capability: Decimal
    """The least of a GPU that it is built for."""
    format: str = ""
    """Number format that it computes in unless `format_flag` says another; empty where the model's file decides, and any GPU can."""
    format_flag: str = ""
    memory_share: Decimal = Decimal(1)
    """The part of a GPU's memory that it takes unless `memory_flag` says another."""
    memory_flag: str = ""
    format_names: Mapping[str, str] = field(default_factory=dict[str, str])
    """Values of `format_flag` → format; any other value stands for `format`."""

    @property
    def signals(self) -> tuple[str, ...]:
        """The metrics that a metrics adapter has to serve for its autoscaler."""
        return tuple(each for each in (self.rate_metric, self.queue.metric if self.queue else None) if each)

    @property
    def owned_flags(self) -> frozenset[str]:
        """The flags that are the stack's to set, with - between words: what a server makes of a flag given twice differs by server."""
        set_here = (*self.args, *(argument for added in self.fetches.values() for argument in added))
        flags = (text.partition("=")[0] for text in (*set_here, *self.aliases) if text.startswith("-"))
        return frozenset(flag.replace("_", "-") for flag in flags)

    def notes(self, gpus_per_replica: int, revision: str | None, /) -> Iterator[tuple[tuple[str, ...], str]]:
        """What users should know who ask for so many GPUs and such a revision: the model's key and the message."""
        if self.warning:
            yield ("runtime",), self.warning
        if self.splits_heads and gpus_per_replica.bit_count() > 1:
            less = 1 << gpus_per_replica.bit_length() - 1
            rule = f"{self.title} gives each GPU as many attention heads, and does not start where {gpus_per_replica} does not divide them"
            yield (
                ("gpusPerReplica",),
                f"{rule}; write {less} or {2 * less}, or make sure of it in the model's config.json",
            )
        if self.versioned and not is_version(revision):
            given = f"revision {revision!r} is none" if revision else "there is no revision"
            rule = f"{self.title} loads the folder with the highest number below its weights, and {given}"
            yield (
                ("weights", "revision"),
                f"{rule}; write the version's folder, as 1, or keep such a folder in the one that is named",
            )

    def mounted_at(self, path: str, revision: str | None) -> str:
        """Where weights are mounted that it is told to look for at a path."""
        return f"{path}/{revision}" if self.versioned and is_version(revision) else path

    def hardware(self, args: Sequence[str], /) -> Hardware:
        """What it asks of a GPU when a model adds `args`."""
        given = last_value(args, self.format_flag)
        chosen = self.format if given is None else self.format_names.get(given, self.format)
        share = last_value(args, self.memory_flag) or ""
        return Hardware(
            compute_capability=self.compute_capability,
            formats=frozenset({chosen} - {""}),
            memory_share=share_of(share) or self.memory_share,
            memory_flag=self.memory_flag,
        )


def last_value(args: Sequence[str], flag: str) -> str | None:
    """The value of a flag, behind a = or as the next argument; of several the last one, as servers take it. None where it is not given."""
    found = None
    for argument, following in zip(args, [*args[1:], ""], strict=False):
        name, joined, value = argument.partition("=")
        if flag and name.replace("_", "-") == flag:
            found = value if joined else following
    return found


def is_version(revision: str | None) -> bool:
    """Is a revision a number, as folders of versions are named?"""
    return revision is not None and revision.isascii() and revision.isdecimal()


def filled(text: str, values: Mapping[str, str]) -> str:
    """A text of a server's data with values in the places of {name}, {weights} and so on.

    Plain replacement: the files hold braces of their own.
    """
    for place, value in values.items():
        text = text.replace(f"{{{place}}}", value)
    return text
