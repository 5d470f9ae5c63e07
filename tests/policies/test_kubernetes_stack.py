"""Kubernetes objects together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from policies.packs import kubernetes_stack
from tests.policies.harness import UNKNOWN, Given, Verdict, judged, judged_stack
from tests.policies.objects import (
    ALLOW,
    AUTOSCALER,
    BUDGET,
    DENY,
    DEPLOYMENT,
    GONE,
    NAMESPACE,
    SCALED_OBJECT,
    SERVICE,
    SPACE,
    STACK,
    Case,
    P,
    changed,
)

POLICIES = kubernetes_stack.theme.policies
SPREAD = f"{P}.topologySpreadConstraints"
STACK_POLICIES = [each.name for each in POLICIES if each.name != "topology-spread"]

CASES = [
    Case("default-deny", DENY, "spec.podSelector", {"matchLabels": {"a": "b"}}, "denies Ingress and Egress"),
    Case("default-deny", DENY, "spec.policyTypes", ["Ingress"], "denies Egress"),
    Case("default-deny", DENY, "metadata.namespace", "elsewhere", f"namespace {NAMESPACE} has no NetworkPolicy"),
    Case("default-deny", ALLOW, "spec.ingress", [{}], "allow in model-assistant allows Ingress"),
    Case(
        "default-deny",
        DEPLOYMENT,
        "metadata.namespace",
        "elsewhere",
        "namespace elsewhere has no NetworkPolicy",
    ),
    Case(
        "pdb-exists",
        BUDGET,
        "spec.selector.matchLabels",
        {"a": "b"},
        "no PodDisruptionBudget covers Deployment",
    ),
    Case("pdb-exists", BUDGET, "metadata.namespace", "elsewhere", "no PodDisruptionBudget covers Deployment"),
    Case("pdb-below-min-replicas", BUDGET, "spec.maxUnavailable", 0, "allows no Pod to go"),
    Case("pdb-below-min-replicas", BUDGET, "spec.maxUnavailable", "0%", "allows no Pod to go"),
    Case("pdb-below-min-replicas", BUDGET, "spec.minAvailable", 2, "which may run 2"),
    Case("pdb-below-min-replicas", BUDGET, "spec.minAvailable", "51%", "which may run 2"),
    Case("autoscaler-target-exists", AUTOSCALER, "spec.scaleTargetRef.name", "gone", f"{NAMESPACE}/gone"),
    Case("autoscaler-target-exists", AUTOSCALER, "spec.scaleTargetRef.kind", "StatefulSet", "StatefulSet"),
    Case("replicas-not-set-under-autoscaler", DEPLOYMENT, "spec.replicas", 3, "sets replicas"),
    Case("dangling-service", SERVICE, "spec.selector", {"a": "b"}, "selects no Pods"),
    Case("dangling-service", SERVICE, "spec.ports.0.targetPort", "grpc", "port grpc"),
    Case("dangling-service", SERVICE, "metadata.namespace", "elsewhere", "selects no Pods"),
]


def with_(*others: Given, without: Sequence[Given] = ()) -> list[Given]:
    """The stack with some resources put in the place of those of the same type and name."""
    taken = {each.urn for each in (*others, *without)}
    return [*(each for each in STACK if each.urn not in taken), *others]


def verdict(policy: str, resources: Sequence[Given], **config: object) -> Verdict:
    return judged_stack(POLICIES, policy, resources, **config)


class TestEachCheck:
    @pytest.mark.parametrize("policy", STACK_POLICIES)
    def test_passes_what_is_right(self, policy: str) -> None:
        assert verdict(policy, STACK).passed

    @pytest.mark.parametrize("case", CASES, ids=str)
    def test_finds_what_is_wrong(self, case: Case) -> None:
        found = verdict(case.policy, with_(case.broken))
        assert any(case.says in each for each in found.violations), found
        assert all(urn in {each.urn for each in STACK} for urn in found.urns)
        assert not found.not_evaluated

    @pytest.mark.parametrize("case", CASES, ids=str)
    def test_does_not_judge_a_cluster_of_which_something_is_not_known(self, case: Case) -> None:
        found = verdict(case.policy, with_(changed(case.given, case.path, UNKNOWN)))
        assert found.not_evaluated
        assert not found.violations

    @pytest.mark.parametrize("policy", STACK_POLICIES)
    def test_objects_of_a_cluster_that_is_not_there_yet_are_not_evaluated(self, policy: str) -> None:
        empty = [replace(each, props={}) if each.type.startswith("kubernetes:") else each for each in STACK]
        assert verdict(policy, empty).not_evaluated

    def test_every_check_is_broken_by_some_case(self) -> None:
        here = {each.policy for each in CASES} | {"one-autoscaler-a-target", "topology-spread"}
        assert {each.name for each in POLICIES} == here


class TestClusters:
    def test_what_is_in_another_cluster_helps_nobody(self) -> None:
        elsewhere = replace(BUDGET, provider="other")
        assert verdict("pdb-exists", with_(elsewhere)).violations

    def test_an_unknown_in_one_cluster_hides_nothing_of_another(self) -> None:
        unknown = replace(changed(BUDGET, "spec.selector.matchLabels", UNKNOWN), provider="other", name="unknown")
        bare = replace(DEPLOYMENT, provider="other", name="unknown")
        found = verdict("pdb-exists", [*with_(without=[BUDGET]), unknown, bare])
        assert len(found.violations) == 1
        assert found.not_evaluated

    def test_the_same_names_in_two_clusters_are_two_things(self) -> None:
        second = [replace(each, provider="other", name=f"{each.name}-2") for each in (DEPLOYMENT, AUTOSCALER)]
        assert verdict("one-autoscaler-a-target", [*STACK, *second]).passed


class TestAutoscalers:
    def test_two_on_one_target_undo_each_other(self) -> None:
        found = verdict("one-autoscaler-a-target", [*STACK, SCALED_OBJECT])
        assert "HorizontalPodAutoscaler" in found.violations[0]
        assert "ScaledObject" in found.violations[0]
        assert found.urns == (DEPLOYMENT.urn,)

    def test_an_unknown_target_is_not_judged(self) -> None:
        unknown = changed(SCALED_OBJECT, "spec.scaleTargetRef.name", UNKNOWN)
        assert verdict("one-autoscaler-a-target", [*STACK, unknown]).not_evaluated

    def test_replicas_are_free_without_one(self) -> None:
        resources = with_(changed(DEPLOYMENT, "spec.replicas", 3), without=[AUTOSCALER])
        assert verdict("replicas-not-set-under-autoscaler", resources).passed

    @pytest.mark.parametrize(
        ("manager", "passes"), [("pulumi-kubernetes-1a2b", False), ("kube-controller-manager", True)]
    )
    def test_a_count_read_back_from_a_cluster_is_its_managers(self, manager: str, passes: bool) -> None:
        live = changed(
            changed(DEPLOYMENT, "spec.replicas", 3),
            "metadata.managedFields",
            [
                {"manager": manager, "fieldsV1": {"f:spec": {"f:replicas": {}}}},
                {"manager": "pulumi-kubernetes-1a2b", "fieldsV1": {"f:spec": {"f:template": {}}}},
            ],
        )
        assert verdict("replicas-not-set-under-autoscaler", with_(live)).passed is passes


class TestBudgets:
    @pytest.mark.parametrize("least", [1, "50%"])
    def test_room_for_one_is_enough(self, least: object) -> None:
        assert verdict("pdb-below-min-replicas", with_(changed(BUDGET, "spec.minAvailable", least))).passed

    def test_without_an_autoscaler_the_workloads_own_count_is_meant(self) -> None:
        budget = changed(BUDGET, "spec.minAvailable", 2)
        resources = with_(budget, changed(DEPLOYMENT, "spec.replicas", 3), without=[AUTOSCALER])
        assert verdict("pdb-below-min-replicas", resources).passed
        assert verdict("pdb-below-min-replicas", with_(budget, without=[AUTOSCALER])).violations

    def test_expressions_select_too(self) -> None:
        expression = {"key": "model", "operator": "In", "values": ["assistant"]}
        resources = with_(changed(BUDGET, "spec.selector", {"matchExpressions": [expression]}))
        assert verdict("pdb-exists", resources).passed


class TestDefaultDeny:
    def test_two_policies_may_share_the_work(self) -> None:
        half = changed(DENY, "spec.policyTypes", ["Ingress"])
        other = replace(changed(DENY, "spec.policyTypes", ["Egress"]), name="other")
        assert verdict("default-deny", [*with_(half), other]).passed

    def test_a_policy_that_does_not_say_rules_what_comes_in(self) -> None:
        silent = changed(DENY, "spec.policyTypes", GONE)
        assert "denies Egress" in verdict("default-deny", with_(silent)).violations[0]

    def test_some_namespaces_are_looked_after_by_others(self) -> None:
        assert verdict("default-deny", with_(without=[DENY]), exemptNamespaces=[NAMESPACE]).passed

    def test_a_namespace_that_pods_use_counts_without_being_made(self) -> None:
        assert verdict("default-deny", with_(without=[DENY, SPACE])).violations


class TestServices:
    @pytest.mark.parametrize("spec", [{"type": "ExternalName", "selector": {"a": "b"}}, {"ports": []}])
    def test_those_that_lead_outside_pass(self, spec: dict[str, object]) -> None:
        assert verdict("dangling-service", with_(changed(SERVICE, "spec", spec))).passed

    def test_a_number_needs_no_name(self) -> None:
        assert verdict("dangling-service", with_(changed(SERVICE, "spec.ports.0.targetPort", 9999))).passed


class TestSpread:
    def test_passes_what_is_right(self) -> None:
        assert judged(POLICIES, "topology-spread", DEPLOYMENT).passed

    def test_finds_what_is_wrong(self) -> None:
        bare = changed(DEPLOYMENT, SPREAD, GONE)
        assert "topology.kubernetes.io/zone" in judged(POLICIES, "topology-spread", bare).violations[0]
        others = changed(DEPLOYMENT, f"{SPREAD}.0.labelSelector", {"matchLabels": {"a": "b"}})
        assert "counts other Pods" in judged(POLICIES, "topology-spread", others).violations[0]

    def test_does_not_pass_what_is_not_known(self) -> None:
        assert judged(POLICIES, "topology-spread", changed(DEPLOYMENT, SPREAD, UNKNOWN)).not_evaluated

    def test_pods_may_repel_each_other_instead(self) -> None:
        term = {"weight": 1, "podAffinityTerm": {"topologyKey": "topology.kubernetes.io/zone"}}
        affinity = {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [term]}}
        given = changed(changed(DEPLOYMENT, SPREAD, GONE), f"{P}.affinity", affinity)
        assert judged(POLICIES, "topology-spread", given).passed

    def test_one_replica_cannot_be_spread(self) -> None:
        assert judged(
            POLICIES, "topology-spread", changed(changed(DEPLOYMENT, SPREAD, GONE), "spec.replicas", 1)
        ).passed
