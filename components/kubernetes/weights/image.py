"""`oci://registry/repository@sha256:…`: the content of an image or artefact, which the node fetches and mounts read-only.

kubernetes.io/docs/tasks/configure-pod-container/image-volumes (KEP-4639): on by default from 1.35, stable in 1.36; Pod Security's
`restricted` standard allows it. Nodes read the registries that they read images from, so the stack's own need nothing more.
"""

from collections.abc import Iterator
from math import ceil

from components.kubernetes.weights.route import VOLUME, Buckets, PodWeights, Route, mount_path
from model_factory.facts.kubernetes import IMAGE_VOLUMES
from model_factory.planning.settings.fields import is_image
from model_factory.planning.settings.sections import ModelSettings
from model_factory.planning.settings.serving import Footprint


def refuse(path: str, revision: str | None) -> Iterator[tuple[str, str]]:
    """A tag can move; a digest leaves nothing for a revision to say."""
    if "/" not in path or not is_image(path):
        yield (
            "uri",
            f"{path!r} names no image by digest; write oci://registry/repository@sha256:<64 hex digits>",
        )
    if revision is not None:
        yield "revision", f"{revision!r} is not read, because the digest in uri is the version; remove it"


def weights(model: ModelSettings, path: str, _buckets: Buckets) -> PodWeights:
    """The image as a volume. The Pod needs no way out and no identity for it: the node fetches."""
    return PodWeights(
        argument=mount_path(model),
        volume=lambda _: {"name": VOLUME, "image": {"reference": path, "pull_policy": "IfNotPresent"}},
    )


ROUTE = Route(
    title="an image",
    form="oci://registry/repository@sha256:<digest>",
    weights=weights,
    least_kubernetes=IMAGE_VOLUMES,
    # The node keeps the layers that it fetched beside what it unpacked of them.
    footprint=lambda weights_gib: Footprint(fetched_gib=ceil(2 * weights_gib)),
    refuse=refuse,
)
