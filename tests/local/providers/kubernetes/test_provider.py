from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from pulumi.runtime.proto import provider_pb2

from model_factory.local import wire
from model_factory.local.clouds.kubernetes import control
from model_factory.local.providers.kubernetes.provider import KubernetesProvider
from model_factory.local.wire import UNKNOWN, Secret
from tests.local.providers.kubernetes.calls import Engine

CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
NAMESPACE = "kubernetes:core/v1:Namespace"
SECRET = "kubernetes:core/v1:Secret"
SERVICE = "kubernetes:core/v1:Service"


def deployment(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"labels": {"app": "web"}},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "a", "args": ["--port", "1"]}]},
            },
            **spec,
        },
    }


def config_map(name: str | None = None, **data: str) -> dict[str, Any]:
    metadata = {"name": name} if name else {}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def kubeconfig(server: str, **more: str) -> str:
    servers = {"here": server, **more}
    return yaml.safe_dump({
        "apiVersion": "v1", "kind": "Config", "current-context": "here",
        "clusters": [{"name": name, "cluster": {"server": url}} for name, url in servers.items()],
        "contexts": [{"name": name, "context": {"cluster": name, "user": "me"}} for name in servers],
        "users": [{"name": "me", "user": {}}],
    })  # fmt: skip


def failures(**config: Any) -> list[provider_pb2.CheckFailure]:
    request = provider_pb2.CheckRequest(news=wire.encode(config))
    return list(KubernetesProvider().CheckConfig(request, None).failures)


def only_failure(**config: Any) -> provider_pb2.CheckFailure:
    (failure,) = failures(**config)
    return failure


def replaces(olds: dict[str, Any], news: dict[str, Any]) -> list[str]:
    request = provider_pb2.DiffRequest(olds=wire.encode(olds), news=wire.encode(news))
    return list(KubernetesProvider().DiffConfig(request, None).replaces)


class TestNames:
    def test_an_unnamed_object_gets_the_logical_name_and_eight_digits(self, engine: Any) -> None:
        metadata = engine.checked(CONFIG_MAP, config_map())["metadata"]
        name, _, digits = metadata["name"].rpartition("-")
        assert (name, len(digits)) == ("web", 8)
        assert int(digits, 16) >= 0
        assert metadata["annotations"] == {"pulumi.com/autonamed": "true"}

    def test_the_name_is_the_same_for_the_same_seed_and_another_for_another(self, engine: Any) -> None:
        names = [engine.checked(CONFIG_MAP, config_map(), seed=seed)["metadata"]["name"] for seed in (b"1", b"1", b"2")]
        assert names[0] == names[1] != names[2]

    def test_the_name_is_kept_over_updates(self, engine: Any) -> None:
        olds = engine.checked(CONFIG_MAP, config_map())
        news = engine.checked(CONFIG_MAP, config_map(a="b"), olds, seed=b"another")
        assert news["metadata"] == olds["metadata"]

    def test_a_name_of_the_programs_own_is_not_marked(self, engine: Any) -> None:
        assert engine.checked(CONFIG_MAP, config_map("mine"))["metadata"] == {
            "name": "mine",
            "namespace": "default",
        }

    def test_generated_names_are_refused(self, engine: Any) -> None:
        news = {**config_map(), "metadata": {"generateName": "web-"}}
        assert engine.check(CONFIG_MAP, news)[1] == [
            "metadata.generateName: not supported when objects are rendered; leave the name out for an auto-name"
        ]

    def test_an_auto_name_that_breaks_the_rules_is_refused(self, engine: Any) -> None:
        assert "is not a DNS-1123 subdomain" in engine.check(CONFIG_MAP, config_map(), name="My_Map")[1][0]

    def test_namespaced_kinds_get_the_providers_namespace_and_others_none(self, engine: Any, make_engine: Any) -> None:
        other = make_engine(namespace="models")
        assert engine.checked(CONFIG_MAP, config_map())["metadata"]["namespace"] == "default"
        assert other.checked(CONFIG_MAP, config_map())["metadata"]["namespace"] == "models"
        assert "namespace" not in other.checked(NAMESPACE, {})["metadata"]


