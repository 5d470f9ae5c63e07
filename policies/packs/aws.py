"""Resources of AWS: clusters, nodes and images; `aws_account` has identities, keys and networks."""

from __future__ import annotations

from model_factory.facts.aws.kubernetes import OLDEST_STANDARD
from model_factory.graph.clusters import EKS_CLUSTER
from model_factory.graph.pools import EksPool
from model_factory.graph.values import at
from policies.authoring.addresses import is_wide
from policies.authoring.checks import CRITICAL, HIGH, MEDIUM, Setting, number, texts
from policies.authoring.clouds import EKS_GUIDE, INSTANCE, LAUNCH_TEMPLATE, is_on, minor
from policies.authoring.drafts import Draft
from policies.authoring.iam_documents import allowed, is_for_everybody, texts_of
from policies.authoring.references import cis_aws, cis_eks, documented
from policies.authoring.resources import Report, Resource, shown
from policies.authoring.theme import Theme

theme = Theme("aws")

REPOSITORY = "aws:ecr/repository:Repository"
ECR_GUIDE = "https://docs.aws.amazon.com/AmazonECR/latest/userguide"
LOG_TYPES = ("api", "audit", "authenticator", "controllerManager", "scheduler")


@theme.resource(
    types=[EKS_CLUSTER],
    severity=CRITICAL,
    steps="Set vpcConfig.endpointPrivateAccess to true, and endpointPublicAccess to false or publicAccessCidrs to the ranges of your offices and runners (endpointPublicAccessCidrs in the stack file).",
    reference=cis_eks(
        "5.4.1",
        "Restrict access to the control plane endpoint",
        f"{EKS_GUIDE}/cluster-endpoint.html",
        "CKV_AWS_38",
        "CKV_AWS_39",
    ),
    config={"leastPrefix": number(16, "Ranges may not be wider than this prefix; in IPv6, than twice as many bits.")},
)
def eks_endpoint(resource: Resource, report: Report) -> None:
    """The API of an EKS cluster is reached from inside, and from outside by named ranges only."""
    props, least = resource.props, resource.config["leastPrefix"]
    with report.guard():
        if at(props, "vpcConfig", "endpointPublicAccess") is not False:
            with report.guard():
                if not at(props, "vpcConfig", "publicAccessCidrs"):
                    report("the API answers the whole internet: no publicAccessCidrs are given")
            for cidr in report.items(props, "vpcConfig", "publicAccessCidrs"):
                if is_wide(cidr, least):
                    report(f"the API answers {cidr}, which is wider than /{shown(least)}")
    with report.guard():
        if not is_on(at(props, "vpcConfig", "endpointPrivateAccess")):
            report("nodes reach the API over the internet: endpointPrivateAccess is off")


@theme.resource(
    types=[EKS_CLUSTER],
    severity=HIGH,
    steps="Set encryptionConfig to the ARN of a KMS key, with resources [secrets]. It cannot be taken off a cluster again.",
    reference=cis_eks(
        "5.3.1",
        "Kubernetes secrets are encrypted using customer master keys managed in AWS KMS",
        f"{EKS_GUIDE}/enable-kms.html",
        "CKV_AWS_58",
    ),
)
def eks_secrets_kms(resource: Resource, report: Report) -> None:
    """Kubernetes secrets in EKS are encrypted with a KMS key of the account."""
    encrypted = report.items(resource.props, "encryptionConfig", "resources")
    if "secrets" not in encrypted:
        # What is unknown may be what is missing: then the list says so before anything is reported.
        report.finish()
        report("Kubernetes secrets are not encrypted with a key of yours: encryptionConfig.resources lacks secrets")
    elif not at(resource.props, "encryptionConfig", "provider", "keyArn"):
        report("encryptionConfig names no key")


@theme.resource(
    types=[EKS_CLUSTER],
    severity=MEDIUM,
    steps="List the missing types in enabledClusterLogTypes, and give their log group a retention.",
    reference=cis_eks("2.1.1", "Enable audit logs", f"{EKS_GUIDE}/control-plane-logs.html", "CKV_AWS_37"),
    config={"types": texts(LOG_TYPES, "Types of logs that must be on.")},
)
def eks_logs(resource: Resource, report: Report) -> None:
    """The control plane of an EKS cluster writes its logs, the audit log among them."""
    on = report.items(resource.props, "enabledClusterLogTypes")
    missing = [each for each in resource.config["types"] if each not in on]
    if missing:
        report.finish()
        report(f"these control plane logs are off: {', '.join(missing)}")


