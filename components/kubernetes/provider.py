"""How a cluster's objects are written: to the cluster, to another that stands for it, or as files."""

from pathlib import PurePosixPath

import pulumi
import pulumi_kubernetes as kubernetes

from components.stack import StackTraits


def cluster_provider(
    name: str,
    site: str,
    kubeconfig: pulumi.Input[str],
    traits: StackTraits,
    parent: pulumi.Resource,
    cluster: pulumi.Resource,
) -> kubernetes.Provider:
    """The provider of the cluster at a site such as aws/us-east-1, reached with `kubeconfig`.

    Where the stack renders objects, they become YAML files in a folder of that name and nothing is dialled; where it names a context of the
    user's own kubeconfig for the site, they go there.
    """
    # Nothing in a folder or in a cluster of the user's own refers to the cluster, but its objects live in it; and a control plane answers
    # before its nodes and add-ons are there, which come with the component.
    opts = pulumi.ResourceOptions(parent=parent, depends_on=[cluster])
    if traits.render_to is not None:
        folder = str(PurePosixPath(traits.render_to) / name)
        return kubernetes.Provider(name, render_yaml_to_directory=folder, opts=opts)
    if (context := traits.clusters.context(site)) is not None:
        return kubernetes.Provider(name, context=context, enable_server_side_apply=True, opts=opts)
    return kubernetes.Provider(name, kubeconfig=kubeconfig, enable_server_side_apply=True, opts=opts)
