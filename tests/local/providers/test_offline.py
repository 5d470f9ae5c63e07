"""Providers without a cloud: they check and compare, answer from the state, and refuse the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from model_factory.local.engine.disclosure import UNDISCLOSED
from model_factory.local.engine.errors import ProviderCallError
from model_factory.local.engine.plugins import ProviderInstance
from model_factory.local.providers.offline import Known, offline_providers
from model_factory.local.wire import UNKNOWN, Properties, Secret

VPC = "urn:pulumi:s::p::aws:ec2/vpc:Vpc::main"
SECRET = "urn:pulumi:s::p::kubernetes:core/v1:Secret::main"
CONFIGS: dict[str, Properties] = {
    "aws": {"region": "eu-west-1"},
    "gcp": {
        "project": "example",
        "region": "us-central1",
        "computeCustomEndpoint": "https://compute.example/v1/",
    },
    "kubernetes": {"kubeconfig": "{}"},
}


def made(package: str, known: Known | None = None, **config: Any) -> ProviderInstance:
    instance = ProviderInstance(package, offline_providers(known or Known(), Path("/nowhere"))[package]())
    urn = f"urn:pulumi:s::p::pulumi:providers:{package}::default"
    inputs = {**CONFIGS[package], **config}
    checked, failures = instance.check_config(urn, {}, inputs)
    assert failures == []
    instance.configure(urn, "id", checked)
    return instance


class TestWhatAsksACloud:
    @pytest.mark.parametrize("package", sorted(CONFIGS))
    def test_is_refused_by_name(self, package: str) -> None:
        instance = made(package)
        calls = {
            "create": lambda: instance.create(VPC, {}, 1, preview=False),
            "update": lambda: instance.update(VPC, "id", {}, {}, {}, 1, [], preview=False),
            "delete": lambda: instance.delete(VPC, "id", {}, {}, 1),
            "read": lambda: instance.read(VPC, "id", {}, {}),
        }
        for verb, call in calls.items():
            with pytest.raises(ProviderCallError, match=f"to {verb} main a cloud would have to be asked"):
                call()

    def test_is_refused_for_functions_that_the_state_cannot_answer(self) -> None:
        with pytest.raises(ProviderCallError, match="asks Google"):
            made("gcp").invoke("gcp:organizations/getProject:getProject", {}, preview=True)

    @pytest.mark.parametrize("package", sorted(CONFIGS))
    def test_is_nothing_that_configuring_does(self, package: str) -> None:
        """Real accounts have no endpoints on loopback, and tests have no other network."""
        assert made(package).known


class TestChecks:
    def test_are_those_of_the_published_model(self) -> None:
        checked, failures = made("aws").check(VPC, None, {"cidrBlock": "10.0.0.0/16", "nope": 1}, b"seed")
        assert [failure.property for failure in failures] == ["nope"]
        assert checked["region"] == "eu-west-1"

    def test_refuse_a_region_that_is_none(self) -> None:
        instance = ProviderInstance("aws", offline_providers(Known(), Path("/nowhere"))["aws"]())
        _, failures = instance.check_config("urn:pulumi:s::p::pulumi:providers:aws::x", {}, {"region": "mars-1"})
        assert [failure.property for failure in failures] == ["region"]


class TestKnown:
    SUBNET = "aws:ec2/subnet:Subnet"

    def test_reads_account_and_zones_from_the_state(self) -> None:
        known = Known.of(
            [
                ("aws:iam/role:Role", {"arn": "arn:aws:iam::123456789012:role/x", "name": "x"}),
                (self.SUBNET, {"availabilityZone": "eu-west-1b", "region": "eu-west-1"}),
                (self.SUBNET, {"availabilityZone": "eu-west-1a", "region": "eu-west-1"}),
                ("gcp:compute/network:Network", {"note": "arn:aws:iam::999999999999:role/x"}),
            ]
        )
        aws = made("aws", known)
        answer, _ = aws.invoke("aws:index/getCallerIdentity:getCallerIdentity", {}, preview=True)
        assert answer["accountId"] == "123456789012"
        answer, _ = aws.invoke("aws:index/getAvailabilityZones:getAvailabilityZones", {}, preview=True)
        assert answer["names"] == ["eu-west-1a", "eu-west-1b"]
        assert known.assumed == set()

    def test_notes_what_it_assumes(self) -> None:
        known = Known()
        aws = made("aws", known)
        aws.invoke("aws:index/getCallerIdentity:getCallerIdentity", {}, preview=True)
        aws.invoke("aws:index/getAvailabilityZones:getAvailabilityZones", {"region": "us-east-2"}, preview=True)
        assert known.assumed == {
            "the AWS account is 000000000000",
            "the zones of us-east-2 are us-east-2a, us-east-2b, us-east-2c",
        }

    def test_takes_the_versions_of_addons_that_run_for_those_to_come(self) -> None:
        running: Properties = {"region": "eu-west-1", "addonName": "coredns", "addonVersion": "v1"}
        cluster: Properties = {"region": "eu-west-1", "version": "1.34"}
        known = Known.of([("aws:eks/addon:Addon", running), ("aws:eks/cluster:Cluster", cluster)])
        aws, token = made("aws", known), "aws:eks/getAddonVersion:getAddonVersion"
        as_it_runs: Properties = {"kubernetesVersion": "1.34", "region": "eu-west-1", "addonName": "coredns"}
        assert aws.invoke(token, as_it_runs, preview=True)[0]["version"] == "v1"
        assert known.assumed == set()
        asked = {"kubernetesVersion": "1.35", "region": "eu-west-1"}
        assert aws.invoke(token, {**asked, "addonName": "coredns"}, preview=True)[0]["version"] == "v1"
        assert aws.invoke(token, {**asked, "addonName": "kube-proxy"}, preview=True)[0]["version"] == "default"
        assert known.assumed == {
            "EKS add-ons in eu-west-1 keep their versions",
            "new EKS add-ons in eu-west-1 get the versions that EKS installs by default",
        }

    def test_takes_no_account_where_arns_disagree(self) -> None:
        arns = ("arn:aws:iam::111111111111:role/x", "arn:aws:iam::222222222222:role/y")
        assert Known.of([("aws:iam/role:Role", {"arn": arn}) for arn in arns]).aws_account == ""


class TestComputedInputs:
    """As pulumi-aws: https://developer.hashicorp.com/terraform/plugin/sdkv2/schemas/schema-behaviors#computed"""

    def test_one_that_is_given_as_the_cloud_had_filled_it_in_is_no_change(self) -> None:
        aws, urn = made("aws"), "urn:pulumi:s::p::aws:eks/nodeGroup:NodeGroup::n"
        old: Properties = {"clusterName": "c", "nodeRoleArn": "r", "subnetIds": ["s"], "scalingConfig": {"minSize": 1}}
        state: Properties = {**old, "version": "1.35", "nodeGroupName": "n"}
        assert aws.diff(urn, "c:n", old, state, {**old, "version": "1.35"}, []).changed is False
        assert aws.diff(urn, "c:n", old, state, {**old, "version": "1.36"}, []).changed is True


