"""The ECR repository of one model."""

import json
from collections.abc import Mapping
from typing import TypedDict

import pulumi
import pulumi_aws as aws

UNTAGGED_DAYS = 14


class EcrRepositoryArgs(TypedDict):
    region: str
    disposable: bool
    protect: bool
    tags: Mapping[str, str]


class EcrRepository(pulumi.ComponentResource):
    """A repository whose tags cannot move, whose images are encrypted and scanned when pushed.

    `disposable` lets it be deleted with the images in it.
    """

    url: pulumi.Output[str]

    def __init__(self, name: str, args: EcrRepositoryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("model-factory:registry:EcrRepository", name, {}, opts)
        repository = aws.ecr.Repository(
            name,
            region=args["region"],
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration={"scan_on_push": True},
            encryption_configurations=[{"encryption_type": "KMS"}],
            force_delete=args["disposable"],
            tags=args["tags"],
            opts=pulumi.ResourceOptions(parent=self, protect=args["protect"]),
        )
        aws.ecr.LifecyclePolicy(
            name,
            region=args["region"],
            repository=repository.name,
            policy=expire_untagged(UNTAGGED_DAYS),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.url = repository.repository_url
        self.register_outputs({"url": self.url})


def expire_untagged(days: int) -> str:
    """A lifecycle policy: images without a tag go after so many days. Tags cannot move, so none in use loses its tag."""
    rule = {
        "rulePriority": 1,
        "description": f"Images without a tag go after {days} days",
        "selection": {
            "tagStatus": "untagged",
            "countType": "sinceImagePushed",
            "countUnit": "days",
            "countNumber": days,
        },
        "action": {"type": "expire"},
    }
    return json.dumps({"rules": [rule]}, separators=(",", ":"))
