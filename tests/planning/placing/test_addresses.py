from __future__ import annotations

from typing import Any

import pytest

from model_factory.planning.settings.problems import SettingsError
from tests.planning.placing.test_keep import plan, stack


def refused(section: str, settings: dict[str, Any], **model: Any) -> list[str]:
    """What is said of ranges when one model has so many replicas in one region."""
    region = {"aws": "us-east-1", "gcp": "us-central1"}[section]
    asked = stack({"a": {"clouds": [section], **model}}, **{section: {"regions": [region], **settings}})
    try:
        plan(asked)
    except SettingsError as error:
        return [f"{each.key}: {each.message}" for each in error.problems]
    return []


class TestAddresses:
    """Each range at the last size that holds what is planned, and one beyond. A node holds one replica here; a roll-out takes one more."""

    @pytest.mark.parametrize(
        ("section", "key", "cidr", "held"),
        [
            # /20: three subnets of 1,019; 20 addresses a node; 4 nodes of the system at most.
            ("aws", "vpcCidr", "10.0.0.0/20", 3 * 1019 // 20 - 4 - 1),
            # /20 is sixteen /24; six nodes of the system at most.
            ("gcp", "podsCidr", "10.128.0.0/20", 16 - 6 - 1),
            ("gcp", "subnetCidr", "10.64.0.0/24", 252 - 6 - 1),
        ],
    )
    def test_of_nodes(self, section: str, key: str, cidr: str, held: int) -> None:
        settings = {key: cidr, "podsCidr": "10.128.0.0/11"} if key == "subnetCidr" else {key: cidr}
        one_a_node = {
            "gpuMemoryGib": 12,
            "accelerators": ["l4"],
            "machineTypes": ["g6.xlarge" if section == "aws" else "g2-standard-4"],
        }
        assert refused(section, settings, **one_a_node, replicas={"min": 1, "max": held}) == []
        (told,) = refused(section, settings, **one_a_node, replicas={"min": 1, "max": held + 1})
        assert told.startswith(f"model-factory:{section}.{key}: {cidr} has room for ")
        assert "lower replicas.max" in told

    def test_of_services(self) -> None:
        models: dict[str, dict[str, Any]] = {f"m{number}": {"clouds": ["aws"]} for number in range(247)}
        aws = {"regions": ["us-east-1"], "serviceCidr": "172.20.0.0/24"}
        with pytest.raises(SettingsError, match=r"serviceCidr.*room for 246 models, and us-east-1 may have 247"):
            plan(stack(models, aws=aws))
        del models["m0"]
        assert plan(stack(models, aws=aws)).placements
