"""SGLang. docs.sglang.io: server arguments and production metrics; its health pages are in `entrypoints/http_server.py` of its source."""

from decimal import Decimal

from components.kubernetes.runtimes.runtime import HUB_OFFLINE, SCRATCH_ROOT, Runtime, Signal

RUNTIME = Runtime(
    title="SGLang",
    command=("python3", "-m", "sglang.launch_server"),
    args=(
        "--model-path={weights}",
        "--served-model-name={name}",
        "--host=0.0.0.0",
        "--port=8000",
        "--tensor-parallel-size={gpus}",
        "--enable-metrics",
    ),
    fetches={"hf": ("--revision={revision}",)},
    # Others would take more GPUs than a replica has, or answer elsewhere or otherwise than its probes ask.
    aliases=(
        *("--model", "--tp", "--tp-size", "--pp", "--pp-size", "--pipeline-parallel-size"),
        *("--dp", "--dp-size", "--data-parallel-size", "--nnodes", "--node-rank", "--dist-init-addr"),
        *("--base-gpu-id", "--gpu-id-step", "--disaggregation-mode"),
        *("--grpc-mode", "--ssl-keyfile", "--ssl-certfile"),
    ),
    refused_flags={"--config": "reads flags from a file, where no check sees them: write them as args"},
    share_flags=("--mem-fraction-static",),
    # They share out GPUs that tensor parallelism has already.
    parts_flags=(
        *("--ep", "--ep-size", "--expert-parallel-size", "--attn-cp-size", "--attention-context-parallel-size"),
        *("--moe-dp-size", "--moe-data-parallel-size"),
    ),
    splits_heads=True,
    protocol="openai",
    ports={"http": 8000},
    # Answers once a token was generated, or another request has got one: 503 while weights load.
    ready_path="/health_generate",
    live_path="/health",
    rate_metric="sglang_requests_per_second",
    # As for vLLM: tens of GiB to load, then kernels to compile and graphs to capture.
    startup_seconds=1800,
    drain_seconds=120,
    queue=Signal("sglang_num_queue_reqs", "2"),
    env={
        "HF_HOME": f"{SCRATCH_ROOT}/huggingface",
        "TRITON_CACHE_DIR": f"{SCRATCH_ROOT}/triton",
        "TORCHINDUCTOR_CACHE_DIR": f"{SCRATCH_ROOT}/inductor",
    },
    offline=HUB_OFFLINE,
    shared_memory_gib=4,
    scale_down_seconds=900,
    # FlashInfer, its kernels on NVIDIA GPUs, starts at SM75: https://pypi.org/project/flashinfer-python/
    compute_capability=Decimal("7.5"),
    # Weights of today's models are in it, and `auto` follows the weights.
    format="bf16",
    format_flag="--dtype",
    format_names={"half": "fp16", "float16": "fp16", "float": "fp32", "float32": "fp32"},
)
