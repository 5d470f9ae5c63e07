"""The routes of weights by the scheme of their places. A new one is a file beside this and a line here."""

from collections.abc import Mapping
from typing import Final

from components.kubernetes.weights import bucket, gcs, hub, image, s3
from components.kubernetes.weights.route import Buckets, PodWeights, Route
from model_factory.planning.settings.sections import ModelSettings

ROUTES: Final[Mapping[str, Route]] = {
    "bucket": bucket.ROUTE,
    "hf": hub.ROUTE,
    "s3": s3.ROUTE,
    "gs": gcs.ROUTE,
    "oci": image.ROUTE,
}


def weights_of(model: ModelSettings, buckets: Buckets) -> PodWeights:
    """A model's weights in the site of `buckets`. That the site can read them, planning has judged."""
    return ROUTES[model.weights.scheme].weights(model, model.weights.path, buckets)
