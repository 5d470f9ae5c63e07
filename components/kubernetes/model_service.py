"""One model in one cluster: its server, the way to it, and its scaling."""

from collections.abc import Mapping
from typing import TypedDict

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes.meta.v1 import ObjectMetaArgsDict

from components.kubernetes.namespace import ModelNamespace
from components.kubernetes.network_policy import model_traffic
from components.kubernetes.objects import name_of
from components.kubernetes.pod import SERVER_USER, PodParts, pod_spec, server_values
from components.kubernetes.runtimes import RUNTIMES
from components.kubernetes.runtimes.runtime import filled
from components.kubernetes.scaling import ModelScaling
from components.kubernetes.weights.route import Mounting, PodWeights
from model_factory.graph.names import fit
from model_factory.graph.pods import KIND, MODEL, MODEL_SERVER, REVISION
from model_factory.planning.placing.plan import Placement
from model_factory.planning.settings.sections import ModelSettings

# Time for a node to come, and an image of 20 GiB to be fetched, before a server can even start to load.
NODE_AND_IMAGE_SECONDS = 1200


class ModelServiceArgs(TypedDict):
    placement: Placement
    image: pulumi.Input[str]
    fetcher: pulumi.Input[str] | None
    weights: PodWeights
    service_account_annotations: Mapping[str, pulumi.Input[str]]
    labels: Mapping[str, str]


class ModelService(pulumi.ComponentResource):
    """Namespace, service account, Deployment, Service, NetworkPolicy and scaling of one model at one site.

    The Deployment names no replica count: that belongs to the autoscaler. The Service answers as
    `<model>.model-<model>.svc`. It makes no identity in a cloud, and no route from outside the cluster.
    """

    address: pulumi.Output[str]

    def __init__(self, name: str, args: ModelServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("model-factory:serving:ModelService", name, {}, opts)
        placement, weights = args["placement"], args["weights"]
        model = placement.model
        runtime = RUNTIMES[model.runtime]
        child = pulumi.ResourceOptions(parent=self)
        selector = selector_labels(model)
        own = {**selector, "app.kubernetes.io/part-of": "model-factory", "model": model.name}
        labels = {**args["labels"], **own}
        space = ModelNamespace(name, {"namespace": model_namespace(model.name), "labels": labels}, child)
        namespaced: ObjectMetaArgsDict = {"namespace": space.namespace, "labels": labels}

        account = kubernetes.core.v1.ServiceAccount(
            name,
            metadata={
                **namespaced,
                # Fixed: the clouds' identities refer to it.
                "name": service_account_name(model.name),
                "annotations": args["service_account_annotations"],
            },
            automount_service_account_token=False,
            opts=child,
        )
        values = server_values(model, weights)
        files = {key: filled(text, values) for key, text in runtime.files.items()}
        config = (
            # Immutable and named by Pulumi: a changed file is another ConfigMap, and Pods roll over to it.
            kubernetes.core.v1.ConfigMap(name, metadata=namespaced, data=files, immutable=True, opts=child)
            if files
            else None
        )
        volume = weights.volume(Mounting(name, space.namespace, labels, SERVER_USER, child)) if weights.volume else None
        policy = kubernetes.networking.v1.NetworkPolicy(
            name, metadata=namespaced, spec=model_traffic(runtime, weights.egress, selector), opts=child
        )
        parts = PodParts(
            image=args["image"],
            fetcher=args["fetcher"],
            service_account=name_of(account.metadata),
            config_map=name_of(config.metadata) if config else None,
            volume=volume,
        )
        deadline_seconds = runtime.startup_seconds + NODE_AND_IMAGE_SECONDS
        patience = pulumi.CustomTimeouts(create=f"{deadline_seconds}s", update=f"{deadline_seconds}s")
        revision = {REVISION: model.weights.revision} if model.weights.revision else {}
        deployment = kubernetes.apps.v1.Deployment(
            name,
            metadata={**namespaced, "annotations": revision} if revision else namespaced,
            spec={
                "selector": {"match_labels": selector},
                # A new Pod serves before an old one goes, where there is room for both.
                "strategy": {
                    "type": "RollingUpdate",
                    "rolling_update": {"max_surge": placement.surge, "max_unavailable": 0 if placement.surge else 1},
                },
                "progress_deadline_seconds": deadline_seconds,
                "revision_history_limit": 5,
                "template": {
                    # Another revision is another Pod, whichever way its weights come.
                    # The stack's labels and the model's are on all objects but Pods: there another one would start them anew.
                    "metadata": {"labels": own, "annotations": {**weights.pod_annotations, **revision}},
                    "spec": pod_spec(placement, runtime, weights, parts, selector),
                },
            },
            opts=pulumi.ResourceOptions(
                parent=self,
                # Without it a Pod that starts first finds its traffic denied, and its weights out of reach.
                depends_on=[policy],
                custom_timeouts=patience,
            ),
        )
        service = kubernetes.core.v1.Service(
            name,
            # Fixed: it is the address that clients use.
            metadata={**namespaced, "name": model.name},
            spec={
                "type": "ClusterIP",
                "selector": selector,
                "ports": [
                    {"name": port_name, "port": port, "target_port": port_name, "protocol": "TCP"}
                    for port_name, port in runtime.ports.items()
                ],
            },
            # It counts as made once the Pods behind it are ready.
            opts=pulumi.ResourceOptions(parent=self, custom_timeouts=patience),
        )
        ModelScaling(
            name,
            {
                "namespace": space.namespace,
                "deployment": name_of(deployment.metadata),
                "placement": placement,
                "runtime": runtime,
                "selector": selector,
                "labels": labels,
            },
            child,
        )
        self.address = pulumi.Output.concat(name_of(service.metadata), ".", space.namespace, ".svc")
        self.register_outputs({"address": self.address})


def model_namespace(model_name: str) -> str:
    """A model's namespace. The prefix keeps a model named `default` out of the cluster's own namespaces."""
    return fit(f"model-{model_name}", 63)


def service_account_name(model_name: str) -> str:
    """The Kubernetes service account that a model's Pods run as."""
    return model_name


def selector_labels(model: ModelSettings) -> dict[str, str]:
    """The labels by which everything finds a model's Pods. They never change: a Deployment's selector cannot."""
    return {KIND: MODEL_SERVER, MODEL: model.name}
