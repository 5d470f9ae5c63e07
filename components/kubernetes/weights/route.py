"""What a route of weights is: how a place is written in a stack file, and how a model's Pods get what lies there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Protocol

from components.kubernetes.runtimes.runtime import WEIGHTS_ROOT
from model_factory.facts.clouds import Cloud
from model_factory.planning.settings.fields import FOLDER
from model_factory.planning.settings.sections import ModelSettings
from model_factory.planning.settings.serving import Footprint

if TYPE_CHECKING:
    import pulumi
    from pulumi_kubernetes.core.v1 import VolumeArgsDict
    from pulumi_kubernetes.networking.v1 import NetworkPolicyEgressRuleArgsDict

VOLUME: Final = "weights"
FOLDERS_MAX: Final = 512
"""Of the 1,024 bytes of a key in S3 and Cloud Storage the rest is left to files:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html, https://cloud.google.com/storage/docs/objects#naming"""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of a bucket in the site's own cloud. `bucket` is empty for the stack's own. Prefixes end with a slash, or are empty for
    the whole bucket."""

    bucket: str
    prefix: str
    """What is mounted: one revision."""
    readable: str
    """What the Pods' identity may read: the place with all its revisions. While a new one rolls out Pods with the old one still start, and
    a permission of one revision would be taken from them at once."""


@dataclass(frozen=True, slots=True)
class Mounting:
    """Where a volume is asked for: the model's logical name, its namespace and labels, the user that reads, and the options of
    whatever has to be declared for it."""

    name: str
    namespace: pulumi.Input[str]
    labels: Mapping[str, str]
    user: int
    opts: pulumi.ResourceOptions


@dataclass(frozen=True, slots=True)
class PodToken:
    """A token of the Pod's service account for somebody who is not the API server, as a file that the kubelet keeps fresh."""

    audience: str
    folder: str
    file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """What fills the volume of weights before the server starts, where nothing mounts it full."""

    image: str
    args: tuple[pulumi.Input[str], ...]
    env: Mapping[str, pulumi.Input[str]]
    token: PodToken | None
    """By which it says who the Pod is. None where nobody asks."""
    size_gib: int
    """Of the node's disk, for a copy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodWeights:
    """One model's weights as its Pods get them."""

    argument: str
    """What the server is told to load: a folder, or a repository that it fetches."""
    volume: Callable[[Mounting], VolumeArgsDict] | None = None
    """The volume, named VOLUME, that is mounted at the argument; declares what that needs. None where the server fetches."""
    fetch: Fetch | None = None
    """What fills the volume first. None where it is mounted full."""
    egress: tuple[NetworkPolicyEgressRuleArgsDict, ...] = ()
    """Where the Pod must be let out to."""
    pod_annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    reads: Folder | None = None
    """What the Pod's identity in the cloud must be allowed to read. None: it needs no identity."""


class Buckets(Protocol):
    """How Pods of one site mount folders of its cloud's buckets."""

    def weights(self, model: ModelSettings, folder: Folder) -> PodWeights:
        """A folder as a model's weights."""
        ...


def _server_alone(_weights_gib: Decimal) -> Footprint:
    return Footprint()


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A route of weights, by the scheme of its places. What it says to planning: `planning.settings.serving.RouteRules`."""

    title: str
    form: str
    weights: Callable[[ModelSettings, str, Buckets], PodWeights]
    """From a model, the path after its scheme and the site's buckets."""
    refuse: Callable[[str, str | None], Iterator[tuple[str, str]]]
    """What is wrong with a path or a revision: no route is without a form, since both stand in policies and options of mounts."""
    mounted: bool = True
    cloud: Cloud | None = None
    least_kubernetes: str = ""
    warning: str = ""
    footprint: Callable[[Decimal], Footprint] = _server_alone


def mount_path(model: ModelSettings) -> str:
    """Where a model's weights are mounted."""
    return f"{WEIGHTS_ROOT}/{model.name}"


def named_bucket(model: ModelSettings, path: str, buckets: Buckets) -> PodWeights:
    """The weights at `bucket/folder`."""
    bucket, _, inside = path.partition("/")
    return buckets.weights(model, folder_at(bucket, inside, model.weights.revision))


def refuse_folder(path: str, revision: str | None) -> Iterator[tuple[str, str]]:
    """A path within a bucket is of folders, with room for the names of the files in the last one."""
    for part in path.split("/"):
        if part and not re.fullmatch(FOLDER, part):
            rule = "letters, digits and _ - . =, from a letter, a digit or _ on"
            yield (
                "uri",
                f"{part!r} in it is not the name of a folder ({rule}); copy the weights to one that is, as models/llm",
            )
            return
    if len(asked := folder(path, revision)) > FOLDERS_MAX:
        yield "uri", f"its folders have {len(asked)} characters with the revision; use at most {FOLDERS_MAX}"


def refuse_bucket(form: str, rule: str) -> Callable[[str, str | None], Iterator[tuple[str, str]]]:
    """The same of `bucket/path`, where buckets are named in a form, which `rule` tells."""

    def refuse(path: str, revision: str | None) -> Iterator[tuple[str, str]]:
        bucket, _, inside = path.partition("/")
        if not re.fullmatch(form, bucket):
            yield "uri", f"{bucket!r} in it is not the name of a bucket ({rule}); write the bucket's own name"
        yield from refuse_folder(inside, revision)

    return refuse


def folder_at(bucket: str, path: str, revision: str | None) -> Folder:
    """A revision's folder below a path."""
    return Folder(bucket, folder(path, revision), folder(path, None))


def folder(path: str, revision: str | None) -> str:
    """`path/revision/`, without doubled slashes; empty for neither. The revision is a folder, so that every version stays readable."""
    parts = [part for part in (*path.split("/"), revision or "") if part]
    return "".join(f"{part}/" for part in parts)
