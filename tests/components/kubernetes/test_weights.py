from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.kubernetes.weights.routes import WeightsPlace, folder, hub_weights, weights_place
from model_factory.facts.clouds import Cloud
from model_factory.planning.settings.sections import ModelSettings


def model(**changes: Any) -> ModelSettings:
    values: dict[str, Any] = {
        "name": "m",
        "runtime": "vllm",
        "image": f"m@sha256:{'0' * 64}",
        "weights": {"uri": "bucket://m", "revision": "7"},
        "gpu_memory_gib": 16,
        "p95_latency_ms": 100,
        "requests_per_second": 10,
        "replicas": {"min": 1, "max": 2},
    }
    return ModelSettings.model_validate({**values, **changes})


class TestFolders:
    @given(st.text("ab/", max_size=12), st.none() | st.text("12", min_size=1, max_size=4))
    def test_end_with_one_slash_and_double_none(self, path: str, revision: str | None) -> None:
        prefix = folder(path, revision)
        assert "//" not in prefix
        assert not prefix.startswith("/")
        assert prefix == "" or prefix.endswith("/")


class TestPlaces:
    @pytest.mark.parametrize("cloud", ["aws", "gcp"])
    def test_the_own_bucket_serves_both_clouds(self, cloud: Cloud) -> None:
        assert weights_place(model(), cloud) == WeightsPlace("bucket", "", "m/7/")

    def test_a_foreign_bucket_is_taken_apart(self) -> None:
        weights = {"uri": "s3://shared/models/m", "revision": "7"}
        assert weights_place(model(weights=weights), "aws") == WeightsPlace("s3", "shared", "models/m/7/")

    def test_a_bucket_of_the_other_cloud_is_refused(self) -> None:
        with pytest.raises(ValueError, match="cannot be mounted on gcp"):
            weights_place(model(weights={"uri": "s3://shared/m"}), "gcp")

    def test_a_hub_serves_vllm_only(self) -> None:
        weights = {"uri": "hf://owner/m", "revision": "a" * 40}
        assert weights_place(model(weights=weights), "aws").prefix == "owner/m"
        with pytest.raises(ValueError, match="torchserve cannot load hf://owner/m"):
            weights_place(model(weights=weights, runtime="torchserve"), "aws")

    def test_hub_weights_without_a_commit_are_refused(self) -> None:
        unpinned = model(weights={"uri": "hf://owner/m"})
        with pytest.raises(ValueError, match="needs a revision"):
            hub_weights(unpinned, weights_place(unpinned, "aws"))
