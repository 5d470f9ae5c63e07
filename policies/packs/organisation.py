"""Rules of the organisation over both clouds: what it may cost and where, whose it is, what must not get lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import Any, cast

from pulumi_policy.proxy import UnknownValueError

from model_factory.facts.tables import HOURS_A_MONTH
from policies.checks import (
    HIGH,
    LOW,
    MEDIUM,
    Draft,
    Policy,
    Props,
    Reference,
    Report,
    Resource,
    Setting,
    Stack,
    at,
    is_unknown,
    matches,
    number,
    resource_check,
    revealed,
    shown,
    stack_check,
    texts,
)
from policies.clouds import EKS_CLUSTER, GKE_CLUSTER, LAUNCH_TEMPLATE, NODE_POOL, minor
from policies.pools import POOLS, gpus_per_node
from policies.references import documented

TAGS = ("organisation",)
ROOT = "pulumi:pulumi:Stack"
# What a stack exports of its cost, the best first, and how often that is paid a month.
COST_OUTPUTS = (("usd_per_month", 1), ("usd_per_hour", HOURS_A_MONTH))
BASES: Mapping[str, tuple[str, ...]] = {"rest": ("idle", "least"), "peak": ("peak", "most")}
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
    NODE_POOL: ("nodeConfig", "resourceLabels"),
    "gcp:kms/cryptoKey:CryptoKey": ("labels",),
    "gcp:secretmanager/secret:Secret": ("labels",),
    "gcp:storage/bucket:Bucket": ("labels",),
}
STATEFUL = (
    "aws:dynamodb/table:Table",
    "aws:ebs/volume:Volume",
    "aws:ecr/repository:Repository",
    "aws:efs/fileSystem:FileSystem",
    EKS_CLUSTER,
    "aws:kms/key:Key",
    "aws:rds/*:*",
    "aws:s3/bucket:Bucket",
    "aws:s3/bucketV2:BucketV2",
    "gcp:artifactregistry/repository:Repository",
    GKE_CLUSTER,
    "gcp:kms/cryptoKey:CryptoKey",
    "gcp:sql/databaseInstance:DatabaseInstance",
    "gcp:storage/bucket:Bucket",
)
PLACES = ("region", "location", "zone", "availabilityZone")
ALLOWED_REGIONS = ("us-*", "us", "eu-*", "europe-*", "eu", "global")


def _budget(stack: Stack, report: Report) -> None:
    limit, basis = Decimal(str(stack.config["usdPerMonth"])), str(stack.config["basis"])
    for root in stack.of(ROOT):
        outputs = _outputs(root)
        for output, times in COST_OUTPUTS:
            amount = _amount(at(outputs, output), basis)
            if amount is not None:
                monthly = amount * times
                if monthly > limit:
                    report(
                        f"the stack costs {monthly:,.0f} USD a month at {basis}, and may cost {limit:,.0f}",
                        root.urn,
                    )
                return
    paid = sorted(each.name for each in stack.of(*POOLS) if gpus_per_node(each))
    if paid:
        report(f"what the GPUs of {', '.join(paid)} cost is not told: the stack exports no usd_per_month")


def _outputs(root: Resource) -> Props:
    """What a stack exports. Nothing at all looks like something not known yet, which it is not: outputs come last."""
    with suppress(UnknownValueError):
        if len(root.props):
            return root.props
    return {}


def _amount(output: object, basis: str) -> Decimal | None:
    """An amount in an output: a number, a text, or an object with one at rest and one at peak."""
    value = next(
        (found for key in BASES[basis] if (found := at(output, key)) is not None),
        None if isinstance(output, Mapping) else output,
    )
    if value is None or isinstance(value, bool):
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None


def _labelled(resource: Resource, report: Report) -> None:
    required = resource.config["required"]
    with report.guard():
        _report_missing(resource.props, LABELS[resource.type], required, "it", report)
    if resource.type == LAUNCH_TEMPLATE:
        specs: dict[str, Props] = {}
        for spec in report.items(resource.props, "tagSpecifications"):
            with report.guard():
                specs[at(spec, "resourceType")] = spec
        for kind in MADE:
            if kind not in specs:
                # What is unknown may be what is missing.
                report.finish()
            with report.guard():
                _report_missing(specs.get(kind, {}), ("tags",), required, f"each {kind} it makes", report)


def _report_missing(
    props: Props, path: tuple[str, ...], required: list[str], what: str, report: Report
) -> None:
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
    parent: dict[str, Any] | None = draft.props
    for key in path:
        parent = draft.child(parent, key, create=True) if parent is not None else None
    if parent is not None:
        _add(draft, parent, last, values)
    if draft.type == LAUNCH_TEMPLATE:
        _label_made(draft, values)


def _label_made(draft: Draft, values: Mapping[str, str]) -> None:
    made = revealed(draft.props.get("tagSpecifications"))
    if not isinstance(made, list | None):
        return
    specs = {
        str(revealed(each.get("resourceType"))): each
        for each in draft.children(draft.props, "tagSpecifications")
    }
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
    place = draft.urn.removeprefix("urn:pulumi:").split("::")
    for name in draft.config["required"]:
        value = str(draft.config["values"].get(name, ""))
        value = value.replace("{stack}", place[0]).replace("{project}", place[1] if len(place) > 1 else "")
        if value:
            yield name, value


def _protected(resource: Resource, report: Report) -> None:
    if not resource.options.protect:
        report("it holds what cannot be made again, and is not protected")
    with report.guard():
        for key in ("forceDestroy", "forceDelete"):
            if at(resource.props, key) is True:
                report(f"{key} lets it be deleted with all that is in it")


def _allowed_regions(resource: Resource, report: Report) -> None:
    allowed = tuple(resource.config["allowed"])
    for key in PLACES:
        with report.guard():
            _report_place(key, at(resource.props, key), allowed, report)
    with report.guard():
        if resource.is_("aws:*") and at(resource.props, "region") is None:
            _report_place("the provider's region", at(resource.provider_props, "region"), allowed, report)


def _report_place(key: str, place: object, allowed: tuple[str, ...], report: Report) -> None:
    if isinstance(place, str) and place and not matches(place.lower(), allowed):
        report(f"{key} {place} is not allowed; use {', '.join(allowed)}")


def _version_skew(stack: Stack, report: Report) -> None:
    versions: dict[str, tuple[int, int]] = {}
    for cluster in stack.of(EKS_CLUSTER, GKE_CLUSTER):
        with report.guard():
            told = minor(_version(cluster))
            if told > (0, 0):
                versions[cluster.urn] = told
    newest, most = max(versions.values(), default=(0, 0)), stack.config["minorVersions"]
    for urn, (major, number_) in versions.items():
        if major != newest[0] or newest[1] - number_ > most:
            report(
                f"Kubernetes {major}.{number_} is more than {shown(most)} minor versions behind the newest cluster's {newest[0]}.{newest[1]}",
                urn,
            )


def _version(cluster: Resource) -> object:
    """The version a cluster runs, or else the one that was asked for; None where GKE chooses. Unknown if neither is known."""
    if cluster.type == EKS_CLUSTER:
        return at(cluster.props, "version")
    try:
        return at(cluster.props, "masterVersion") or at(cluster.props, "minMasterVersion")
    except UnknownValueError:
        asked = at(cluster.props, "minMasterVersion")
        if asked is None:
            raise
        return asked


POLICIES: tuple[Policy, ...] = (
    stack_check(
        "monthly-budget",
        "The stack costs no more a month than its budget, by its own estimate.",
        severity=HIGH,
        check=_budget,
        steps="Ask for fewer or smaller GPUs, or raise usdPerMonth in policies/config with whoever pays. A stack with GPUs exports usd_per_month or usd_per_hour.",
        reference=documented(
            "FinOps Framework",
            "Budgeting",
            "Budgets limit what is spent",
            "https://www.finops.org/framework/capabilities/budgeting/",
        ),
        config={
            "usdPerMonth": number(30_000, "USD a month that the stack may cost."),
            "basis": Setting(
                "peak",
                {"type": "string", "enum": ["rest", "peak"]},
                "rest: every model at its least replicas; peak: at its most.",
            ),
        },
        tags=TAGS,
    ),
    resource_check(
        "cost-labels",
        "What costs money tells whose it is.",
        types=LABELS,
        severity=MEDIUM,
        check=_labelled,
        remedy=_label,
        steps="Add the labels to model-factory:labels in the stack file; the program puts them on everything.",
        reference=documented(
            "FinOps Framework",
            "Allocation",
            "Costs are allocated by labels",
            "https://www.finops.org/framework/capabilities/allocation/",
        ),
        config={
            "required": texts(
                ("environment", "managed-by", "stack"), "Labels that everything carries that can carry any."
            ),
            "values": Setting(
                {"managed-by": "{project}", "stack": "{stack}"},
                {"type": "object", "additionalProperties": {"type": "string"}},
                "What remediation puts where a label is missing; {stack} and {project} stand for their names.",
            ),
        },
        tags=TAGS,
    ),
    resource_check(
        "protect-stateful",
        "What holds data, images or keys is protected from deletion.",
        types=STATEFUL,
        severity=HIGH,
        check=_protected,
        steps="Set the resource option protect, and leave forceDestroy and forceDelete off (environment: prod does both).",
        reference=documented(
            "Pulumi",
            "Resource option protect",
            "Protected resources cannot be deleted",
            "https://www.pulumi.com/docs/iac/concepts/options/protect/",
        ),
        tags=TAGS,
    ),
    resource_check(
        "allowed-regions",
        "Everything is in a region where the organisation's data may be.",
        types=("aws:*", "gcp:*", "pulumi:providers:aws", "pulumi:providers:gcp"),
        severity=HIGH,
        check=_allowed_regions,
        steps="Choose another region in the stack file, or have it added to `allowed` in policies/config.",
        reference=Reference(
            "NIST SP 800-53",
            "Rev. 5",
            "SA-9(5)",
            "Processing, storage and service location",
            "https://csrc.nist.gov/pubs/sp/800/53/r5/upd1/final",
        ),
        config={
            "allowed": texts(
                ALLOWED_REGIONS, "Regions, zones and multi-regions, in lower case; * stands for anything."
            )
        },
        tags=TAGS,
    ),
    stack_check(
        "cross-cloud-version-skew",
        "Clusters in different clouds run versions of Kubernetes close to each other.",
        severity=LOW,
        check=_version_skew,
        steps="Raise kubernetesVersion of the cloud that is behind.",
        reference=documented(
            "Kubernetes",
            "Version skew policy",
            "Clients work with servers one minor version apart",
            "https://kubernetes.io/releases/version-skew-policy/",
        ),
        config={"minorVersions": number(1, "Minor versions that clusters may be apart.")},
        tags=TAGS,
    ),
)
