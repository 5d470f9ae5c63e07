"""The services that the stack calls are named as the providers and the tools behind them name them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import botocore.session
import pytest

from model_factory.facts.aws import services as aws
from model_factory.facts.gcp import services as gcp


def source(package: str, file: str) -> str:
    """The text of a file of a package that takes seconds to import."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return (Path(spec.origin).parent / file).read_text(encoding="utf-8")


class TestAws:
    @pytest.mark.parametrize("service", aws.SERVICES)
    def test_boto3_has_the_service(self, service: str) -> None:
        assert service in botocore.session.Session().get_available_services()

    @pytest.mark.parametrize("service", aws.SERVICES)
    def test_moto_has_the_service(self, service: str) -> None:
        assert importlib.util.find_spec(f"moto.{service}") is not None

    def test_the_provider_knows_every_endpoint_key(self) -> None:
        text = source("pulumi_aws", "config/outputs.py")
        assert all(f"def {key}(self)" in text for keys in aws.SERVICES.values() for key in keys)


class TestGcp:
    def test_the_provider_knows_every_endpoint_key(self) -> None:
        text = source("pulumi_gcp", "config/vars.py")
        assert all(f"get('{key}')" in text for keys in gcp.SERVICES.values() for key in keys)

    def test_what_is_optional_is_a_service(self) -> None:
        assert set(gcp.SERVICES) > gcp.OPTIONAL
