from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from model_factory.local.providers.kubernetes.changes import differences, replacing_paths
from model_factory.local.wire import UNKNOWN

_LEAVES = st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab.", max_size=3)
_TREES = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab.", min_size=1, max_size=2), inner, max_size=3)
    ),
)
_OBJECTS = st.dictionaries(st.sampled_from(["data", "spec", "metadata"]), _TREES, max_size=3)


def replaces(kind: str, api_version: str, old: Any, new: Any) -> set[str]:
    paths = replacing_paths({"apiVersion": api_version, "kind": kind}, mutable_config_maps=False, mutable_secrets=False)
    return {change.text for change in differences(old, new, paths) if change.replaces}


class TestDifferences:
    @given(_OBJECTS)
    def test_an_object_does_not_differ_from_itself(self, obj: dict[str, Any]) -> None:
        assert differences(obj, obj, ("data",)) == []

    @given(_OBJECTS, _OBJECTS)
    def test_there_is_one_for_each_side_of_what_differs(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        there, back = differences(old, new, ()), differences(new, old, ())
        turned = {"add": "delete", "delete": "add", "update": "update"}
        assert {(change.path, turned[change.kind]) for change in there} == {
            (change.path, change.kind) for change in back
        }
        if not there:
            assert repr(sorted(old)) == repr(sorted(new))

    def test_an_unknown_value_is_a_change(self) -> None:
        (change,) = differences({"data": {"a": "b"}}, {"data": {"a": UNKNOWN}}, ())
        assert (change.text, change.kind) == ("data.a", "update")

    def test_true_is_not_one(self) -> None:
        assert len(differences({"a": 1}, {"a": True}, ())) == 1

    def test_keys_with_dots_are_quoted(self) -> None:
        (change,) = differences({}, {"metadata": {}}, ())
        assert change.text == "metadata"
        (change,) = differences({"metadata": {"labels": {}}}, {"metadata": {"labels": {"a.b/c": "1"}}}, ())
        assert change.text == 'metadata.labels["a.b/c"]'


class TestReplacement:
    """The rules of pulumi-kubernetes."""

    def test_a_pods_container_replaces_field_by_field(self) -> None:
        old = {"spec": {"containers": [{"name": "a", "image": "x"}]}}
        new = {"spec": {"containers": [{"name": "b", "image": "y"}]}}
        assert replaces("Pod", "v1", old, new) == {"spec.containers[0].image"}

    def test_a_whole_block_replaces_where_it_holds_a_replacing_field(self) -> None:
        assert replaces("Deployment", "apps/v1", {}, {"spec": {"selector": {"a": "b"}}}) == {"spec"}
        assert replaces("Deployment", "apps/v1", {}, {"spec": {"replicas": 1}}) == set()

    def test_a_jobs_template_replaces(self) -> None:
        old, new = {"spec": {"template": {"spec": {"a": 1}}}}, {"spec": {"template": {"spec": {"a": 2}}}}
        assert replaces("Job", "batch/v1", old, new) == {"spec.template.spec.a"}
        assert replaces("Deployment", "apps/v1", old, new) == set()

    def test_names_and_namespaces_replace_whatever_the_kind(self) -> None:
        old, new = (
            {"metadata": {"name": "a", "namespace": "b"}},
            {"metadata": {"name": "c", "namespace": "d"}},
        )
        assert replaces("Lease", "coordination.k8s.io/v1", old, new) == {
            "metadata.name",
            "metadata.namespace",
        }

    def test_a_role_bindings_role_replaces(self) -> None:
        old, new = {"roleRef": {"name": "a"}}, {"roleRef": {"name": "b"}}
        assert replaces("RoleBinding", "rbac.authorization.k8s.io/v1", old, new) == {"roleRef.name"}
