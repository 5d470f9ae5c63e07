"""Resources of AWS: who may do what, keys, networks."""

from __future__ import annotations

from model_factory.graph.pools import EksPool
from model_factory.graph.values import at
from policies.authoring.addresses import is_private
from policies.authoring.checks import CRITICAL, MEDIUM, texts
from policies.authoring.clouds import INSTANCE, LAUNCH_TEMPLATE, is_on
from policies.authoring.iam_documents import allowed, is_for_everybody, texts_of
from policies.authoring.references import cis_aws, cis_eks
from policies.authoring.resources import Props, Report, Resource, Stack, shown
from policies.authoring.theme import Theme

theme = Theme("aws")

VPC = "aws:ec2/vpc:Vpc"
FLOW_LOG = "aws:ec2/flowLog:FlowLog"
SSH_PORT = 22
ALL_PROTOCOLS = "-1"


@theme.resource(
    types=[
        EksPool.type,
        LAUNCH_TEMPLATE,
        INSTANCE,
        "aws:ec2/securityGroup:SecurityGroup",
        "aws:ec2/securityGroupRule:SecurityGroupRule",
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
    ],
    severity=CRITICAL,
    steps="Remove remoteAccess, keyName or the rule. Use kubectl debug, or Session Manager.",
    reference=cis_aws(
        "5.2",
        "No security groups allow ingress from 0.0.0.0/0 to remote server administration ports",
        "https://docs.aws.amazon.com/eks/latest/best-practices/protecting-the-infrastructure.html",
        "CKV_AWS_100",
        "CKV_AWS_24",
    ),
)
def no_ssh(resource: Resource, report: Report) -> None:
    """Nobody logs in to nodes by SSH: no key is put there, and no rule opens port 22 to public addresses."""
    props = resource.props
    if resource.type == EksPool.type:
        if at(props, "remoteAccess") is not None:
            report("remoteAccess opens SSH to the nodes")
    elif resource.is_(LAUNCH_TEMPLATE, INSTANCE):
        if at(props, "keyName"):
            report("keyName puts an SSH key on the node")
    elif resource.type == "aws:ec2/securityGroup:SecurityGroup":
        for rule in report.items(props, "ingress"):
            with report.guard():
                sources = [*report.items(rule, "cidrBlocks"), *report.items(rule, "ipv6CidrBlocks")]
                _report_ssh(rule, at(rule, "protocol"), sources, report)
    elif resource.type == "aws:ec2/securityGroupRule:SecurityGroupRule":
        if at(props, "type") == "ingress":
            sources = [*report.items(props, "cidrBlocks"), *report.items(props, "ipv6CidrBlocks")]
            _report_ssh(props, at(props, "protocol"), sources, report)
    else:
        sources = [each for each in (at(props, "cidrIpv4"), at(props, "cidrIpv6")) if each]
        _report_ssh(props, at(props, "ipProtocol"), sources, report)


def _report_ssh(rule: Props, protocol: object, sources: list[str], report: Report) -> None:
    public = [each for each in sources if not is_private(each)]
    if not public:
        return
    every = shown(protocol) in (ALL_PROTOCOLS, "all")
    if every or (protocol in ("tcp", "6") and (at(rule, "fromPort") or 0) <= SSH_PORT <= (at(rule, "toPort") or 0)):
        report(f"port {SSH_PORT} is open to {', '.join(public)}")


@theme.resource(
    types=[
        "aws:iam/policy:Policy",
        "aws:iam/role:Role",
        "aws:iam/*Policy:*Policy",
        "aws:iam/*Attachment:*Attachment",
    ],
    severity=CRITICAL,
    steps="Write the actions that are needed, and the resources they are needed on; name a principal in trust policies.",
    reference=cis_aws(
        "1.16",
        "IAM policies that allow full *:* administrative privileges are not attached",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/best-practices.html#grant-least-privilege",
        "CKV_AWS_62",
        "CKV_AWS_63",
    ),
    config={
        "forbiddenPolicies": texts(
            ("AdministratorAccess", "PowerUserAccess", "IAMFullAccess"),
            "Names of policies that may be attached to nothing.",
        )
    },
)
def iam_no_star(resource: Resource, report: Report) -> None:
    """IAM policies name their actions, and roles name who may take them."""
    props = resource.props
    with report.guard():
        arns = [at(props, "policyArn"), *report.items(props, "managedPolicyArns")]
        for arn in arns:
            name = str(arn or "").rpartition("/")[2]
            if name in resource.config["forbiddenPolicies"]:
                report(f"{name} is attached, which allows nearly everything")
    with report.guard():
        _report_stars(at(props, "policy"), report)
    for inline in report.items(props, "inlinePolicies"):
        with report.guard():
            _report_stars(at(inline, "policy"), report)
    with report.guard():
        for statement in allowed(at(props, "assumeRolePolicy"), report):
            if is_for_everybody(statement):
                report("everybody may take this role: its trust policy names no principal")


