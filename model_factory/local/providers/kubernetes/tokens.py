"""Type tokens of pulumi-kubernetes and what they stand for: `kubernetes:apps/v1:Deployment` → apps/v1, Deployment."""

from __future__ import annotations

from functools import cache
from typing import Final

from model_factory.local.clouds.kubernetes.kinds import REQUESTS
from model_factory.local.clouds.kubernetes.schema import UnknownKindError, catalogue
from model_factory.local.providers.errors import UnsupportedError

_CLI: Final = "use the Pulumi CLI and its kubernetes plugin"
_PACKAGES: Final = {
    "yaml": "describe the objects as resources of their own kinds",
    "helm.sh": "render the chart beforehand, or describe its objects as resources",
    "kustomize": "render the directory beforehand, or describe its objects as resources",
}


@cache
def kind_of(token: str) -> tuple[str, str]:
    """The apiVersion and kind of a type token.

    Raises UnsupportedError, naming the type, for patches, lists, charts and kinds without a published schema.
    """
    package, _, rest = token.partition(":")
    module, _, kind = rest.rpartition(":")
    group, _, version = module.partition("/")
    if package != "kubernetes" or not kind:
        raise UnsupportedError(f"{token} is not a type of the kubernetes provider")
    if group in _PACKAGES:
        raise UnsupportedError(f"the local kubernetes provider has no {token}; {_PACKAGES[group]}, or {_CLI}")
    api_version = version if group == "core" else module
    if kind in REQUESTS:
        raise UnsupportedError(f"{token} is a question to the API server, not an object that is kept; {_CLI}")
    try:
        catalogue().definition_name(api_version, kind)
    except UnknownKindError as error:
        for suffix, why in (
            ("Patch", "patches an object that it does not own; set the field on the object's own resource"),
            ("List", "stands for several objects; give each its own resource"),
        ):
            if kind.endswith(suffix) and _is_known(api_version, kind.removesuffix(suffix)):
                raise UnsupportedError(f"the local kubernetes provider has no {token}: it {why}, or {_CLI}") from error
        raise UnsupportedError(f"the local kubernetes provider has no {token}: {error}") from error
    return api_version, kind


def _is_known(api_version: str, kind: str) -> bool:
    try:
        catalogue().definition_name(api_version, kind)
    except UnknownKindError:
        return False
    return True