class TestCheck:
    def test_broken_inputs_are_refused_before_anything_is_written(self, engine: Any) -> None:
        _, failures = engine.check(DEPLOYMENT, deployment(replicas="3", replica=1))
        assert sorted(failures) == [
            "spec.replica: unknown field; did you mean replicas?",
            "spec.replicas: must be of type integer, not '3'",
        ]
        assert engine.files() == []

    def test_unknown_values_pass_and_stay(self, engine: Any) -> None:
        news = {**config_map(), "metadata": {"namespace": UNKNOWN}, "data": {"a": UNKNOWN}}
        inputs = engine.checked(CONFIG_MAP, news)
        assert inputs["data"] == {"a": UNKNOWN}
        assert inputs["metadata"]["namespace"] == UNKNOWN

    def test_wholly_unknown_metadata_passes(self, engine: Any) -> None:
        assert engine.checked(CONFIG_MAP, {**config_map(), "metadata": UNKNOWN})["metadata"] == UNKNOWN

    def test_api_version_and_kind_come_from_the_type(self, engine: Any) -> None:
        inputs = engine.checked(NAMESPACE, {})
        assert (inputs["apiVersion"], inputs["kind"]) == ("v1", "Namespace")

    def test_quantities_and_secret_texts_are_brought_into_canonical_form(self, engine: Any) -> None:
        news = deployment()
        news["spec"]["template"]["spec"]["containers"][0]["resources"] = {
            "limits": {"cpu": "1000m", "nvidia.com/gpu": 1}
        }
        container = engine.checked(DEPLOYMENT, news)["spec"]["template"]["spec"]["containers"][0]
        assert container["resources"]["limits"] == {"cpu": "1", "nvidia.com/gpu": "1"}
        inputs = engine.checked(SECRET, {"stringData": {"key": "hi"}})
        assert inputs["data"] == Secret({"key": "aGk="})
        assert "stringData" not in inputs

    def test_secret_marks_are_kept_where_they_were(self, engine: Any) -> None:
        inputs = engine.checked(CONFIG_MAP, {**config_map(a="b"), "data": {"a": Secret("b"), "c": "d"}})
        assert inputs["data"] == {"a": Secret("b"), "c": "d"}


class TestLife:
    def test_create_update_delete_are_seen_as_files(self, engine: Any) -> None:
        inputs = engine.checked(CONFIG_MAP, config_map("settings", a="b"))
        id_, state = engine.create(CONFIG_MAP, inputs)
        assert id_ == "default/settings"
        assert engine.files() == ["v1-configmap-default-settings.yaml"]
        assert state["__inputs"] == inputs
        assert state["__initialApiVersion"] == "v1"
        news = engine.checked(CONFIG_MAP, config_map("settings", a="c"), inputs)
        updated = engine.update(CONFIG_MAP, id_, state, news)
        assert updated["data"] == {"a": "c"}
        assert updated["__fieldManager"] == state["__fieldManager"]
        path = next(engine.folder.glob("*/*.yaml"))
        assert yaml.safe_load(path.read_text())["data"] == {"a": "c"}
        engine.delete(CONFIG_MAP, id_, updated)
        assert engine.files() == []
        engine.delete(CONFIG_MAP, id_, updated)

    def test_cluster_scoped_objects_are_named_without_a_namespace(self, engine: Any) -> None:
        assert engine.create(NAMESPACE, engine.checked(NAMESPACE, {"metadata": {"name": "models"}}))[0] == "models"

    def test_previews_write_nothing(self, engine: Any) -> None:
        inputs = engine.checked(CONFIG_MAP, config_map("settings"))
        assert engine.create(CONFIG_MAP, inputs, preview=True) == ("", inputs)
        assert engine.update(CONFIG_MAP, "default/settings", inputs, inputs, preview=True) == inputs
        assert engine.files() == []

    def test_unknown_values_are_refused_outside_a_preview(self, engine: Any, aborted: Any) -> None:
        with pytest.raises(aborted, match="only a preview may have them"):
            engine.create(CONFIG_MAP, engine.checked(CONFIG_MAP, {**config_map("x"), "data": {"a": UNKNOWN}}))

    def test_the_clusters_refusal_names_cluster_operation_code_and_cause(self, engine: Any, aborted: Any) -> None:
        inputs = engine.checked(CONFIG_MAP, config_map("settings"))
        engine.create(CONFIG_MAP, inputs)
        with pytest.raises(
            aborted, match=r"kubernetes cluster eks refused v1/ConfigMap.create: AlreadyExists: .*settings"
        ):
            engine.create(CONFIG_MAP, inputs)

    def test_an_injected_fault_reads_like_any_refusal(self, engine: Any, aborted: Any) -> None:
        control.set_faults(
            engine.folder.parent, [{"operation": "*.create", "error": "Forbidden", "message": "no quota"}]
        )
        with pytest.raises(aborted, match="Forbidden: no quota"):
            engine.create(CONFIG_MAP, engine.checked(CONFIG_MAP, config_map("x")))
        assert engine.files() == []

    def test_a_secrets_data_is_secret_in_the_state(self, engine: Any) -> None:
        _, state = engine.create(SECRET, engine.checked(SECRET, {"data": {"key": "aGk="}}))
        assert state["data"] == Secret({"key": "aGk="})
        assert state["__inputs"]["data"] == Secret({"key": "aGk="})


