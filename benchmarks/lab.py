"""The lab from nothing to its first answer, and the memory that it runs in; a Markdown table on stdout, for the README.

`python benchmarks/lab.py [--build]`: in a copy of the project, so that a lab of this clone is not disturbed (its ports must be free). With
--build it has a cache of its own, too, and builds all that is built once.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psutil

ROOT: Final = Path(__file__).parents[1]
_COPIED: Final = ("*.py", "*.yaml", "*.json", "components", "model_factory", "policies")
_KINDS: Final[Mapping[str, str]] = {
    "etcd": "control planes", "kube-apiserver": "control planes", "kube-controller-manager": "control planes",
    "kube-scheduler": "control planes", "kwok": "simulated nodes", "local.clouds.aws": "local clouds", "local.clouds.gcp": "local clouds",
    "registry": "registry", "kubelet": "real node", "kube-proxy": "real node", "containerd": "real node", "kube-router": "real node",
    "containerd-shim-runc-v2": "real node", "metrics-server": "real node", "coredns": "real node", "unshare": "real node",
    "local.lab.node.supervisor": "real node", "local.lab.forward": "real node", "pause": "real node",
}  # fmt: skip
_MODELS: Final = "models"


def main() -> None:
    """Bring a lab up, measure, and take it down again."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--build", action="store_true", help="build all that is built once, too")
    build: bool = arguments.parse_args().build
    with tempfile.TemporaryDirectory(prefix="lab-") as folder:
        project = Path(folder) / "project"
        _copy(project)
        environment = {**os.environ, "PYTHONPATH": str(project)}
        if build:
            environment["XDG_CACHE_HOME"] = f"{folder}/cache"
        try:
            up = _factory(project, environment, "up", "--json")
            memory = _factory(project, environment, "status", "--json")
        finally:
            _factory(project, environment, "down")
        left = [path.name for path in project.glob(".factory/lab*")]
        assert not left, left
    print(_table(up, memory, build=build))


def _copy(project: Path) -> None:
    project.mkdir()
    for pattern in _COPIED:
        for path in ROOT.glob(pattern):
            if path.is_dir():
                shutil.copytree(path, project / path.name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(path, project)


def _factory(project: Path, environment: Mapping[str, str], *arguments: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "model_factory.cli.main", "lab", *arguments], cwd=project, env=environment, stdout=subprocess.PIPE, check=True
    )  # fmt: skip
    return json.loads(done.stdout) if "--json" in arguments else None


def _table(up: Mapping[str, Any], memory: Mapping[str, Any], *, build: bool) -> str:
    kinds: Counter[str] = Counter()
    for process in memory["processes"]:
        kinds[_KINDS.get(process["name"], _MODELS)] += process["memory_mib"]
    rows = [
        ("step", "seconds"),
        *up["steps"].items(),
        (f"first answer, {'with' if build else 'without'} the build", up["seconds"]),
    ]
    rows += [("", ""), ("memory", "MiB"), *((kind, f"{mib:,.0f}") for kind, mib in kinds.most_common())]
    rows += [("in all", f"{sum(kinds.values()):,.0f}")]
    machine = f"{os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB, {platform.system()} {platform.release()}"
    lines = [f"Measured {datetime.now(UTC):%Y-%m-%d} on {machine}; {up['model']} answered in {up['latencyMs']} ms.", ""]
    return "\n".join([*lines, *(f"| {name} | {value} |" for name, value in rows)])


if __name__ == "__main__":
    main()
