"""llama.cpp's server. github.com/ggml-org/llama.cpp: tools/server/README.md."""

from decimal import Decimal

from components.kubernetes.runtimes.runtime import SCRATCH_ROOT, Runtime, Signal

RUNTIME = Runtime(
    title="llama.cpp",
    runs_without_gpus=True,
    command=("llama-server",),
    # It loads a file, not a folder; of a model in several it is told the first: weights are a folder with
    # that one named model.gguf, or a link to it.
    args=(
        *("--model", "{weights}/model.gguf", "--alias", "{name}"),
        *("--host", "0.0.0.0", "--port", "8080", "--metrics"),  # noqa: S104 (inside the Pod)
        # Its own default takes all cores of the node, whatever the Pod asks for.
        *("--threads", "{cpus}"),
    ),
    # Others would load another model or several, answer elsewhere than its probes ask, or speak TLS there.
    aliases=(
        *(
            "-m",
            "-a",
            "-t",
            "--model-url",
            "-mu",
            "--docker-repo",
            "-dr",
            "--hf-repo",
            "-hf",
            "-hfr",
            "--hf-file",
            "-hff",
        ),
        *("--models-dir", "--models-preset", "--api-prefix", "--ssl-key-file", "--ssl-cert-file"),
    ),
    refused_flags={
        "--api-key": "keeps out what reads its metrics, which has no key: let in clients by network policy",
        "--api-key-file": "keeps out what reads its metrics, which has no key: let in clients by network policy",
    },
    joined_values=False,
    protocol="openai",
    ports={"http": 8080},
    ready_path="/health",
    live_path="/health",
    # It counts tokens, not requests.
    rate_metric=None,
    # Tens of GiB to read; it captures and compiles nothing.
    startup_seconds=900,
    drain_seconds=120,
    queue=Signal("llamacpp_requests_deferred", "2"),
    env={"LLAMA_CACHE": f"{SCRATCH_ROOT}/llama.cpp", "LLAMA_OFFLINE": "1"},
    # ggml/src/ggml-cuda/CMakeLists.txt: the least of its default architectures.
    compute_capability=Decimal("5.0"),
)
