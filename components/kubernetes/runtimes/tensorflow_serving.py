"""TensorFlow Serving. tensorflow.org/tfx/serving/serving_config"""

from decimal import Decimal

from components.kubernetes.runtimes.runtime import CONFIG_ROOT, Runtime

RUNTIME = Runtime(
    title="TensorFlow Serving",
    runs_without_gpus=True,
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
    # It takes the place of name and base path.
    aliases=("--model_config_file",),
    refused_flags={"--platform-config-file": "takes the place of the batching that the stack sets"},
    # tensorflow.org/tfx/tutorials/serving/rest_simple: a SavedModel lies in a folder of its version, base_path/1.
    versioned=True,
    protocol="tensorflow-serving",
    ports={"http": 8501, "grpc": 8500},
    # It has no health page; a model's status answers once the model is known.
    ready_path="/v1/models/{name}",
    live_path="/v1/models/{name}",
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
    # github.com/tensorflow/tensorflow: core/common_runtime/{local_device,process_util}.cc
    env_without_gpus={"TF_NUM_INTRAOP_THREADS": "{cpus}", "TF_NUM_INTEROP_THREADS": "{cpus}"},
    # https://www.tensorflow.org/install/gpu, hardware requirements.
    compute_capability=Decimal("3.5"),
)
