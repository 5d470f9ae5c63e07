"""Where a model's weights come from, one variant a place. Pure."""

from dataclasses import dataclass

import pulumi

from model_factory.facts.clouds import Cloud
from model_factory.planning.settings.sections import ModelSettings

BUCKET_SCHEMES: dict[Cloud, str] = {"aws": "s3", "gcp": "gs"}


@dataclass(frozen=True, slots=True)
class S3Weights:
    """A folder of an S3 bucket, mounted by Mountpoint. `prefix` ends with a slash, or is empty for the whole bucket.

    `key_arn` is the key that encrypts the stack's own bucket; None for a bucket that is not the stack's.
    """

    bucket: pulumi.Input[str]
    bucket_arn: pulumi.Input[str]
    prefix: str
    key_arn: pulumi.Input[str] | None


@dataclass(frozen=True, slots=True)
class GcsWeights:
    """A folder of a Cloud Storage bucket, mounted by Cloud Storage FUSE. `prefix` as for S3."""

    bucket: pulumi.Input[str]
    prefix: str


@dataclass(frozen=True, slots=True)
class HubWeights:
    """A repository of Hugging Face at one commit, fetched by the server when it starts."""

    repository: str
    revision: str


Weights = S3Weights | GcsWeights | HubWeights


@dataclass(frozen=True, slots=True)
class WeightsPlace:
    """A weights URI taken apart. `bucket` is empty where the stack's own bucket is meant."""

    scheme: str
    bucket: str
    prefix: str


def weights_place(model: ModelSettings, cloud: Cloud) -> WeightsPlace:
    """The place of a model's weights as `cloud` sees it. The revision is a folder, so that every version stays readable.

    Raises ValueError where the model's server or cloud cannot read from there.
    """
    scheme, _, path = model.weights_uri.partition("://")
    if scheme == "hf":
        if model.runtime != "vllm":
            raise ValueError(
                f"model {model.name}: {model.runtime} cannot load {model.weights_uri}; "
                "copy the weights to the stack's bucket and write bucket://path"
            )
        return WeightsPlace(scheme, "", path)
    if scheme == "bucket":
        return WeightsPlace(scheme, "", folder(path, model.revision))
    if scheme != BUCKET_SCHEMES[cloud]:
        raise ValueError(
            f"model {model.name}: {model.weights_uri} cannot be mounted on {cloud}; "
            f"write bucket://path or {BUCKET_SCHEMES[cloud]}://bucket/path, or allow the bucket's own cloud only"
        )
    bucket, _, inside = path.partition("/")
    return WeightsPlace(scheme, bucket, folder(inside, model.revision))


def folder(path: str, revision: str | None) -> str:
    """`path/revision/`, without doubled slashes; empty for neither."""
    parts = [part for part in (*path.split("/"), revision or "") if part]
    return "".join(f"{part}/" for part in parts)


def hub_weights(model: ModelSettings, place: WeightsPlace) -> HubWeights:
    """The repository and commit of `hf://` weights. ValueError without a commit: the weights could change under the model."""
    if not model.revision:
        raise ValueError(
            f"model {model.name}: {model.weights_uri} needs a revision; write the commit to serve"
        )
    return HubWeights(place.prefix, model.revision)
