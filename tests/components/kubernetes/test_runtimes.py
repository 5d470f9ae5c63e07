from __future__ import annotations

from decimal import Decimal

import pytest

from components.kubernetes.runtimes import RUNTIMES
from model_factory.facts.accelerators import FORMATS, accelerators


class TestHardwareOfServers:
    @pytest.mark.parametrize("name", RUNTIMES)
    def test_is_told_in_the_words_of_the_accelerator_facts(self, name: str) -> None:
        runtime = RUNTIMES[name]
        said = [runtime.hardware([f"{runtime.format_flag}={value}"]) for value in ("auto", *runtime.format_names)]
        assert all(each.formats <= FORMATS for each in said)
        assert any(each.compute_capability >= runtime.compute_capability for each in accelerators().values())

    @pytest.mark.parametrize(
        ("args", "share"),
        [
            ([], "0.9"),
            (["--gpu-memory-utilization=0.95"], "0.95"),
            (["--gpu_memory_utilization", ".8"], "0.8"),
            (["--gpu-memory-utilization=0.5", "--gpu-memory-utilization=1.0"], "1"),
            (["--gpu-memory-utilization=lots"], "0.9"),
            (["--gpu-memory-utilization"], "0.9"),
        ],
    )
    def test_vllm_takes_nine_tenths_of_the_memory_unless_told_otherwise(self, args: list[str], share: str) -> None:
        assert RUNTIMES["vllm"].hardware(args).memory_share == Decimal(share)

    def test_bf16_is_what_a_t4_lacks(self) -> None:
        t4 = accelerators()["t4"]
        assert not RUNTIMES["vllm"].hardware([]).formats <= t4.formats
        assert RUNTIMES["vllm"].hardware(["--dtype", "half"]).formats <= t4.formats
        assert RUNTIMES["vllm"].compute_capability <= t4.compute_capability