@theme.resource(
    types=[EKS_CLUSTER],
    severity=MEDIUM,
    steps="Raise kubernetesVersion in the stack file, one minor version at a time.",
    reference=documented(
        "Amazon EKS User Guide",
        "Kubernetes version lifecycle",
        "Versions in standard support",
        f"{EKS_GUIDE}/kubernetes-versions.html",
        "CKV_AWS_339",
    ),
    config={
        "minimum": Setting(
            OLDEST_STANDARD,
            {"type": "string", "pattern": r"^\d+\.\d+$"},
            "The oldest version still in standard support.",
        )
    },
)
def eks_version(resource: Resource, report: Report) -> None:
    """EKS clusters run a version of Kubernetes that is in standard support."""
    version, least = at(resource.props, "version"), resource.config["minimum"]
    if version is None:
        report("no version is given: upgrades would come as a surprise")
    elif minor(version) < minor(least):
        report(f"Kubernetes {version} is older than {least}, the oldest in EKS's standard support")


def _make_immutable(draft: Draft) -> None:
    draft.put(draft.props, "imageTagMutability", "IMMUTABLE")


@theme.resource(
    types=[REPOSITORY],
    severity=HIGH,
    remedy=_make_immutable,
    steps="Set imageTagMutability to IMMUTABLE; push each build under a tag of its own.",
    reference=documented(
        "Amazon ECR User Guide",
        "Image tag mutability",
        "Preventing image tags from being overwritten",
        f"{ECR_GUIDE}/image-tag-mutability.html",
        "CKV_AWS_51",
    ),
)
def ecr_immutable(resource: Resource, report: Report) -> None:
    """Tags in ECR cannot be moved to other images."""
    mutability = at(resource.props, "imageTagMutability")
    if mutability != "IMMUTABLE":
        report(f"tags can be moved to other images: imageTagMutability is {mutability or 'MUTABLE'}")


def _scan(draft: Draft) -> None:
    scanning = draft.child(draft.props, "imageScanningConfiguration", create=True)
    if scanning is not None:
        draft.put(scanning, "scanOnPush", value=True)


@theme.resource(
    types=[REPOSITORY],
    severity=MEDIUM,
    remedy=_scan,
    steps="Set imageScanningConfiguration.scanOnPush to true.",
    reference=cis_eks(
        "5.1.1",
        "Image vulnerability scanning using Amazon ECR image scanning or a third party",
        f"{ECR_GUIDE}/image-scanning.html",
        "CKV_AWS_163",
    ),
)
def ecr_scan(resource: Resource, report: Report) -> None:
    """Images are scanned for known vulnerabilities when they are pushed to ECR."""
    if not is_on(at(resource.props, "imageScanningConfiguration", "scanOnPush")):
        report("images are not scanned when pushed")


@theme.resource(
    types=["aws:ecr/repositoryPolicy:RepositoryPolicy", "aws:ecrpublic/repository:Repository"],
    severity=CRITICAL,
    steps="Name accounts or roles as principals, or add a condition on aws:PrincipalOrgID.",
    reference=cis_eks(
        "5.1.2",
        "Minimize user access to Amazon ECR",
        f"{ECR_GUIDE}/repository-policies.html",
        "CKV_AWS_32",
    ),
)
def ecr_not_public(resource: Resource, report: Report) -> None:
    """No repository of images is open to everybody."""
    if resource.is_("aws:ecrpublic/*"):
        report("a repository of ECR Public is open to everybody")
        return
    for statement in allowed(at(resource.props, "policy"), report):
        if is_for_everybody(statement):
            report(f"the repository policy lets everybody {', '.join(texts_of(statement, 'Action')) or 'act'}")


@theme.resource(
    types=[LAUNCH_TEMPLATE, INSTANCE, EksPool.type],
    severity=HIGH,
    steps="Give each node group a launch template with metadataOptions.httpTokens required and httpPutResponseHopLimit 1.",
    reference=cis_aws(
        "5.6",
        "The EC2 metadata service only allows IMDSv2",
        "https://docs.aws.amazon.com/eks/latest/best-practices/identity-and-access-management.html",
        "CKV_AWS_79",
        "CKV_AWS_341",
    ),
)
def imdsv2_hop_1(resource: Resource, report: Report) -> None:
    """Instance metadata asks for a token and stops at the node, so that pods cannot take the node's role."""
    if resource.type == EksPool.type:
        if at(resource.props, "launchTemplate") is None:
            report("without a launch template EKS makes one with a hop limit of 2: pods reach the node's role")
        return
    options = "metadataOptions"
    if at(resource.props, options, "httpEndpoint") == "disabled":
        return
    with report.guard():
        if at(resource.props, options, "httpTokens") != "required":
            report("instance metadata answers without a token: httpTokens is not required")
    hops = at(resource.props, options, "httpPutResponseHopLimit")
    if hops != 1:
        said = "not given" if hops is None else shown(hops)
        report(f"pods reach the node's role: httpPutResponseHopLimit is {said}, not 1")
