"""The model servers that a stack file may name. A new one is a file beside this and a line here."""

from collections.abc import Mapping
from typing import Final

from components.kubernetes.runtimes import llama_cpp, sglang, tensorflow_serving, torchserve, triton, vllm
from components.kubernetes.runtimes.runtime import Runtime

RUNTIMES: Final[Mapping[str, Runtime]] = {
    "llama-cpp": llama_cpp.RUNTIME,
    "sglang": sglang.RUNTIME,
    "tensorflow-serving": tensorflow_serving.RUNTIME,
    "torchserve": torchserve.RUNTIME,
    "triton": triton.RUNTIME,
    # ONNX Runtime is one of Triton's back ends: what differs is in the model's own config.pbtxt.
    "triton-onnx": triton.RUNTIME,
    "vllm": vllm.RUNTIME,
}
