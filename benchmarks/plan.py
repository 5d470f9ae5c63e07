"""How long planning takes, and what part of a preview that is.

Plans N models over the whole price table of this package, anew and with a lock that keeps them all; then previews the same stack from an
empty state, without accounts and without policies. Medians of the runs, interleaved, in one process each for the preview.

    make bench                                    50 models beside the engine's figures
    python benchmarks/plan.py --models 200 --runs 3 --json
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from components.kubernetes.serving import SERVING
from model_factory.planning.placing.lock import Lock
from model_factory.planning.planned import market, planned
from model_factory.planning.settings.load import read_config

ROOT = Path(__file__).parents[1]
SIZES_GIB = (6, 12, 20, 40, 70)
PROGRAM = ("Pulumi.yaml", "__main__.py", "components", "model_factory", "policies")
EMPTY = {"version": 3, "deployment": {"manifest": {"time": "2026-01-01T00:00:00Z", "magic": "", "version": ""}}}


def config_of(models: int) -> dict[str, Any]:
    """A stack in eight regions: every second model on spot with a fall-back, every fifth at two sites."""
    every = {
        f"model-{number}": {
            "runtime": ("triton", "vllm")[number % 2],
            "image": f"registry.example/server@sha256:{'0' * 64}",
            "weights": {"uri": f"bucket://model-{number}"},
            "gpuMemoryGib": SIZES_GIB[number % len(SIZES_GIB)],
            "requestsPerSecond": 10,
            "replicas": {"min": 2, "max": 4},
            "spot": number % 2 == 0,
            **({"spread": {"regions": 2}} if number % 5 == 0 else {}),
        }
        for number in range(models)
    }
    return {
        "aws:region": "us-east-1",
        "gcp:region": "us-central1",
        "gcp:project": "model-factory-bench",
        "model-factory:environment": "dev",
        "model-factory:aws": {"regions": ["us-east-1", "us-east-2", "us-west-2", "eu-west-1", "eu-central-1"]},
        "model-factory:gcp": {"regions": ["us-central1", "us-east4", "europe-west4"]},
        "model-factory:models": every,
    }


def plan_seconds(config: Mapping[str, Any]) -> tuple[float, float]:
    """Wall seconds to read and plan anew, and to do so with a lock that keeps all."""
    started = time.perf_counter()
    _, anew = planned(read_config(config, SERVING, stack="bench"), market())
    between = time.perf_counter()
    planned(read_config(config, SERVING, stack="bench"), market(), Lock.of(anew))
    return between - started, time.perf_counter() - between


def preview_seconds(folder: Path) -> float:
    """Wall seconds of the whole command."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    command = [
        str(Path(sys.prefix) / "bin" / "factory"),
        "preview",
        "--stack",
        "bench",
        "--state",
        "empty.json",
        "--no-policies",
        "--json",
    ]
    started = time.perf_counter()
    ended = subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True)
    if ended.returncode:
        raise SystemExit(f"the preview failed: {ended.stderr.strip().splitlines()[-1]}")
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=50)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    config = config_of(given.models)
    market()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for name in PROGRAM:
            source = ROOT / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
        with (folder / "Pulumi.bench.yaml").open("w") as out:
            YAML().dump({"config": config}, out)
        (folder / "empty.json").write_text(json.dumps(EMPTY))
        rounds = [(*plan_seconds(config), preview_seconds(folder)) for _ in range(given.runs)]
    anew, kept, preview = (statistics.median(column) for column in zip(*rounds, strict=True))
    figures = {
        "models": given.models,
        "offers": len(market().offers),
        "planAnewSeconds": round(anew, 3),
        "planKeptSeconds": round(kept, 3),
        "previewSeconds": round(preview, 2),
        "shareOfPreview": round(anew / preview, 4),
    }
    if given.json:
        print(json.dumps(figures))
        return
    print(f"{given.models} models over {figures['offers']} offers, median of {given.runs}:")
    print(f"  planned anew in {anew:.2f} s, with a lock that keeps them in {kept:.2f} s")
    print(f"  a preview of that stack takes {preview:.1f} s: planning anew is {anew / preview:.1%} of it")


if __name__ == "__main__":
    main()
