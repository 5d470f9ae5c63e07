"""The committed pictures are those that the program and the stack files draw."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from model_factory.cli.offline import declared
from model_factory.cli.session import Session
from model_factory.graph.resource import Resource
from model_factory.planning.settings.sections import ModelSettings, Settings, Spread
from model_factory.preview.diagrams.architecture import Architecture
from model_factory.preview.diagrams.charts import architecture_chart, cluster_chart, diagrams, serving_chart
from model_factory.preview.mermaid import Box, Chart, Edge, Node
from tests.preview.estate import Model, estate

ROOT = Path(__file__).parents[2]
FACTORY = Path(sys.executable).with_name("factory")
STACKS = ("dev", "prod")


@pytest.fixture(scope="module")
def dev() -> tuple[Session, list[Resource]]:
    session = Session.open("dev", ROOT)
    return session, list(declared(session))


@pytest.mark.slow
class TestCommittedDiagrams:
    @pytest.mark.parametrize("stack", STACKS)
    def test_are_what_the_command_draws(self, stack: str, tmp_path: Path) -> None:
        committed = ROOT / "docs" / "diagrams" / stack
        for file in (*ROOT.glob("Pulumi*.yaml"), ROOT / "__main__.py"):
            shutil.copy(file, tmp_path / file.name)
        ended = subprocess.run(
            [str(FACTORY), "diagram", "--stack", stack, "--out", str(tmp_path / "out")],
            cwd=tmp_path,
            env={"HOME": "/nonexistent", "PATH": "/usr/bin"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        drawn = {file.name: file.read_text(encoding="utf-8") for file in (tmp_path / "out").iterdir()}
        kept = {file.name: file.read_text(encoding="utf-8") for file in committed.iterdir()}
        assert drawn == kept, f"run `factory diagram --stack {stack}` and commit what it draws"
        assert not (tmp_path / ".factory").exists(), "drawing keeps nothing"


class TestArchitecture:
    @pytest.mark.slow
    def test_knows_every_model_on_its_pools(self, dev: tuple[Session, list[Resource]]) -> None:
        session, resources = dev
        regions = Architecture.of(resources).regions
        served = [(region, model) for region in regions for model in region.models]
        assert {model.name for _, model in served} == {model.name for model in session.settings.models}
        for region, model in served:
            assert model.pools
            assert set(model.pools) <= {pool.name for pool in region.pools}
            assert model.weights == region.buckets
            assert model.registry in region.registries
            assert model.identity

    @pytest.mark.slow
    def test_does_not_depend_on_the_order_of_records(self, dev: tuple[Session, list[Resource]]) -> None:
        session, resources = dev
        shuffled = resources.copy()
        random.Random(7).shuffle(shuffled)  # noqa: S311 - any order will do
        assert diagrams(Architecture.of(shuffled), session.settings) == diagrams(
            Architecture.of(resources), session.settings
        )

    @pytest.mark.slow
    def test_shows_no_value_that_is_not_known_yet(self, dev: tuple[Session, list[Resource]]) -> None:
        session, resources = dev
        for text in diagrams(Architecture.of(resources), session.settings).values():
            assert "known after up" not in text
            assert "04da6b54" not in text


class TestParts:
    """What the examples do not have: KEDA's autoscaler, and parts of a GPU."""

    def test_keda_and_mig_are_drawn(self) -> None:
        root = "urn:pulumi:s::p::model-factory:region:AwsRegion"
        region = Resource(f"{root}::r", "model-factory:region:AwsRegion", {})
        model = Resource(f"{root}$S::m", "model-factory:serving:ModelService", {}, parent=region.urn)
        server = {
            "image": "registry/m:1",
            "resources": {"limits": {"nvidia.com/mig-1g.10gb": 2, "memory": "8Gi"}},
        }
        spec = {"nodeSelector": {"model-factory/pool": "l4"}, "containers": [server]}
        deployment = Resource(
            f"{root}$D::m",
            "kubernetes:apps/v1:Deployment",
            {"metadata": {"name": "m"}, "spec": {"template": {"spec": spec}}},
            parent=model.urn,
        )
        scaled = {
            "scaleTargetRef": {"name": "m"},
            "minReplicaCount": 1,
            "idleReplicaCount": 0,
            "maxReplicaCount": 4,
            "triggers": [{"type": "prometheus", "metadata": {"threshold": "30"}}],
        }
        scaler = Resource(
            f"{root}$K::m", "kubernetes:keda.sh/v1alpha1:ScaledObject", {"spec": scaled}, parent=model.urn
        )
        pool = Resource(
            f"{root}$P::dev-l4",
            "aws:eks/nodeGroup:NodeGroup",
            {"labels": {"model-factory/pool": "l4"}, "scalingConfig": {"minSize": 0, "maxSize": 2}},
            parent=region.urn,
        )
        (found,) = Architecture.of([region, model, deployment, scaler, pool]).regions[0].models
        assert (found.pools, found.processors) == (["l4"], "2 mig-1g.10gb")
        assert (found.scaler, found.replicas) == ("ScaledObject", "1-4 replicas, 0 when idle")
        assert found.metrics == ["prometheus ≤ 30"]

    def test_weights_from_an_image_are_drawn_by_its_name(self) -> None:
        root = "urn:pulumi:s::p::model-factory:region:AwsRegion"
        region = Resource(f"{root}::r", "model-factory:region:AwsRegion", {})
        model = Resource(f"{root}$S::m", "model-factory:serving:ModelService", {}, parent=region.urn)
        image = {"reference": f"registry.test/team/llm:1.0@sha256:{'1' * 64}"}
        spec = {"containers": [{"image": "m:1"}], "volumes": [{"name": "weights", "image": image}]}
        deployment = Resource(
            f"{root}$D::m",
            "kubernetes:apps/v1:Deployment",
            {"metadata": {"name": "m"}, "spec": {"template": {"spec": spec}}},
            parent=model.urn,
        )
        (found,) = Architecture.of([region, model, deployment]).regions[0].models
        assert found.weights == ["llm:1.0"]

    def test_a_model_without_gpus_shows_its_cpu(self) -> None:
        root = "urn:pulumi:s::p::model-factory:region:AwsRegion"
        region = Resource(f"{root}::r", "model-factory:region:AwsRegion", {})
        model = Resource(f"{root}$S::m", "model-factory:serving:ModelService", {}, parent=region.urn)
        server = {"image": "m:1", "resources": {"requests": {"cpu": "500m"}, "limits": {"memory": "1Gi"}}}
        deployment = Resource(
            f"{root}$D::m",
            "kubernetes:apps/v1:Deployment",
            {"metadata": {"name": "m"}, "spec": {"template": {"spec": {"containers": [server]}}}},
            parent=model.urn,
        )
        (found,) = Architecture.of([region, model, deployment]).regions[0].models
        assert (found.processors, found.memory) == ("500m CPU", "1Gi")


