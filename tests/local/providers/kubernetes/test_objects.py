from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from model_factory.local.clouds.kubernetes.cluster import Reference
from model_factory.local.providers.kubernetes import objects
from model_factory.local.wire import Secret

_VALUES = st.recursive(
    st.integers(0, 3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
)


class TestPruned:
    @given(_VALUES)
    def test_a_shape_of_its_own_leaves_all(self, value: Any) -> None:
        assert objects.pruned(value, value) == value

    @given(_VALUES, _VALUES)
    def test_pruning_twice_is_pruning_once(self, value: Any, shape: Any) -> None:
        once = objects.pruned(value, shape)
        assert objects.pruned(once, shape) == once

    def test_what_was_not_asked_for_is_left_out_at_every_depth(self) -> None:
        live = {
            "spec": {"replicas": 2, "revisionHistoryLimit": 10, "items": [{"name": "a", "added": 1}]},
            "status": {},
        }
        asked = {"spec": {"replicas": 1, "items": [{"name": "a"}]}}
        assert objects.pruned(live, asked) == {"spec": {"replicas": 2, "items": [{"name": "a"}]}}


class TestIdentity:
    def test_an_id_names_the_object(self) -> None:
        for namespace in ("", "models"):
            reference = Reference("apps/v1", "Deployment", namespace, "web")
            assert objects.reference_of("apps/v1", "Deployment", objects.object_id(reference)) == reference


class TestProperties:
    def test_keys_of_a_definition_are_spelt_as_each_side_does(self) -> None:
        properties: Any = {"kind": "CustomResourceDefinition", "spec": {"x_kubernetes_list_type": "map"}}
        obj = objects.bare(properties)
        assert obj["spec"] == {"x-kubernetes-list-type": "map"}
        assert objects.properties(obj, {}) == properties

    def test_a_secret_inside_a_list_makes_the_list_secret(self) -> None:
        marked: Any = {"spec": {"args": [Secret("a")], "image": "b"}}
        assert objects.properties({"spec": {"args": ["a"], "image": "b"}}, marked) == {
            "spec": {"args": Secret(["a"]), "image": "b"}
        }

    def test_internal_keys_do_not_reach_the_object(self) -> None:
        assert objects.bare({"kind": "ConfigMap", "__inputs": {}, "data": Secret({"a": "b"})}) == {
            "kind": "ConfigMap",
            "data": {"a": "b"},
        }
