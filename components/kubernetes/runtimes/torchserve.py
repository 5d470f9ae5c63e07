"""TorchServe. pytorch.org/serve/configuration.html"""

from decimal import Decimal

from components.kubernetes.runtimes.runtime import CONFIG_ROOT, SCRATCH_ROOT, Runtime

RUNTIME = Runtime(
    title="TorchServe",
    runs_without_gpus=True,
    command=("torchserve",),
    args=("--start", "--foreground", "--ncs", f"--ts-config={CONFIG_ROOT}/config.properties"),
    # They would take the place of what config.properties says, or end the server.
    aliases=("--stop", "--model-store", "--models", "--no-config-snapshots"),
    protocol="torchserve",
    ports={"http": 8080, "metrics": 8082},
    ready_path="/ping",
    live_path="/ping",
    metrics_port="metrics",
    rate_metric="ts_inference_requests_per_second",
    startup_seconds=600,
    drain_seconds=60,
    env={
        "LOG_LOCATION": f"{SCRATCH_ROOT}/logs",
        "METRICS_LOCATION": f"{SCRATCH_ROOT}/logs",
        "TEMP": SCRATCH_ROOT,
    },
    files={
        # The management API can load any code, so it listens inside the Pod only.
        "config.properties": (
            "inference_address=http://0.0.0.0:8080\n"
            "management_address=http://127.0.0.1:8081\n"
            "metrics_address=http://0.0.0.0:8082\n"
            "metrics_mode=prometheus\n"
            "disable_token_authorization=true\n"
            "model_store={weights}\n"
            "load_models={name}.mar\n"
        )
    },
    # pytorch.org/serve/performance_guide: workers share out what is there.
    env_without_gpus={"OMP_NUM_THREADS": "{cpus}"},
    shared_memory_gib=1,
    warning="TorchServe is archived since 2025-08-07 and gets no fixes; triton serves PyTorch, vllm serves LLMs",
    # That of the PyTorch in its last images: https://github.com/pytorch/pytorch/blob/main/RELEASE.md
    compute_capability=Decimal("5.0"),
)