def _report_stars(document: object, report: Report) -> None:
    for statement in allowed(document, report):
        actions, resources = texts_of(statement, "Action"), texts_of(statement, "Resource")
        if "*" in actions or "*:*" in actions:
            report("a statement allows every action")
        elif texts_of(statement, "NotAction"):
            report("a statement allows every action but some: name those that are needed")
        elif "*" in resources:
            for action in actions:
                if action.endswith(":*"):
                    report(f"a statement allows {action} on every resource")


@theme.resource(
    types=["aws:kms/key:Key"],
    severity=MEDIUM,
    steps="Set enableKeyRotation to true. What was encrypted before stays readable.",
    reference=cis_aws(
        "3.6",
        "Rotation for customer-created symmetric CMKs is enabled",
        "https://docs.aws.amazon.com/kms/latest/developerguide/rotate-keys.html",
        "CKV_AWS_7",
    ),
)
def kms_rotation(resource: Resource, report: Report) -> None:
    """Symmetric KMS keys are rotated each year."""
    spec, usage = at(resource.props, "customerMasterKeySpec"), at(resource.props, "keyUsage")
    # AWS rotates symmetric encryption keys only.
    rotates = spec in (None, "SYMMETRIC_DEFAULT") and usage in (None, "ENCRYPT_DECRYPT")
    if rotates and not is_on(at(resource.props, "enableKeyRotation")):
        report("the key is never rotated: enableKeyRotation is off")


@theme.stack(
    severity=MEDIUM,
    steps="Add an aws.ec2.FlowLog with the VPC's id and traffic type REJECT or ALL.",
    reference=cis_aws(
        "3.7",
        "VPC flow logging is enabled in all VPCs",
        "https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs.html",
        "CKV2_AWS_11",
    ),
)
def flow_logs(stack: Stack, report: Report) -> None:
    """Every VPC has a flow log that keeps at least what was rejected."""
    logs = stack.of(FLOW_LOG)
    for vpc in stack.of(VPC):
        # In a preview nothing has an id yet, but what depends on what is known.
        if any(vpc.urn in log.property_dependencies.get("vpcId", log.dependencies) for log in logs):
            continue
        with report.guard():
            covered = [at(log.props, "vpcId") for log in logs]
            if not covered or at(vpc.props, "id") not in covered:
                report("no flow log covers this network", vpc.urn)
    for log in logs:
        with report.guard():
            traffic = at(log.props, "trafficType")
            if traffic not in (None, "ALL", "REJECT"):
                report(
                    f"the flow log keeps {traffic} traffic only, and rejected traffic is what tells of attacks",
                    log.urn,
                )


@theme.resource(
    types=["aws:ec2/subnet:Subnet", LAUNCH_TEMPLATE, INSTANCE],
    severity=MEDIUM,
    steps="Leave mapPublicIpOnLaunch and associatePublicIpAddress off; reach out through a NAT gateway.",
    reference=cis_eks(
        "5.4.3",
        "Clusters are created with private nodes",
        "https://docs.aws.amazon.com/vpc/latest/userguide/subnet-public-ip.html",
        "CKV_AWS_130",
        "CKV_AWS_88",
    ),
)
def private_subnets(resource: Resource, report: Report) -> None:
    """Machines get no public address."""
    props = resource.props
    if is_on(at(props, "mapPublicIpOnLaunch")):
        report("machines here get a public address: mapPublicIpOnLaunch is on")
    if is_on(at(props, "associatePublicIpAddress")):
        report("this machine gets a public address: associatePublicIpAddress is on")
    for card in report.items(props, "networkInterfaces"):
        with report.guard():
            if is_on(at(card, "associatePublicIpAddress")):
                report("nodes get a public address: associatePublicIpAddress is on")
