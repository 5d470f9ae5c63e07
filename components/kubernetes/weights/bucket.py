"""`bucket://path`: the stack's own bucket, which every cloud has under its own name."""

from components.kubernetes.weights.gcs import footprint
from components.kubernetes.weights.route import Buckets, PodWeights, Route, folder_at, refuse_folder
from model_factory.planning.settings.sections import ModelSettings


def weights(model: ModelSettings, path: str, buckets: Buckets) -> PodWeights:
    """The weights at `path` of the site's bucket."""
    return buckets.weights(model, folder_at("", path, model.weights.revision))


ROUTE = Route(
    title="the stack's bucket",
    form="bucket://path (the stack's own bucket)",
    weights=weights,
    refuse=refuse_folder,
    # Only Google Cloud mounts from within the Pod.
    footprint=footprint,
)
