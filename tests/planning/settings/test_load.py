from __future__ import annotations

import json
from decimal import Decimal

import pytest

from components.kubernetes.serving import SERVING
from model_factory.planning.settings.load import read_config
from model_factory.planning.settings.problems import Problem, SettingsError
from model_factory.planning.settings.stackfile import read_stack_file
from model_factory.planning.settings.yamlfile import Secure
from tests.planning.project import DIGEST, STACK, Edit, Project, drop, from_config, put

LLM = "model-factory:models/llm"
LLM_KEY = "model-factory:models.llm"
RESNET = "model-factory:models/resnet"
RESNET_KEY = "model-factory:models.resnet"
WITHOUT_GPUS = (drop(f"{RESNET}/gpuMemoryGib"), put(f"{RESNET}/gpusPerReplica", 0))

RULES = "model-factory:rules"
RESERVED = {"name": "cr-0123456789abcdef0", "zone": "us-east-1a", "machineType": "p5.48xlarge", "machines": 2}


def instead_of_spot(*edits: Edit) -> Edit:
    """Edits of a model that no longer says spot: true."""
    return all_of(drop(f"{LLM}/spot"), *edits)


def all_of(*edits: Edit) -> Edit:
    return lambda config: [edit(config) for edit in edits]


def sites(**bounds: tuple[int, int]) -> Edit:
    """Instead of replicas, sites: aws_us_east_1=(1, 2)."""
    given = {
        site.replace("_", "/", 1).replace("_", "-"): {"min": low, "max": high} for site, (low, high) in bounds.items()
    }
    return all_of(drop(f"{LLM}/replicas"), put(f"{LLM}/sites", given))


