"""The configuration of the Pulumi providers, as far as a stack file may hold it: a typo there would be ignored without a word.

The keys are those of the SDKs in this environment, read from their sources: to import an SDK takes seconds.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

from pydantic.alias_generators import to_camel

from model_factory.facts.clouds import CLOUDS
from model_factory.planning.settings.problems import show
from model_factory.planning.settings.reading import Finding
from model_factory.planning.settings.yamlfile import Secure

NAMESPACES: Final = (*CLOUDS, "docker", "docker-build", "kubernetes", "pulumi")
"""The providers that a stack file may configure, and Pulumi itself."""
SECRETS: Final = frozenset(
    {"docker:keyMaterial", "docker:registryAuth", "docker-build:registries", "kubernetes:kubeconfig"}
)
"""Provider keys that hold credentials although their names do not say so."""
_IN_CONFIG: Final = re.compile(r"__config__\.get\w*\('(\w+)'\)")
_TYPED: Final = re.compile(r"__config__\.get_(bool|int)\('(\w+)'\)")
_NOT_TEXT: Final = re.compile(r'__props__\.__dict__\["(\w+)"\] = pulumi\.Output\.from_input\(')
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


@cache
def aws_endpoints() -> frozenset[str]:
    """The services that `aws:endpoints` may name."""
    found = re.search(
        r"class Endpoints\(dict\):\s+def __init__\(__self__, \*,(.*?)\):",
        _source("pulumi_aws", "config/outputs.py"),
        re.DOTALL,
    )
    return frozenset(re.findall(r"(\w+): Optional\[", found[1])) if found else frozenset()


def known(namespace: str, key: str) -> bool:
    """Does the provider read `key`?"""
    return key in keys_of(namespace) or (namespace == "gcp" and key.endswith("CustomEndpoint"))


def misshapen(config: Mapping[str, object]) -> Iterator[Finding]:
    """Keys of providers that take one text, number or flag and hold something else. What takes lists or mappings is not looked into."""
    for full, value in config.items():
        namespace, _, key = full.partition(":")
        if namespace in NAMESPACES and not isinstance(value, Secure) and (kind := _kinds(namespace).get(key)):
            flag = isinstance(value, bool) or value in ("true", "false")
            if isinstance(value, list | dict) or value is None:
                yield (full,), f"is {show(value)}, and takes one value; write it, or remove the key"
            elif isinstance(value, str) and any(not each.isprintable() and each not in "\t\r\n" for each in value):
                yield (full,), "has characters that are not printed; remove them"
            elif kind == "bool" and not flag:
                yield (full,), f"{show(value)} is neither true nor false; write true or false"
            elif kind == "int" and not re.fullmatch("[0-9]{1,9}", str(value)):
                yield (full,), f"{show(value)} is not a whole number; write digits only"


@cache
def _kinds(namespace: str) -> Mapping[str, str]:
    """`bool`, `int` or `str` of each key that takes one value."""
    if namespace in ("kubernetes", "pulumi"):
        return {}
    package = f"pulumi_{namespace.replace('-', '_')}"
    typed = {key: kind for kind, key in _TYPED.findall(_source(package, "config/vars.py"))}
    structured = {to_camel(name) for name in _NOT_TEXT.findall(_source(package, "provider.py"))}
    return {key: "str" for key in keys_of(namespace) - structured if not key.endswith("CustomEndpoint")} | typed


def _source(package: str, file: str) -> str:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ImportError(f"{package} is not installed; run `make setup`")
    return (Path(spec.origin).parent / file).read_text(encoding="utf-8")
