"""How many resources there are, by kind: those a user made, not those that AWS keeps in every account."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from model_factory.local.clouds.aws.moto_state import existing


def count() -> Mapping[str, int]:
    """Resources of moto's services. A NAT gateway that is deleted, or a key that waits for deletion, no longer counts."""
    counter: Counter[str] = Counter()
    for _, ec2 in existing("ec2"):
        counter.update(_ec2(ec2))
    for region, iam in existing("iam"):
        if region == "aws":
            counter.update(_iam(iam))
    for _, ecr in existing("ecr"):
        counter["ecr:repository"] += len(ecr.repositories)
    for _, logs in existing("logs"):
        counter["logs:log-group"] += len(logs.groups)
    for _, s3 in existing("s3"):
        counter["s3:bucket"] += len(s3.buckets)
    for _, kms in existing("kms"):
        keys = [
            key
            for key in kms.keys.values()
            if key.key_state != "PendingDeletion" and key.key_manager == "CUSTOMER"
        ]
        counter["kms:key"] += len(keys)
        counter["kms:alias"] += sum(len(key.aliases) for key in keys)
    return {kind: number for kind, number in counter.items() if number}


def _ec2(ec2: Any) -> dict[str, int]:
    defaults = {vpc.id for vpc in ec2.vpcs.values() if vpc.is_default}
    tables = [table for table in ec2.route_tables.values() if table.main_association_id is None]
    groups = [group for by_id in ec2.groups.values() for group in by_id.values() if not group.is_default]
    subnets = [
        subnet for zone in ec2.subnets.values() for subnet in zone.values() if subnet.vpc_id not in defaults
    ]
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
    own = [
        policy for policy in iam.managed_policies.values() if not policy.arn.startswith("arn:aws:iam::aws:")
    ]
    return {
        "iam:role": len(iam.roles),
        "iam:policy": len(own),
        "iam:user": len(iam.users),
        "iam:instance-profile": len(iam.instance_profiles),
        "iam:oidc-provider": len(iam.open_id_providers),
    }