REFUSED: dict[str, tuple[Edit, str, tuple[str, ...]]] = {
    # case: edit of a valid file, key that the message names, what the message says
    "missing environment": (drop("model-factory:environment"), "model-factory:environment", ("is missing", "dev, staging or prod")),
    "missing models": (drop("model-factory:models"), "model-factory:models", ("is missing",)),
    "no models": (put("model-factory:models", {}), "model-factory:models", ("is empty",)),
    "missing key of a model": (drop(f"{LLM}/image"), f"{LLM_KEY}.image", ("is missing", "container image")),
    "missing inner key": (drop(f"{LLM}/replicas/max"), f"{LLM_KEY}.replicas.max", ("is missing",)),
    "unknown key": (put("model-factory:modles", {}), "model-factory:modles", ("unknown key", "model-factory:models")),
    "unknown key of a model": (put(f"{LLM}/gpuMemoryGB", 3), f"{LLM_KEY}.gpuMemoryGB", ("unknown key", "write gpuMemoryGib")),
    "snake case": (put(f"{LLM}/gpu_memory_gib", 3), f"{LLM_KEY}.gpu_memory_gib", ("write gpuMemoryGib",)),
    "unknown inner key": (put(f"{LLM}/replicas/mni", 1), f"{LLM_KEY}.replicas.mni", ("write min", "known: max, min")),
    "unknown key of a cloud": (put("model-factory:aws/vpcCIDR", "x"), "model-factory:aws.vpcCIDR", ("write vpcCidr",)),
    "unknown key of a provider": (put("aws:regoin", "x"), "aws:regoin", ("write aws:region",)),
    "no namespace": (put("environment", "dev"), "environment", ("write model-factory:environment",)),
    "namespace mistyped": (put("model-factroy:labels", {}), "model-factroy:labels", ("write model-factory:labels",)),
    "foreign namespace": (put("azure-native:location", "x"), "azure-native:location", ("does not use",)),
    "text for a mapping": (put("model-factory:aws", "us-east-1"), "model-factory:aws", ("'us-east-1' is not a mapping",)),
    "text for a list": (put("model-factory:aws/regions", "us-east-1"), "model-factory:aws.regions", ("is not a list",)),
    "list for models": (put("model-factory:models", ["llm"]), "model-factory:models", ("is not a mapping",)),
    "text for a number": (put(f"{LLM}/gpuMemoryGib", "16"), f"{LLM_KEY}.gpuMemoryGib", ("'16' is not a number",)),
    "text for a flag": (put(f"{LLM}/spot", "maybe"), f"{LLM_KEY}.spot", ("write true or false",)),
    "flag for a count": (put(f"{LLM}/replicas/min", True), f"{LLM_KEY}.replicas.min", ("not a whole number",)),
    "empty text": (put("model-factory:aws/systemMachineType", ""), "model-factory:aws.systemMachineType", ("is empty",)),
    "unit in a number": (put(f"{LLM}/memoryGib", "16GB"), f"{LLM_KEY}.memoryGib", ("'16GB' is not a number", "write 14.9")),
    "binary unit in a number": (put(f"{LLM}/gpuMemoryGib", "16Gi"), f"{LLM_KEY}.gpuMemoryGib", ("write 16 ",)),
    "quantity of CPU": (put(f"{LLM}/cpu", "16GB"), f"{LLM_KEY}.cpu", ("'16GB'", "500m")),
    "no CPU": (put(f"{LLM}/cpu", 0), f"{LLM_KEY}.cpu", ("not an amount",)),
    "negative": (put(f"{LLM}/requestsPerSecond", -1), f"{LLM_KEY}.requestsPerSecond", ("-1 is outside 0.001 to 10000000",)),
    "NaN": (put(f"{LLM}/p95LatencyMs", float("nan")), f"{LLM_KEY}.p95LatencyMs", ("nan is not a finite number",)),
    "infinity": (put(f"{LLM}/memoryGib", float("inf")), f"{LLM_KEY}.memoryGib", ("inf is not a finite number",)),
    "NaN replicas": (put(f"{LLM}/replicas/max", float("nan")), f"{LLM_KEY}.replicas.max", ("not a whole number",)),
    "fractional GPU": (put(f"{LLM}/gpusPerReplica", 0.5), f"{LLM_KEY}.gpusPerReplica", ("MIG, time-slicing, MPS", "write whole GPUs")),
    "more GPUs than machines have": (put(f"{LLM}/gpusPerReplica", 17), f"{LLM_KEY}.gpusPerReplica", ("outside 0 to 16",)),
    "no GPU for a server that needs one": (put(f"{LLM}/gpusPerReplica", 0), f"{LLM_KEY}.gpusPerReplica", ("is 0, and vLLM runs on GPUs alone", "take a runtime that runs without: ", "tensorflow-serving, ")),
    "GPU memory without GPUs": (put(f"{RESNET}/gpusPerReplica", 0), f"{RESNET_KEY}.gpuMemoryGib", ("for models with GPUs, and gpusPerReplica is 0; remove it",)),
    "accelerators without GPUs": (all_of(*WITHOUT_GPUS, put(f"{RESNET}/accelerators", ["l4"])), f"{RESNET_KEY}.accelerators", ("for models with GPUs, and gpusPerReplica is 0; remove it",)),
    "no GPU memory": (drop(f"{RESNET}/gpuMemoryGib"), f"{RESNET_KEY}.gpuMemoryGib", ("is missing; add it: accelerator memory", "or write gpusPerReplica: 0")),
    "architecture of a machine with GPUs": (put(f"{LLM}/architecture", "arm64"), f"{LLM_KEY}.architecture", ("for models without GPUs, and this one takes some",)),
    "features of a machine with GPUs": (put(f"{LLM}/cpuFeatures", ["amx"]), f"{LLM_KEY}.cpuFeatures", ("for models without GPUs, and this one takes some",)),
    "unknown architecture": (all_of(*WITHOUT_GPUS, put(f"{RESNET}/architecture", "amd64")), f"{RESNET_KEY}.architecture", ("'amd64' is not one of x86_64, arm64",)),
    "unknown feature": (all_of(*WITHOUT_GPUS, put(f"{RESNET}/cpuFeatures", ["amx2"])), f"{RESNET_KEY}.cpuFeatures[0]", ("'amx2' is not one of amx, sve, sve2; write amx",)),
    "feature of another architecture": (all_of(*WITHOUT_GPUS, put(f"{RESNET}/cpuFeatures", ["sve"])), f"{RESNET_KEY}.cpuFeatures[0]", ("sve is of arm64, and the model's image is for x86_64; write architecture: arm64",)),
    "feature twice": (all_of(*WITHOUT_GPUS, put(f"{RESNET}/cpuFeatures", ["amx", "amx"])), f"{RESNET_KEY}.cpuFeatures[1]", ("twice",)),
    "machine of another architecture": (all_of(*WITHOUT_GPUS, put(f"{RESNET}/machineTypes", ["m7g.xlarge"])), f"{RESNET_KEY}.architecture", ("it is arm64, and the model's image is for x86_64; write architecture: arm64",)),
    "machine without the feature": (
        all_of(*WITHOUT_GPUS, put(f"{RESNET}/cpuFeatures", ["amx"]), put(f"{RESNET}/machineTypes", ["e2-standard-8"])),
        f"{RESNET_KEY}.cpuFeatures",
        ("on e2-standard-8 fits on no machine", "it has no amx; remove amx from cpuFeatures"),
    ),
    "machine with GPUs for none": (all_of(*WITHOUT_GPUS, put(f"{RESNET}/machineTypes", ["g6.xlarge"])), f"{RESNET_KEY}.machineTypes[0]", ("'g6.xlarge' has GPUs, and the model takes none",)),
    "too large for machines without GPUs": (all_of(*WITHOUT_GPUS, put(f"{RESNET}/cpu", 100)), f"{RESNET_KEY}.cpu", ("100 CPU, 8 GiB of memory, no GPU fits on no machine", "write cpu: 47.31")),
    "min above max": (put(f"{LLM}/replicas", {"min": 5, "max": 2}), f"{LLM_KEY}.replicas", ("min 5 is above max 2; set min ≤ max",)),
    "negative replicas": (put(f"{LLM}/replicas/min", -1), f"{LLM_KEY}.replicas.min", ("outside 1 to 1000",)),
    "no replica": (put(f"{LLM}/replicas/min", 0), f"{LLM_KEY}.replicas.min", ("nothing here wakes a model",)),
    "runtime": (put(f"{LLM}/runtime", "vlm"), f"{LLM_KEY}.runtime", ("'vlm' is not one of", "write vllm")),
    "no digest": (put(f"{LLM}/image", "vllm/vllm-openai:v1"), f"{LLM_KEY}.image", ("no digest", "vllm/vllm-openai:v1@sha256:")),
    "latest": (put(f"{LLM}/image", "vllm/vllm-openai:latest"), f"{LLM_KEY}.image", ("changes under a running model (latest",)),
    "no tag": (put(f"{LLM}/image", "localhost:5000/vllm"), f"{LLM_KEY}.image", ("no tag",)),
    "short digest": (put(f"{LLM}/image", "vllm@sha256:abc"), f"{LLM_KEY}.image", ("64 hex digits",)),
    "weights": (put(f"{LLM}/weights/uri", "/models/llm"), f"{LLM_KEY}.weights.uri", ("bucket://path",)),
    "floating weights": (drop(f"{LLM}/weights/revision"), f"{LLM_KEY}.weights.revision", ("there is no revision", "40 hex digits")),
    "branch of weights": (put(f"{LLM}/weights/revision", "main"), f"{LLM_KEY}.weights.revision", ("'main' can move",)),
    "weights of every model": (put(f"{LLM}/weights", {"uri": "bucket://*"}), f"{LLM_KEY}.weights.uri", ("'*' in it", "as models/llm")),
    "weights by who asks": (put(f"{LLM}/weights", {"uri": "bucket://x/${aws:username}"}), f"{LLM_KEY}.weights.uri", ("'${aws:username}' in it",)),
    "weights outside": (put(f"{LLM}/weights", {"uri": "bucket://x/../resnet"}), f"{LLM_KEY}.weights.uri", ("'..' in it",)),
    "weights with options of mounts": (
        put(f"{LLM}/weights", {"uri": 'bucket://x")||true||("y,uid=0'}), f"{LLM_KEY}.weights.uri", ("is not the name of a folder",),
    ),
    "weights deeper than keys": (put(f"{LLM}/weights", {"uri": f"bucket://{'a/' * 300}"}), f"{LLM_KEY}.weights.uri", ("600 characters", "at most 512")),
    "weights in no bucket of S3": (
        lambda config: config["model-factory:models"]["llm"].update({"weights": {"uri": "s3://Not_A.Bucket/x"}, "clouds": ["aws"]}),
        f"{LLM_KEY}.weights.uri",
        ("'Not_A.Bucket' in it", "the bucket's own name"),
    ),
    "weights in no bucket of Cloud Storage": (
        lambda config: config["model-factory:models"]["llm"].update({"weights": {"uri": "gs://-bad-/x"}, "clouds": ["gcp"]}),
        f"{LLM_KEY}.weights.uri",
        ("'-bad-' in it",),
    ),
    "weights of no repository": (
        put(f"{LLM}/weights/uri", "hf://a/b/../c?x=1"), f"{LLM_KEY}.weights.uri", ("'a/b/../c?x=1' is not owner/model",),
    ),
    "every revision": (put(f"{LLM}/weights", {"uri": "bucket://m", "revision": "*"}), f"{LLM_KEY}.weights.revision", ("'*' is not", "write it as v1")),
    "revision outside": (put(f"{LLM}/weights", {"uri": "bucket://m", "revision": "../1"}), f"{LLM_KEY}.weights.revision", ("'../1' is not",)),
    "revision of two words": (put(f"{LLM}/weights", {"uri": "bucket://m", "revision": "a b"}), f"{LLM_KEY}.weights.revision", ("'a b' is not",)),
    "revision of two options": (put(f"{LLM}/weights", {"uri": "bucket://m", "revision": "1,2"}), f"{LLM_KEY}.weights.revision", ("'1,2' is not",)),
    "revision in figures": (put("model-factory:models/resnet/weights/revision", "²"), "model-factory:models.resnet.weights.revision", ("'²' is not",)),
    "image of no host": (put(f"{LLM}/image", f"x..y.com/z:1@{DIGEST}"), f"{LLM_KEY}.image", ("copy name and digest",)),
    "image at no port": (put(f"{LLM}/image", f"host:99999/z:1@{DIGEST}"), f"{LLM_KEY}.image", ("copy name and digest",)),
    "weights of another cloud": (
        put(f"{LLM}/weights", {"uri": "s3://team/llm"}),
        f"{LLM_KEY}.weights.uri",
        ("from aws only", "clouds: [aws]"),
    ),
    "weights the server cannot load": (
        put("model-factory:models/resnet/weights", {"uri": "hf://a/b", "revision": "b" * 40}),
        "model-factory:models.resnet.weights.uri",
        ("tensorflow-serving cannot load",),
    ),
    "weights by tag": (
        put(f"{LLM}/weights", {"uri": "oci://ghcr.io/team/llm:1.0"}),
        f"{LLM_KEY}.weights.uri",
        ("'ghcr.io/team/llm:1.0' names no image by digest", "@sha256:<64 hex digits>"),
    ),
    "weights by digest and revision": (
        put(f"{LLM}/weights", {"uri": f"oci://ghcr.io/team/llm@{DIGEST}", "revision": "1.0"}),
        f"{LLM_KEY}.weights.revision",
        ("'1.0' is not read", "remove it"),
    ),
    "weights as an image on an old cluster": (
        lambda config: (
            put(f"{LLM}/weights", {"uri": f"oci://ghcr.io/team/llm@{DIGEST}"})(config),
            put("model-factory:gcp/kubernetesVersion", "1.34")(config),
        ),
        f"{LLM_KEY}.weights.uri",
        ("oci:// needs Kubernetes 1.35, and gcp runs 1.34", 'kubernetesVersion: "1.35"', "or use bucket://"),
    ),
    "port of the server": (
        put(f"{LLM}/args", ["--max-model-len=4096", "--port 9000"]),
        f"{LLM_KEY}.args[1]",
        ("the stack sets --port for vLLM", "remove it"),
    ),
    "owned flag, spelt with _": (put(f"{LLM}/args", ["--served_model_name=x"]), f"{LLM_KEY}.args[0]", ("--served_model_name",)),
    "owned flag, short": (put(f"{LLM}/args", ["-tp", "2"]), f"{LLM_KEY}.args[0]", ("sets -tp for vLLM",)),
    "owned flag of another server": (
        lambda config: config["model-factory:models"]["llm"].update({"runtime": "sglang", "args": ["--tp-size=4"]}),
        f"{LLM_KEY}.args[0]",
        ("sets --tp-size for SGLang",),
    ),
    "owned flag, shortened": (
        put(f"{LLM}/args", ["--tensor-par=4"]), f"{LLM_KEY}.args[0]", ("sets --tensor-parallel-size, which --tensor-par is short for",),
    ),
    "more GPUs than a replica has": (put(f"{LLM}/args", ["--data-parallel-size=2"]), f"{LLM_KEY}.args[0]", ("--data-parallel-size",)),
    "a word that no flag takes": (put(f"{LLM}/args", ["--seed=1", "foo"]), f"{LLM_KEY}.args[1]", ("'foo' belongs to no flag",)),
    "a word before all flags": (put(f"{LLM}/args", ["foo"]), f"{LLM_KEY}.args[0]", ("'foo' belongs to no flag",)),
    "more of a GPU than there is": (
        put(f"{LLM}/args", ["--gpu-memory-utilization=1.5"]), f"{LLM_KEY}.args[0]", ("'1.5' is not a part", "write it as --gpu-memory-utilization=0.9"),
    ),
    "nothing of a GPU": (put(f"{LLM}/args", ["--gpu_memory_utilization", "0.0"]), f"{LLM_KEY}.args[0]", ("'0.0' is not a part",)),
    "flags in a file": (put(f"{LLM}/args", ["--config=/tmp/x.yaml"]), f"{LLM_KEY}.args[0]", ("--config reads flags from a file", "write them as args")),
    "a server without metrics": (put(f"{LLM}/args", ["--disable-log-st"]), f"{LLM_KEY}.args[0]", ("--disable-log-stats ends the metrics",)),
    "a server that ends": (put(f"{LLM}/args", ["--help"]), f"{LLM_KEY}.args[0]", ("ends with --help",)),
    "GPUs shared out among more than there are": (
        put(f"{LLM}/args", ["-dcp", "3"]), f"{LLM_KEY}.args[0]", ("'3' does not divide the", "write -dcp="),
    ),
    "a server that its probes cannot ask": (put(f"{LLM}/args", ["--ssl-keyfile=/k"]), f"{LLM_KEY}.args[0]", ("--ssl-keyfile",)),
    "two words": (
        put(f"{LLM}/args", ["--max-model-len 4096"]),
        f"{LLM_KEY}.args[0]",
        ("'--max-model-len 4096' is one argument with a space in it", "write '--max-model-len=4096'"),
    ),
    "a space before the flag": (put(f"{LLM}/args", [" --enforce-eager"]), f"{LLM_KEY}.args[0]", ("write '--enforce-eager'",)),
    "a key": (put(f"{LLM}/args", ["--api-key=none-of-yours"]), f"{LLM_KEY}.args[0]", ("the value of --api-key would stand in plain text", "remove it")),
    "a key in two arguments": (put(f"{LLM}/args", ["--hf_token", "x"]), f"{LLM_KEY}.args[0]", ("the value of --hf_token", "bucket://")),
    "a key as a variable": (put(f"{LLM}/args", ["VLLM_API_KEY=x"]), f"{LLM_KEY}.args[0]", ("the value of VLLM_API_KEY",)),
    "revision beside the weights": (put(f"{LLM}/args", ["--revision=main"]), f"{LLM_KEY}.args[0]", ("--revision",)),
    "name that ECR refuses": (put("model-factory:models/c--d", STACK["config"]["model-factory:models"]["llm"]), "c--d", ("single hyphens", "write c-d")),
    "illegal name": (put("model-factory:models/My_Model", STACK["config"]["model-factory:models"]["llm"]), "My_Model", ("write my-model",)),
    "long name": (put(f"model-factory:models/{'m' * 41}", STACK["config"]["model-factory:models"]["llm"]), "m" * 41, ("at most 40",)),
    "cloud not set up": (drop("model-factory:gcp"), f"{LLM_KEY}.clouds[1]", ("gcp is not set up",)),
    "unknown cloud": (put(f"{LLM}/clouds", ["azure"]), f"{LLM_KEY}.clouds[0]", ("'azure' is not one of aws, gcp",)),
    "cloud twice": (put(f"{LLM}/clouds", ["aws", "aws"]), f"{LLM_KEY}.clouds[1]", ("twice",)),
    "region of no cloud": (put(f"{LLM}/regions", ["us-east-2"]), f"{LLM_KEY}.regions[0]", ("'us-east-2'", "write us-east-1")),
    "machine without a GPU": (put(f"{LLM}/machineTypes", ["m7i.large"]), f"{LLM_KEY}.machineTypes[0]", ("'m7i.large' has no GPU, and the model takes some",)),
    "unknown accelerator": (put(f"{LLM}/accelerators", ["l40"]), f"{LLM_KEY}.accelerators[0]", ("'l40' is not in the price tables",)),
    "unknown machine": (put(f"{LLM}/machineTypes", ["g6.xlrage"]), f"{LLM_KEY}.machineTypes[0]", ("write g6.xlarge",)),
    "GPU absent in the regions": (
        lambda c: (put(f"{LLM}/accelerators", ["l40s"])(c), put(f"{LLM}/clouds", ["gcp"])(c)),
        f"{LLM_KEY}.clouds",
        ("fits on no machine in us-central1", "in us-east-1", "add aws to clouds"),
    ),
    "machine without the memory": (
        put(f"{LLM}/machineTypes", ["g4dn.xlarge"]),
        f"{LLM_KEY}.machineTypes",
        ("on g4dn.xlarge fits on no machine", "g4dn.xlarge has no bf16", "add g2-standard-4 to machineTypes"),
    ),
    "machine without the GPUs": (
        lambda c: (put(f"{LLM}/machineTypes", ["g6.xlarge"])(c), put(f"{LLM}/gpusPerReplica", 2)(c)),
        f"{LLM_KEY}.gpusPerReplica",
        ("1 GPU of the 2 needed", "write gpusPerReplica: 1"),
    ),
    "too much accelerator memory": (
        put(f"{LLM}/gpuMemoryGib", 200),
        f"{LLM_KEY}.gpusPerReplica",
        ("fits on no machine", "nearest is", "write gpusPerReplica: 2"),
    ),
    "unknown region": (put("model-factory:aws/regions", ["us-esat-1"]), "model-factory:aws.regions[0]", ("write us-east-1",)),
    "unknown home region": (put("gcp:region", "us-centrall1"), "gcp:region", ("write us-central1",)),
    "home not among the regions": (put("aws:region", "us-west-2"), "aws:region", ("not among the regions", "write us-east-1")),
    "region twice": (put("model-factory:aws/regions", ["us-east-1", "us-east-1"]), "model-factory:aws.regions[1]", ("twice",)),
    "no region": (
        lambda c: (drop("aws:region")(c), drop("model-factory:aws/regions")(c)),
        "model-factory:aws",
        ("no region is set", "aws:region"),
    ),
    "zone outside the region": (
        put("model-factory:aws/zones", ["us-east-1a", "us-east-1b", "us-west-2a"]),
        "model-factory:aws.zones[2]",
        ("'us-west-2a' is not a zone of us-east-1",),
    ),
    "no such zone": (put("model-factory:gcp/zones", ["us-central1"]), "model-factory:gcp.zones[0]", ("write us-central1-",)),
    "too few zones": (put("model-factory:aws/zones", ["us-east-1a"]), "model-factory:aws.zones", ("1 of the 3 zones",)),
    "bad CIDR": (put("model-factory:aws/vpcCidr", "10.0.0.0/33"), "model-factory:aws.vpcCidr", ("not an IPv4 range",)),
    "host bits": (put("model-factory:aws/vpcCidr", "10.0.1.0/16"), "model-factory:aws.vpcCidr", ("write 10.0.0.0/16",)),
    "no prefix": (put("model-factory:aws/vpcCidr", "10.0.0.0"), "model-factory:aws.vpcCidr", ("10.0.0.0/32",)),
    "too small": (put("model-factory:aws/vpcCidr", "10.0.0.0/24"), "model-factory:aws.vpcCidr", ("too small: use /16 to /20",)),
    "too large": (put("model-factory:aws/vpcCidr", "10.0.0.0/8"), "model-factory:aws.vpcCidr", ("too large",)),
    "public range": (put("model-factory:aws/vpcCidr", "8.8.0.0/16"), "model-factory:aws.vpcCidr", ("not private",)),
    "control plane range": (put("model-factory:gcp/controlPlaneCidr", "172.16.0.0/24"), "model-factory:gcp.controlPlaneCidr", ("/28",)),
    **{
        f"Docker's bridge as {field}": (
            put(f"model-factory:gcp/{field}", cidr), f"model-factory:gcp.{field}", (f"{cidr} in us-central1", "overlaps 172.17.0.0/16", "choose"),
        )
        for field, cidr in (
            ("controlPlaneCidr", "172.17.0.0/28"), ("subnetCidr", "172.17.16.0/20"), ("podsCidr", "172.17.0.0/16"), ("servicesCidr", "172.17.0.0/20"),
        )
    },
    **{
        f"{cidr} calls no control plane": (put(f"model-factory:{key}", [cidr]), f"model-factory:{key.replace('/', '.')}[0]", (cidr, "list"))
        for key in ("aws/endpointPublicAccessCidrs", "gcp/authorizedCidrs")
        for cidr in ("127.0.0.0/8", "169.254.169.254/32", "224.0.0.0/8", "240.0.0.0/8", "0.0.0.0/8")
    },
    **{
        f"{cidr} to a public endpoint": (
            put("model-factory:aws/endpointPublicAccessCidrs", ["203.0.113.0/24", cidr]),
            "model-factory:aws.endpointPublicAccessCidrs[1]",
            (f"{cidr} is private", "list public ones"),
        )
        for cidr in ("10.0.0.0/8", "172.17.0.0/16", "192.168.1.0/24", "100.64.0.0/10")
    },
    "overlap in a cloud": (put("model-factory:gcp/podsCidr", "10.64.0.0/16"), "model-factory:gcp.subnetCidr", ("overlaps", "podsCidr")),
    "overlap between clouds": (put("model-factory:aws/vpcCidr", "10.128.0.0/16"), "model-factory:aws.vpcCidr", ("overlaps", "podsCidr")),
    "overlap in a later region": (
        lambda c: (put("model-factory:aws/regions", ["us-east-1", "us-west-2"])(c), put("model-factory:aws/vpcCidr", "10.127.0.0/16")(c)),
        "model-factory:aws.vpcCidr",
        ("10.128.0.0/16 in us-west-2 overlaps",),
    ),
    "range that runs out": (
        lambda c: (put("model-factory:aws/regions", ["us-east-1", "us-west-2"])(c), put("model-factory:aws/vpcCidr", "10.255.0.0/16")(c)),
        "model-factory:aws.vpcCidr",
        ("11.0.0.0/16 would be the range in us-west-2", "not private"),
    ),
    "zones of an unknown region": (
        lambda c: (put("aws:region", "us-esat-1")(c), put("model-factory:aws", {"zones": ["us-east-1a"]})(c)),
        "aws:region",
        ("write us-east-1",),
    ),
    "open to the world": (
        put("model-factory:aws/endpointPublicAccessCidrs", ["0.0.0.0/0"]),
        "model-factory:aws.endpointPublicAccessCidrs[0]",
        ("opens the control plane to the world",),
    ),
    "version that the channel lacks": (
        lambda c: (put("model-factory:gcp/releaseChannel", "STABLE")(c), put("model-factory:gcp/kubernetesVersion", "1.36")(c)),
        "model-factory:gcp.kubernetesVersion",
        ("1.36 is not in release channel STABLE, which has 1.34, 1.35", "RAPID, REGULAR, EXTENDED"),
    ),
    "version that is newer than all": (put("model-factory:aws/kubernetesVersion", "1.99"), "model-factory:aws.kubernetesVersion", ('"1.',)),
    "unsupported version": (put("model-factory:aws/kubernetesVersion", "1.28"), "model-factory:aws.kubernetesVersion", ("'1.28' is not one of \"1.",)),
    "version not in quotes": (put("model-factory:aws/kubernetesVersion", 1.35), "model-factory:aws.kubernetesVersion", ('write "1.35"',)),
    "version cut by YAML": (put("model-factory:gcp/kubernetesVersion", 1.3), "model-factory:gcp.kubernetesVersion", ("versions are text",)),
    "log retention": (put("model-factory:aws/logRetentionDays", 28), "model-factory:aws.logRetentionDays", ("write 30",)),
    "GPU machine for the system": (put("model-factory:aws/systemMachineType", "g6.xlarge"), "model-factory:aws.systemMachineType", ("GPU machine",)),
    "machine of another cloud": (put("model-factory:aws/systemMachineType", "e2-standard-4"), "model-factory:aws.systemMachineType", ("m7i.large",)),
    "GCP project": (put("gcp:project", "My Project"), "gcp:project", ("not a Google Cloud project id",)),
    "no GCP project": (drop("gcp:project"), "model-factory:gcp", ("add gcp:project",)),
    "two GCP projects": (put("model-factory:gcp/project", "other-project"), "model-factory:gcp.project", ("is not gcp:project",)),
    "label": (put("model-factory:labels", {"Team": "x"}), "model-factory:labels.Team", ("write team",)),
    "label value": (put("model-factory:labels", {"team": "A B"}), "model-factory:labels.team", ("write a-b",)),
    "label of the stack": (put("model-factory:labels", {"model": "x"}), "model-factory:labels.model", ("set by the stack",)),
    "environment": (put("model-factory:environment", "production"), "model-factory:environment", ("'production' is not one of dev, staging, prod; write prod",)),
    "endpoint outside loopback": (
        put("gcp:storageCustomEndpoint", "https://storage.googleapis.com/"),
        "gcp:storageCustomEndpoint",
        ("is not on loopback",),
    ),
    "endpoint read as two hosts": (
        put("gcp:storageCustomEndpoint", "http://evil.example\\@127.0.0.1:4611/storage/v1/"),
        "gcp:storageCustomEndpoint",
        ("is no URL that all clients read alike",),
    ),
    "endpoint missing": (drop("aws:endpoints"), "model-factory:aws", ("aws is a real account and another cloud is on loopback",)),
    "one endpoint missing": (drop("gcp:storageCustomEndpoint"), "model-factory:gcp", ("no endpoint for storageCustomEndpoint",)),
    "endpoints not in a list": (put("aws:endpoints", {"ec2": "http://127.0.0.1:1"}), "aws:endpoints", ("is not a list of mappings",)),
    "region not text": (put("aws:region", 3), "aws:region", ("3 is not text",)),
    "encrypted region": (put("aws:region", {"secure": "v1:x"}), "aws:region", ("is encrypted",)),
    "folder elsewhere": (put("model-factory:local", {"renderTo": "/etc"}), "model-factory:local.renderTo", ("leads out of the project",)),
    "folder of the project": (put("model-factory:local", {"renderTo": "./"}), "model-factory:local.renderTo", ("is the project itself",)),
    "folder outside": (put("model-factory:local", {"renderTo": "../x"}), "model-factory:local.renderTo", ("leads out of the project",)),
    "clusters neither files nor lab": (put("model-factory:local", {"kubernetes": "kind"}), "model-factory:local.kubernetes", ("'kind' is none of its choices", "write files, lab, or a context a site")),
    "cluster without a context": (put("model-factory:local", {"kubernetes": {"aws/us-east-1": ""}}), "model-factory:local.kubernetes", ("names no context",)),
    "site without a cluster": (put("model-factory:local", {"kubernetes": {"aws/us-east-1": "kind-a"}}), "model-factory:local.kubernetes", ("names no context for gcp/us-central1",)),
    "cluster of no site": (
        put("model-factory:local", {"kubernetes": {"aws/us-east-1": "a", "gcp/us-central1": "b", "aws/us-east-2": "c"}}),
        "model-factory:local.kubernetes.aws/us-east-2",
        ("is no site of this stack", "or remove it"),
    ),
    "spot said twice": (put(f"{LLM}/capacity", ["spot", "on-demand"]), f"{LLM_KEY}.capacity", ("so does spot", "write one of them")),
    "capacity twice": (instead_of_spot(put(f"{LLM}/capacity", ["spot", "spot"])), f"{LLM_KEY}.capacity[1]", ("twice",)),
    "unknown capacity": (instead_of_spot(put(f"{LLM}/capacity", ["spto"])), f"{LLM_KEY}.capacity[0]", ("'spto' is not one of", "write spot")),
    "spot alone where it is never allowed": (
        instead_of_spot(put(f"{LLM}/capacity", ["spot"]), put(RULES, {"spot": "never"})),
        f"{LLM_KEY}.capacity",
        ("never allows spot", "write [spot, on-demand]"),
    ),
    "MIG": (put(f"{LLM}/gpusPerReplica", "mig-1g.10gb"), f"{LLM_KEY}.gpusPerReplica", ("MIG is not planned yet", "write whole GPUs")),
    "MIG profile": (put(f"{LLM}/gpusPerReplica", "1g.10gb"), f"{LLM_KEY}.gpusPerReplica", ("'1g.10gb': MIG is not planned yet",)),
    "MIG resource": (put(f"{LLM}/gpusPerReplica", "nvidia.com/mig-1g.10gb"), f"{LLM_KEY}.gpusPerReplica", ("MIG is not planned yet",)),
    "time slice": (put(f"{LLM}/gpusPerReplica", "time-slice"), f"{LLM_KEY}.gpusPerReplica", ("time-slicing is not planned yet",)),
    "MPS": (put(f"{LLM}/gpusPerReplica", "mps"), f"{LLM_KEY}.gpusPerReplica", ("MPS is not planned yet",)),
    "neither replicas nor sites": (drop(f"{LLM}/replicas"), f"{LLM_KEY}.replicas", ("is missing", "{min: 1, max: 2}")),
    "site of no region": (sites(aws_us_east_2=(1, 1)), f"{LLM_KEY}.sites.aws/us-east-2", ("none of the places", "add us-east-2 to model-factory:aws.regions")),
    "site outside the model's regions": (
        all_of(sites(gcp_us_central1=(1, 1)), put(f"{LLM}/regions", ["us-east-1"])),
        f"{LLM_KEY}.sites.gcp/us-central1",
        ("none of the places", "choose from aws/us-east-1"),
    ),
    "site with min above max": (sites(aws_us_east_1=(3, 1)), f"{LLM_KEY}.sites.aws/us-east-1", ("min 3 is above max 1",)),
    "unknown key of a site": (
        all_of(drop(f"{LLM}/replicas"), put(f"{LLM}/sites", {"aws/us-east-1": {"min": 1, "max": 1, "mni": 1}})),
        f"{LLM_KEY}.sites.aws/us-east-1.mni",
        ("write min", "known: max, min"),
    ),
    "sites that do not sum up": (
        all_of(sites(aws_us_east_1=(1, 2), gcp_us_central1=(1, 3)), put(f"{LLM}/replicas", {"min": 1, "max": 5})),
        f"{LLM_KEY}.replicas",
        ("{min: 1, max: 5} is not the sum over sites", "write {min: 2, max: 5}"),
    ),
    "sites and spread": (
        all_of(sites(aws_us_east_1=(1, 2)), put(f"{LLM}/spread", {"clouds": 2})),
        f"{LLM_KEY}.spread",
        ("sites names them", "write one of them"),
    ),
    "spread wider than the stack": (put(f"{LLM}/spread", {"regions": 3}), f"{LLM_KEY}.spread.regions", ("3 is above the 2", "gcp/us-central1", "write regions: 2")),
    "spread over one cloud": (
        all_of(put(f"{LLM}/clouds", ["aws"]), put(f"{LLM}/spread", {"clouds": 2})),
        f"{LLM_KEY}.spread.clouds",
        ("2 is above the 1 ", "(aws)", "leave spread out"),
    ),
    "spread over more than there is, of which some": (
        all_of(put(f"{LLM}/replicas/min", 3), put(f"{LLM}/spread", {"regions": 3})), f"{LLM_KEY}.spread.regions", ("write regions: 2, or add regions to the stack",),
    ),
    "spread over one cloud, and fewer is none": (
        all_of(put(f"{LLM}/clouds", ["aws"]), put(f"{LLM}/spread", {"clouds": 2})), f"{LLM_KEY}.spread.clouds", ("leave spread out, or add clouds",),
    ),
    "more replicas over sites than one number says": (
        all_of(put("model-factory:gcp/podsCidr", "10.128.0.0/12"), sites(aws_us_east_1=(1, 1000), gcp_us_central1=(1, 1000)), put(f"{LLM}/replicas", {"min": 1, "max": 1000})),
        f"{LLM_KEY}.replicas",
        ("is not the sum over sites; leave replicas out",),
    ),
    "residency in an empty list": (put(RULES, {"residency": {"data": {"eu": []}}}), f"{RULES}.residency.data.eu", ("names no region", "remove it")),
    "labels that exclude each other": (
        all_of(
            put(RULES, {"residency": {"data": {"us": ["us-east-1"]}, "team": {"a": ["us-central1"]}}}),
            put(f"{LLM}/labels", {"data": "us", "team": "a"}),
        ),
        f"{LLM_KEY}.labels",
        ("keep it in no region", f"correct the labels or {RULES}.residency"),
    ),
    "spread with too few replicas": (put(f"{LLM}/spread", {"clouds": 2}), f"{LLM_KEY}.replicas.min", ("1 is below the 2 clouds of spread", "write 2")),
    "spread by nothing": (put(f"{LLM}/spread", {}), f"{LLM_KEY}.spread", ("by regions or by clouds",)),
    "spread by both": (
        all_of(put(f"{LLM}/replicas/min", 2), put(f"{LLM}/spread", {"clouds": 2, "regions": 2})),
        f"{LLM_KEY}.spread",
        ("write one of them",),
    ),
    "spread over one": (put(f"{LLM}/spread", {"regions": 1}), f"{LLM_KEY}.spread.regions", ("1 is outside 2 to 20", "runs in one")),
    "label of a model": (put(f"{LLM}/labels", {"model": "x"}), f"{LLM_KEY}.labels.model", ("set by the stack",)),
    "unknown rule": (put(RULES, {"spto": "never"}), f"{RULES}.spto", ("write spot", "known: budget, preferredCloud")),
    "rule of spot": (put(RULES, {"spot": False}), f"{RULES}.spot", ("is not one of allowed, never",)),
    "budget without a sum": (put(RULES, {"budget": {"basis": "rest"}}), f"{RULES}.budget.usdPerMonth", ("is missing; add it: the most that it may cost",)),
    "unknown key of the budget": (put(RULES, {"budget": {"usdPerMonth": 1, "base": "rest"}}), f"{RULES}.budget.base", ("write basis",)),
    "preferred cloud not set up": (
        all_of(drop("model-factory:gcp"), drop("gcp:region"), put(f"{LLM}/clouds", ["aws"]), put(RULES, {"preferredCloud": "gcp"})),
        f"{RULES}.preferredCloud",
        ("gcp is not set up", "write aws"),
    ),
    "residency in no region": (
        put(RULES, {"residency": {"data": {"eu": ["eu-wset-1"]}}}),
        f"{RULES}.residency.data.eu[0]",
        ("no cloud has a region 'eu-wset-1'", "write eu-west-1"),
    ),
    "residency without a place": (
        all_of(put(RULES, {"residency": {"data": {"eu": ["eu-west-1"]}}}), put(f"{LLM}/labels", {"data": "eu"})),
        f"{LLM_KEY}.labels",
        ("keep it in eu-west-1", "its regions are us-east-1, us-central1", "add eu-west-1 to model-factory:aws.regions"),
    ),
    "label without residency": (
        all_of(put(RULES, {"residency": {"data": {"us": ["us-east-1"], "eu": ["eu-west-1"]}}}), put(f"{LLM}/labels", {"data": "uss"})),
        f"{LLM_KEY}.labels.data",
        ("no regions for data: uss", "write us"),
    ),
    "site outside the residence": (
        all_of(
            sites(aws_us_east_1=(1, 1), gcp_us_central1=(1, 1)),
            put(RULES, {"residency": {"data": {"us": ["us-east-1"]}}}),
            put(f"{LLM}/labels", {"data": "us"}),
        ),
        f"{LLM_KEY}.sites.gcp/us-central1",
        ("none of the places where this model may run",),
    ),
    "reservation outside the regions": (
        put("model-factory:aws/reservations", [{**RESERVED, "zone": "us-west-2a"}]),
        "model-factory:aws.reservations[0].zone",
        ("'us-west-2a' is not among the zones of us-east-1", "write us-east-1a"),
    ),
    "reservation outside the zones": (
        all_of(
            put("model-factory:aws/zones", ["us-east-1a", "us-east-1b", "us-east-1c"]),
            put("model-factory:aws/reservations", [{**RESERVED, "zone": "us-east-1d"}]),
        ),
        "model-factory:aws.reservations[0].zone",
        ("is not among zones", "write us-east-1c"),
    ),
    "reserved machine of another cloud": (
        put("model-factory:aws/reservations", [{**RESERVED, "machineType": "a2-highgpu-1g"}]),
        "model-factory:aws.reservations[0].machineType",
        ("not a machine type of aws",),
    ),
    "reservation twice": (put("model-factory:aws/reservations", [RESERVED, RESERVED]), "model-factory:aws.reservations[1].name", ("twice",)),
    "reservation by a name of another cloud": (
        put("model-factory:aws/reservations", [{**RESERVED, "name": "models"}]),
        "model-factory:aws.reservations[0].name",
        ("'models' is not a reservation of aws", "cr-0123456789abcdef0"),
    ),
    "empty reservation": (
        put("model-factory:aws/reservations", [{**RESERVED, "machines": 0}]),
        "model-factory:aws.reservations[0].machines",
        ("0 is outside 1 to 1000",),
    ),
    "unknown key of a reservation": (
        put("model-factory:aws/reservations", [{**RESERVED, "machinetype": "x"}]),
        "model-factory:aws.reservations[0].machinetype",
        ("write machineType",),
    ),
    "encrypted setting": (put("model-factory:models/llm/image", {"secure": "v1:x"}), f"{LLM_KEY}.image", ("is encrypted",)),
}  # fmt: skip


