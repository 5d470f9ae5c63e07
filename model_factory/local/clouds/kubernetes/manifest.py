"""Objects as YAML text, so that kubectl and every other reader take it for what was meant."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

if TYPE_CHECKING or not yaml.__with_libyaml__:
    from yaml import SafeDumper as _SafeDumper
    from yaml import SafeLoader as _SafeLoader
else:
    from yaml import CSafeDumper as _SafeDumper
    from yaml import CSafeLoader as _SafeLoader

_NUMBER_ELSEWHERE: Final = re.compile(r"[-+]?(\.\d+|\d+\.?\d*)([eE][-+]?\d+)?|0[oOxXbB][\da-fA-F]+")


class _Dumper(_SafeDumper):
    """Sorted, block style, as pulumi-kubernetes renders."""


class _Loader(_SafeLoader):
    """JSON's types only: Kubernetes objects hold no dates."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # PyYAML writes YAML 1.1, where `1e3` is text; to kubectl's reader it is a number.
    style = "'" if _NUMBER_ELSEWHERE.fullmatch(text) else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def dump(obj: Mapping[str, Any]) -> str:
    return yaml.dump(
        dict(obj),
        Dumper=_Dumper,
        default_flow_style=False,
        sort_keys=True,
        width=1_000_000,
        allow_unicode=True,
    )


def load(text: str) -> dict[str, Any]:
    """One object; ValueError where the text is not YAML or holds no object."""
    try:
        document: Any = yaml.load(text, Loader=_Loader)  # noqa: S506  (a safe loader, with fewer types)
    except yaml.YAMLError as error:
        raise ValueError(f"not YAML: {error}") from error
    if not isinstance(document, dict):
        raise ValueError("holds no Kubernetes object")  # noqa: TRY004  (what the file says is wrong, not its type here)
    return document


def files(folder: Path) -> list[Path]:
    """The manifests of a cluster's folder, in order; none where it is not there, or goes meanwhile."""
    try:
        return sorted(folder.glob("[01]-*/*.yaml"))
    except FileNotFoundError:
        return []
