"""The provider's objects in a real API server: the stack's own, and what the server, other hands and controllers do to them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pulumi.runtime.proto import provider_pb2

from model_factory.access.client import ClusterClient
from model_factory.access.errors import ApiError
from model_factory.local import wire
from model_factory.local.clouds.kubernetes.manifest import load
from model_factory.local.lab.control_plane import ControlPlane
from model_factory.local.providers.kubernetes.server import ServerStore
from model_factory.local.providers.retries import log
from model_factory.local.wire import Secret, is_unknown
from tests.components.conftest import ran_stack
from tests.local.providers.kubernetes.calls import PROJECT, AbortedError, Engine

pytestmark = [pytest.mark.lab, pytest.mark.slow]

CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
CRD = "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
JOB = "kubernetes:batch/v1:Job"
NAMESPACE = "kubernetes:core/v1:Namespace"
POD = "kubernetes:core/v1:Pod"
SERVICE = "kubernetes:core/v1:Service"
WIDGET = "kubernetes:lab.example.com/v1:Widget"
NONE = provider_pb2.DiffResponse.DIFF_NONE
RESTRICTED = "pod-security.kubernetes.io/enforce"
LIMIT_SECONDS = 2.0
"""How long an object that never gets ready is waited for."""


@pytest.fixture
def engine(control_plane: ControlPlane, tmp_path: Path) -> Engine:
    return Engine(tmp_path, {"renderYamlToDirectory": "", "kubeconfig": str(control_plane.admin_kubeconfig)})


@pytest.fixture
def space(cluster: ClusterClient, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own."""
    name = request.node.name.removeprefix("test_").replace("_", "-")[:50].strip("-").lower()
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, manager="tests")
    yield name
    cluster.delete("v1", "Namespace", name)


def config_map(space: str, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": "web", "namespace": space}, "data": data}


def deployment(space: str, annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "web", "namespace": space, "annotations": annotations or {}},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "a", "resources": {"limits": {"cpu": "1000m"}}}]},
            },
            **spec,
        },
    }


def made(engine: Engine, type_: str, properties: dict[str, Any]) -> tuple[str, Any, Any]:
    """Id, inputs and state of a new object."""
    inputs = engine.checked(type_, properties)
    identity, state = engine.create(type_, inputs)
    return identity, inputs, state


def is_same(engine: Engine, type_: str, state: Any, inputs: Any) -> bool:
    return engine.diff(type_, state, inputs).changes == NONE


