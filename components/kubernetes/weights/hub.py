"""`hf://owner/model`: a repository of Hugging Face at one commit, which the server fetches when it starts."""

import re
from collections.abc import Iterator
from decimal import Decimal
from math import ceil

from components.kubernetes.network_policy import https_out
from components.kubernetes.weights.route import Buckets, PodWeights, Route
from model_factory.planning.settings.sections import ModelSettings
from model_factory.planning.settings.serving import Footprint

# What its client takes: github.com/huggingface/huggingface_hub/blob/main/src/huggingface_hub/utils/_validators.py
REPOSITORY = r"(?!.*(--|\.\.))(?!.*\.git$)\w([\w.-]*\w)?/\w([\w.-]{0,94}\w)?"
COMMIT = r"^[0-9a-f]{40}$"
# What is fetched lands on the node's disk, a copy for each replica, with what is left of broken downloads.
COPIES = Decimal("1.1")


def refuse(path: str, revision: str | None) -> Iterator[tuple[str, str]]:
    """Everything but a commit can move."""
    if not re.fullmatch(REPOSITORY, path, re.ASCII):
        yield "uri", f"{path!r} is not owner/model, as the model's page has it; write hf://owner/model"
    if not re.match(COMMIT, revision or ""):
        given = f"revision {revision!r} can move" if revision else "there is no revision"
        yield "revision", f"{given}; pin weights from Hugging Face to a commit of 40 hex digits"


def weights(_model: ModelSettings, path: str, _buckets: Buckets) -> PodWeights:
    """The repository itself; its commit is the model's revision."""
    return PodWeights(argument=path, egress=(https_out(),))


def footprint(weights_gib: Decimal) -> Footprint:
    """Space for the weights beside what every server writes."""
    return Footprint(scratch_gib=Footprint().scratch_gib + ceil(weights_gib * COPIES))


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
    footprint=footprint,
    refuse=refuse,
)
