"""Checks that what an EKS request names is there, and fits. Each raises InvalidParameterException as EKS words it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from model_factory.local.clouds.aws import moto_state
from model_factory.local.clouds.aws.eks.state import Context, invalid_parameter
from model_factory.local.clouds.aws.moto_state import Subnet

_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


def subnets(context: Context, ids: Sequence[str]) -> list[Subnet]:
    """The subnets, all in one VPC."""
    found = [moto_state.subnet(context.region, id_) for id_ in ids]
    missing = [id_ for id_, subnet in zip(ids, found, strict=True) if subnet is None]
    if missing:
        raise invalid_parameter(f"The subnet ID '{missing[0]}' does not exist")
    present = [subnet for subnet in found if subnet is not None]
    if len({subnet.vpc_id for subnet in present}) > 1:
        raise invalid_parameter("Subnets specified must belong to the same VPC.")
    return present


def security_groups(context: Context, ids: Sequence[str], vpc_id: str) -> None:
    for id_ in ids:
        group = moto_state.security_group(context.region, id_)
        if group is None:
            raise invalid_parameter(f"The security group '{id_}' does not exist")
        if group.vpc_id != vpc_id:
            raise invalid_parameter(f"Security group(s) [{id_}] are not in the same VPC as the subnets.")


def role(arn: str, service: str) -> None:
    """The role is there and the service may take it."""
    trusted = moto_state.role_trusts(arn)
    if trusted is None or service not in trusted:
        raise invalid_parameter(
            f"Role with arn: {arn}, could not be assumed because it does not exist or the trusted entity is not "
            f"correct. The trusted entity is {service}."
        )


def role_exists(arn: str) -> None:
    """The role is there; who may take it is the cluster's OIDC issuer's business."""
    if moto_state.role_trusts(arn) is None:
        raise invalid_parameter(f"Role with arn: {arn} does not exist")


def key(context: Context, arn: str) -> None:
    state = moto_state.key_state(context.region, arn)
    if state != "Enabled":
        raise invalid_parameter(f"The keyArn in encryptionConfig provider: {arn} is {state or 'not found'}.")


def kubernetes_name(what: str, value: str) -> None:
    """An RFC 1123 label, as a namespace or a service account is named."""
    if len(value) > 63 or not _LABEL.fullmatch(value):
        raise invalid_parameter(f"{what} {value!r} is not a lower-case RFC 1123 label")
