"""Which cluster a provider's configuration leads to, and whether the local provider may go there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml

from model_factory.access.errors import KubeconfigError
from model_factory.graph.loopback import on_loopback
from model_factory.local.providers.errors import Failure
from model_factory.local.wire import Value, reveal

ACTIVE_CLUSTER_KEYS: Final = ("kubeconfig", "context", "cluster")


def unreachable(kubeconfig: str, context: str) -> Iterator[Failure]:
    """What is wrong with a kubeconfig and a context of it; nothing is asked, and no credential plugin is run."""
    # Who renders needs none of it, and it takes half a second.
    from model_factory.access.kubeconfig import contexts, current_context

    try:
        name = context or current_context(kubeconfig)
        servers = contexts(kubeconfig)
    except KubeconfigError as error:
        yield Failure("kubeconfig", str(error))
        return
    if name not in servers:
        yield Failure(
            "context", f"there is no context {name!r}; write one that is there: {', '.join(servers) or 'none'}"
        )
    elif not on_loopback(servers[name]):
        yield Failure(
            "context" if context else "kubeconfig",
            f"{servers[name]} is not on this machine, and the local engine only talks to loopback; run this stack with "
            "`--engine pulumi`, whose plugin goes to real clusters",
        )


def active_cluster(properties: Mapping[str, Value]) -> object | None:
    """The cluster that the kubeconfig's context, or the overrides, name; None where that cannot be told."""
    given = reveal(properties.get("kubeconfig"))
    if not isinstance(given, str):
        return None
    try:
        config: Any = yaml.safe_load(given)
    except yaml.YAMLError:
        return given
    if not isinstance(config, dict):
        return given  # a path: it is the same cluster where the text is the same
    found = {
        kind: {item.get("name"): item.get(kind, {}) for item in config.get(f"{kind}s") or ()}
        for kind in ("context", "cluster")
    }
    context = found["context"].get(reveal(properties.get("context")) or config.get("current-context"), {})
    return found["cluster"].get(reveal(properties.get("cluster")) or context.get("cluster"))
