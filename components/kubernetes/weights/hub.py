"""`hf://owner/model`: a repository of Hugging Face at one commit, which the server fetches when it starts."""

import re
from collections.abc import Iterator

from components.kubernetes.network_policy import https_out
from components.kubernetes.weights.route import Buckets, PodWeights, Route
from model_factory.planning.settings.sections import ModelSettings

COMMIT = r"^[0-9a-f]{40}$"
# What is fetched lands on the node's disk.
SCRATCH_GIB = 150


def refuse(_path: str, revision: str | None) -> Iterator[tuple[str, str]]:
    """Everything but a commit can move."""
    if not re.match(COMMIT, revision or ""):
        given = f"revision {revision!r} can move" if revision else "there is no revision"
        yield "revision", f"{given}; pin weights from Hugging Face to a commit of 40 hex digits"


def weights(_model: ModelSettings, path: str, _buckets: Buckets) -> PodWeights:
    """The repository itself; its commit is the model's revision."""
    return PodWeights(argument=path, egress=(https_out(),), scratch_gib=SCRATCH_GIB)


ROUTE = Route(
    title="Hugging Face",
    form="hf://owner/model",
    weights=weights,
    mounted=False,
    # huggingface.co/docs/hub/models-gated: files are given to who has accepted the terms, known by a token.
    warning=(
        "no token can be given yet, so a gated or private repository is refused by Hugging Face and the server does not start; "
        "copy such weights into bucket://path"
    ),
    refuse=refuse,
)
