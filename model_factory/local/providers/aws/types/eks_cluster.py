"""EKS clusters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, cast, get_args

from model_factory.facts.aws.kubernetes import EksVersion
from model_factory.local.providers.aws import checks
from model_factory.local.providers.aws.declare import TAGS, declare, joined, tagger
from model_factory.local.providers.aws.session import Aws
from model_factory.local.providers.aws.shapes import Api
from model_factory.local.providers.aws.types.eks import wait_until_updated
from model_factory.local.providers.base import Call, Update
from model_factory.local.providers.diff import Change
from model_factory.local.providers.errors import CloudError, Failure, NotFoundError
from model_factory.local.providers.values import flag, items, mapping, text, texts
from model_factory.local.wire import Properties, is_unknown

_LOG_TYPES: Final = ("api", "audit", "authenticator", "controllerManager", "scheduler")
_API: Final = Api(
    "eks",
    "CreateCluster",
    names={"vpcConfig": "resourcesVpcConfig"},
    single=frozenset({"encryptionConfig"}),
    ours=frozenset({"enabledClusterLogTypes", "forceUpdateVersion"}),
)
# What UpdateClusterConfig takes: one of these groups a call, in the order AWS documents.
_UPDATES: Final[tuple[tuple[str, ...], ...]] = (
    ("accessConfig",),
    ("computeConfig", "kubernetesNetworkConfig", "storageConfig"),
    ("controlPlaneScalingConfig",),
    ("deletionProtection",),
    ("remoteNetworkConfig",),
    ("upgradePolicy",),
    ("zonalShiftConfig",),
)
_VPC_UPDATES: Final = (
    ("endpointPublicAccess", "endpointPrivateAccess", "publicAccessCidrs"),
    ("subnetIds",),
    ("securityGroupIds",),
)


def _logging(inputs: Properties) -> dict[str, Any]:
    enabled = texts(inputs, "enabledClusterLogTypes")
    off = [kind for kind in _LOG_TYPES if kind not in enabled]
    entries = [{"types": enabled, "enabled": True}, {"types": off, "enabled": False}]
    return {"clusterLogging": [entry for entry in entries if entry["types"]]}


def _create(call: Call[Aws], inputs: Properties) -> None:
    request = _API.request(call.cloud, inputs)
    if texts(inputs, "enabledClusterLogTypes"):
        request["logging"] = _logging(inputs)
    call.cloud.call("eks", "CreateCluster", **request, clientRequestToken=call.urn_digest)


def _describe(aws: Aws, name: str) -> dict[str, Any]:
    return cast("dict[str, Any]", aws.call("eks", "DescribeCluster", name=name)["cluster"])


def _ready(call: Call[Aws], name: str, _inputs: Properties) -> None:
    def state() -> str:
        return str(_describe(call.cloud, name)["status"])

    call.wait_for_state(state, what=f"EKS cluster {name}", ready=["ACTIVE"], failed=["FAILED", "DELETING"])


def _read(call: Call[Aws], name: str, inputs: Properties) -> Properties | None:
    cluster = _describe(call.cloud, name)
    found = _API.properties(call.cloud, cluster, "Cluster")
    logging = cluster.get("logging", {}).get("clusterLogging", [])
    logged = {kind for entry in logging if entry.get("enabled") for kind in entry.get("types", [])}
    issuer = cluster.get("identity", {}).get("oidc", {}).get("issuer")
    return {
        **found,
        "enabledClusterLogTypes": [kind for kind in _LOG_TYPES if kind in logged],
        "identities": [{"oidcs": [{"issuer": issuer}]}] if issuer else [],
        "clusterId": cluster.get("id"),
        "accessConfig": _access_config(found, inputs),
        TAGS: cluster.get("tags") or {},
    }


def _access_config(found: Properties, inputs: Properties) -> Properties | None:
    """AWS does not tell every time whether the creator was made an administrator; it never changes."""
    asked = mapping(inputs, "accessConfig")
    kept = {key: asked[key] for key in ("bootstrapClusterCreatorAdminPermissions",) if asked.get(key) is not None}
    return {**kept, **mapping(found, "accessConfig")} or None


def _update(call: Call[Aws], change: Update) -> None:
    aws, name, new = call.cloud, change.id, change.new
    if "version" in new and change.changed("version"):
        answer = aws.call("eks", "UpdateClusterVersion", name=name, version=text(new, "version"))
        _updated(call, name, answer)
    request = _API.request(aws, new)
    for group in _UPDATES:
        given = [key for key in group if key in new]
        if given and any(_differs(change, key) for key in given):
            wanted = {key: _updatable(key, request[key]) for key in given}
            _updated(call, name, aws.call("eks", "UpdateClusterConfig", name=name, **wanted))
    if "encryptionConfig" in new and not change.old.get("encryptionConfig"):
        wanted = request["encryptionConfig"]
        answer = aws.call("eks", "AssociateEncryptionConfig", clusterName=name, encryptionConfig=wanted)
        _updated(call, name, answer)
    if change.changed("enabledClusterLogTypes"):
        _updated(call, name, aws.call("eks", "UpdateClusterConfig", name=name, logging=_logging(new)))
    have, want = mapping(change.old, "vpcConfig"), mapping(new, "vpcConfig")
    for keys in _VPC_UPDATES:
        if any(key in want and not _same(want[key], have.get(key)) for key in keys):
            network = {key: request["resourcesVpcConfig"][key] for key in keys if key in want}
            _updated(call, name, aws.call("eks", "UpdateClusterConfig", name=name, resourcesVpcConfig=network))


def _differs(change: Update, key: str) -> bool:
    """Whether a property asks for something else than AWS has; what was not asked for does not count."""
    have, want = change.old.get(key), change.new[key]
    if isinstance(have, dict) and isinstance(want, dict):
        return any(not _same(item, have.get(name)) for name, item in want.items())
    return have != want


def _same(want: object, have: object) -> bool:
    if isinstance(want, list) and isinstance(have, list):
        return sorted(map(repr, cast("list[object]", want))) == sorted(map(repr, cast("list[object]", have)))
    return want == have


def _updatable(key: str, value: Any) -> Any:
    if key == "accessConfig":
        return {"authenticationMode": value["authenticationMode"]}
    return value


def _updated(call: Call[Aws], name: str, answer: dict[str, Any]) -> None:
    wait_until_updated(call, f"EKS cluster {name}", answer, name=name)


def _delete(call: Call[Aws], name: str, _state: Properties) -> None:
    def accepted() -> bool | None:
        try:
            status = str(_describe(call.cloud, name)["status"])
            if status != "DELETING":
                call.cloud.call("eks", "DeleteCluster", name=name)
        except CloudError as error:
            if (
                isinstance(error, NotFoundError)
                or error.code != "ResourceInUseException"
                or "progress" not in error.message
            ):
                raise
            return None
        return True

    call.wait(accepted, what=f"deletion of EKS cluster {name}")


def _refine(olds: Properties, _news: Properties, changes: list[Change]) -> list[Change]:
    """Envelope encryption cannot be taken away; the node role of auto mode cannot be exchanged."""

    def replaces(change: Change) -> bool:
        if change.path == ("encryptionConfig",):
            return change.kind == "delete"
        if change.path == ("computeConfig", "nodeRoleArn"):
            return bool(mapping(olds, "computeConfig").get("nodeRoleArn"))
        return change.replaces

    return [Change(c.path, c.kind, replaces(c), c.old, c.new) for c in changes]


def _check(_aws: Aws, inputs: Properties) -> Iterable[Failure]:
    network = mapping(inputs, "vpcConfig")
    subnets = items(network, "subnetIds")
    known = [subnet for subnet in subnets if not is_unknown(subnet)]
    if "subnetIds" in network and len(subnets) < 2 and not is_unknown(network["subnetIds"]):
        yield Failure("vpcConfig.subnetIds", f"{len(subnets)} subnets; EKS needs two in different zones")
    if len(set(map(str, known))) < len(known):
        yield Failure("vpcConfig.subnetIds", "names a subnet twice")
    public, private = flag(network, "endpointPublicAccess", True), flag(network, "endpointPrivateAccess")
    if not public and not private:
        yield Failure("vpcConfig.endpointPrivateAccess", "false with endpointPublicAccess false; open at least one")
    if not public and items(network, "publicAccessCidrs"):
        yield Failure("vpcConfig.publicAccessCidrs", "given, but endpointPublicAccess is false")


_KNOWN: Final = get_args(EksVersion)
_KEY: Final = "aws.kubernetesVersion of the stack file"


def _taken(*minors: int) -> str:
    """Those that a stack file takes; the first where it takes none."""
    versions = [f"1.{minor}" for minor in minors]
    return " or ".join(version for version in versions if version in _KNOWN) or versions[0]


_AUTHENTICATION_ORDER: Final = ("CONFIG_MAP", "API_AND_CONFIG_MAP", "API")


def _transition(olds: Properties, news: Properties) -> Iterable[Failure]:
    """Versions go up, one by one (https://docs.aws.amazon.com/eks/latest/userguide/update-cluster.html); the way to authenticate goes one way
    (https://docs.aws.amazon.com/eks/latest/userguide/setting-up-access-entries.html); the key of secrets stays
    (https://docs.aws.amazon.com/eks/latest/userguide/enable-kms.html)."""
    before, after = checks.minor_version(olds), checks.minor_version(news)
    if before is not None and after is not None and after < before:
        yield Failure(
            "version",
            f"1.{after} is older than the cluster's 1.{before}, and EKS goes up alone; use {_taken(before, before + 1)} ({_KEY})",
        )
    elif before is not None and after is not None and after > before + 1:
        by = (
            _KEY if f"1.{before + 1}" in _KNOWN else "aws eks update-cluster-version: stack files take newer ones alone"
        )
        yield Failure(
            "version",
            f"1.{after} is {after - before} versions above 1.{before}, and EKS takes one at a time; use 1.{before + 1} first ({by})",
        )
    modes = [mapping(inputs, "accessConfig").get("authenticationMode") for inputs in (olds, news)]
    ranks = [_AUTHENTICATION_ORDER.index(mode) for mode in modes if mode in _AUTHENTICATION_ORDER]
    if len(ranks) == len(modes) and ranks[1] < ranks[0]:
        yield Failure(
            "accessConfig.authenticationMode", f"{modes[1]!r} after {modes[0]!r}, which EKS does not take back; keep it"
        )
    keys = [mapping(mapping(inputs, "encryptionConfig"), "provider").get("keyArn") for inputs in (olds, news)]
    if all(isinstance(key, str) for key in keys) and keys[0] != keys[1]:
        yield Failure(
            "encryptionConfig.provider.keyArn",
            f"{keys[1]!r}, but EKS keeps the first key of a cluster; keep {keys[0]!r}",
        )


TYPES: Final = (
    declare(
        "aws:eks/cluster:Cluster",
        api=_API,
        create=_create,
        ready=_ready,
        read=_read,
        update=_update,
        delete=_delete,
        id_of=joined("name"),
        transition=_transition,
        refine=_refine,
        tagger=tagger("eks"),
        check=(
            _check,
            checks.arn("roleArn", "encryptionConfig.provider.keyArn"),
            checks.cidr("vpcConfig.publicAccessCidrs"),
            checks.cidr("kubernetesNetworkConfig.serviceIpv4Cidr", low=12, high=24),
            checks.one_of("enabledClusterLogTypes", *_LOG_TYPES),
            checks.pattern("version", r"\d+\.\d+", "a Kubernetes version such as 1.33"),
        ),
        write_only=("bootstrapSelfManagedAddons",),
    ),
)
