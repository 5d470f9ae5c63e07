"""The namespace of one model, closed until something is let in."""

from collections.abc import Mapping
from typing import TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from components.kubernetes.network_policy import default_deny
from components.kubernetes.objects import name_of

POD_SECURITY = "restricted"


class ModelNamespaceArgs(TypedDict):
    namespace: str
    labels: Mapping[str, str]


class ModelNamespace(pulumi.ComponentResource):
    """A namespace that admits restricted Pods only, and where no traffic flows unless another policy allows it.

    Its name is fixed: the clouds' identities refer to it.
    """

    namespace: pulumi.Output[str]

    def __init__(self, name: str, args: ModelNamespaceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("model-factory:serving:ModelNamespace", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        namespace = kubernetes.core.v1.Namespace(
            name,
            metadata={
                "name": args["namespace"],
                "labels": {
                    **args["labels"],
                    **{f"pod-security.kubernetes.io/{mode}": POD_SECURITY for mode in ("enforce", "audit", "warn")},
                },
            },
            opts=child,
        )
        self.namespace = name_of(namespace.metadata)
        kubernetes.networking.v1.NetworkPolicy(
            f"{name}-default-deny",
            metadata={"namespace": self.namespace, "labels": args["labels"]},
            spec=default_deny(),
            opts=child,
        )
        self.register_outputs({"namespace": self.namespace})
