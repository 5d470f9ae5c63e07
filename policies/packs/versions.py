"""Versions of Kubernetes over all clouds."""

from __future__ import annotations

from pulumi_policy.proxy import UnknownValueError

from model_factory.graph.clusters import EKS_CLUSTER, GKE_CLUSTER
from model_factory.graph.values import at
from policies.authoring.checks import LOW, number
from policies.authoring.clouds import minor
from policies.authoring.references import documented
from policies.authoring.resources import Report, Resource, Stack, shown
from policies.authoring.theme import Theme

theme = Theme("organisation")


@theme.stack(
    severity=LOW,
    steps="Raise kubernetesVersion of the cloud that is behind.",
    reference=documented(
        "Kubernetes",
        "Version skew policy",
        "Clients work with servers one minor version apart",
        "https://kubernetes.io/releases/version-skew-policy/",
    ),
    config={"minorVersions": number(1, "Minor versions that clusters may be apart.")},
)
def cross_cloud_version_skew(stack: Stack, report: Report) -> None:
    """Clusters in different clouds run versions of Kubernetes close to each other."""
    versions: dict[str, tuple[int, int]] = {}
    for cluster in stack.of(EKS_CLUSTER, GKE_CLUSTER):
        with report.guard():
            told = minor(_version(cluster))
            if told > (0, 0):
                versions[cluster.urn] = told
    newest, most = max(versions.values(), default=(0, 0)), stack.config["minorVersions"]
    for urn, (major, number_) in versions.items():
        if major != newest[0] or newest[1] - number_ > most:
            report(
                f"Kubernetes {major}.{number_} is more than {shown(most)} minor versions behind the newest cluster's {newest[0]}.{newest[1]}",
                urn,
            )


def _version(cluster: Resource) -> object:
    """The version a cluster runs, or else the one that was asked for; None where GKE chooses. Unknown if neither is known."""
    if cluster.type == EKS_CLUSTER:
        return at(cluster.props, "version")
    try:
        return at(cluster.props, "masterVersion") or at(cluster.props, "minMasterVersion")
    except UnknownValueError:
        asked = at(cluster.props, "minMasterVersion")
        if asked is None:
            raise
        return asked
