"""How a cluster's objects are written: to the cluster, or as files."""

from pathlib import PurePosixPath

import pulumi
import pulumi_kubernetes as kubernetes


def cluster_provider(
    name: str,
    kubeconfig: pulumi.Input[str],
    render_to: str | None,
    parent: pulumi.Resource,
    cluster: pulumi.Resource,
) -> kubernetes.Provider:
    """The provider of one cluster. With `render_to`, objects become YAML files in a folder of that name and nothing is dialled."""
    if render_to is not None:
        return kubernetes.Provider(
            name,
            render_yaml_to_directory=str(PurePosixPath(render_to) / name),
            # Nothing in the folder refers to the cluster, but its objects live in it.
            opts=pulumi.ResourceOptions(parent=parent, depends_on=[cluster]),
        )
    return kubernetes.Provider(
        name,
        kubeconfig=kubeconfig,
        enable_server_side_apply=True,
        # The control plane answers before its nodes and add-ons are there; both come with the component.
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[cluster]),
    )