class TestEveryBadInputIsRefused:
    @pytest.mark.parametrize("case", REFUSED)
    def test_naming_key_line_and_remedy(self, project: Project, case: str) -> None:
        edit, key, fragments = REFUSED[case]
        problems = project.problems(edit)
        told = [each for each in problems if key in each.key]
        assert told, f"no problem names {key}: {problems}"
        assert any(all(fragment in each.message for fragment in fragments) for each in told), told
        assert all(each.file == "Pulumi.dev.yaml" and each.line >= 1 for each in problems)

    @pytest.mark.parametrize(
        "case",
        [case for case in REFUSED if case not in {"missing models", "cloud not set up", "endpoints not in a list"}],
    )
    def test_one_mistake_is_told_once(self, project: Project, case: str) -> None:
        assert len(project.problems(REFUSED[case][0])) == 1, "a mistake must not cause messages elsewhere"


class TestMessages:
    def test_the_line_of_the_key(self, project: Project) -> None:
        (problem,) = project.problems(put(f"{LLM}/replicas", {"min": 5, "max": 2}))
        line = next(
            number
            for number, text in enumerate(project.stack_file.read_text().splitlines(), start=1)
            if text.strip() == "replicas:"
        )
        assert str(problem) == f"Pulumi.dev.yaml:{line}: {LLM_KEY}.replicas: min 5 is above max 2; set min ≤ max"

    def test_all_at_once_in_the_order_of_the_file(self, project: Project) -> None:
        problems = project.problems(
            put(f"{LLM}/replicas", {"min": 5, "max": 2}),
            put(f"{LLM}/runtime", "vlm"),
            put(f"{LLM}/accelerators", ["l40"]),
            drop("model-factory:models/resnet/image"),
            put("model-factory:models/resnet/replicas", {"min": 9, "max": 1}),
            put("model-factory:aws/zones", ["us-west-2a", "us-east-1b", "us-east-1c"]),
            put("model-factory:aws/vpcCidr", "10.0.0.0/24"),
            put("model-factory:aws/bogus", 1),
            put("gcp:proyect", "x"),
        )
        assert {each.key for each in problems} == {
            "gcp:proyect",
            "model-factory:aws.bogus",
            "model-factory:aws.vpcCidr",
            "model-factory:aws.zones[0]",
            f"{LLM_KEY}.accelerators[0]",
            f"{LLM_KEY}.replicas",
            f"{LLM_KEY}.runtime",
            "model-factory:models.resnet.image",
            "model-factory:models.resnet.replicas",
        }
        assert [each.line for each in problems] == sorted(each.line for each in problems)

    def test_duplicate_keys_do_not_hide_other_problems(self, project: Project) -> None:
        text = project.write(put(f"{LLM}/runtime", "vlm"))
        problems = project.problems_of_text(text + "  aws:region: us-east-1\n")
        assert {each.key for each in problems} == {"aws:region", f"{LLM_KEY}.runtime"}