class TestUndisclosedSecrets:
    @staticmethod
    def differs(old: Properties, new: Properties) -> bool | None:
        instance = made("kubernetes")
        old, new = ({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}, **each} for each in (old, new))
        return instance.diff(SECRET, "default/x", old, old, new, []).changed

    def test_count_as_unchanged_where_the_program_still_gives_a_secret(self) -> None:
        old: Properties = {"stringData": {"a": Secret(UNDISCLOSED)}}
        assert self.differs(old, {"stringData": {"a": Secret("anything")}}) is False

    def test_show_where_the_program_gives_plain_text_or_nothing_now(self) -> None:
        old: Properties = {"stringData": {"a": Secret(UNDISCLOSED)}}
        assert self.differs(old, {"stringData": {"a": "plain"}}) is True
        assert self.differs(old, {"stringData": {}}) is True

    def test_hide_no_other_change(self) -> None:
        old: Properties = {"stringData": {"a": Secret(UNDISCLOSED)}, "type": "Opaque"}
        assert self.differs(old, {"stringData": {"a": Secret("x"), "b": "y"}, "type": "Opaque"}) is True


def kubeconfig(server: str, user: str = "one") -> str:
    return (
        f'{{"current-context": "c", "clusters": [{{"name": "k", "cluster": {{"server": "{server}"}}}}],'
        f' "contexts": [{{"name": "c", "context": {{"cluster": "k", "user": "{user}"}}}}]}}'
    )


class TestActiveCluster:
    URN = "urn:pulumi:s::p::pulumi:providers:kubernetes::k"

    @pytest.mark.parametrize(
        ("old", "new", "replaces"),
        [
            (kubeconfig("https://a"), kubeconfig("https://a", user="two"), False),
            (kubeconfig("https://a"), kubeconfig("https://b"), True),
            (kubeconfig("https://a"), UNKNOWN, True),
            (Secret(UNDISCLOSED), Secret(kubeconfig("https://b")), False),
        ],
    )  # fmt: skip
    def test_another_one_replaces_what_stands_in_it(self, old: Any, new: Any, *, replaces: bool) -> None:
        inputs, news = {"kubeconfig": old}, {"kubeconfig": new}
        answer = made("kubernetes").diff_config(self.URN, "id", inputs, inputs, news)
        assert answer.replaces is replaces
        assert answer.replace_keys == (("kubeconfig",) if replaces else ())

    def test_stays_the_same_for_the_same_identifier(self) -> None:
        old = {"kubeconfig": kubeconfig("https://a"), "clusterIdentifier": "one"}
        new = {"kubeconfig": kubeconfig("https://b"), "clusterIdentifier": "one"}
        assert not made("kubernetes").diff_config(self.URN, "id", old, old, new).replaces
