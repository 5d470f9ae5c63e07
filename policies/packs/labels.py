"""Whose a resource is: the labels that everything carries that can carry any."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from model_factory.graph.clusters import GKE_CLUSTER
from model_factory.graph.pools import GkePool
from model_factory.graph.urn import Urn
from model_factory.graph.values import at
from policies.authoring.checks import MEDIUM, Setting, texts
from policies.authoring.clouds import LAUNCH_TEMPLATE
from policies.authoring.drafts import Draft, is_unknown, revealed
from policies.authoring.references import documented
from policies.authoring.resources import Props, Report, Resource
from policies.authoring.theme import Theme

theme = Theme("organisation")

# What a launch template makes, which is what is billed.
MADE = ("instance", "volume")
AWS_TAGGED = (
    "cloudwatch/logGroup:LogGroup",
    "ebs/volume:Volume",
    "ec2/eip:Eip",
    "ec2/flowLog:FlowLog",
    "ec2/instance:Instance",
    "ec2/internetGateway:InternetGateway",
    "ec2/launchTemplate:LaunchTemplate",
    "ec2/natGateway:NatGateway",
    "ec2/routeTable:RouteTable",
    "ec2/securityGroup:SecurityGroup",
    "ec2/subnet:Subnet",
    "ec2/vpc:Vpc",
    "ec2/vpcEndpoint:VpcEndpoint",
    "ecr/repository:Repository",
    "efs/fileSystem:FileSystem",
    "eks/addon:Addon",
    "eks/cluster:Cluster",
    "eks/nodeGroup:NodeGroup",
    "iam/policy:Policy",
    "iam/role:Role",
    "kms/key:Key",
    "lb/loadBalancer:LoadBalancer",
    "rds/instance:Instance",
    "s3/bucket:Bucket",
    "secretsmanager/secret:Secret",
)
# Where each type has its labels.
LABELS: Mapping[str, tuple[str, ...]] = {
    **{f"aws:{kind}": ("tags",) for kind in AWS_TAGGED},
    "gcp:artifactregistry/repository:Repository": ("labels",),
    "gcp:compute/disk:Disk": ("labels",),
    "gcp:compute/instance:Instance": ("labels",),
    GKE_CLUSTER: ("resourceLabels",),
    GkePool.type: ("nodeConfig", "resourceLabels"),
    "gcp:kms/cryptoKey:CryptoKey": ("labels",),
    "gcp:secretmanager/secret:Secret": ("labels",),
    "gcp:storage/bucket:Bucket": ("labels",),
}


def _report_missing(props: Props, path: tuple[str, ...], required: list[str], what: str, report: Report) -> None:
    labels = at(props, *path)
    missing = [key for key in required if not at(labels, key)]
    if missing and path == ("tags",):
        # The provider's default tags stand here only.
        every = at(props, "tagsAll")
        missing = [key for key in missing if not at(every, key)]
    if missing:
        report(f"{what} lacks the labels {', '.join(missing)}")


def _label(draft: Draft) -> None:
    values = dict(_values(draft))
    *path, last = LABELS[draft.type]
    parent = draft.below(*path, create=True)
    if parent is not None:
        _add(draft, parent, last, values)
    if draft.type == LAUNCH_TEMPLATE:
        kept = draft.config["machines"]
        _label_made(draft, {key: value for key, value in values.items() if key in kept})


@theme.resource(
    types=LABELS,
    severity=MEDIUM,
    remedy=_label,
    steps="Add the labels to model-factory:labels in the stack file; the program puts them on everything.",
    reference=documented(
        "FinOps Framework",
        "Allocation",
        "Costs are allocated by labels",
        "https://www.finops.org/framework/capabilities/allocation/",
    ),
    config={
        "required": texts(("environment", "managed-by", "stack"), "Labels that everything carries that can carry any."),
        # docs.aws.amazon.com/eks/latest/userguide/launch-templates.html: all nodes are recycled to match another version of their template.
        "machines": texts(
            ("environment", "managed-by", "stack"),
            "Those of them that machines of a launch template carry: one that changes there replaces every machine.",
        ),
        "values": Setting(
            {"managed-by": "{project}", "stack": "{stack}"},
            {"type": "object", "additionalProperties": {"type": "string"}},
            "What remediation puts where a label is missing; {stack} and {project} stand for their names.",
        ),
    },
)
def cost_labels(resource: Resource, report: Report) -> None:
    """What costs money tells whose it is."""
    required = resource.config["required"]
    with report.guard():
        _report_missing(resource.props, LABELS[resource.type], required, "it", report)
    if resource.type == LAUNCH_TEMPLATE:
        kept = [key for key in required if key in resource.config["machines"]]
        specs: dict[str, Props] = {}
        for spec in report.items(resource.props, "tagSpecifications"):
            with report.guard():
                specs[at(spec, "resourceType")] = spec
        for kind in MADE:
            if kind not in specs:
                # What is unknown may be what is missing.
                report.finish()
            with report.guard():
                _report_missing(specs.get(kind, {}), ("tags",), kept, f"each {kind} it makes", report)


def _label_made(draft: Draft, values: Mapping[str, str]) -> None:
    made = revealed(draft.props.get("tagSpecifications"))
    if not isinstance(made, list | None):
        return
    specs = {str(revealed(each.get("resourceType"))): each for each in draft.children(draft.props, "tagSpecifications")}
    # One that is not known yet may be the missing one, and AWS takes each kind once.
    closed = any(map(is_unknown, [*specs, *map(revealed, cast("list[object]", made or []))]))
    missing = [{"resourceType": kind, "tags": dict(values)} for kind in MADE if kind not in specs]
    for kind in MADE:
        if kind in specs:
            _add(draft, specs[kind], "tags", values)
    if values and missing and not closed:
        draft.put(draft.props, "tagSpecifications", [*(made or []), *missing])


def _add(draft: Draft, parent: dict[str, Any], key: str, values: Mapping[str, str]) -> None:
    labels = draft.child(parent, key, create=bool(values))
    every = draft.child(parent, "tagsAll") or {}
    missing = {
        name: value
        for name, value in values.items()
        if labels is not None and not labels.get(name) and not every.get(name)
    }
    if labels is None or not missing:
        return
    for name, value in missing.items():
        draft.put(labels, name, value)
    if parent is draft.props and key == "tags":
        # AWS's provider made tagsAll of tags before policies were asked, and from then on goes by it.
        total = draft.child(parent, "tagsAll", create=True)
        if total is not None:
            total.update({name: value for name, value in labels.items() if name not in total})


def _values(draft: Draft) -> Iterator[tuple[str, str]]:
    """What required labels get where they are missing: those that the configuration has a value for."""
    urn = Urn.parse(draft.urn)
    for name in draft.config["required"]:
        value = str(draft.config["values"].get(name, ""))
        value = value.replace("{stack}", urn.stack).replace("{project}", urn.project)
        if value:
            yield name, value
