from __future__ import annotations

from typing import Any

from model_factory.local.providers.kubernetes.ownership import taken_over, without_ignored

ME = "pulumi-kubernetes-1"
REPLICAS = {"f:spec": {"f:replicas": {}}}
IMAGE = {"f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"c"}': {"f:image": {}}}}}}}


def entry(manager: str, fields: dict[str, Any], operation: str = "Update", subresource: str = "") -> dict[str, Any]:
    found = {"manager": manager, "operation": operation, "fieldsV1": fields, "time": "2026-01-01T00:00:00Z"}
    return found | ({"subresource": subresource} if subresource else {})


def live(*entries: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"managedFields": list(entries)}, "spec": spec}


WANTED: dict[str, Any] = {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 1}}


class TestTakingOver:
    def test_what_was_set_by_hand_becomes_ours_beside_what_is(self) -> None:
        found = taken_over(live(entry(ME, IMAGE, "Apply"), entry("kubectl-edit", REPLICAS)), WANTED, ME)
        assert found is not None
        (own,) = found
        assert (own["manager"], own["operation"]) == (ME, "Apply")
        assert own["fieldsV1"] == {"f:spec": {**IMAGE["f:spec"], **REPLICAS["f:spec"]}}

    def test_what_our_own_create_set_becomes_ours_to_apply(self) -> None:
        found = taken_over(live(entry(ME, REPLICAS)), WANTED, ME)
        assert found is not None
        assert [each["operation"] for each in found] == ["Apply"]

    def test_a_controllers_fields_stay_a_controllers(self) -> None:
        autoscaler = entry("kube-controller-manager", REPLICAS, subresource="scale")
        assert taken_over(live(entry(ME, IMAGE, "Apply"), autoscaler), WANTED, ME) is None
        found = taken_over(live(autoscaler, entry("kubectl-patch", IMAGE)), WANTED, ME)
        assert found is not None
        assert found[1:] == [autoscaler]

    def test_a_status_set_by_hand_is_no_field_of_the_stack(self) -> None:
        assert taken_over(live(entry("kubectl-edit", {"f:status": {}}, subresource="status")), WANTED, ME) is None

    def test_replicas_set_by_hand_stay_where_the_stack_sets_none(self) -> None:
        scaled = live(entry("kubectl", REPLICAS, subresource="scale"))
        assert taken_over(scaled, WANTED, ME) is not None
        assert taken_over(scaled, {**WANTED, "spec": {}}, ME) is None


class TestIgnoredPaths:
    def test_what_another_set_is_left_to_them(self) -> None:
        found = without_ignored(WANTED, live(entry("hpa", REPLICAS), replicas=3), ME, [("spec", "replicas")])
        assert found["spec"] == {}
        assert WANTED["spec"] == {"replicas": 1}, "the inputs are recorded as they are"

    def test_what_is_ours_too_keeps_its_value(self) -> None:
        both = live(entry("hpa", REPLICAS), entry(ME, REPLICAS, "Apply"), replicas=3)
        assert without_ignored(WANTED, both, ME, [("spec", "replicas")])["spec"] == {"replicas": 3}
