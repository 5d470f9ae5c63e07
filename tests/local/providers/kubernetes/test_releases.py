from __future__ import annotations

from typing import Any

import pytest

from model_factory.local.providers.kubernetes.releases import faults
from model_factory.local.wire import UNKNOWN

SOUND: dict[str, Any] = {
    "chart": "karpenter",
    "name": "karpenter",
    "namespace": "kube-system",
    "version": "1.14.3",
    "repositoryOpts": {"repo": "https://charts.example.com/stable"},
    "values": {"replicas": 2},
    "skipAwait": True,
    "timeout": 600,
}


def test_a_sound_release_has_no_faults() -> None:
    assert list(faults(SOUND)) == []


def test_a_chart_in_a_registry_needs_no_repository() -> None:
    assert list(faults({**SOUND, "chart": "oci://registry.example.com/karpenter", "repositoryOpts": {}})) == []


@pytest.mark.parametrize(
    "version",
    ["1.2.3", "v1.2.3", "~1.2", "^1", ">= 1.0.0, < 2.0.0", "1.x", "1.2.3-rc.1+build", "1 || 2", "1.2 - 2.3.4"],
)
def test_versions_and_ranges_of_them_are_taken(version: str) -> None:
    assert list(faults({**SOUND, "version": version})) == []


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("chart", {"chart": None}),
        ("chart", {"repositoryOpts": {}}),
        ("chart", {"chart": ""}),
        ("version", {"version": "latest"}),
        ("version", {"version": 1.2}),
        ("version", {"version": ">= 1,"}),
        ("version", {"version": "1 " * 1000 + "!"}),
        ("name", {"name": "Karpenter"}),
        ("name", {"name": "k" * 54}),
        ("namespace", {"namespace": "kube system"}),
        ("repositoryOpts.repo", {"repositoryOpts": {"repo": "charts"}}),
        ("repositoryOpts.repo", {"chart": "oci://registry.example.com/karpenter"}),
        ("repositoryOpts.url", {"repositoryOpts": {"repo": "https://charts.example.com", "url": "x"}}),
        ("values", {"values": "replicas: 2"}),
        ("atomic", {"atomic": "yes"}),
        ("timeout", {"timeout": -1}),
        ("resourceNames", {"resourceNames": {}}),
        ("valuesFile", {"valuesFile": "x"}),
    ],
)
def test_what_is_wrong_is_named_by_its_path(path: str, change: dict[str, Any]) -> None:
    inputs = {key: value for key, value in {**SOUND, **change}.items() if value is not None}
    assert [found for found, _ in faults(inputs)] == [path]


def test_what_is_not_known_yet_passes() -> None:
    unknown = dict.fromkeys(SOUND, UNKNOWN)
    assert list(faults(unknown)) == []
    assert list(faults({**SOUND, "repositoryOpts": {"repo": UNKNOWN}, "version": UNKNOWN})) == []
