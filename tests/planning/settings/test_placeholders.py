"""Values of an example are told from somebody's own, and credentials are told to nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_factory.planning.settings.placeholders import placeholders
from model_factory.planning.settings.stackfile import StackFile, read_stack_file

ROOT = Path(__file__).parents[3]
DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def signs(**config: object) -> list[str]:
    return [each.stands_for for each in placeholders(StackFile("Pulumi.x.yaml", config=config))]


@pytest.mark.parametrize(
    ("value", "stands_for"),
    [
        ("203.0.113.0/24", "a range for documentation"),
        ("198.51.100.7", "a range for documentation"),
        ("2001:db8:1::/48", "a range for documentation"),
        (f"m:1@sha256:{'0' * 64}", "a made-up digest"),
        (f"m:1@sha256:{'0123456789abcdef' * 4}", "a made-up digest"),
        ("m@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "a made-up digest"),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com/m:1", "an account of AWS's documentation"),
        ("arn:aws:iam::000000000000:role/x", "an account of AWS's documentation"),
        ("cr-0123456789abcdef0", "an id of AWS's documentation"),
        ("registry.example.com/m:1", "a host for documentation (RFC 2606)"),
        ("registry.example/m:1", "a host for documentation (RFC 2606)"),
        ("<your bucket>", "to be filled in"),
        ("changeme", "to be filled in"),
    ],
)
def test_what_stands_for_something_else_is_known_wherever_it_stands(value: str, stands_for: str) -> None:
    assert signs(**{"model-factory:x": {"a": [{"b": value}]}}) == [stands_for]


@pytest.mark.parametrize(
    "value",
    [
        "10.0.0.0/16", "8.8.8.0/24", f"m:1@sha256:{DIGEST}", "482915306614.dkr.ecr.us-east-1.amazonaws.com/m:1", "us-east-1",
        "examples/m:1", "example-models", "registry.acme.com/m:1.example-2", "cr-0a1b2c3d4e5f60718", "1.4.0", "todos",
    ],
)  # fmt: skip
def test_what_may_be_somebody_s_own_is_left_alone(value: str) -> None:
    assert signs(**{"model-factory:x": {"a": [{"b": value}]}}) == []


class TestCredentials:
    @pytest.mark.parametrize("key", ["aws:accessKey", "aws:secretKey", "gcp:accessToken", "gcp:credentials"])
    def test_those_for_local_clouds_are_known(self, key: str) -> None:
        assert signs(**{key: "test"}) == ["a credential that is none"]

    def test_real_ones_are_not_told_whatever_they_hold(self) -> None:
        assert signs(**{"aws:secretKey": "abTODO123456789012<key>203.0.113.0/24"}) == []


class TestExamples:
    @pytest.mark.parametrize("stack", ["staging", "prod"])
    def test_every_value_to_be_replaced_is_found_with_its_line(self, stack: str) -> None:
        file = ROOT / f"Pulumi.{stack}.yaml"
        found = placeholders(read_stack_file(file))
        assert {each.stands_for for each in found} == {
            "an example's project", "a range for documentation", "a made-up digest",
        }  # fmt: skip
        lines = file.read_text(encoding="utf-8").splitlines()
        for each in found:
            line = int(each.place.split(":")[1])
            assert each.value.removeprefix("sha256:").split("…")[0] in lines[line - 1]