class TestAnotherProjectsFile:
    def test_a_foreign_stack_file(self, project: Project) -> None:
        problems = project.problems_of_text("config:\n  aws:region: us-east-1\n  web-shop:instances: 3\n")
        assert any(each.key == "web-shop:instances" and "project web-shop" in each.message for each in problems)

    def test_the_program_refuses_a_file_with_a_broken_frame_too(self, project: Project) -> None:
        project.stack_file.write_text(project.write() + "  aws:region: us-east-1\n")
        with pytest.raises(SettingsError, match="is there twice"):
            from_config(STACK["config"], read_stack_file(project.stack_file))

    def test_a_foreign_project_file(self, project: Project) -> None:
        project.project_file.write_text("name: web-shop\nruntime: python\n")
        (problem,) = project.problems()
        assert (problem.file, problem.key) == ("Pulumi.yaml", "name")
        assert "another project" in problem.message


class TestPlacesOfAModel:
    def test_replicas_left_out_are_the_sums_over_sites(self, project: Project) -> None:
        llm = project.load(sites(gcp_us_central1=(1, 4), aws_us_east_1=(2, 3))).models[0]
        assert (llm.replicas.min, llm.replicas.max) == (3, 7)
        assert list(llm.sites) == ["aws/us-east-1", "gcp/us-central1"]

    def test_replicas_may_be_written_beside_their_parts(self, project: Project) -> None:
        both = all_of(sites(aws_us_east_1=(2, 3)), put(f"{LLM}/replicas", {"min": 2, "max": 3}))
        assert project.load(both).models[0].replicas.max == 3

    def test_clouds_left_out_are_those_of_the_sites(self, project: Project) -> None:
        from_s3 = put(f"{LLM}/weights", {"uri": "s3://team/llm"})
        assert project.load(sites(aws_us_east_1=(1, 1)), drop(f"{LLM}/clouds"), from_s3).models[0].clouds == ("aws",)

    def test_a_spread_within_what_there_is(self, project: Project) -> None:
        spread = project.load(put(f"{LLM}/spread", {"regions": 2}), put(f"{LLM}/replicas/min", 2)).models[0].spread
        assert spread is not None
        assert (spread.regions, spread.clouds) == (2, None)


