"""The project on disk is found, and a program's configuration is what the stack file says over the project's defaults."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from model_factory.cli.errors import BadInputError
from model_factory.cli.project import find_project, program_config, require_stack_file
from model_factory.planning.settings.providers import Providers
from model_factory.planning.settings.stackfile import read_stack_file


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text(
        "name: shop\nruntime: python\nconfig:\n  tier:\n    type: string\n    default: small\n  aws:region: {value: eu-west-1}\n"
    )
    (tmp_path / "Pulumi.dev.yaml").write_text(
        "encryptionsalt: v1:abc:def\nconfig:\n"
        "  aws:region: us-east-1\n  shop:token: {secure: ciphertext}\n"
        "  shop:nested:\n    list: [1, {secure: inner}]\n"
    )
    return tmp_path


def decrypt(text: str) -> str:
    return f"plain {text}"


class TestFindProject:
    def test_looks_upwards(self, root: Path) -> None:
        (root / "a" / "b").mkdir(parents=True)
        assert find_project(root / "a" / "b").root == root

    def test_none_on_the_way_up_is_refused_with_a_remedy(self, tmp_path: Path) -> None:
        with pytest.raises(BadInputError, match=r"no Pulumi\.yaml .* or above"):
            find_project(tmp_path)

    def test_bad_yaml_is_named_with_its_file(self, root: Path) -> None:
        (root / "Pulumi.yaml").write_text("name: [")
        with pytest.raises(BadInputError, match=r"Pulumi\.yaml:1: is not YAML"):
            find_project(root)


class TestStackFile:
    def test_an_unknown_stack_names_the_nearest(self, root: Path) -> None:
        with pytest.raises(BadInputError, match="did you mean dev"):
            require_stack_file(find_project(root), "deb")

    def test_stacks_are_the_files(self, root: Path) -> None:
        assert find_project(root).stacks() == ["dev"]


class TestProgramConfig:
    def test_the_stack_overrides_the_project(self, root: Path) -> None:
        values = program_config(find_project(root), read_stack_file(root / "Pulumi.dev.yaml"), decrypt).values
        assert values["aws:region"] == "us-east-1"
        assert values["shop:tier"] == "small"

    def test_secrets_are_decrypted_and_their_keys_marked(self, root: Path) -> None:
        config = program_config(find_project(root), read_stack_file(root / "Pulumi.dev.yaml"), decrypt)
        assert config.values["shop:token"] == "plain ciphertext"
        assert json.loads(config.values["shop:nested"]) == {"list": [1, "plain inner"]}
        assert config.secret_keys == {"shop:token", "shop:nested"}

    def test_no_passphrase_is_asked_for_without_secrets(self, root: Path) -> None:
        (root / "Pulumi.dev.yaml").write_text("config: {shop:size: 3}\n")

        def never(text: str) -> str:
            raise AssertionError(text)

        assert (
            program_config(find_project(root), read_stack_file(root / "Pulumi.dev.yaml"), never).values["shop:size"]
            == "3"
        )

    def test_structured_values_read_as_the_pulumi_cli_writes_them(self, root: Path) -> None:
        # `pulumi preview` of a program that prints os.environ["PULUMI_CONFIG"] shows these very texts.
        (root / "Pulumi.dev.yaml").write_text(
            "config:\n  shop:map: {b: [1, 1.0, 2.5, true, null], a: 'é <&>'}\n  shop:whole: 3.0\n  shop:flag: true\n"
        )
        values = program_config(find_project(root), read_stack_file(root / "Pulumi.dev.yaml"), decrypt).values
        assert values["shop:map"] == r'{"a":"é \u003c\u0026\u003e","b":[1,1,2.5,true,null]}'
        assert (values["shop:whole"], values["shop:flag"]) == ("3", "true")

    def test_the_salt_is_the_files(self, root: Path) -> None:
        assert read_stack_file(root / "Pulumi.dev.yaml").salt == "v1:abc:def"


class TestEndpointPorts:
    def test_come_from_the_providers_own_configuration(self) -> None:
        values = {
            "aws:endpoints": json.dumps([{"ec2": "http://127.0.0.1:4610"}]),
            "gcp:computeCustomEndpoint": "http://127.0.0.1:4611/compute/v1/",
            "gcp:project": "p",
        }
        assert Providers.read(values).ports == {"aws": 4610, "gcp": 4611}

    def test_none_without_endpoints(self) -> None:
        assert Providers.read({"aws:region": "us-east-1"}).ports == {}


def test_stack_files_that_the_project_has_elsewhere_are_told_by_the_key(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: model-factory\nruntime: python\nstackConfigDir: stacks\n")
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks" / "Pulumi.dev.yaml").write_text("config: {}\n")
    with pytest.raises(BadInputError, match=r"(?s)no file Pulumi\.dev\.yaml.*Pulumi\.yaml:3.*stackConfigDir"):
        require_stack_file(find_project(tmp_path), "dev")