class TestDrift:
    """Read goes by the files, unlike Pulumi's own plugin in render mode."""

    def created(self, engine: Any) -> tuple[str, Any, Any, Path]:
        inputs = engine.checked(DEPLOYMENT, deployment(replicas=2))
        id_, state = engine.create(DEPLOYMENT, inputs)
        return id_, inputs, state, next(engine.folder.glob("*/*.yaml"))

    def test_there_is_none_when_nothing_changed(self, engine: Any) -> None:
        id_, inputs, state, _ = self.created(engine)
        assert engine.read(DEPLOYMENT, id_, inputs, state) == (id_, inputs, state)

    def test_a_deleted_file_is_a_deleted_object(self, engine: Any) -> None:
        id_, inputs, state, path = self.created(engine)
        path.unlink()
        assert engine.read(DEPLOYMENT, id_, inputs, state) == ("", {}, {})

    def test_a_changed_field_is_found_and_repaired(self, engine: Any) -> None:
        id_, inputs, state, path = self.created(engine)
        path.write_text(path.read_text().replace("replicas: 2", "replicas: 9"))
        _, found, found_state = engine.read(DEPLOYMENT, id_, inputs, state)
        assert found["spec"]["replicas"] == 9
        assert list(engine.diff(DEPLOYMENT, found_state, inputs).detailedDiff) == ["spec.replicas"]
        engine.update(DEPLOYMENT, id_, found_state, inputs)
        assert yaml.safe_load(path.read_text())["spec"]["replicas"] == 2

    def test_an_added_list_item_and_a_removed_label_are_found(self, engine: Any) -> None:
        id_, inputs, state, path = self.created(engine)
        live = yaml.safe_load(path.read_text())
        live["spec"]["template"]["spec"]["containers"].append({"name": "miner", "image": "b"})
        del live["metadata"]["labels"]
        path.write_text(yaml.safe_dump(live))
        _, _, found_state = engine.read(DEPLOYMENT, id_, inputs, state)
        assert sorted(engine.diff(DEPLOYMENT, found_state, inputs).detailedDiff) == [
            "metadata.labels",
            "spec.template.spec.containers[1]",
        ]

    def test_what_a_server_fills_in_is_not_drift(self, engine: Any) -> None:
        id_, inputs, state, path = self.created(engine)
        live = yaml.safe_load(path.read_text())
        live["status"] = {"replicas": 2}
        live["metadata"]["uid"] = "1"
        live["spec"]["revisionHistoryLimit"] = 10
        path.write_text(yaml.safe_dump(live))
        _, found, found_state = engine.read(DEPLOYMENT, id_, inputs, state)
        assert found == inputs
        assert engine.diff(DEPLOYMENT, found_state, inputs).changes == provider_pb2.DiffResponse.DIFF_NONE

    def test_an_object_can_be_read_by_its_id_alone(self, engine: Any) -> None:
        id_, inputs, _, _ = self.created(engine)
        assert engine.read(DEPLOYMENT, id_)[1] == inputs