class TestLadder:
    @pytest.mark.parametrize(
        ("edit", "ladder", "without_spot"),
        [
            (put(f"{LLM}/spot", True), ("spot", "on-demand"), ("on-demand",)),
            (put(f"{LLM}/spot", False), ("on-demand",), ("on-demand",)),
            (drop(f"{LLM}/spot"), ("on-demand",), ("on-demand",)),
            (instead_of_spot(put(f"{LLM}/capacity", ["reserved", "spot"])), ("reserved", "spot"), ("reserved",)),
        ],
    )
    def test_the_stack_takes_spot_out_of_every_ladder(
        self, project: Project, edit: Edit, ladder: tuple[str, ...], without_spot: tuple[str, ...]
    ) -> None:
        # What `reserved` finds is for the planner: the file itself is right.
        reserve = put("model-factory:aws/reservations", [RESERVED])
        for rules, expected in (({}, ladder), ({"spot": "never"}, without_spot)):
            project.write(edit, reserve, put(RULES, rules))
            settings = read_config(read_stack_file(project.stack_file).config, SERVING).settings()
            assert settings.ladder_of(settings.models[0]) == expected


class TestStackRules:
    def test_residence_is_what_all_labels_allow(self, project: Project) -> None:
        rules = {"residency": {"data": {"us": ["us-east-1", "us-central1"]}, "team": {"a": ["us-central1"]}}}
        settings = project.load(put(RULES, rules), put(f"{LLM}/labels", {"data": "us", "team": "a", "tier": "1"}))
        llm, resnet = settings.models
        assert settings.residence_of(llm) == {"us-central1"}
        assert settings.residence_of(resnet) is None

    def test_a_stack_without_rules_has_none(self, project: Project) -> None:
        assert project.load().rules == project.load(put(RULES, None)).rules
        rules = project.load().rules
        assert (rules.spot, rules.budget, rules.preferred_cloud) == ("allowed", None, None)

    def test_budget(self, project: Project) -> None:
        budget = project.load(put(RULES, {"budget": {"usdPerMonth": 1200.5}})).rules.budget
        assert budget is not None
        assert (budget.usd_per_month, budget.basis) == (Decimal("1200.5"), "peak")


