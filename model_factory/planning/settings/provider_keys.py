"""The configuration of the Pulumi providers, as far as a stack file may hold it: a typo there would be ignored without a word.

The keys are those of the SDKs in this environment, read from their sources: to import an SDK takes seconds.
"""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from pathlib import Path
from typing import Final

from pydantic.alias_generators import to_camel

from model_factory.facts.clouds import CLOUDS

NAMESPACES: Final = (*CLOUDS, "docker", "docker-build", "kubernetes", "pulumi")
"""The providers that a stack file may configure, and Pulumi itself."""
SECRETS: Final = frozenset(
    {"docker:keyMaterial", "docker:registryAuth", "docker-build:registries", "kubernetes:kubeconfig"}
)
"""Provider keys that hold credentials although their names do not say so."""
_IN_CONFIG: Final = re.compile(r"__config__\.get\w*\('(\w+)'\)")
_IN_PROVIDER: Final = re.compile(r'__props__\.__dict__\["(\w+)"\]')
_KUBERNETES_CONFIG_ONLY: Final = frozenset({"enableReplaceCRD", "strictMode"})
"""Keys of kubernetes that are no arguments of its provider class, and it has no config module:
https://www.pulumi.com/registry/packages/kubernetes/installation-configuration/"""
_PULUMI: Final = frozenset({"autonaming", "disable-default-providers", "tags"})
"""https://www.pulumi.com/docs/iac/concepts/config/#pulumi-configuration-options"""


@cache
def keys_of(namespace: str) -> frozenset[str]:
    """The keys that a provider reads, without its namespace."""
    if namespace == "pulumi":
        return _PULUMI
    if namespace == "kubernetes":
        arguments = _IN_PROVIDER.findall(_source("pulumi_kubernetes", "provider.py"))
        return _KUBERNETES_CONFIG_ONLY | {to_camel(name) for name in arguments}
    return frozenset(_IN_CONFIG.findall(_source(f"pulumi_{namespace.replace('-', '_')}", "config/vars.py")))


def known(namespace: str, key: str) -> bool:
    """Does the provider read `key`?"""
    return key in keys_of(namespace) or (namespace == "gcp" and key.endswith("CustomEndpoint"))


def _source(package: str, file: str) -> str:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ImportError(f"{package} is not installed; run `make setup`")
    return (Path(spec.origin).parent / file).read_text(encoding="utf-8")
