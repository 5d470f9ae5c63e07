"""Kubernetes objects, one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from policies.packs import kubernetes_objects, pod_security, workloads
from policies.packs.kubernetes_objects import label_value
from policies.packs.workloads import image_host, image_tag
from tests.policies.harness import UNKNOWN, UNKNOWN_OBJECT, Given, judged, remediated, secret
from tests.policies.objects import (
    BINDING,
    CRON_JOB,
    DEPLOYMENT,
    DEPLOYMENT_PATCH,
    DIGEST,
    GATEWAY,
    GONE,
    IMAGE,
    INGRESS,
    POD_ALONE,
    ROLE,
    SERVICE,
    SERVICE_ACCOUNT,
    SPACE,
    VOLUME,
    C,
    Case,
    P,
    changed,
)
from tests.policies.table import Remedies

POLICIES = (*workloads.theme.policies, *kubernetes_objects.theme.policies, *pod_security.theme.policies)
ENFORCE = "metadata.labels.'pod-security.kubernetes.io/enforce'"
J = "spec.jobTemplate.spec.template.spec.containers.0"

CASES = [
    Case("image-digest", DEPLOYMENT, f"{C}.image", IMAGE.partition("@")[0], "names no digest"),
    Case("image-digest", DEPLOYMENT, f"{C}.image", IMAGE[:-1], "names no digest"),
    Case("image-digest", DEPLOYMENT, f"{C}.image", GONE, "no image"),
    Case("image-digest", POD_ALONE, "spec.containers.0.image", "assistant:1.4.0", "names no digest"),
    Case("image-digest", CRON_JOB, f"{J}.image", "assistant:1.4.0", "names no digest"),
    Case("image-digest", DEPLOYMENT_PATCH, f"{C}.image", "assistant:1.4.0", "names no digest"),
    Case(
        "image-digest",
        DEPLOYMENT,
        f"{P}.initContainers",
        [{"name": "fetch", "image": "fetch:1"}],
        "container fetch",
    ),
    Case("no-latest", DEPLOYMENT, f"{C}.image", "registry.example.test:5000/assistant", "whatever its latest"),
    Case("no-latest", DEPLOYMENT, f"{C}.image", "assistant:latest", "whatever its latest"),
    Case("registry-allowlist", DEPLOYMENT, f"{C}.image", f"vllm/vllm-openai:1@{DIGEST}", "not allowed"),
    Case(
        "registry-allowlist",
        DEPLOYMENT,
        f"{C}.image",
        "evil.test/1.dkr.ecr.us-east-1.amazonaws.com/x:1",
        "not allowed",
    ),
    Case("registry-allowlist", DEPLOYMENT, f"{C}.image", "nvcr.io/nvidiaevil/x:1", "not allowed"),
    Case("requests", DEPLOYMENT, f"{C}.resources.requests.cpu", GONE, "asks for no cpu"),
    Case(
        "requests",
        DEPLOYMENT,
        f"{C}.resources",
        {"limits": {"cpu": "1"}},
        "asks for no memory",
        f"{C}.resources",
    ),
    Case("memory-limit", DEPLOYMENT, f"{C}.resources.limits.memory", GONE, "no memory limit"),
    Case("non-root", DEPLOYMENT, f"{P}.securityContext.runAsNonRoot", False, "may run as root"),
    Case("non-root", DEPLOYMENT, f"{P}.securityContext.runAsUser", 0, "runs as root"),
    Case("non-root", DEPLOYMENT, f"{C}.securityContext.runAsNonRoot", False, "may run as root"),
    Case("non-root", DEPLOYMENT, f"{C}.securityContext.runAsUser", 0, "runs as root"),
    Case(
        "no-privilege-escalation",
        DEPLOYMENT,
        f"{C}.securityContext.allowPrivilegeEscalation",
        True,
        "gain privileges",
    ),
    Case("no-privilege-escalation", DEPLOYMENT, f"{C}.securityContext", GONE, "gain privileges"),
    Case("no-privileged", DEPLOYMENT, f"{C}.securityContext.privileged", True, "is privileged"),
    Case("no-privileged", DEPLOYMENT_PATCH, f"{C}.securityContext.privileged", True, "is privileged"),
    Case(
        "no-privileged",
        DEPLOYMENT,
        f"{P}.securityContext.windowsOptions",
        {"hostProcess": True},
        "HostProcess",
    ),
    Case(
        "drop-capabilities",
        DEPLOYMENT,
        f"{C}.securityContext.capabilities.drop",
        ["NET_RAW"],
        "does not name ALL",
    ),
    Case(
        "drop-capabilities",
        DEPLOYMENT,
        f"{C}.securityContext.capabilities.add",
        ["SYS_ADMIN"],
        "adds the capability SYS_ADMIN",
    ),
    Case(
        "read-only-root",
        DEPLOYMENT,
        f"{C}.securityContext.readOnlyRootFilesystem",
        GONE,
        "readOnlyRootFilesystem",
    ),
    Case("seccomp", DEPLOYMENT, f"{P}.securityContext.seccompProfile.type", "Unconfined", "is Unconfined"),
    Case(
        "seccomp",
        DEPLOYMENT,
        f"{P}.securityContext",
        {"runAsNonRoot": True},
        "is not set",
        f"{P}.securityContext",
    ),
    Case("seccomp", DEPLOYMENT, f"{C}.securityContext.seccompProfile", {"type": "Unconfined"}, "is Unconfined"),
    *(
        Case("no-host-namespaces", DEPLOYMENT, f"{P}.{key}", True, f"{key} is true")
        for key in ("hostPID", "hostIPC", "hostNetwork")
    ),
    Case(
        "no-hostpath",
        DEPLOYMENT,
        f"{P}.volumes.2",
        {"name": "all", "hostPath": {"path": "/"}},
        "volume all is a folder",
    ),
    Case("no-hostpath", VOLUME, "spec.hostPath", {"path": "/data"}, "/data"),
    Case(
        "no-service-account-token",
        DEPLOYMENT,
        f"{P}.automountServiceAccountToken",
        GONE,
        "the Pod get a token",
    ),
    Case(
        "no-service-account-token",
        SERVICE_ACCOUNT,
        "automountServiceAccountToken",
        True,
        "Pods of this account",
    ),
    Case(
        "no-default-service-account",
        DEPLOYMENT,
        f"{P}.serviceAccountName",
        "default",
        "default service account",
    ),
    Case("no-default-service-account", DEPLOYMENT, f"{P}.serviceAccountName", GONE, "default service account"),
    Case("no-default-namespace", SERVICE, "metadata.namespace", "default", "namespace default"),
    Case("no-default-namespace", DEPLOYMENT, "metadata.namespace", GONE, "namespace default"),
    Case(
        "no-secret-in-env",
        DEPLOYMENT,
        f"{C}.env.1",
        {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hub", "key": "token"}}},
        "HF_TOKEN from secret hub",
    ),
    Case("no-secret-in-env", DEPLOYMENT, f"{C}.envFrom", [{"secretRef": {"name": "all"}}], "all of secret all"),
    Case(
        "no-secret-in-env",
        DEPLOYMENT,
        f"{C}.env.1",
        {"name": "DB_PASSWORD", "value": "hunter2"},
        "DB_PASSWORD",
    ),
    Case("readiness", DEPLOYMENT, f"{C}.readinessProbe", GONE, "no readinessProbe"),
    Case("readiness", DEPLOYMENT, f"{C}.readinessProbe", {"periodSeconds": 5}, "no readinessProbe"),
    Case("readiness", POD_ALONE, "spec.containers.0.readinessProbe", GONE, "no readinessProbe"),
    Case("liveness", DEPLOYMENT, f"{C}.livenessProbe", GONE, "no livenessProbe"),
    Case(
        "labels",
        SERVICE,
        "metadata.labels",
        {"app.kubernetes.io/name": "x"},
        "instance, app.kubernetes.io/part-of",
    ),
    Case("labels", SPACE, "metadata.labels.'app.kubernetes.io/part-of'", GONE, "part-of"),
    Case("rbac-wildcard", ROLE, "rules.0.verbs", ["*"], "any of verbs"),
    Case("rbac-wildcard", ROLE, "rules.0.resources", ["*"], "any of resources"),
    Case("rbac-wildcard", ROLE, "rules.0.apiGroups", ["*"], "any of apiGroups"),
    Case("cluster-admin", BINDING, "roleRef.name", "cluster-admin", "masters of the cluster"),
    Case("cluster-admin", BINDING, "subjects.0.name", "system:masters", "system:masters"),
    Case("no-public-load-balancer", SERVICE, "spec.type", "LoadBalancer", "reached from the internet"),
    Case("no-public-load-balancer", SERVICE, "spec.externalIPs", ["203.0.113.9"], "CVE-2020-8554"),
    Case(
        "no-public-load-balancer",
        INGRESS,
        "metadata.annotations.'alb.ingress.kubernetes.io/scheme'",
        "internet-facing",
        "internet-facing",
    ),
    Case("no-public-load-balancer", INGRESS, "spec.ingressClassName", "gce", "gce-internal"),
    Case(
        "no-public-load-balancer",
        GATEWAY,
        "spec.gatewayClassName",
        "gke-l7-global-external-managed",
        "internet",
    ),
    Case("pod-security-label", SPACE, ENFORCE, "baseline", "is baseline"),
    Case("pod-security-label", SPACE, ENFORCE, GONE, "is not set"),
]
REMEDIABLE = {
    "non-root",
    "no-privilege-escalation",
    "drop-capabilities",
    "seccomp",
    "no-service-account-token",
    "labels",
    "pod-security-label",
}


class TestEachCheck(Remedies):
    POLICIES = POLICIES
    CASES = CASES
    REMEDIABLE = REMEDIABLE


class TestPods:
    def test_an_unknown_container_hides_nothing_of_the_others(self) -> None:
        given = changed(changed(DEPLOYMENT, f"{C}.image", "assistant:1"), f"{P}.containers.1", UNKNOWN_OBJECT)
        verdict = judged(POLICIES, "image-digest", given)
        assert len(verdict.violations) == 1
        assert verdict.not_evaluated

    def test_an_unknown_name_hides_nothing(self) -> None:
        given = changed(changed(DEPLOYMENT, f"{C}.image", "assistant:1"), f"{C}.name", UNKNOWN)
        assert "a container runs" in judged(POLICIES, "image-digest", given).violations[0]

    def test_jobs_need_no_probes(self) -> None:
        job = Given("kubernetes:batch/v1:Job", {"spec": {"template": {"spec": {"containers": [{"name": "x"}]}}}})
        assert judged(POLICIES, "readiness", job).not_applicable

    def test_a_pod_that_ends_needs_no_probes(self) -> None:
        bare = changed(POD_ALONE, "spec.containers.0.readinessProbe", GONE)
        assert judged(POLICIES, "readiness", changed(bare, "spec.restartPolicy", "Never")).passed

    def test_a_patch_is_not_asked_for_what_it_leaves_alone(self) -> None:
        for name in ("image-digest", "no-latest", "registry-allowlist", "no-privileged"):
            assert judged(POLICIES, name, DEPLOYMENT_PATCH).passed
        assert judged(POLICIES, "non-root", DEPLOYMENT_PATCH).not_applicable

    def test_a_limit_stands_for_a_request(self) -> None:
        given = changed(DEPLOYMENT, f"{C}.resources", {"limits": {"cpu": "1", "memory": "1Gi"}})
        assert judged(POLICIES, "requests", given).passed

    def test_a_pod_may_ask_for_all_its_containers(self) -> None:
        given = changed(DEPLOYMENT, f"{C}.resources", {})
        given = changed(
            given, f"{P}.resources", {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "1Gi"}}
        )
        assert judged(POLICIES, "requests", given).passed
        assert judged(POLICIES, "memory-limit", given).passed


class TestSecretsInTheEnvironment:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("TOKENIZERS_PARALLELISM", "false"),
            ("GOOGLE_APPLICATION_CREDENTIALS", "/var/run/key.json"),
            ("DB_PASSWORD_FILE", "secrets/password"),
            ("AWS_SECRET_NAME", "hub"),
            ("API_KEY", ""),
        ],
    )
    def test_pointers_and_look_alikes_pass(self, name: str, value: str) -> None:
        given = changed(DEPLOYMENT, f"{C}.env.1", {"name": name, "value": value})
        assert judged(POLICIES, "no-secret-in-env", given).passed

    @pytest.mark.parametrize("value", ["hunter2", secret("hunter2")])
    def test_a_value_is_never_told(self, value: Any) -> None:
        given = changed(DEPLOYMENT, f"{C}.env.1", {"name": "API_KEY", "value": value})
        verdict = judged(POLICIES, "no-secret-in-env", given)
        assert verdict.violations
        assert "hunter2" not in repr(verdict)


class TestImages:
    @pytest.mark.parametrize(
        ("image", "host", "rest"),
        [
            ("nginx", "docker.io", "library/nginx"),
            ("vllm/vllm-openai:1", "docker.io", "vllm/vllm-openai:1"),
            ("localhost/x", "localhost", "x"),
            ("registry.test:5000/x/y:1", "registry.test:5000", "x/y:1"),
        ],
    )
    def test_host(self, image: str, host: str, rest: str) -> None:
        assert image_host(image) == (host, rest)

    @pytest.mark.parametrize(
        ("image", "tag"),
        [("registry.test:5000/x", ""), ("x:1@sha256:ab", "1"), ("x@sha256:ab", ""), ("x:latest", "latest")],
    )
    def test_tag(self, image: str, tag: str) -> None:
        assert image_tag(image) == tag

    def test_a_digest_alone_is_a_version(self) -> None:
        assert judged(POLICIES, "no-latest", changed(DEPLOYMENT, f"{C}.image", f"assistant@{DIGEST}")).passed

    def test_registries_come_from_configuration(self) -> None:
        assert judged(POLICIES, "registry-allowlist", DEPLOYMENT, registries=["*-docker.pkg.dev"]).violations


class TestLoadBalancers:
    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("service.beta.kubernetes.io/aws-load-balancer-scheme", "internal"),
            ("networking.gke.io/load-balancer-type", "Internal"),
        ],
    )
    def test_internal_ones_pass(self, key: str, value: str) -> None:
        given = changed(changed(SERVICE, "spec.type", "LoadBalancer"), "metadata.annotations", {key: value})
        assert judged(POLICIES, "no-public-load-balancer", given).passed


class TestNamespaces:
    def test_the_providers_namespace_counts(self) -> None:
        given = replace(changed(SERVICE, "metadata.namespace", GONE), provider_props={"namespace": "model-x"})
        assert judged(POLICIES, "no-default-namespace", given).passed

    def test_a_lower_level_may_be_configured(self) -> None:
        given = changed(SPACE, ENFORCE, "baseline")
        assert judged(POLICIES, "pod-security-label", given, level="baseline").passed


class TestExemptions:
    def test_an_exempt_resource_is_neither_judged_nor_mended(self) -> None:
        given = changed(DEPLOYMENT, f"{P}.automountServiceAccountToken", True)
        assert judged(POLICIES, "no-service-account-token", given, exempt=["assis*"]).not_applicable
        assert remediated(POLICIES, "no-service-account-token", given, exempt=["assistant"]) == given.props


class TestRemedies:
    def test_root_gets_the_configured_user(self) -> None:
        given = changed(DEPLOYMENT, f"{C}.securityContext.runAsUser", 0)
        mended = remediated(POLICIES, "non-root", given, user=65532)
        assert mended["spec"]["template"]["spec"]["containers"][0]["securityContext"]["runAsUser"] == 65532

    def test_secrets_around_a_remedy_stay_secret(self) -> None:
        given = changed(changed(DEPLOYMENT, f"{C}.securityContext", GONE), f"{C}.env.0.value", secret("x"))
        mended = remediated(POLICIES, "no-privilege-escalation", given)
        container = mended["spec"]["template"]["spec"]["containers"][0]
        assert container["securityContext"] == {"allowPrivilegeEscalation": False}
        assert container["env"] == [{"name": "HOME", "value": secret("x")}]

    def test_a_privileged_container_is_not_made_one_that_kubernetes_refuses(self) -> None:
        given = changed(DEPLOYMENT, f"{C}.securityContext", {"privileged": True})
        assert remediated(POLICIES, "no-privilege-escalation", given) == given.props

    def test_allowed_capabilities_are_kept(self) -> None:
        given = changed(
            DEPLOYMENT,
            f"{C}.securityContext.capabilities",
            {"add": ["NET_BIND_SERVICE", "SYS_ADMIN", UNKNOWN]},
        )
        mended = remediated(POLICIES, "drop-capabilities", given)
        container = mended["spec"]["template"]["spec"]["containers"][0]
        assert container["securityContext"]["capabilities"] == {
            "drop": ["ALL"],
            "add": ["NET_BIND_SERVICE", UNKNOWN],
        }

    def test_labels_are_filled_in_and_never_overwritten(self) -> None:
        given = replace(changed(SERVICE, "metadata.labels", {"app.kubernetes.io/name": "mine"}), name="x y/z")
        assert remediated(POLICIES, "labels", given)["metadata"]["labels"] == {
            "app.kubernetes.io/name": "mine",
            "app.kubernetes.io/instance": "x-y-z",
            "app.kubernetes.io/part-of": "model-factory",
        }

    @pytest.mark.parametrize("text", ["a" * 80, "-a-", "a" * 62 + "--b"])
    def test_label_values_are_legal(self, text: str) -> None:
        value = label_value(text)
        assert 0 < len(value) <= 63
        assert value[0].isalnum()
        assert value[-1].isalnum()