class TestLegs:
    """A model that may use several pools, and one at two sites."""

    ARCHITECTURE = Architecture.of(
        map(
            Resource.of,
            estate({"chat": (Model("aws", spot=True), Model("gcp")), "rank": Model("aws")}, spot_nodes=2).values(),
        )
    )

    def test_pools_stand_by_what_the_model_likes_best(self) -> None:
        aws, gcp = self.ARCHITECTURE.regions
        assert {model.name: model.pools for model in aws.models} == {"chat": ["l4-spot", "l4"], "rank": ["l4"]}
        assert {model.name: model.pools for model in gcp.models} == {"chat": ["l4"]}

    def test_the_first_pool_has_a_solid_edge_and_the_next_a_dotted_one_with_its_rank(self) -> None:
        aws, _ = self.ARCHITECTURE.regions
        for chart in (architecture_chart([aws], {}), cluster_chart(aws, {}), serving_chart(aws, aws.models[0], None)):
            (spot,) = (
                edge for edge in chart.edges if edge.target.endswith("pool l4-spot") and edge.source != "control"
            )
            later = [edge for edge in chart.edges if edge.target.endswith("pool l4") and edge.dotted]
            assert not spot.dotted
            assert [(edge.source, edge.label) for edge in later] == [(spot.source, "choice 2")]

    @pytest.mark.parametrize(
        ("changes", "label"),
        [
            ({}, "5 requests/s"),
            ({"p95_latency_ms": Decimal(40)}, "5 requests/s, p95 40 ms"),
            ({"spread": Spread(clouds=2)}, "5 requests/s at all sites together"),
        ],
    )
    def test_callers_ask_what_the_stack_file_says_and_nothing_that_it_leaves_out(
        self, changes: dict[str, Any], label: str
    ) -> None:
        asked = ModelSettings.model_construct(
            None, image="m:1", runtime="vllm", requests_per_second=Decimal(5), sites={}, weights=None, **changes
        )
        aws, _ = self.ARCHITECTURE.regions
        model = replace(aws.models[0], clients=["team=a"])
        chart = serving_chart(aws, model, asked)
        assert [edge.label for edge in chart.edges if edge.source == "client team=a"] == [label]

    def test_namespaces_that_are_let_in_by_name_read_metrics_and_send_no_requests(self) -> None:
        aws, _ = self.ARCHITECTURE.regions
        by_name = "kubernetes.io/metadata.name="
        clients = ["team=a", f"{by_name}gmp-system", f"{by_name}monitoring"]
        chart = serving_chart(aws, replace(aws.models[0], clients=clients), None)
        assert [edge.source for edge in chart.edges if edge.target == "policy"] == ["client team=a"]
        assert "metrics<br/>gmp-system<br/>monitoring" in chart.text()

    def test_a_model_at_two_sites_is_drawn_in_both_under_headings_of_its_own(self) -> None:
        settings = Settings("p", "dev", "dev", sections={}, models=(), labels={}, local=None)
        drawn = diagrams(self.ARCHITECTURE, settings)
        headings = [line for line in drawn["serving.md"].splitlines() if line.startswith("## ")]
        assert headings == ["## chat in us-east-1", "## chat in us-central1", "## rank"]
        assert "| dev-aws | l4 | g6.xlarge | l4 | – | 0-9 | chat (choice 2), rank |" in drawn["architecture.md"]


class TestChart:
    def test_text_cannot_break_out_of_a_label(self) -> None:
        text = Chart([Node("a", ['end"] --> b', "<script>", "#1\n`x`"])]).text()
        assert text == ('flowchart LR\n  a_0["end#quot;] --#gt; b<br/>#lt;script#gt;<br/>#35;1 #96;x#96;"]\n')

    def test_ids_are_safe_whatever_the_keys(self) -> None:
        chart = Chart([Box("End", "End", [Node("end", ["e"]), Node("é!", ["x"])])], [Edge("end", "é!")])
        assert chart.text().splitlines() == [
            "flowchart LR",
            '  subgraph end_0["End"]',
            '    end_1["e"]',
            '    _2["x"]',
            "  end",
            "  end_1 --> _2",
        ]

    def test_an_edge_to_nothing_is_an_error(self) -> None:
        with pytest.raises(KeyError):
            Chart([Node("a", ["a"])], [Edge("a", "b")]).text()

    def test_writes_only_the_styles_that_are_used(self) -> None:
        chart = Chart([Node("a", ["a"], style="red")], styles={"red": "fill:#f00", "blue": "fill:#00f"})
        assert "classDef red" in chart.text()
        assert "blue" not in chart.text()
