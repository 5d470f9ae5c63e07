"""What ages of Google Cloud, each file dated and with its source."""

from __future__ import annotations

import re
from typing import Final

from model_factory.facts.cloud import CloudFacts
from model_factory.facts.gcp.nodes import disk_left
from model_factory.facts.gcp.regions import REGIONS
from model_factory.facts.gcp.services import OPTIONAL, SERVICES

GCP: Final = CloudFacts(
    regions=REGIONS,
    zone_separator="-",
    offers_name_zones=True,
    adds_nodes=True,  # https://docs.cloud.google.com/kubernetes-engine/docs/concepts/cluster-autoscaler
    endpoint_keys=tuple(keys[0] for name, keys in SERVICES.items() if name not in OPTIONAL),
    gpu_machines=re.compile(r"a\d+x?-([a-z]+-(?P<gpus>\d+)g.*|.+)|g\d-.+"),
    system_machine="e2-standard-4",
    default_machine="e2-medium",
    family_separator="-",
    disk_left=disk_left,
)