class TestTheStacksObjects:
    @pytest.mark.parametrize("stack", ["dev", "prod", "lab"])
    def test_the_server_takes_every_object_without_a_word_and_admits_its_pods(
        self,
        stack: str,
        engine: Engine,
        cluster: ClusterClient,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Strictly validated; compared, read and applied once more, nothing changes; Pods of each template pass admission."""
        # There are no nodes here.
        monkeypatch.setattr(ServerStore, "ready", lambda _self, _call, _inputs, live: live)
        monkeypatch.setattr(ServerStore, "not_ready", lambda _self, _inputs, _live: "")
        caplog.set_level(logging.WARNING, log.name)
        objects = [each for each in ran_stack(stack).resources if each.type.startswith("kubernetes:") and each.custom]
        assert len(objects) > 10
        for provider in sorted({each.provider for each in objects}):
            outside: list[tuple[str, str, Any]] = []
            for each in (found for found in objects if found.provider == provider):
                inputs = engine.checked(each.type, each.inputs, name=each.name)
                identity, state = engine.create(each.type, inputs)
                assert is_same(engine, each.type, state, inputs), each.name
                _, _, read = engine.read(each.type, identity, inputs, state)
                assert is_same(engine, each.type, read, inputs), each.name
                applied = engine.update(each.type, identity, read, inputs)
                again = engine.update(each.type, identity, applied, inputs)
                assert asked_for(again) == asked_for(applied), each.name
                if "/" not in identity:
                    outside.append((each.type, identity, again))
                if each.type == DEPLOYMENT:
                    cluster.create(pod_of(again), dry_run=True)
            with ThreadPoolExecutor() as pool:
                list(pool.map(lambda found: engine.delete(*found), outside))
        assert [record.getMessage() for record in caplog.records if record.name == log.name] == []

    def test_rendered_files_can_be_applied_by_hand_in_their_order(self, cluster: ClusterClient, tmp_path: Path) -> None:
        """As `kubectl apply --recursive -f` does it."""
        rendered = Engine(tmp_path)
        objects = [each for each in ran_stack("dev").resources if each.type.startswith("kubernetes:") and each.custom]
        for each in (found for found in objects if found.provider == objects[0].provider):
            rendered.create(each.type, rendered.checked(each.type, each.inputs, name=each.name))
        files = sorted(rendered.folder.rglob("*.yaml"))
        applied = [cluster.apply(load(file.read_text(encoding="utf-8")), manager="kubectl").object for file in files]
        assert len(applied) > 10
        for obj in reversed(applied):
            metadata = obj["metadata"]
            cluster.delete(obj["apiVersion"], obj["kind"], metadata["name"], namespace=metadata.get("namespace", ""))

    def test_a_pod_that_may_do_more_is_not_admitted(self, cluster: ClusterClient, space: str) -> None:
        cluster.patch("v1", "Namespace", space, {"metadata": {"labels": {RESTRICTED: "restricted"}}})
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "web", "namespace": space}}
        cluster.apply(account, manager="tests")
        spec = {"serviceAccountName": "web", "containers": [{"name": "c", "image": "a"}]}
        pod = {"metadata": {"name": "web", "namespace": space}, "spec": spec}
        with pytest.raises(ApiError, match="violates PodSecurity"):
            cluster.create({"apiVersion": "v1", "kind": "Pod", **pod}, dry_run=True)


def asked_for(state: Any) -> dict[str, Any]:
    """An object without what controllers write into it meanwhile."""
    metadata = {key: value for key, value in state["metadata"].items() if key not in ("annotations", "resourceVersion")}
    return {**{key: value for key, value in state.items() if key != "status"}, "metadata": metadata}


def pod_of(state: Any) -> dict[str, Any]:
    template = wire.reveal(state["spec"]["template"])
    metadata = {**template["metadata"], "name": "made-from-template", "namespace": state["metadata"]["namespace"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


class TestCreating:
    def test_an_object_that_is_there_is_refused_with_the_ways_to_have_it(self, engine: Engine, space: str) -> None:
        _, inputs, _ = made(engine, CONFIG_MAP, config_map(space))
        with pytest.raises(AbortedError, match=r"AlreadyExists.*import it"):
            engine.create(CONFIG_MAP, inputs)

    def test_a_provider_that_may_takes_over_what_is_there(
        self, control_plane: ControlPlane, cluster: ClusterClient, space: str, tmp_path: Path
    ) -> None:
        cluster.create({"apiVersion": "v1", "kind": "ConfigMap", **config_map(space, a="b")})
        config = {"kubeconfig": str(control_plane.admin_kubeconfig), "upsertExistingObjects": True}
        engine = Engine(tmp_path, {"renderYamlToDirectory": "", **config})
        _, _, state = made(engine, CONFIG_MAP, config_map(space, b="c"))
        assert state["data"] == {"a": "b", "b": "c"}

    def test_a_killed_create_is_found_again_by_whose_it_is(
        self, engine: Engine, cluster: ClusterClient, space: str
    ) -> None:
        urn = f"{PROJECT}{CONFIG_MAP}::web"
        identity, inputs, _ = made(engine, CONFIG_MAP, config_map(space, a="b"))
        assert engine.provider.adopt(CONFIG_MAP, urn, inputs) == identity
        assert engine.provider.adopt(CONFIG_MAP, urn, inputs, (identity,)) is None
        assert engine.provider.adopt(CONFIG_MAP, f"{urn}-other", inputs) is None
        cluster.delete("v1", "ConfigMap", "web", namespace=space)
        assert engine.provider.adopt(CONFIG_MAP, urn, inputs) is None

    def test_the_server_names_an_object_where_the_stack_leaves_it_to_it(self, engine: Engine, space: str) -> None:
        properties = {"metadata": {"generateName": "web-", "namespace": space}, "data": {"a": "b"}}
        identity, inputs, state = made(engine, CONFIG_MAP, properties)
        assert identity.startswith(f"{space}/web-")
        _, outputs = engine.create(CONFIG_MAP, inputs, preview=True)
        assert is_unknown(outputs["metadata"]["name"])
        assert is_same(engine, CONFIG_MAP, state, inputs)
        urn = f"{PROJECT}{CONFIG_MAP}::web"
        assert engine.provider.adopt(CONFIG_MAP, urn, inputs) == identity
        changed = engine.checked(CONFIG_MAP, {**properties, "data": {"a": "c"}}, inputs)
        assert engine.update(CONFIG_MAP, identity, state, changed)["data"] == {"a": "c"}

    def test_a_preview_tells_what_the_server_would_refuse_and_keeps_nothing(
        self, engine: Engine, cluster: ClusterClient, space: str
    ) -> None:
        service = {"metadata": {"name": "web", "namespace": space}, "spec": {"ports": [{"port": 80}]}}
        inputs = engine.checked(SERVICE, service)
        _, outputs = engine.create(SERVICE, inputs, preview=True)
        assert is_unknown(outputs["metadata"]["uid"])
        assert cluster.get("v1", "Service", "web", namespace=space) is None
        wrong = engine.checked(SERVICE, {**service, "spec": {**service["spec"], "clusterIP": "192.0.2.7"}})
        with pytest.raises(AbortedError, match="Invalid"):
            engine.create(SERVICE, wrong, preview=True)

    def test_a_preview_passes_what_this_run_makes_first(self, engine: Engine) -> None:
        engine.create(CONFIG_MAP, engine.checked(CONFIG_MAP, config_map("not-made-yet")), preview=True)


class TestDrift:
    def test_what_was_changed_by_hand_is_found_and_repaired(
        self, engine: Engine, cluster: ClusterClient, space: str
    ) -> None:
        identity, inputs, state = made(engine, DEPLOYMENT, deployment(space, {"pulumi.com/skipAwait": "true"}))
        containers = [{"name": "web", "image": "another"}, {"name": "more", "image": "b"}]
        patch = {"spec": {"template": {"spec": {"containers": containers}}}}
        cluster.patch("apps/v1", "Deployment", "web", patch, namespace=space, type="strategic", manager="kubectl-edit")
        _, _, read = engine.read(DEPLOYMENT, identity, inputs, state)
        found = set(engine.diff(DEPLOYMENT, read, inputs).detailedDiff)
        assert found == {
            "spec.template.spec.containers[0].image",
            "spec.template.spec.containers[1]",
        }
        repaired = engine.update(DEPLOYMENT, identity, read, inputs)
        assert [each["image"] for each in repaired["spec"]["template"]["spec"]["containers"]] == ["a"]
        assert is_same(engine, DEPLOYMENT, repaired, inputs)

    def test_what_was_deleted_by_hand_is_gone_from_the_state(
        self, engine: Engine, cluster: ClusterClient, space: str
    ) -> None:
        identity, inputs, state = made(engine, CONFIG_MAP, config_map(space))
        cluster.delete("v1", "ConfigMap", "web", namespace=space)
        assert engine.read(CONFIG_MAP, identity, inputs, state)[0] == ""

    def test_what_the_server_fills_in_is_no_drift(self, engine: Engine, space: str) -> None:
        identity, inputs, state = made(engine, DEPLOYMENT, deployment(space, replicas=0))
        assert state["spec"]["strategy"]["type"] == "RollingUpdate"
        _, read_inputs, read = engine.read(DEPLOYMENT, identity, inputs, state)
        assert read_inputs == inputs
        assert is_same(engine, DEPLOYMENT, read, inputs)

    def test_an_import_takes_what_is_there_and_changes_nothing(
        self, engine: Engine, cluster: ClusterClient, space: str
    ) -> None:
        cluster.create({"apiVersion": "apps/v1", "kind": "Deployment", **deployment(space, replicas=0)})
        identity, inputs, state = engine.read(DEPLOYMENT, f"{space}/web")
        assert identity == f"{space}/web"
        assert "status" not in inputs
        assert is_same(engine, DEPLOYMENT, state, engine.checked(DEPLOYMENT, inputs, inputs))


class TestOtherManagers:
    def scale(self, cluster: ClusterClient, space: str, replicas: int) -> None:
        """As the autoscaler does it."""
        patch = {"spec": {"replicas": replicas}}
        cluster.patch(
            "apps/v1", "Deployment", "web", patch,
            namespace=space, subresource="scale", manager="kube-controller-manager",
        )  # fmt: skip

    def paused(self, space: str) -> dict[str, Any]:
        return deployment(space, paused=True)

    def test_an_autoscalers_replicas_are_left_alone(self, engine: Engine, cluster: ClusterClient, space: str) -> None:
        identity, inputs, state = made(engine, DEPLOYMENT, self.paused(space))
        self.scale(cluster, space, 3)
        _, _, read = engine.read(DEPLOYMENT, identity, inputs, state)
        assert is_same(engine, DEPLOYMENT, read, inputs)
        changed = engine.checked(DEPLOYMENT, {**self.paused(space), "metadata": {"name": "web", "namespace": space}})
        changed["spec"]["minReadySeconds"] = 1
        assert engine.update(DEPLOYMENT, identity, read, changed)["spec"]["replicas"] == 3

    def test_a_field_of_a_controller_is_a_conflict_that_says_whose_it_is(
        self, engine: Engine, cluster: ClusterClient, space: str
    ) -> None:
        identity, _, state = made(engine, DEPLOYMENT, self.paused(space))
        self.scale(cluster, space, 3)
        wanted = engine.checked(DEPLOYMENT, deployment(space, paused=True, replicas=1))
        with pytest.raises(AbortedError, match=r"spec\.replicas.*kube-controller-manager.*pulumi\.com/patchForce"):
            engine.update(DEPLOYMENT, identity, state, wanted)
        forced = deployment(space, {"pulumi.com/patchForce": "true"}, paused=True, replicas=1)
        update = engine.update(DEPLOYMENT, identity, state, engine.checked(DEPLOYMENT, forced))
        assert update["spec"]["replicas"] == 1

    def test_an_ignored_field_stays_whose_it_is(self, engine: Engine, cluster: ClusterClient, space: str) -> None:
        identity, _, state = made(engine, DEPLOYMENT, self.paused(space))
        self.scale(cluster, space, 3)
        wanted = engine.checked(DEPLOYMENT, deployment(space, paused=True, replicas=1, minReadySeconds=1))
        update = engine.update(DEPLOYMENT, identity, state, wanted, ignore=("spec.replicas",))
        assert (update["spec"]["replicas"], update["spec"]["minReadySeconds"]) == (3, 1)


class TestWaiting:
    def test_a_pod_that_fits_nowhere_is_told_with_the_schedulers_words(self, engine: Engine, space: str) -> None:
        inputs = engine.checked(DEPLOYMENT, deployment(space, {"pulumi.com/timeoutSeconds": "2"}))
        with pytest.raises(AbortedError, match=r"0 of 1 replicas[^$]*Unschedulable: ") as failure:
            engine.create(DEPLOYMENT, inputs)
        assert failure.value.half_done is not None
        assert failure.value.half_done.id == f"{space}/web"
        recorded = wire.decode(failure.value.half_done.properties)
        assert is_same(engine, DEPLOYMENT, recorded, inputs)

    def test_a_rollout_past_its_deadline_fails_before_the_time_out(self, engine: Engine, space: str) -> None:
        inputs = engine.checked(DEPLOYMENT, deployment(space, progressDeadlineSeconds=1))
        with pytest.raises(AbortedError, match=r"ProgressDeadlineExceeded[^$]*Unschedulable") as created:
            engine.create(DEPLOYMENT, inputs, timeout=300)
        assert created.value.half_done is not None
        state = wire.decode(created.value.half_done.properties)
        # The next run gives it time: what it lacked may be there by now.
        with pytest.raises(AbortedError, match="not ready within the time-out"):
            engine.update(DEPLOYMENT, f"{space}/web", state, inputs, timeout=LIMIT_SECONDS)

    def test_a_quota_that_is_used_up_is_told(self, engine: Engine, cluster: ClusterClient, space: str) -> None:
        quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none", "namespace": space}}
        cluster.apply({**quota, "spec": {"hard": {"pods": "0"}}}, manager="tests")
        inputs = engine.checked(DEPLOYMENT, deployment(space))
        with pytest.raises(AbortedError, match=r"FailedCreate: .*exceeded quota: none"):
            engine.create(DEPLOYMENT, inputs, timeout=LIMIT_SECONDS)
        spec = {"containers": [{"name": "c", "image": "a"}]}
        pod = {"metadata": {"name": "one", "namespace": space}, "spec": spec}
        with pytest.raises(AbortedError, match=r"Forbidden: .*exceeded quota: none"):
            engine.create(POD, engine.checked(POD, pod))

    def test_who_skips_waiting_does_not_wait(self, engine: Engine, space: str) -> None:
        made(engine, DEPLOYMENT, deployment(space, {"pulumi.com/skipAwait": "true"}))

    def test_a_cancelled_wait_records_what_is_there(self, engine: Engine, cluster: ClusterClient, space: str) -> None:
        ended: list[AbortedError] = []

        def create() -> None:
            with pytest.raises(AbortedError, match="cancelled while waiting") as failure:
                engine.create(DEPLOYMENT, engine.checked(DEPLOYMENT, deployment(space)), timeout=300)
            ended.append(failure.value)

        thread = threading.Thread(target=create)
        thread.start()
        for event in cluster.watch("apps/v1", "Deployment", namespace=space, timeout_seconds=60):
            if event.type == "ADDED":
                break
        engine.provider.Cancel(None, None)
        thread.join()
        assert ended[0].half_done is not None

    def test_a_refresh_says_what_is_not_ready(self, engine: Engine, space: str) -> None:
        inputs = engine.checked(DEPLOYMENT, deployment(space))
        with pytest.raises(AbortedError) as created:
            engine.create(DEPLOYMENT, inputs, timeout=LIMIT_SECONDS)
        assert created.value.half_done is not None
        with pytest.raises(AbortedError, match="0 of 1 replicas") as read:
            engine.read(DEPLOYMENT, f"{space}/web", inputs, wire.decode(created.value.half_done.properties))
        assert read.value.half_done is not None

    def test_a_job_that_failed_has_failed(self, engine: Engine, space: str) -> None:
        job = {
            "metadata": {"name": "web", "namespace": space},
            "spec": {
                "activeDeadlineSeconds": 1,
                "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "a"}]}},
            },
        }
        with pytest.raises(AbortedError, match="DeadlineExceeded"):
            engine.create(JOB, engine.checked(JOB, job), timeout=300)


class TestDeleting:
    def held(self, cluster: ClusterClient, space: str, finalizers: list[str] | None) -> None:
        cluster.patch("v1", "ConfigMap", "web", {"metadata": {"finalizers": finalizers}}, namespace=space)

    def test_a_deletion_waits_for_finalizers_and_names_them(
        self, engine: Engine, cluster: ClusterClient, space: str
    ) -> None:
        identity, _, state = made(engine, CONFIG_MAP, config_map(space))
        self.held(cluster, space, ["example.com/held"])
        with pytest.raises(AbortedError, match=r"waits for finalizer example\.com/held"):
            engine.delete(CONFIG_MAP, identity, state, timeout=LIMIT_SECONDS)
        self.held(cluster, space, None)
        engine.delete(CONFIG_MAP, identity, state)
        assert cluster.get("v1", "ConfigMap", "web", namespace=space) is None

    def test_a_namespace_waits_for_what_is_in_it(self, engine: Engine, cluster: ClusterClient) -> None:
        identity, _, state = made(engine, NAMESPACE, {"metadata": {"name": "full"}})
        made(engine, CONFIG_MAP, config_map("full"))
        self.held(cluster, "full", ["example.com/held"])
        with pytest.raises(AbortedError, match="still being deleted"):
            engine.delete(NAMESPACE, identity, state, timeout=LIMIT_SECONDS)
        self.held(cluster, "full", None)
        engine.delete(NAMESPACE, identity, state)
        assert cluster.get("v1", "Namespace", "full") is None

    def test_what_is_gone_already_is_deleted(self, engine: Engine, cluster: ClusterClient, space: str) -> None:
        identity, _, state = made(engine, CONFIG_MAP, config_map(space))
        cluster.delete("v1", "ConfigMap", "web", namespace=space)
        engine.delete(CONFIG_MAP, identity, state)


class TestCustomKinds:
    def definition(self, scope: str = "Namespaced", kind: str = "Widget") -> dict[str, Any]:
        schema = {
            "type": "object",
            "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}},
        }
        return {
            "metadata": {"name": f"{kind.lower()}s.lab.example.com"},
            "spec": {
                "group": "lab.example.com",
                "scope": scope,
                "names": {"kind": kind, "plural": f"{kind.lower()}s", "singular": kind.lower()},
                "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
            },
        }

    def test_a_custom_resource_is_held_to_its_definition(
        self, engine: Engine, cluster: ClusterClient, space: str
    ) -> None:
        widget = {"metadata": {"name": "w", "namespace": space}, "spec": {"size": 1}}
        with pytest.raises(AbortedError, match=r"serves no Widget.*CustomResourceDefinition"):
            engine.create(WIDGET, engine.checked(WIDGET, widget))
        definition_id, _, definition = made(engine, CRD, self.definition())
        identity, inputs, state = made(engine, WIDGET, widget)
        assert is_same(engine, WIDGET, state, inputs)
        wrong = engine.checked(WIDGET, {**widget, "spec": {"size": 1, "colour": "red"}})
        with pytest.raises(AbortedError, match=r"colour"):
            engine.update(WIDGET, identity, state, wrong)
        larger = engine.checked(WIDGET, {**widget, "spec": {"size": 2}})
        assert engine.update(WIDGET, identity, state, larger)["spec"] == {"size": 2}
        engine.delete(CRD, definition_id, definition)
        assert engine.read(WIDGET, identity, inputs, state)[0] == "", "its kind is gone, and it with it"
        engine.delete(WIDGET, identity, state)

    def test_a_kind_without_namespaces_may_come_in_the_same_run(self, engine: Engine, cluster: ClusterClient) -> None:
        gadget = "kubernetes:lab.example.com/v1:Gadget"
        early = engine.checked(gadget, {"metadata": {"name": "g"}, "spec": {"size": 1}})
        definition_id, _, definition = made(engine, CRD, self.definition("Cluster", "Gadget"))
        identity, state = engine.create(gadget, early)
        assert identity == "g"
        assert is_same(engine, gadget, state, engine.checked(gadget, {"metadata": {"name": "g"}, "spec": {"size": 1}}))
        engine.delete(gadget, identity, state)
        engine.delete(CRD, definition_id, definition)


class TestPatches:
    def test_a_patch_holds_its_fields_and_lets_them_go(
        self, engine: Engine, cluster: ClusterClient, space: str
    ) -> None:
        cluster.create({"apiVersion": "v1", "kind": "ConfigMap", **config_map(space, a="b")})
        identity, inputs, state = made(engine, f"{CONFIG_MAP}Patch", config_map(space, c="d"))
        assert state["data"] == {"a": "b", "c": "d"}
        assert is_same(engine, f"{CONFIG_MAP}Patch", state, inputs)
        engine.delete(f"{CONFIG_MAP}Patch", identity, state)
        left = cluster.get("v1", "ConfigMap", "web", namespace=space)
        assert left is not None
        assert left["data"] == {"a": "b"}


class TestReleases:
    def test_a_release_is_recorded_and_said_to_be_no_more(
        self, engine: Engine, cluster: ClusterClient, space: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        release = "kubernetes:helm.sh/v3:Release"
        asked: dict[str, Any] = {
            "chart": "karpenter",
            "version": "1.14.3",
            "namespace": space,
            "repositoryOpts": {"repo": "https://charts.example.com", "password": Secret("hidden")},
            "values": {"replicas": 2},
        }
        identity, inputs, state = made(engine, release, asked)
        assert "recorded and not installed" in caplog.text
        assert "hidden" not in caplog.text
        assert state["status"]["status"] == "recorded"
        assert is_same(engine, release, state, inputs)
        assert engine.provider.adopt(release, f"{PROJECT}{release}::web", inputs) == identity
        _, read_inputs, read = engine.read(release, identity, inputs, state)
        assert read_inputs == inputs
        more = engine.checked(release, {**asked, "values": {"replicas": 3}}, inputs)
        assert list(engine.diff(release, read, more).detailedDiff) == ["values.replicas"]
        update = engine.update(release, identity, read, more)
        assert (update["values"], update["status"]["revision"]) == ({"replicas": 3}, 2)
        with pytest.raises(AbortedError, match="AlreadyExists"):
            engine.create(release, inputs)
        engine.delete(release, identity, update)
        assert engine.read(release, identity, more, update)[0] == ""
        assert cluster.list("v1", "Secret", namespace=space) == ()
