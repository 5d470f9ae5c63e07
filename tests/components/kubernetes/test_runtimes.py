from __future__ import annotations

from decimal import Decimal

import pytest

from components.kubernetes.runtimes import RUNTIMES
from model_factory.facts.accelerators import FORMATS, accelerators
from model_factory.planning.settings.arguments import check_arguments, share_of


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


UNDONE = {
    "vllm": (
        *(
            "--prefill-context-parallel-size=2",
            "-pcp=2",
            "--data-parallel-size-local=2",
            "-dpl=2",
            "--node-rank=1",
            "-n=2",
        ),
        *("--decode-context-parallel-size=2", "--gpu-memory-utilization=0", "--disable_log_stats", "--config=/tmp/x"),
    ),
    "sglang": (
        *(
            "--dp-size=2",
            "--dp=2",
            "--data-parallel-size=2",
            "--mem-fraction-static=7",
            "--ep-size=2",
            "--attn-cp-size=2",
        ),
        *("--moe-dp-size=2", "--base-gpu-id=1", "--config=/tmp/x", "--disaggregation-mode=prefill"),
    ),
    "triton": (
        *(
            "--model-control-mode=explicit",
            "--load-model=m",
            "--http-port=1",
            "--metrics-port=1",
            "--allow-metrics=false",
        ),
        *("--http-restricted-api=health:k=v", "--strict-readiness=false"),
    ),
    "tensorflow-serving": (
        "--rest_api_port=1",
        "--enable_batching=false",
        "--platform_config_file=/x",
        "--model_config_file=/x",
    ),
    "llama-cpp": (
        *("--model=/x", "-m", "-hf", "--models-dir", "--alias", "--port", "--api-key", "--ssl-key-file"),
        "--ctx-size=2048",
    ),
    "torchserve": ("--stop", "--ts-config=/x", "--models=all", "--model-store=/x"),
}
TAKEN = {
    "vllm": (
        "--gpu-memory-utilization=0.95",
        "-dcp=1",
        "--max-model-len",
        "4096",
        "--lora-modules",
        "a=b",
        "c=d",
        "--seed",
        "-1",
    ),
    "sglang": ("--mem-fraction-static=.8", "--ep-size=1", "--context-length=4096"),
    "triton": ("--log-verbose=1", "--model-load-thread-count=2"),
    "tensorflow-serving": ("--tensorflow_session_parallelism=2",),
    "torchserve": ("--log-config=/x",),
    "llama-cpp": ("--ctx-size", "2048", "-ngl", "0", "--no-mmap"),
}


class TestArguments:
    """What would fail, or stop what the stack relies on, in the cluster only, is refused; the rest is the user's."""

    @pytest.mark.parametrize("argument", ["foo", "--help", "--version"])
    @pytest.mark.parametrize("runtime", sorted({*RUNTIMES} - {"triton-onnx"}))
    def test_that_no_server_takes(self, runtime: str, argument: str) -> None:
        assert [index for index, _ in check_arguments([argument], 1, RUNTIMES[runtime])] == [0]

    @pytest.mark.parametrize(
        ("runtime", "argument"), [(name, each) for name, all_of in UNDONE.items() for each in all_of]
    )
    def test_that_undo_what_the_stack_sets(self, runtime: str, argument: str) -> None:
        ((index, message),) = check_arguments([argument], 1, RUNTIMES[runtime])
        assert index == 0
        assert "remove it" in message or "; write " in message

    @pytest.mark.parametrize("runtime", TAKEN)
    def test_that_are_the_users(self, runtime: str) -> None:
        assert [*check_arguments(TAKEN[runtime], 1, RUNTIMES[runtime])] == []

    @pytest.mark.parametrize(
        ("parts", "right"),
        [("1", True), ("2", True), ("4", True), ("3", False), ("8", False), ("0", False), ("x", False), ("", False)],
    )
    def test_parts_divide_the_gpus(self, parts: str, right: bool) -> None:
        assert [*check_arguments([f"--ep-size={parts}"], 4, RUNTIMES["sglang"])] != right

    @pytest.mark.parametrize("written", ["0.9", ".9", "1", "1.0", "0.000001"])
    def test_shares_are_read(self, written: str) -> None:
        assert share_of(written) == Decimal(written)

    @pytest.mark.parametrize("written", ["0", "0.0", "1.5", "-0.5", "7", "lots", "", "9e-1", "nan", "٠.٥"])
    def test_no_shares(self, written: str) -> None:
        assert share_of(written) is None
