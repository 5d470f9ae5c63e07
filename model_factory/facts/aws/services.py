"""The services of AWS that this stack calls, 2026-11. The one list: settings ask an endpoint of each on local clouds, the local provider
makes a client of each, the local AWS serves each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SERVICES: Final[Mapping[str, tuple[str, ...]]] = {
    "ec2": ("ec2",),
    "ecr": ("ecr",),
    "eks": ("eks",),
    "iam": ("iam",),
    "kms": ("kms",),
    "logs": ("logs", "cloudwatchlogs", "cloudwatchlog"),
    "s3": ("s3", "s3api"),
    "sqs": ("sqs",),
    "sts": ("sts",),
}
"""A service as boto3, moto and the signature's scope name it → its keys in `aws:endpoints`, the one that we write first:
https://www.pulumi.com/registry/packages/aws/api-docs/provider/#providerendpoint"""
OPTIONAL: Final = frozenset({"sqs"})
"""Services that most stacks do without: a stack on local clouds names an endpoint only where it calls them."""
