"""Where a stack's clusters are: what its providers were told of each, and one kubeconfig for all of them. Pure but for the user's own kubeconfig."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import yaml

from model_factory.access.errors import KubeconfigError
from model_factory.graph.values import at, listed, mapping

if TYPE_CHECKING:
    from model_factory.access.client import ClusterClient

PROVIDER: Final = "pulumi:providers:kubernetes"
_PATHS: Final = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
"""What names a file in a kubeconfig, relative to the folder that this one is in."""


@dataclass(frozen=True, slots=True)
class Site:
    """A cluster of the stack: `aws/us-east-1`, and how its provider reaches it. Without `kubeconfig` by the user's own, without `context` by
    the current one."""

    name: str
    context_name: str
    """What its context is called in a kubeconfig for all sites: the stack's name is in it, so that those of two stacks stand side by side."""
    kubeconfig: str
    context: str

    def client(self) -> ClusterClient:
        """A client of its API. Raises KubeconfigError; asks no server yet."""
        # The official client takes half a second to import, which no other command shall wait for.
        from model_factory.access.client import ClusterClient

        return ClusterClient.of(self.kubeconfig, self.context)


def site(name: str, context_name: str, provider: Mapping[str, Any]) -> Site | None:
    """The site that a provider (its inputs) reaches; None where it renders objects as files and reaches none."""
    if provider.get("renderYamlToDirectory"):
        return None
    return Site(name, context_name, str(provider.get("kubeconfig") or ""), str(provider.get("context") or ""))


def with_program(kubeconfig: str, name: str, path: str) -> str:
    """The kubeconfig with the way to a program in the place of its name, where a credential plugin is called so."""
    document = _document(kubeconfig, "the provider's kubeconfig")
    plugins = [mapping(at(each, "user", "exec")) for each in listed(document.get("users"))]
    named = [each for each in plugins if each.get("command") == name]
    if not named:
        return kubeconfig
    for each in named:
        cast("dict[str, Any]", each)["command"] = path
    return yaml.safe_dump(document, sort_keys=False)


def kubeconfig_of(sites: Sequence[Site]) -> dict[str, Any]:
    """One kubeconfig with a context a site, the first of which is current.

    Raises:
        KubeconfigError: the user's own has not the context that a site names.
    """
    found = [(each.context_name, *_entries(each)) for each in sites]
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": sites[0].context_name if sites else "",
        "clusters": [{"name": name, "cluster": cluster} for name, cluster, _, _ in found],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, **more}} for name, _, _, more in found],
        "users": [{"name": name, "user": user} for name, _, user, _ in found],
    }


def contexts_in(text: str) -> set[str]:
    """The names of the contexts in a kubeconfig. KubeconfigError where it is none."""
    return {str(at(each, "name")) for each in listed(_document(text, "the file").get("contexts"))}


def _entries(place: Site) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The cluster, the user, and what else a context says."""
    documents = [_document(place.kubeconfig, f"the kubeconfig of {place.name}")] if place.kubeconfig else _own()
    name = place.context or next(
        (str(each["current-context"]) for each in documents if each.get("current-context")), ""
    )
    context = _named(documents, "contexts", "context", name)
    if context is None:
        known = sorted(str(at(each, "name")) for document in documents for each in listed(document.get("contexts")))
        raise KubeconfigError(
            f"{place.name}: there is no context {name!r}; name one of {', '.join(known) or 'none'} in the stack file, or set KUBECONFIG"
        )
    cluster = _named(documents, "clusters", "cluster", str(context.get("cluster")))
    user = _named(documents, "users", "user", str(context.get("user")))
    return cluster or {}, user or {}, {"namespace": context["namespace"]} if context.get("namespace") else {}


def _own() -> list[dict[str, Any]]:
    """The user's kubeconfigs, the first that has a name counts; paths in them are made absolute."""
    from model_factory.access.kubeconfig import DEFAULT, VARIABLE

    files = [Path(part).expanduser() for part in (os.environ.get(VARIABLE) or DEFAULT).split(os.pathsep) if part]
    documents: list[dict[str, Any]] = []
    for file in files:
        try:
            documents.append(_absolute(_document(file.read_text(encoding="utf-8"), str(file)), file.resolve().parent))
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise KubeconfigError(f"{file} cannot be read: {error}") from error
    return documents


def _absolute(document: dict[str, Any], folder: Path) -> dict[str, Any]:
    for key, part in (("clusters", "cluster"), ("users", "user")):
        for each in listed(document.get(key)):
            entry = cast("dict[str, Any]", mapping(at(each, part)))
            for name in _PATHS:
                if entry.get(name):
                    entry[name] = str(folder / str(entry[name]))
    return document


def _named(documents: Iterable[Mapping[str, Any]], key: str, part: str, name: str) -> dict[str, Any] | None:
    for document in documents:
        for each in listed(document.get(key)):
            if at(each, "name") == name:
                return dict(mapping(at(each, part)))
    return None


def _document(text: str, what: str) -> dict[str, Any]:
    try:
        found: object = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise KubeconfigError(f"{what} is no YAML: {error}") from error
    if not isinstance(found, dict):
        raise KubeconfigError(f"{what} is no kubeconfig: it holds no mapping")
    return cast("dict[str, Any]", found)
