"""The local providers without a cloud: they check and compare, and refuse whatever would have to ask or change one.

For a preview from an exported state alone: no account, no network, no secret. What a program asks of a cloud (its account,
its zones) is answered from the state. Where the state does not tell, something is assumed and noted in `Known.assumed`: the
SDK takes no unknown answer to a function. Secrets of the state stay closed: they read `UNDISCLOSED`, which counts as
unchanged wherever the program still gives a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn, cast

from pulumi.runtime.proto import provider_pb2
from pulumi.runtime.proto.provider_pb2_grpc import ResourceProviderServicer

from model_factory.facts.aws import services as aws_services
from model_factory.facts.gcp import services as gcp_services
from model_factory.graph.urn import name_of
from model_factory.local import wire
from model_factory.local.clouds.kubernetes.cluster import Cluster
from model_factory.local.engine.disclosure import UNDISCLOSED
from model_factory.local.providers.aws.provider import AwsProvider
from model_factory.local.providers.aws.session import Aws
from model_factory.local.providers.base import Function, S
from model_factory.local.providers.errors import Failure, UnsupportedError
from model_factory.local.providers.gcp.provider import GcpProvider
from model_factory.local.providers.gcp.session import Gcp
from model_factory.local.providers.kubernetes.folder import FolderStore
from model_factory.local.providers.kubernetes.place import ACTIVE_CLUSTER_KEYS
from model_factory.local.providers.kubernetes.provider import RENDER, KubernetesProvider, Target
from model_factory.local.providers.provider import Provider
from model_factory.local.providers.values import text, texts
from model_factory.local.wire import Properties, Secret, Value

# The discard port: nothing is ever sent, and nothing would answer.
_NOWHERE: Final = "http://127.0.0.1:9"
_SOME_ACCOUNT: Final = "000000000000"
_ACCOUNT: Final = re.compile(r"arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:(\d{12}):")


@dataclass(frozen=True, slots=True)
class Known:
    """What a state tells of its clouds: the AWS account, AWS zones by region, versions of EKS by region and of its add-ons by region and name.

    `assumed` grows while a program runs: a sentence for each answer that the state does not hold.
    """

    aws_account: str = ""
    aws_zones: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    eks_versions: Mapping[str, str] = field(default_factory=dict[str, str])
    eks_addons: Mapping[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    assumed: set[str] = field(default_factory=set[str])

    @classmethod
    def of(cls, resources: Iterable[tuple[str, Properties]]) -> Known:
        """From the type and the outputs of each resource. An account is told only where all ARNs agree."""
        accounts: set[str] = set()
        zones: dict[str, set[str]] = {}
        versions: dict[str, str] = {}
        addons: dict[tuple[str, str], str] = {}
        for type_, outputs in resources:
            if type_.startswith("aws:"):
                accounts |= {
                    found.group(1)
                    for value in outputs.values()
                    if isinstance(value, str) and (found := _ACCOUNT.match(value))
                }
            if type_ == "aws:ec2/subnet:Subnet":
                zone = text(outputs, "availabilityZone")
                if zone:
                    zones.setdefault(text(outputs, "region") or zone[:-1], set()).add(zone)
            elif type_ == "aws:eks/cluster:Cluster":
                versions[text(outputs, "region")] = text(outputs, "version")
            elif type_ == "aws:eks/addon:Addon" and text(outputs, "addonVersion"):
                addons[text(outputs, "region"), text(outputs, "addonName")] = text(outputs, "addonVersion")
        return cls(
            accounts.pop() if len(accounts) == 1 else "",
            {region: tuple(sorted(names)) for region, names in zones.items()},
            versions,
            addons,
        )

    def account(self) -> str:
        if self.aws_account:
            return self.aws_account
        self.assumed.add(f"the AWS account is {_SOME_ACCOUNT}")
        return _SOME_ACCOUNT

    def zones(self, region: str) -> tuple[str, ...]:
        if region in self.aws_zones:
            return self.aws_zones[region]
        names = tuple(f"{region}{letter}" for letter in "abc")
        self.assumed.add(f"the zones of {region} are {', '.join(names)}")
        return names

    def addon(self, region: str, name: str, kubernetes: str) -> str:
        if (region, name) in self.eks_addons:
            if self.eks_versions.get(region) != kubernetes:
                self.assumed.add(f"EKS add-ons in {region} keep their versions")
            return self.eks_addons[region, name]
        self.assumed.add(f"new EKS add-ons in {region} get the versions that EKS installs by default")
        return "default"


def offline_providers(known: Known, nowhere: Path) -> Mapping[str, Callable[[], ResourceProviderServicer]]:
    """Factories by package. `nowhere` is a folder that does not exist: clusters are not looked at."""
    return {
        "aws": lambda: OfflineAws(known),
        "gcp": OfflineGcp,
        "kubernetes": lambda: OfflineKubernetes(nowhere),
    }


class Offline(Provider[S]):
    """What all have in common. Stands before the provider in the order of bases."""

    def DiffConfig(self, request: provider_pb2.DiffRequest, context: Any) -> provider_pb2.DiffResponse:
        return super().DiffConfig(_disclosed(request), context)

    def Diff(self, request: provider_pb2.DiffRequest, context: Any) -> provider_pb2.DiffResponse:
        return super().Diff(_disclosed(request), context)

    def Create(self, request: provider_pb2.CreateRequest, context: Any) -> provider_pb2.CreateResponse:
        if not request.preview:
            return self._guard(context, lambda: _refuse("create", request.urn))
        return super().Create(request, context)

    def Update(self, request: provider_pb2.UpdateRequest, context: Any) -> provider_pb2.UpdateResponse:
        if not request.preview:
            return self._guard(context, lambda: _refuse("update", request.urn))
        return super().Update(request, context)

    def Read(self, request: provider_pb2.ReadRequest, context: Any) -> provider_pb2.ReadResponse:
        return self._guard(context, lambda: _refuse("read", request.urn))

    def Delete(self, request: provider_pb2.DeleteRequest, context: Any) -> Any:
        return self._guard(context, lambda: _refuse("delete", request.urn))


class OfflineAws(Offline[Aws], AwsProvider):
    """pulumi-aws' types, checked against AWS' published models and compared with the state."""

    def __init__(self, known: Known) -> None:
        super().__init__()
        self._known = known

    def check_config(self, config: Properties) -> Iterable[Failure]:
        return super().check_config(_aws_nowhere(config))

    def configure(self, config: Properties) -> Aws:
        return super().configure(_aws_nowhere(config))

    def function(self, token: str) -> Function[Aws]:
        if token == "aws:index/getCallerIdentity:getCallerIdentity":  # noqa: S105 - a function's token
            return lambda aws, _arguments: _identity(self._known, aws)
        if token == "aws:index/getAvailabilityZones:getAvailabilityZones":  # noqa: S105 - a function's token
            return lambda aws, arguments: _zones(self._known, aws, arguments)
        if token == "aws:eks/getAddonVersion:getAddonVersion":  # noqa: S105 - a function's token
            return lambda aws, arguments: _addon(self._known, aws, arguments)
        if token == "aws:eks/getClusters:getClusters":  # noqa: S105 - a function's token
            return _no_clusters
        return super().function(token)  # the others compute their answer


class OfflineGcp(Offline[Gcp], GcpProvider):
    """pulumi-gcp's types, checked against Google's discovery documents and compared with the state."""

    def configure(self, config: Properties) -> Gcp:
        own = {key: value for key, value in config.items() if not key.endswith("CustomEndpoint")}
        nowhere = {keys[0]: f"{_NOWHERE}/{service}/v1/" for service, keys in gcp_services.SERVICES.items()}
        return super().configure({**own, **nowhere})

    def function(self, token: str) -> Function[Gcp]:
        if token == "gcp:organizations/getProject:getProject":  # noqa: S105 - a function's token
            raise UnsupportedError(
                f"{token} asks Google, and a preview from a state file asks nobody; write the project in the stack file"
            )
        return super().function(token)


class OfflineKubernetes(Offline[Target], KubernetesProvider):
    """Any kind of the published schemas. Takes a kubeconfig as well as a render folder, and opens neither."""

    def check_config(self, config: Properties) -> Iterable[Failure]:  # noqa: ARG002 - the method's signature
        return ()

    def configure(self, config: Properties) -> Target:
        folder = str(self._root or Path("nowhere"))
        target = super().configure(
            {
                **{key: value for key, value in config.items() if key not in ACTIVE_CLUSTER_KEYS},
                RENDER: folder,
            }
        )
        store = FolderStore(Cluster(Path(folder)))
        return Target(store, target.namespace, target.mutable_config_maps, target.mutable_secrets)


def _identity(known: Known, aws: Aws) -> Properties:
    account = known.account()
    arn = f"arn:{aws.partition}:iam::{account}:root"
    return {"id": account, "accountId": account, "arn": arn, "userId": account}


def _zones(known: Known, aws: Aws, arguments: Properties) -> Properties:
    region = text(arguments, "region") or aws.region
    names = [name for name in known.zones(region) if name not in texts(arguments, "excludeNames")]
    # Ids differ from account to account; nobody can tell them from names.
    return {
        **arguments,
        "id": region,
        "region": region,
        "names": [*names],
        "zoneIds": [],
        "groupNames": [region],
    }


def _addon(known: Known, aws: Aws, arguments: Properties) -> Properties:
    name = text(arguments, "addonName")
    return {
        **arguments,
        "id": name,
        "version": known.addon(text(arguments, "region") or aws.region, name, text(arguments, "kubernetesVersion")),
    }


def _no_clusters(aws: Aws, arguments: Properties) -> Properties:
    """So that node groups keep the sizes of the state, as everything keeps what the state says of it."""
    region = text(arguments, "region") or aws.region
    return {**arguments, "id": region, "region": region, "names": []}


def _aws_nowhere(config: Properties) -> Properties:
    endpoints: Value = [dict.fromkeys(aws_services.SERVICES, _NOWHERE)]
    return {**config, "endpoints": endpoints}


def _refuse(verb: str, urn: str) -> NoReturn:
    raise UnsupportedError(
        f"to {verb} {name_of(urn)} a cloud would have to be asked, and a preview from a state file asks none; "
        f"preview with the stack's own engine for it"
    )


def _disclosed(request: provider_pb2.DiffRequest) -> provider_pb2.DiffRequest:
    """The request with each undisclosed secret of the state taken for what the program gives there now."""
    news = wire.decode(request.news)
    copy = provider_pb2.DiffRequest()
    copy.CopyFrom(request)
    copy.olds.CopyFrom(wire.encode(_disclose_all(wire.decode(request.olds), news)))
    copy.old_inputs.CopyFrom(wire.encode(_disclose_all(wire.decode(request.old_inputs), news)))
    return copy


def _disclose_all(olds: Properties, news: Properties) -> Properties:
    return cast("Properties", _disclose(olds, news))


def _disclose(old: Value, new: Value) -> Value:
    if isinstance(old, Secret):
        return new if old.value == UNDISCLOSED and isinstance(new, Secret) else old
    if isinstance(old, dict) and isinstance(new, dict):
        return {key: _disclose(value, new.get(key)) for key, value in old.items()}
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [_disclose(one, other) for one, other in zip(old, new, strict=True)]
    return old
