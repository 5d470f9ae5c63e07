"""A program of what the project's own stacks do not have, written with care: rights in the cluster, and a model that is watched.

Run as a stack's `__main__.py`. The local cluster takes no custom resources, so a ConfigMap stands for the objective; the test
tells the policy so.
"""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from tests.policies import objects
from tests.policies.objects import DEPLOYMENT, LABELS, NAMESPACE, SPACE

cluster = k8s.Provider("cluster", render_yaml_to_directory=".factory/clouds/kubernetes/cluster")
space = k8s.core.v1.Namespace("space", metadata=SPACE.props["metadata"], opts=pulumi.ResourceOptions(provider=cluster))
there = pulumi.ResourceOptions(provider=cluster, depends_on=[space])


def metadata(name: str) -> Any:
    """Plain data, which the SDK takes and its types do not name."""
    return objects.metadata(name)


spec: dict[str, Any] = DEPLOYMENT.props["spec"]
template = {
    **spec["template"],
    "metadata": {"labels": LABELS, "annotations": {"prometheus.io/scrape": "true"}},
}

data: Any = {**spec, "template": template}
k8s.apps.v1.Deployment("assistant", metadata=metadata("assistant"), spec=data, opts=there)
k8s.core.v1.ConfigMap("objective", metadata=metadata("objective"), data={"p95": "4 s"}, opts=there)
k8s.rbac.v1.Role(
    "reader",
    metadata=metadata("reader"),
    rules=[{"api_groups": [""], "resources": ["configmaps"], "verbs": ["get"]}],
    opts=there,
)
k8s.rbac.v1.RoleBinding(
    "reader",
    metadata=metadata("reader"),
    role_ref={"api_group": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
    subjects=[{"kind": "ServiceAccount", "name": "assistant", "namespace": NAMESPACE}],
    opts=there,
)