class TestReservations:
    def test_are_found_by_region(self, project: Project) -> None:
        settings = project.load(put("model-factory:aws/reservations", [RESERVED]))
        (found,) = settings.reservations_in("aws", "us-east-1")
        assert (found.name, found.machines) == ("cr-0123456789abcdef0", 2)
        assert settings.reservations_in("aws", "us-west-2") == settings.reservations_in("gcp", "us-central1") == ()


class TestHardwareOfAModel:
    @pytest.mark.parametrize(
        ("args", "formats"),
        [
            ([], {"bf16"}),
            (["--dtype=auto"], {"bf16"}),
            (["--dtype", "bfloat16"], {"bf16"}),
            (["--dtype=half"], {"fp16"}),
            (["--dtype", "float16", "--max-model-len=4096"], {"fp16"}),
            (["--dtype=float32"], {"fp32"}),
            (["--dtype=half", "--dtype=bfloat16"], {"bf16"}),
            (["--kv-cache-dtype=half"], {"bf16"}),
            (["--dtype"], {"bf16"}),
        ],
    )
    @pytest.mark.parametrize("runtime", ["vllm", "sglang"])
    def test_a_server_of_llms_needs_bf16_unless_told_otherwise(
        self, project: Project, runtime: str, args: list[str], formats: set[str]
    ) -> None:
        llm = project.load(put(f"{LLM}/runtime", runtime), put(f"{LLM}/args", args)).models[0]
        assert llm.hardware.formats == formats
        assert llm.hardware.compute_capability == Decimal("7.5")

    def test_a_server_of_any_model_leaves_the_format_to_it(self, project: Project) -> None:
        assert project.load().models[1].hardware.formats == frozenset()