class TestRecovery:
    """What a killed create left behind is found by its name."""

    def test_a_written_object_is_adopted(self, engine: Any) -> None:
        inputs = engine.checked(CONFIG_MAP, config_map(a="b"))
        assert engine.provider.adopt(CONFIG_MAP, "urn", inputs) is None
        id_, _ = engine.create(CONFIG_MAP, inputs)
        assert engine.provider.adopt(CONFIG_MAP, "urn", inputs) == id_
        assert engine.provider.adopt(CONFIG_MAP, "urn", inputs, [id_]) is None

    def test_somebody_elses_object_of_the_name_is_not(self, engine: Any) -> None:
        engine.create(CONFIG_MAP, engine.checked(CONFIG_MAP, config_map("x", a="b")))
        assert engine.provider.adopt(CONFIG_MAP, "urn", engine.checked(CONFIG_MAP, config_map("x", a="c"))) is None


class TestDiff:
    def changed(self, engine: Any, type_: str, old: dict[str, Any], new: dict[str, Any], **options: Any) -> Any:
        inputs = engine.checked(type_, old)
        _, state = engine.create(type_, inputs)
        return engine.diff(type_, state, engine.checked(type_, new, inputs), **options)

    def test_no_change_is_none(self, engine: Any) -> None:
        answer = self.changed(engine, DEPLOYMENT, deployment(), deployment())
        assert answer.changes == provider_pb2.DiffResponse.DIFF_NONE
        assert dict(answer.detailedDiff) == {}

    def test_the_same_amount_written_otherwise_is_none(self, engine: Any) -> None:
        old, new = deployment(), deployment()
        old["spec"]["template"]["spec"]["containers"][0]["resources"] = {"limits": {"memory": "1024Mi"}}
        new["spec"]["template"]["spec"]["containers"][0]["resources"] = {"limits": {"memory": "1Gi"}}
        assert self.changed(engine, DEPLOYMENT, old, new).changes == provider_pb2.DiffResponse.DIFF_NONE

    def test_each_changed_path_is_told_with_its_kind(self, engine: Any) -> None:
        new = deployment(replicas=3)
        container = new["spec"]["template"]["spec"]["containers"][0]
        container["image"] = "b"
        container["args"] = ["--port"]
        answer = self.changed(engine, DEPLOYMENT, deployment(), new)
        kinds = {path: provider_pb2.PropertyDiff.Kind.Name(diff.kind) for path, diff in answer.detailedDiff.items()}
        assert kinds == {
            "spec.replicas": "ADD",
            "spec.template.spec.containers[0].image": "UPDATE",
            "spec.template.spec.containers[0].args[1]": "DELETE",
        }
        assert list(answer.replaces) == []

    def test_ignored_paths_are_left_out(self, engine: Any) -> None:
        answer = self.changed(engine, DEPLOYMENT, deployment(), deployment(replicas=3), ignore=("spec.replicas",))
        assert answer.changes == provider_pb2.DiffResponse.DIFF_NONE

    def test_a_changed_selector_replaces_and_an_auto_named_object_stands_before_the_old_one_goes(
        self, engine: Any
    ) -> None:
        new = deployment()
        for labels in (new["spec"]["selector"]["matchLabels"], new["spec"]["template"]["metadata"]["labels"]):
            labels["app"] = "api"
        answer = self.changed(engine, DEPLOYMENT, deployment(), new)
        assert list(answer.replaces) == ["spec.selector.matchLabels.app"]
        assert not answer.deleteBeforeReplace

    def test_an_object_named_by_the_program_is_deleted_first(self, engine: Any) -> None:
        answer = self.changed(engine, CONFIG_MAP, config_map("x", a="b"), config_map("x", a="c"))
        assert list(answer.replaces) == ["data.a"]
        assert answer.deleteBeforeReplace

    def test_a_new_name_replaces_without_deleting_first(self, engine: Any) -> None:
        answer = self.changed(engine, CONFIG_MAP, config_map("x"), config_map("y"))
        assert list(answer.replaces) == ["metadata.name"]
        assert not answer.deleteBeforeReplace

    def test_config_maps_and_secrets_can_be_declared_mutable(self, make_engine: Any) -> None:
        engine = make_engine(enableConfigMapMutable="true", enableSecretMutable=True)
        answer = self.changed(engine, CONFIG_MAP, config_map("x", a="b"), config_map("x", a="c"))
        assert list(answer.replaces) == []
        sealed = {**config_map("y", a="b"), "immutable": True}
        answer = self.changed(engine, CONFIG_MAP, sealed, {**copy.deepcopy(sealed), "data": {"a": "c"}})
        assert list(answer.replaces) == ["data.a"]

    def test_a_services_cluster_address_replaces(self, engine: Any) -> None:
        old = {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}], "clusterIP": "10.0.0.1"}}
        new = {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}], "clusterIP": "10.0.0.2"}}
        assert list(self.changed(engine, SERVICE, old, new).replaces) == ["spec.clusterIP"]


