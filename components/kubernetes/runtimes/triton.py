"""NVIDIA Triton Inference Server. docs.nvidia.com/deeplearning/triton-inference-server: user guide, and its metrics page."""

from decimal import Decimal

from components.kubernetes.runtimes.runtime import WEIGHTS_ROOT, Runtime, Signal

RUNTIME = Runtime(
    title="Triton",
    runs_without_gpus=True,
    command=("tritonserver",),
    args=(
        f"--model-repository={WEIGHTS_ROOT}",
        "--http-port=8000",
        "--grpc-port=8001",
        "--metrics-port=8002",
        # A model that fails to load must show as a Pod that is not ready, not as one that serves the others.
        "--strict-readiness=true",
        "--exit-timeout-secs=30",
    ),
    aliases=(
        *("--model-store", "--allow-http", "--allow-grpc", "--allow-metrics"),
        *("--http-address", "--grpc-address", "--metrics-address"),
    ),
    refused_flags={
        "--model-control-mode": "leaves models unloaded or loads others later, and the stack has all in the repository served",
        "--load-model": "takes a mode of control that leaves all other models unloaded",
        "--http-restricted-api": "can keep out the probes, which have no key",
    },
    protocol="kserve",
    ports={"http": 8000, "grpc": 8001, "metrics": 8002},
    ready_path="/v2/health/ready",
    live_path="/v2/health/live",
    metrics_port="metrics",
    rate_metric="nv_inference_request_success_per_second",
    startup_seconds=600,
    drain_seconds=30,
    queue=Signal("nv_inference_pending_request_count", "4"),
    # Of PyTorch and what else is built with OpenMP; ONNX Runtime's are set in a model's config.pbtxt.
    env_without_gpus={"OMP_NUM_THREADS": "{cpus}"},
    shared_memory_gib=1,
    # Release notes, GPU requirements.
    compute_capability=Decimal("6.0"),
)