class TestValid:
    def test_a_target_that_nothing_reads_yet_may_be_left_out(self, project: Project) -> None:
        assert project.load(drop(f"{LLM}/p95LatencyMs")).models[0].p95_latency_ms is None

    def test_defaults_and_units(self, project: Project) -> None:
        settings = project.load()
        llm, resnet = settings.models
        assert (settings.project, settings.stack, settings.environment) == ("model-factory", "dev", "dev")
        assert settings.is_local
        assert settings.clouds == ("aws", "gcp")
        assert settings.gcp is not None
        assert settings.gcp.project == "model-factory-dev"
        assert (llm.name, resnet.name) == ("llm", "resnet")
        assert resnet.gpu_memory_gib == Decimal("6.5")
        assert resnet.clouds == ("aws", "gcp")
        assert (resnet.replicas.min, resnet.replicas.max, resnet.spot, resnet.cpu) == (1, 4, False, "2")

    def test_the_same_from_what_an_engine_hands_over(self, project: Project) -> None:
        settings = project.load()
        config = {key: value if isinstance(value, str) else json.dumps(value) for key, value in STACK["config"].items()}
        assert from_config(config, stack="dev") == settings

    def test_the_region_of_the_provider_is_home(self, project: Project) -> None:
        settings = project.load(drop("model-factory:aws/regions"), put("model-factory:gcp", None))
        assert settings.regions_of("aws") == ("us-east-1",)
        assert settings.regions_of("gcp") == ("us-central1",)

    def test_regions_get_ranges_of_their_own(self, project: Project) -> None:
        settings = project.load(
            put("model-factory:aws/regions", ["us-east-1", "us-west-2"]),
            put("model-factory:gcp/regions", ["us-central1", "us-east4"]),
        )
        assert settings.aws is not None
        assert settings.gcp is not None
        assert settings.aws.vpc_cidr_of("us-west-2") == "10.1.0.0/16"
        assert settings.gcp.subnet_cidr_of("us-east4") == "10.64.16.0/20"
        assert settings.gcp.control_plane_cidr_of("us-east4") == "172.16.0.16/28"

    def test_real_accounts_have_no_local_part(self, project: Project) -> None:
        config = {
            key: value for key, value in STACK["config"].items() if not key.endswith(("CustomEndpoint", ":endpoints"))
        }
        project.write_stack({"config": config})
        assert not from_config(config, stack="prod").is_local
        with pytest.raises(SettingsError, match="is for stacks on local clouds"):
            from_config({**config, "model-factory:local": {}})

    def test_one_cloud_is_enough(self, project: Project) -> None:
        settings = project.load(
            drop("model-factory:gcp"), drop("gcp:project"), drop("gcp:region"), put(f"{LLM}/clouds", ["aws"])
        )
        assert settings.clouds == ("aws",)
        assert settings.models[1].clouds == ("aws",)

    def test_no_cloud_is_not(self, project: Project) -> None:
        problems = project.problems(drop("model-factory:aws"), drop("model-factory:gcp"))
        assert any("no cloud is set" in each.message for each in problems)

    def test_secure_values_of_providers_are_fine(self, project: Project) -> None:
        assert project.load(put("aws:secretKey", {"secure": "v1:abc"})).is_local
        assert from_config({**STACK["config"], "aws:secretKey": Secure()}).is_local

    def test_an_archived_server_and_a_version_skew_are_warned_about(self, project: Project) -> None:
        settings = project.load(
            put("model-factory:models/resnet/runtime", "torchserve"),
            put("model-factory:gcp/kubernetesVersion", "1.34"),
        )
        warned: tuple[Problem, ...] = settings.warnings
        assert [each.key for each in warned] == [
            "model-factory:models",
            "model-factory:models.llm.weights",
            "model-factory:models.resnet.runtime",
            "model-factory:gcp.kubernetesVersion",
        ]
        assert all(each.line > 1 for each in warned)

    def test_eks_takes_services_from_fewer_ranges_than_networks(self, project: Project) -> None:
        assert project.load(put("model-factory:aws/vpcCidr", "100.64.0.0/16")).aws
        (told,) = project.problems(put("model-factory:aws/serviceCidr", "100.64.0.0/16"))
        assert told.key == "model-factory:aws.serviceCidr"
        assert "10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16" in told.message

    def test_docker_s_bridge_on_aws_is_advised_against_in_whatever_region(self, project: Project) -> None:
        for first, told in (("172.17.0.0/16", "us-east-1"), ("172.16.0.0/16", "us-west-2")):
            changes = (
                put("model-factory:aws/regions", ["us-east-1", "us-west-2"]),
                put("model-factory:aws/vpcCidr", first),
            )
            gcp = put("model-factory:gcp/controlPlaneCidr", "10.120.0.0/28")
            (warned,) = [
                each for each in project.load(*changes, gcp).warnings if each.key == "model-factory:aws.vpcCidr"
            ]
            assert f"172.17.0.0/16 in {told} overlaps" in warned.message
            assert warned.line > 1

    def test_metrics_that_nothing_serves_are_named_with_what_would(self, project: Project) -> None:
        (told,) = [each.message for each in project.load().warnings if each.key == "model-factory:models"]
        for model in project.load().models:
            for signal in SERVING.runtimes[model.runtime].signals:
                assert signal in told
        assert "prometheus-adapter" in told
        fixed = [put(f"model-factory:models/{name}/replicas", {"min": 2, "max": 2}) for name in ("llm", "resnet")]
        assert not [each for each in project.load(*fixed).warnings if each.key == "model-factory:models"]

    def test_weights_that_need_a_token_are_warned_about_while_none_can_be_given(self, project: Project) -> None:
        (told,) = [each for each in project.load().warnings if each.key == f"{LLM_KEY}.weights"]
        assert "gated" in told.message
        assert "bucket://" in told.message
        copied = project.load(put(f"{LLM}/weights", {"uri": "bucket://llm"}))
        assert not [each for each in copied.warnings if each.key.startswith(LLM_KEY)]

    @pytest.mark.parametrize(("gpus", "better"), [(1, ""), (2, ""), (3, "write 2 or 4"), (6, "write 4 or 8"), (8, "")])
    @pytest.mark.parametrize("runtime", ["vllm", "sglang"])
    def test_gpus_that_attention_heads_rarely_divide_by(
        self, project: Project, runtime: str, gpus: int, better: str
    ) -> None:
        settings = project.load(put(f"{LLM}/runtime", runtime), put(f"{LLM}/gpusPerReplica", gpus))
        told = [each.message for each in settings.warnings if each.key == f"{LLM_KEY}.gpusPerReplica"]
        assert [better in each for each in told] == ([True] if better else [])

    @pytest.mark.parametrize(("revision", "known"), [("7", True), (None, False), ("1.0.3", False)])
    def test_a_server_of_numbered_folders_is_told_which_one(
        self, project: Project, revision: str | None, known: bool
    ) -> None:
        place = "model-factory:models/resnet/weights/revision"
        settings = project.load(*([put(place, revision)] if revision else []))
        told = [each.message for each in settings.warnings if each.key.startswith("model-factory:models.resnet")]
        assert [("number" in each) for each in told] == ([] if known else [True])

    @pytest.mark.parametrize(
        "argument", ["--max-num-batched-tokens=8192", '--override-generation-config={"a": 1}', "--tokenizer=token"]
    )
    def test_arguments_that_only_look_like_others(self, project: Project, argument: str) -> None:
        assert project.load(put(f"{LLM}/args", [argument])).models[0].args == (argument,)

    def test_images_with_ports_and_tags(self, project: Project) -> None:
        image = f"localhost:5000/team/vllm:v1@{DIGEST}"
        assert project.load(put(f"{LLM}/image", image)).models[0].image == image