class TestConfiguration:
    def test_a_cluster_elsewhere_is_refused_with_the_engine_that_goes_there(self) -> None:
        failure = only_failure(kubeconfig=kubeconfig("https://198.51.100.7:6443"))
        assert failure.property == "kubeconfig"
        assert "https://198.51.100.7:6443 is not on this machine" in failure.reason
        assert "--engine pulumi" in failure.reason

    def test_a_context_that_leads_elsewhere_is_refused_though_the_current_one_does_not(self) -> None:
        text = kubeconfig("https://127.0.0.1:6443", there="https://198.51.100.7:6443")
        assert not failures(kubeconfig=text)
        assert only_failure(kubeconfig=text, context="there").property == "context"

    def test_a_context_of_the_users_own_kubeconfig_is_taken(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The SDK fills the path in beside the context that was asked for."""
        file = tmp_path / "config"
        file.write_text(kubeconfig("https://127.0.0.1:6443", there="https://198.51.100.7:6443"))
        monkeypatch.setenv("KUBECONFIG", str(file))
        assert not failures(context="here")
        assert not failures(context="here", kubeconfig=str(file))
        assert only_failure(context="there", kubeconfig=str(file)).property == "context"

    def test_a_context_that_is_not_there_is_named_beside_those_that_are(self) -> None:
        failure = only_failure(kubeconfig=kubeconfig("https://127.0.0.1:6443"), context="other")
        assert (failure.property, "'other'" in failure.reason, "here" in failure.reason) == ("context", True, True)

    @pytest.mark.parametrize("text", ["/there/is/none", "apiVersion: v1", "{", "[]\n"])
    def test_what_is_no_kubeconfig_is_refused(self, text: str) -> None:
        assert only_failure(kubeconfig=text).property in ("kubeconfig", "context")

    def test_neither_a_folder_nor_a_cluster_is_refused(self) -> None:
        assert only_failure().property == "renderYamlToDirectory"

    def test_a_folder_and_a_cluster_at_once_are_refused(self) -> None:
        found = failures(renderYamlToDirectory="x", kubeconfig=kubeconfig("https://127.0.0.1:6443"))
        assert [failure.property for failure in found] == ["kubeconfig"]

    @pytest.mark.parametrize(("key", "value"), [("cluster", "c"), ("enableServerSideApply", "false")])
    def test_what_is_not_done_here_is_refused_by_name(self, key: str, value: str) -> None:
        assert only_failure(**{"kubeconfig": kubeconfig("https://127.0.0.1:6443"), key: value}).property == key

    def test_another_active_cluster_replaces_what_stands_in_it_and_another_login_does_not(self) -> None:
        one = kubeconfig("https://127.0.0.1:6443")
        assert replaces({"kubeconfig": one}, {"kubeconfig": one.replace("6443", "6444")}) == ["kubeconfig"]
        assert replaces({"kubeconfig": one}, {"kubeconfig": one.replace("user: {}", "user: {token: t}")}) == []
        assert replaces({"renderYamlToDirectory": "a"}, {"kubeconfig": one}) == ["renderYamlToDirectory"]

    def test_the_ambient_kubeconfig_that_the_sdk_fills_in_does_not_matter(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("KUBECONFIG", "/home/me/.kube/config")
        news = wire.encode({"kubeconfig": "/home/me/.kube/config", "renderYamlToDirectory": "x"})
        assert not KubernetesProvider().CheckConfig(provider_pb2.CheckRequest(news=news), None).failures

    def test_a_folder_not_known_yet_passes(self) -> None:
        news = wire.encode({"renderYamlToDirectory": UNKNOWN})
        assert not KubernetesProvider().CheckConfig(provider_pb2.CheckRequest(news=news), None).failures

    def test_another_folder_is_another_cluster(self) -> None:
        request = provider_pb2.DiffRequest(
            olds=wire.encode({"renderYamlToDirectory": "a"}), news=wire.encode({"renderYamlToDirectory": "b"})
        )
        assert list(KubernetesProvider().DiffConfig(request, None).replaces) == ["renderYamlToDirectory"]

    def test_a_call_without_configuration_is_refused(self, aborted: Any, engine: Any) -> None:
        engine.provider = KubernetesProvider()
        with pytest.raises(aborted, match="before it was configured"):
            engine.checked(CONFIG_MAP, config_map())


class TestAClusterThatDoesNotAnswer:
    @pytest.fixture(autouse=True)
    def at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("model_factory.access.transport._ATTEMPTS", 1)

    def engine(self, tmp_path: Path, **config: Any) -> Engine:
        # The discard port: nobody listens there.
        return Engine(tmp_path, {"renderYamlToDirectory": "", "kubeconfig": kubeconfig("http://127.0.0.1:9"), **config})

    def test_is_named_with_the_way_to_forget_it(self, tmp_path: Path, aborted: Any) -> None:
        for ask in (
            lambda engine: engine.create(CONFIG_MAP, engine.checked(CONFIG_MAP, config_map("x"))),
            lambda engine: engine.read(CONFIG_MAP, "default/x"),
            lambda engine: engine.delete(CONFIG_MAP, "default/x", config_map("x")),
        ):
            with pytest.raises(aborted, match=r"Unreachable: no answer from http://127\.0\.0\.1:9.*DELETE_UNREACHABLE"):
                ask(self.engine(tmp_path))

    def test_is_forgotten_with_what_is_in_it_where_that_is_asked_for(self, tmp_path: Path) -> None:
        engine = self.engine(tmp_path, deleteUnreachable=True)
        assert engine.read(CONFIG_MAP, "default/x")[0] == ""
        engine.delete(CONFIG_MAP, "default/x", config_map("x"))

    def test_keeps_no_preview_from_being_made(self, tmp_path: Path) -> None:
        engine = self.engine(tmp_path)
        inputs = engine.checked(CONFIG_MAP, config_map("x", a="b"))
        assert engine.create(CONFIG_MAP, inputs, preview=True)[1]["data"] == {"a": "b"}


class TestRefusedTypes:
    @pytest.mark.parametrize(
        ("token", "why"),
        [
            ("kubernetes:yaml:ConfigGroup", "describe the objects as resources"),
            ("kubernetes:yaml/v2:ConfigFile", "describe the objects as resources"),
            ("kubernetes:helm.sh/v3:Release", "render the chart beforehand"),
            ("kubernetes:kustomize:Directory", "render the directory beforehand"),
            ("kubernetes:apps/v1:DeploymentPatch", "set the field on the object's own resource"),
            ("kubernetes:core/v1:ConfigMapList", "give each its own resource"),
            ("kubernetes:apps/v1beta1:Deployment", "use apps/v1"),
            ("kubernetes:keda.sh/v1alpha1:ScaledObject", "custom resources need the Pulumi CLI"),
            ("kubernetes:authentication.k8s.io/v1:TokenRequest", "is a question"),
        ],
    )
    def test_are_named(self, engine: Any, aborted: Any, token: str, why: str) -> None:
        with pytest.raises(aborted, match=why) as caught:
            engine.check(token, {})
        assert token in str(caught.value)
