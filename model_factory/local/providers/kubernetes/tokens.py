"""Type tokens of pulumi-kubernetes and what they stand for: `kubernetes:apps/v1:Deployment` → apps/v1, Deployment."""

from __future__ import annotations

from functools import cache
from typing import Final

from model_factory.local.clouds.kubernetes.kinds import REQUESTS
from model_factory.local.clouds.kubernetes.schema import UnknownKindError, catalogue
from model_factory.local.providers.errors import UnsupportedError
from model_factory.local.providers.kubernetes.store import Kind

_CLI: Final = "use the Pulumi CLI and its kubernetes plugin"
_PACKAGES: Final = {
    "yaml": "describe the objects as resources of their own kinds",
    "helm.sh": "render the chart beforehand, or describe its objects as resources",
    "kustomize": "render the directory beforehand, or describe its objects as resources",
}


_PATCH: Final = "Patch"
_LIST: Final = "List"


@cache
def published_kind(token: str) -> Kind:
    """The kind of a type token, of those with a published schema.

    Raises UnsupportedError, naming the type, for patches, lists, charts and kinds without a published schema.
    """
    api_version, name = _parts(token)
    try:
        catalogue().definition_name(api_version, name)
    except UnknownKindError as error:
        _refuse_list(token, api_version, name)
        if _is_patch(api_version, name):
            raise UnsupportedError(
                f"the local kubernetes provider has no {token} in rendered objects: it patches an object that it does not own; "
                f"set the field on the object's own resource, or {_CLI}"
            ) from error
        raise UnsupportedError(f"the local kubernetes provider has no {token}: {error}") from error
    return Kind(api_version, name)


@cache
def served_kind(token: str) -> Kind:
    """The kind of a type token, of those that an API server may serve: published ones, patches of them, and custom resources.

    Raises UnsupportedError, naming the type, for lists, charts and what is no kind of a published group.
    """
    api_version, name = _parts(token)
    if _is_known(api_version, name):
        return Kind(api_version, name)
    _refuse_list(token, api_version, name)
    if _is_patch(api_version, name):
        return Kind(api_version, name.removesuffix(_PATCH), is_patch=True)
    if catalogue().has_group(api_version):
        try:
            catalogue().definition_name(api_version, name)
        except UnknownKindError as error:
            raise UnsupportedError(f"the local kubernetes provider has no {token}: {error}") from error
    return Kind(api_version, name)


def is_published(kind: Kind) -> bool:
    return _is_known(kind.api_version, kind.name)


def _parts(token: str) -> tuple[str, str]:
    package, _, rest = token.partition(":")
    module, _, kind = rest.rpartition(":")
    group, _, version = module.partition("/")
    if package != "kubernetes" or not kind:
        raise UnsupportedError(f"{token} is not a type of the kubernetes provider")
    if group in _PACKAGES:
        raise UnsupportedError(f"the local kubernetes provider has no {token}; {_PACKAGES[group]}, or {_CLI}")
    if kind in REQUESTS:
        raise UnsupportedError(f"{token} is a question to the API server, not an object that is kept; {_CLI}")
    return version if group == "core" else module, kind


def _is_patch(api_version: str, name: str) -> bool:
    return name.endswith(_PATCH) and _is_known(api_version, name.removesuffix(_PATCH))


def _refuse_list(token: str, api_version: str, name: str) -> None:
    if name.endswith(_LIST) and _is_known(api_version, name.removesuffix(_LIST)):
        raise UnsupportedError(
            f"the local kubernetes provider has no {token}: it stands for several objects; give each its own resource, or {_CLI}"
        )


def _is_known(api_version: str, kind: str) -> bool:
    try:
        catalogue().definition_name(api_version, kind)
    except UnknownKindError:
        return False
    return True
