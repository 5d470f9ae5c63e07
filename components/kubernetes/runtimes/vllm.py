"""vLLM. docs.vllm.ai: serve, and its metrics page."""

from decimal import Decimal

from components.kubernetes.runtimes.runtime import HUB_OFFLINE, SCRATCH_ROOT, Runtime, Signal

RUNTIME = Runtime(
    title="vLLM",
    command=("vllm", "serve"),
    args=(
        "{weights}",
        "--served-model-name={name}",
        "--host=0.0.0.0",
        "--port=8000",
        "--tensor-parallel-size={gpus}",
    ),
    fetches={"hf": ("--revision={revision}",)},
    # Others would take more GPUs than a replica has, answer elsewhere than its probes ask, or speak TLS or gRPC there: docs.vllm.ai, cli/serve.
    aliases=(
        *("-tp", "--model", "--pipeline-parallel-size", "-pp", "--prefill-context-parallel-size", "-pcp"),
        *("--data-parallel-size", "-dp", "--data-parallel-size-local", "-dpl", "--data-parallel-rank", "-dpn"),
        *("--data-parallel-start-rank", "-dpr", "--data-parallel-address", "-dpa", "--data-parallel-rpc-port", "-dpp"),
        *("--data-parallel-hybrid-lb", "-dph", "--data-parallel-external-lb", "-dpe"),
        *("--nnodes", "-n", "--node-rank", "-r", "--master-addr", "--master-port", "--headless"),
        *("--uds", "--grpc", "--ssl-keyfile", "--ssl-certfile"),
    ),
    refused_flags={
        "--disable-log-stats": "ends the metrics that the autoscaler goes by",
        "--config": "reads flags from a file, where no check sees them: write them as args",
    },
    share_flags=("--gpu-memory-utilization",),
    # It shares out GPUs that tensor parallelism has already: github.com/vllm-project/vllm, vllm/config/parallel.py
    parts_flags=("--decode-context-parallel-size", "-dcp"),
    # github.com/vllm-project/vllm/issues/596
    splits_heads=True,
    protocol="openai",
    ports={"http": 8000},
    ready_path="/health",
    live_path="/health",
    rate_metric="vllm_requests_per_second",
    # Tens of GiB to load, then kernels to compile and graphs to capture.
    startup_seconds=1800,
    drain_seconds=120,
    queue=Signal("vllm_num_requests_waiting", "2"),
    env={
        "HF_HOME": f"{SCRATCH_ROOT}/huggingface",
        # docs.vllm.ai, usage_stats: it would tell of itself at each start.
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_CACHE_ROOT": f"{SCRATCH_ROOT}/vllm",
        "TRITON_CACHE_DIR": f"{SCRATCH_ROOT}/triton",
        "TORCHINDUCTOR_CACHE_DIR": f"{SCRATCH_ROOT}/inductor",
    },
    offline=HUB_OFFLINE,
    shared_memory_gib=4,
    # A replica takes many minutes to come back, so it is not given up for a short lull.
    scale_down_seconds=900,
    # docs.vllm.ai, getting_started/installation/gpu: 7.5 or higher.
    compute_capability=Decimal("7.5"),
    # docs.vllm.ai, cli/serve: of all memory that a process can use.
    memory_share=Decimal("0.9"),
    memory_flag="--gpu-memory-utilization",
    # Weights of today's models are in it, and `auto` follows the weights.
    format="bf16",
    format_flag="--dtype",
    format_names={"half": "fp16", "float16": "fp16", "float": "fp32", "float32": "fp32"},
)
