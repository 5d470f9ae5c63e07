"""What is particular to each model server: commands, ports, health, files, signals. Data, and the one function that fills it in.

Sources: tensorflow.org/tfx/serving/serving_config; docs.nvidia.com/deeplearning/triton-inference-server (user guide, and its metrics
page); pytorch.org/serve/configuration.html; docs.vllm.ai (serve, and its metrics page).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from model_factory.planning.settings.sections import ModelSettings, Runtime

WEIGHTS_ROOT = "/models"
CONFIG_ROOT = "/etc/model-server"
SCRATCH_ROOT = "/tmp"  # noqa: S108 (inside the container, an emptyDir)


@dataclass(frozen=True, slots=True)
class Signal:
    """A figure a Pod gives, by which its autoscaler adds replicas: an average over the replicas.

    `metric` is the name under which a metrics adapter serves it; Kubernetes names have no colons.
    """

    metric: str
    target: str


@dataclass(frozen=True, slots=True)
class ModelServer:
    """A model server as Kubernetes sees it.

    In `args`, `files`, `ready_path` and `live_path`: {name} is the model's name, {weights} its folder (or repository), {gpus} the GPUs
    of a replica. `startup_seconds` covers loading the largest weights this server is meant for; `drain_seconds` its
    longest request. `queue` is None where the server tells no queue: CPU is the signal then.
    """

    title: str
    command: tuple[str, ...]
    args: tuple[str, ...]
    ports: Mapping[str, int]
    health_port: str
    ready_path: str
    live_path: str
    metrics_port: str
    metrics_path: str
    rate_metric: str
    startup_seconds: int
    drain_seconds: int
    queue: Signal | None = None
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    shared_memory_gib: int = 0
    scale_down_seconds: int = 300


_TRITON = ModelServer(
    title="Triton",
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
    ports={"http": 8000, "grpc": 8001, "metrics": 8002},
    health_port="http",
    ready_path="/v2/health/ready",
    live_path="/v2/health/live",
    metrics_port="metrics",
    metrics_path="/metrics",
    rate_metric="nv_inference_request_success_per_second",
    startup_seconds=600,
    drain_seconds=30,
    queue=Signal("nv_inference_pending_request_count", "4"),
    shared_memory_gib=1,
)

MODEL_SERVERS: Mapping[Runtime, ModelServer] = {
    "tensorflow-serving": ModelServer(
        title="TensorFlow Serving",
        command=("tensorflow_model_server",),
        args=(
            "--port=8500",
            "--rest_api_port=8501",
            "--model_name={name}",
            "--model_base_path={weights}",
            f"--monitoring_config_file={CONFIG_ROOT}/monitoring.config",
            "--enable_batching=true",
            f"--batching_parameters_file={CONFIG_ROOT}/batching.config",
        ),
        ports={"http": 8501, "grpc": 8500},
        health_port="http",
        # It has no health page; a model's status answers once the model is known.
        ready_path="/v1/models/{name}",
        live_path="/v1/models/{name}",
        metrics_port="http",
        metrics_path="/monitoring/prometheus/metrics",
        rate_metric="tensorflow_serving_requests_per_second",
        startup_seconds=300,
        drain_seconds=30,
        files={
            "monitoring.config": 'prometheus_config {\n  enable: true\n  path: "/monitoring/prometheus/metrics"\n}\n',
            "batching.config": (
                "max_batch_size { value: 32 }\n"
                "batch_timeout_micros { value: 2000 }\n"
                "max_enqueued_batches { value: 100 }\n"
                "num_batch_threads { value: 4 }\n"
            ),
        },
    ),
    "triton": _TRITON,
    # ONNX Runtime is one of Triton's back ends: what differs is in the model's own config.pbtxt.
    "triton-onnx": _TRITON,
    "torchserve": ModelServer(
        title="TorchServe",
        command=("torchserve",),
        args=("--start", "--foreground", "--ncs", f"--ts-config={CONFIG_ROOT}/config.properties"),
        ports={"http": 8080, "metrics": 8082},
        health_port="http",
        ready_path="/ping",
        live_path="/ping",
        metrics_port="metrics",
        metrics_path="/metrics",
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
        shared_memory_gib=1,
    ),
    "vllm": ModelServer(
        title="vLLM",
        command=("vllm", "serve"),
        args=(
            "{weights}",
            "--served-model-name={name}",
            "--host=0.0.0.0",
            "--port=8000",
            "--tensor-parallel-size={gpus}",
        ),
        ports={"http": 8000},
        health_port="http",
        ready_path="/health",
        live_path="/health",
        metrics_port="http",
        metrics_path="/metrics",
        rate_metric="vllm_requests_per_second",
        # Tens of GiB to load, then kernels to compile and graphs to capture.
        startup_seconds=1800,
        drain_seconds=120,
        queue=Signal("vllm_num_requests_waiting", "2"),
        env={
            "HF_HOME": f"{SCRATCH_ROOT}/huggingface",
            "VLLM_CACHE_ROOT": f"{SCRATCH_ROOT}/vllm",
            "TRITON_CACHE_DIR": f"{SCRATCH_ROOT}/triton",
            "TORCHINDUCTOR_CACHE_DIR": f"{SCRATCH_ROOT}/inductor",
        },
        shared_memory_gib=4,
        # A replica takes many minutes to come back, so it is not given up for a short lull.
        scale_down_seconds=900,
    ),
}


def filled(text: str, model: ModelSettings, weights: str) -> str:
    """A text of a server's data with the model's values in the places of {name}, {weights} and {gpus}.

    Plain replacement: the files hold braces of their own.
    """
    for place, value in {
        "{name}": model.name,
        "{weights}": weights,
        "{gpus}": str(model.gpus_per_replica),
    }.items():
        text = text.replace(place, value)
    return text
