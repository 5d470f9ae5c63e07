"""What changes under running nodes: what replaces them, in which order, and what does not touch them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.stacks.harness import LocalStack

pytestmark = pytest.mark.slow


def only(cloud: str, model: str) -> Any:
    """An edit of the stack file that leaves one model on one cloud, to be quick."""

    def edit(config: dict[str, Any]) -> None:
        for other in set(config["model-factory:models"]) - {model}:
            del config["model-factory:models"][other]
        config["model-factory:models"][model]["clouds"] = [cloud]
        del config[f"model-factory:{'gcp' if cloud == 'aws' else 'aws'}"]

    return edit


def steps(stack: LocalStack) -> list[dict[str, Any]]:
    """What a preview would change."""
    listed = stack.factory("preview", "--json").json["steps"]
    return [step for step in listed if step["op"] != "same"]


def type_of(step: dict[str, Any]) -> str:
    return step["urn"].split("::")[2].rsplit("$", 1)[-1]


class TestLabels:
    def test_a_changed_label_replaces_no_machine_of_eks(self, stack: LocalStack) -> None:
        stack.edit(only("aws", "object-detector"))
        stack.factory("up", "--yes")
        eks = stack.aws("eks")
        (cluster,) = eks.list_clusters()["clusters"]
        names = eks.list_nodegroups(clusterName=cluster)["nodegroups"]

        def templates() -> dict[str, str]:
            groups = (eks.describe_nodegroup(clusterName=cluster, nodegroupName=name)["nodegroup"] for name in names)
            return {group["nodegroupName"]: group["launchTemplate"]["version"] for group in groups}

        before = templates()

        def relabel(config: dict[str, Any]) -> None:
            config["model-factory:labels"]["team"] = "another-team"

        stack.edit(relabel)
        stack.factory("up", "--yes")
        assert templates() == before
        tagged = [
            eks.describe_nodegroup(clusterName=cluster, nodegroupName=name)["nodegroup"]["tags"] for name in names
        ]
        assert {tags["team"] for tags in tagged} == {"another-team"}
