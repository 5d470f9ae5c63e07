"""What Kubernetes objects have in common."""

from typing import cast

import pulumi
from pulumi_kubernetes.meta.v1.outputs import ObjectMeta


def name_of(metadata: pulumi.Output[ObjectMeta]) -> pulumi.Output[str]:
    """An object's physical name. The SDK types it as optional; every object that exists has one."""
    return metadata.apply(lambda each: cast("str", each.name))
