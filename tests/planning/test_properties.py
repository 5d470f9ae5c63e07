from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from components.kubernetes.serving import SERVING
from model_factory.facts.catalogue import catalogue
from model_factory.planning.placing.fit import fits, need_of
from model_factory.planning.placing.plan import hourly_price, plan
from model_factory.planning.settings.problems import SettingsError
from model_factory.planning.settings.schema import json_schema
from model_factory.planning.settings.sections import Settings
from tests.planning.project import from_config, load
from tests.planning.strategies import BREAKS, broken_stack_files, stack_files

SCHEMA = jsonschema.Draft202012Validator(json_schema(SERVING))
QUICK = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def read(stack: dict[str, Any], root: Path) -> Settings:
    path = root / "Pulumi.dev.yaml"
    with path.open("w") as out:
        YAML(typ="safe").dump(stack, out)
    (root / "Pulumi.yaml").write_text("name: model-factory\n")
    return load(path, root / "Pulumi.yaml")


class TestValidStacks:
    @QUICK
    @given(stack=stack_files())
    def test_are_accepted_from_the_file_and_from_the_engine_alike(self, stack: dict[str, Any], tmp_path: Path) -> None:
        from_file = read(stack, tmp_path)
        config = {key: value if isinstance(value, str) else json.dumps(value) for key, value in stack["config"].items()}
        assert from_config(config, stack="dev") == from_file

    @QUICK
    @given(stack=stack_files())
    def test_satisfy_the_editors_schema(self, stack: dict[str, Any]) -> None:
        SCHEMA.validate(stack)

    @QUICK
    @given(stack=stack_files(), order=st.randoms(use_true_random=False))
    def test_plan_to_what_fits_and_is_cheapest(self, stack: dict[str, Any], order: Any) -> None:
        config = stack["config"]
        given_settings = from_config(config, stack="dev")
        offers = list(catalogue().offers)
        made = plan(given_settings, offers)
        order.shuffle(offers)
        assert plan(given_settings, offers) == made
        assert [each.model.name for each in made.placements] == sorted(config["model-factory:models"])
        pools = {(pool.cloud, pool.region, pool.name): pool for pool in made.pools}
        assert len(pools) == len(made.pools)
        for placement in made.placements:
            need = need_of(given_settings, placement.model)
            assert fits(placement.offer, need)
            assert placement.capacity_type == "on-demand" or placement.model.spot
            pool = pools[placement.cloud, placement.region, placement.pool]
            assert pool.machine_type == placement.offer.machine_type
            assert pool.zones == placement.zones
            assert set(pool.zones) <= set(placement.offer.zones)
            if placement.cloud == "gcp":
                chosen = given_settings.gcp.zones_of(placement.region) if given_settings.gcp else ()
                assert pool.zones
                assert not chosen or set(pool.zones) <= set(chosen)
            assert pool.max_nodes * placement.replicas_per_node >= placement.model.replicas.max
            if placement.replicas_per_node == 1:
                cheapest = min(hourly_price(offer, "on-demand") for offer in offers if fits(offer, need))
                assert hourly_price(placement.offer, placement.capacity_type) <= cheapest


class TestBrokenStacks:
    @QUICK
    @given(broken=broken_stack_files())
    def test_are_refused_naming_the_broken_key(self, broken: tuple[dict[str, Any], str], tmp_path: Path) -> None:
        stack, key = broken
        with pytest.raises(SettingsError) as refused:
            read(stack, tmp_path)
        assert any(problem.key.startswith(key) for problem in refused.value.problems), (
            key,
            refused.value.problems,
        )
        assert all(problem.message and problem.line for problem in refused.value.problems)

    @pytest.mark.parametrize("name", sorted(BREAKS))
    @settings(QUICK, max_examples=5)
    @given(data=st.data())
    def test_every_kind_of_break_is_found(self, name: str, data: st.DataObject, tmp_path: Path) -> None:
        stack = data.draw(stack_files(max_models=2))
        key = BREAKS[name](data.draw, stack["config"])
        with pytest.raises(SettingsError) as refused:
            read(stack, tmp_path)
        assert any(problem.key.startswith(key) for problem in refused.value.problems), (
            key,
            refused.value.problems,
        )
