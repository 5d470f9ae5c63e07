"""What ages of AWS, each file dated and with its source."""

from __future__ import annotations

import re
from typing import Final

from model_factory.facts.aws.kubernetes import ENDINGS
from model_factory.facts.aws.nodes import disk_left
from model_factory.facts.aws.regions import REGIONS
from model_factory.facts.aws.services import OPTIONAL, SERVICES
from model_factory.facts.cloud import CloudFacts

AWS: Final = CloudFacts(
    regions=REGIONS,
    zone_separator="",
    offers_name_zones=False,
    adds_nodes=False,  # https://docs.aws.amazon.com/eks/latest/userguide/autoscaling.html: Karpenter or the Cluster Autoscaler do
    endpoint_keys=tuple(keys[0] for name, keys in SERVICES.items() if name not in OPTIONAL),
    gpu_machines=re.compile(r"(g[3-9]|gr\d|p[2-9])[a-z0-9-]*\..*"),
    system_machine="m7i.large",
    default_machine="t3.medium",
    family_separator=".",
    disk_left=disk_left,
    endings=ENDINGS,
)
