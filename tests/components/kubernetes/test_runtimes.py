from __future__ import annotations

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

    def test_bf16_is_what_a_t4_lacks(self) -> None:
        t4 = accelerators()["t4"]
        assert not RUNTIMES["vllm"].hardware([]).formats <= t4.formats
        assert RUNTIMES["vllm"].hardware(["--dtype", "half"]).formats <= t4.formats
        assert RUNTIMES["vllm"].compute_capability <= t4.compute_capability
