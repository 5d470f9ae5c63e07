"""Google's published models: what they take, and how a mistake is named."""

from __future__ import annotations

from typing import Any

import pytest

from model_factory.local import discovery

MARK = object()


@pytest.fixture(scope="module")
def container() -> discovery.Document:
    return discovery.load("container", "v1")


class TestCheck:
    @pytest.mark.parametrize(
        ("value", "path", "kind"),
        [
            ({"colour": 1}, "", "unknown"),
            ({"config": {"machineTyp": "x"}}, "config", "unknown"),
            ({"initialNodeCount": "three"}, "initialNodeCount", "type"),
            ({"initialNodeCount": 2**31}, "initialNodeCount", "type"),
            ({"initialNodeCount": True}, "initialNodeCount", "type"),
            ({"config": []}, "config", "type"),
            ({"locations": "us-central1-a"}, "locations", "type"),
            ({"config": {"taints": [{"effect": "NoSchedule"}]}}, "config.taints[0].effect", "enum"),
            ({"config": {"maxRunDuration": "1h"}}, "config.maxRunDuration", "type"),
        ],
    )
    def test_names_the_place_and_the_kind(
        self, container: discovery.Document, value: Any, path: str, kind: str
    ) -> None:
        _, violations = container.check("NodePool", value)
        assert [(v.path, v.kind) for v in violations] == [(path, kind)]

    def test_tells_all_at_once(self, container: discovery.Document) -> None:
        _, violations = container.check("NodePool", {"a": 1, "b": 2, "initialNodeCount": "x"})
        assert len(violations) == 3

    def test_gives_canonical_names_and_types(self, container: discovery.Document) -> None:
        value = {"initial_node_count": "3", "config": {"accelerators": [{"accelerator_count": 1}]}}
        checked, violations = container.check("NodePool", value)
        assert violations == []
        assert checked == {"initialNodeCount": 3, "config": {"accelerators": [{"acceleratorCount": "1"}]}}

    def test_keys_of_maps_are_data(self, container: discovery.Document) -> None:
        checked, violations = container.check("Cluster", {"resourceLabels": {"snake_case": "x"}})
        assert (checked, violations) == ({"resourceLabels": {"snake_case": "x"}}, [])

    def test_null_is_absent_and_what_is_skipped_passes(self, container: discovery.Document) -> None:
        value = {"name": None, "initialNodeCount": MARK, "config": {"machineType": MARK}}
        checked, violations = container.check("NodePool", value, skip=lambda item: item is MARK)
        assert violations == []
        assert checked["config"]["machineType"] is MARK

    def test_required_fields_are_those_of_the_method(self) -> None:
        compute = discovery.load("compute", "v1")
        assert [v.kind for v in compute.check("Network", {}, method="compute.networks.insert")[1]] == ["required"]
        assert compute.check("Network", {}, method="compute.networks.patch")[1] == []

    def test_an_api_that_is_not_shipped_is_named(self) -> None:
        with pytest.raises(LookupError, match="container v9"):
            discovery.load("container", "v9")
