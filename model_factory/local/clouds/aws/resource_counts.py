"""How many resources there are, by kind: those a user made, not those that AWS keeps in every account."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from moto.core.common_models import BaseModel

from model_factory.facts.aws.services import SERVICES
from model_factory.local.clouds.aws.moto_state import existing


def count() -> Mapping[str, int]:
    """Resources of moto's services. A NAT gateway that is deleted, or a key that waits for deletion, no longer counts."""
    counter: Counter[str] = Counter()
    for service in SERVICES:
        for region, backend in existing(service):
            if service != "iam" or region == "aws":
                counter.update(_COUNTED.get(service, _collections)(backend))
    return {kind: number for kind, number in counter.items() if number}


def _collections(backend: Any) -> Counter[str]:
    """What a service holds that keeps nothing of AWS's own: all models in its collections, by their class's name."""
    service = type(backend).__module__.split(".")[1]
    collections = [list(held.values()) for held in vars(backend).values() if isinstance(held, dict)]
    models = [type(item).__name__ for items in collections for item in items if isinstance(item, BaseModel)]
    return Counter(f"{service}:{re.sub(r'(?<!^)(?=[A-Z])', '-', name).lower()}" for name in models)


def _ec2(ec2: Any) -> dict[str, int]:
    defaults = {vpc.id for vpc in ec2.vpcs.values() if vpc.is_default}
    tables = [table for table in ec2.route_tables.values() if table.main_association_id is None]
    groups = [group for by_id in ec2.groups.values() for group in by_id.values() if not group.is_default]
    subnets = [subnet for zone in ec2.subnets.values() for subnet in zone.values() if subnet.vpc_id not in defaults]
    return {
        "ec2:vpc": len(ec2.vpcs) - len(defaults),
        "ec2:subnet": len(subnets),
        "ec2:internet-gateway": len(ec2.internet_gateways),
        "ec2:elastic-ip": len(ec2.addresses),
        "ec2:nat-gateway": sum(gateway.state != "deleted" for gateway in ec2.nat_gateways.values()),
        "ec2:route-table": len(tables),
        "ec2:security-group": len(groups),
        "ec2:launch-template": len(ec2.launch_templates),
    }


def _iam(iam: Any) -> dict[str, int]:
    own = [policy for policy in iam.managed_policies.values() if not policy.arn.startswith("arn:aws:iam::aws:")]
    return {
        "iam:role": len(iam.roles),
        "iam:policy": len(own),
        "iam:user": len(iam.users),
        "iam:instance-profile": len(iam.instance_profiles),
        "iam:oidc-provider": len(iam.open_id_providers),
    }


def _kms(kms: Any) -> dict[str, int]:
    keys = [key for key in kms.keys.values() if key.key_state != "PendingDeletion" and key.key_manager == "CUSTOMER"]
    return {"kms:key": len(keys), "kms:alias": sum(len(key.aliases) for key in keys)}


_COUNTED: Final[Mapping[str, Callable[[Any], Mapping[str, int]]]] = {
    "ec2": _ec2,
    "iam": _iam,
    "kms": _kms,
    "s3": lambda s3: {"s3:bucket": len(s3.buckets)},
    "sts": lambda _sts: {},
}
"""Services whose state has more in it than what users made, or another name for it."""
