from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from model_factory.cli.errors import BadInputError
from model_factory.cli.policies import PolicyChoice, policy_packs
from model_factory.engines.pulumi import _policy_arguments
from model_factory.local.engine.request import PackSource


def session(root: Path) -> Any:
    return SimpleNamespace(project=SimpleNamespace(root=root), settings=SimpleNamespace(environment="staging"))


def pack(folder: Path, *environments: str) -> Path:
    (folder / "config").mkdir(parents=True)
    (folder / "PulumiPolicy.yaml").write_text("runtime: python\n")
    for environment in environments:
        (folder / "config" / f"{environment}.json").write_text("{}")
    return folder


class TestWhichPacksAreAsked:
    def test_none_where_the_project_has_none(self, tmp_path: Path) -> None:
        assert policy_packs(PolicyChoice(), session(tmp_path)) == ()

    def test_the_project_s_own_as_its_environment_says(self, tmp_path: Path) -> None:
        own = pack(tmp_path / "policies", "dev", "staging")
        expected = (PackSource(own, own / "config" / "staging.json"),)
        assert policy_packs(PolicyChoice(), session(tmp_path)) == expected

    def test_an_environment_without_a_file_has_the_policies_own_levels(self, tmp_path: Path) -> None:
        own = pack(tmp_path / "policies", "dev")
        assert policy_packs(PolicyChoice(), session(tmp_path)) == (PackSource(own),)

    def test_a_file_that_is_named_stands_in_place_of_the_environment_s(self, tmp_path: Path) -> None:
        own = pack(tmp_path / "policies", "dev", "staging")
        choice = PolicyChoice(configs=(own / "config" / "dev.json",))
        assert policy_packs(choice, session(tmp_path)) == (PackSource(own, own / "config" / "dev.json"),)

    def test_named_packs_stand_in_place_of_the_own(self, tmp_path: Path) -> None:
        pack(tmp_path / "policies", "staging")
        other, third = pack(tmp_path / "other"), pack(tmp_path / "third")
        choice = PolicyChoice.of([other, third], None, False)
        assert policy_packs(choice, session(tmp_path)) == (PackSource(other), PackSource(third))

    def test_none_where_nobody_wants_them(self, tmp_path: Path) -> None:
        pack(tmp_path / "policies")
        assert policy_packs(PolicyChoice(off=True), session(tmp_path)) == ()

    @pytest.mark.parametrize(
        ("choice", "expected"),
        [
            (PolicyChoice((Path("nowhere"),)), "nowhere is no policy pack: it has no PulumiPolicy.yaml"),
            (PolicyChoice(configs=(Path("none.json"),)), "none.json is not there"),
            (PolicyChoice((Path("nowhere"),), off=True), "--no-policies asks none"),
        ],
    )
    def test_what_is_wrong_is_refused(self, tmp_path: Path, choice: PolicyChoice, expected: str) -> None:
        with pytest.raises(BadInputError, match=expected):
            policy_packs(choice, session(tmp_path))

    def test_a_configuration_is_for_one_pack(self, tmp_path: Path) -> None:
        own = pack(tmp_path / "policies", "dev")
        config = own / "config" / "dev.json"
        with pytest.raises(BadInputError, match="2 times for 1 policy packs"):
            policy_packs(PolicyChoice(configs=(config, config)), session(tmp_path))


class TestTheCli:
    def test_it_is_given_a_configuration_for_each_pack_or_none(self, tmp_path: Path) -> None:
        one, two = pack(tmp_path / "one", "dev"), pack(tmp_path / "two")
        assert _policy_arguments([PackSource(one), PackSource(two)], tmp_path) == [
            "--policy-pack", str(one), "--policy-pack", str(two),
        ]  # fmt: skip
        config = one / "config" / "dev.json"
        given = _policy_arguments([PackSource(one, config), PackSource(two)], tmp_path)
        empty = tmp_path / "policy-config.json"
        assert given[4:] == ["--policy-pack-config", str(config), "--policy-pack-config", str(empty)]
        assert empty.read_text() == "{}\n"
