"""How long, and in how much memory, the local engine previews, creates and re-checks many small resources.

Runs the same program of N ConfigMaps (rendered to files by our Kubernetes provider) through the local engine and, where it is
on PATH, through the Pulumi CLI with the same provider attached; and N `terraform_data` through Terraform where that is on
PATH. All in one run, so that the ratios hold on any machine. Peak memory is the sum over the whole process tree, sampled.

    make bench                                    1,000 and 5,000 resources, local engine and Terraform, the CLI with 1,000
    python benchmarks/engine.py --counts 200 --json
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
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

PHASES = ("preview", "up", "no-op up")
SAMPLE_SECONDS = 0.05
PROGRAM = """\
import pulumi
import pulumi_kubernetes as k8s

provider = k8s.Provider("cluster", render_yaml_to_directory={folder!r})
for number in range({count}):
    k8s.core.v1.ConfigMap(
        f"item-{{number}}",
        metadata={{"name": f"item-{{number}}", "namespace": "default"}},
        data={{"key": f"value {{number}}"}},
        opts=pulumi.ResourceOptions(provider=provider),
    )
"""
RUNNER = Path(__file__).with_name("engine_run.py")


@dataclass(frozen=True, slots=True)
class Figure:
    """One phase of one engine: wall seconds (median, least and most of the rounds) and the peak memory of the process tree in MiB."""

    engine: str
    resources: int
    phase: str
    seconds: float
    least_seconds: float
    most_seconds: float
    peak_mib: float


def measure(command: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> tuple[float, float]:
    """Run a command to its end. Returns (seconds, MiB). Raises CalledProcessError with the end of its output."""
    peak_bytes = 0
    done = threading.Event()
    started = time.monotonic()
    process = subprocess.Popen(command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def sample() -> None:
        nonlocal peak_bytes
        while not done.wait(SAMPLE_SECONDS):
            total = 0
            try:
                root = psutil.Process(process.pid)
                for member in (root, *root.children(recursive=True)):
                    try:
                        total += member.memory_info().rss
                    except psutil.NoSuchProcess:
                        continue
            except psutil.NoSuchProcess:
                return
            peak_bytes = max(peak_bytes, total)

    sampler = threading.Thread(target=sample)
    sampler.start()
    output, _ = process.communicate()
    seconds = time.monotonic() - started
    done.set()
    sampler.join()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, output[-4000:])
    return seconds, peak_bytes / 2**20


def write_program(folder: Path, count: int) -> None:
    (folder / "Pulumi.yaml").write_text(
        f"name: bench\nruntime:\n  name: python\n  options:\n    virtualenv: {Path(sys.prefix)}\n"
    )
    (folder / "__main__.py").write_text(PROGRAM.format(folder=str(folder / "rendered"), count=count))


def local_engine(folder: Path, count: int) -> dict[str, Callable[[], tuple[float, float]]]:
    write_program(folder, count)
    env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}

    def run(operation: str) -> tuple[float, float]:
        return measure([sys.executable, str(RUNNER), operation, str(folder)], cwd=folder, env=env)

    return {"preview": lambda: run("preview"), "up": lambda: run("up"), "no-op up": lambda: run("up")}


def pulumi_cli(folder: Path, count: int) -> dict[str, Callable[[], tuple[float, float]]]:
    write_program(folder, count)
    state = folder / "state"
    state.mkdir()
    env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"} | {
        "PULUMI_BACKEND_URL": f"file://{state}",
        "PULUMI_CONFIG_PASSPHRASE": "bench",
        "PULUMI_SKIP_UPDATE_CHECK": "1",
        "PULUMI_HOME": str(folder / "home"),
        "PULUMI_DEBUG_PROVIDERS": f"kubernetes:{_served_kubernetes(folder)}",
    }
    subprocess.run(["pulumi", "stack", "init", "dev"], cwd=folder, env=env, check=True, capture_output=True)

    def run(*arguments: str) -> tuple[float, float]:
        return measure(["pulumi", *arguments, "--stack", "dev", "--non-interactive"], cwd=folder, env=env)

    up = ("up", "--yes", "--skip-preview", "--suppress-progress")
    return {
        "preview": lambda: run("preview", "--suppress-progress"),
        "up": lambda: run(*up),
        "no-op up": lambda: run(*up),
    }


_SERVERS: list[subprocess.Popen[str]] = []


def _served_kubernetes(folder: Path) -> int:
    """Serve our Kubernetes provider over gRPC; returns its port."""
    server = subprocess.Popen(
        [sys.executable, "-m", "model_factory.local.providers.serve", "kubernetes"],
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        stderr=(folder / "provider.log").open("w"),
        text=True,
    )
    _SERVERS.append(server)
    assert server.stdout is not None
    line = server.stdout.readline()
    return int(line.strip().rsplit(":", 1)[-1].rsplit("=", 1)[-1])


def terraform(folder: Path, count: int) -> dict[str, Callable[[], tuple[float, float]]]:
    (folder / "main.tf").write_text(
        f'resource "terraform_data" "item" {{\n  count = {count}\n  input = "value ${{count.index}}"\n}}\n'
    )
    env = {**os.environ, "TF_CLI_CONFIG_FILE": os.devnull, "CHECKPOINT_DISABLE": "1"}
    subprocess.run(["terraform", "init", "-input=false"], cwd=folder, env=env, check=True, capture_output=True)

    def run(*arguments: str) -> tuple[float, float]:
        return measure(["terraform", *arguments, "-input=false", "-no-color"], cwd=folder, env=env)

    return {
        "preview": lambda: run("plan"),
        "up": lambda: run("apply", "-auto-approve"),
        "no-op up": lambda: run("apply", "-auto-approve"),
    }


ENGINES: Mapping[str, Callable[[Path, int], dict[str, Callable[[], tuple[float, float]]]]] = {
    "local engine": local_engine,
    "terraform": terraform,
    "pulumi": pulumi_cli,
}


def run_count(engines: Sequence[str], count: int, rounds: int) -> list[Figure]:
    """Every phase of these engines. Each round begins anew, and each of its phases goes through all engines before the next, the order
    turning: a load that changes meanwhile falls on all alike."""
    runs: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for turn in range(rounds):
        with tempfile.TemporaryDirectory(prefix="factory-bench-") as name:
            phases: dict[str, Mapping[str, Callable[[], tuple[float, float]]]] = {}
            for engine in engines:
                folder = Path(name, engine.replace(" ", "-"))
                folder.mkdir()
                phases[engine] = ENGINES[engine](folder, count)
            for phase in PHASES:
                for engine in (*engines[turn % len(engines) :], *engines[: turn % len(engines)]):
                    measured = phases[engine][phase]()
                    runs.setdefault((engine, phase), []).append(measured)
                    print(f"round {turn + 1}  {engine:>13}  {count:>6,}  {phase:<9} {measured[0]:8.2f} s", flush=True)
        stop_servers()
    return [_figure(engine, count, phase, runs[engine, phase]) for engine in engines for phase in PHASES]


def _figure(engine: str, count: int, phase: str, runs: Sequence[tuple[float, float]]) -> Figure:
    seconds = sorted(each for each, _ in runs)
    return Figure(
        engine, count, phase, statistics.median(seconds), seconds[0], seconds[-1], max(mib for _, mib in runs)
    )


def stop_servers() -> None:
    """End the providers that were served for the CLI."""
    while _SERVERS:
        server = _SERVERS.pop()
        server.terminate()
        server.wait()


def compare(figures: Sequence[Figure]) -> list[str]:
    """Ratios to the others with as many resources, and how the cost grows with their number."""
    ours = {(f.resources, f.phase): f for f in figures if f.engine == "local engine"}
    lines = [
        f"{f.phase} of {f.resources:,}: {f.engine} takes {f.seconds / ours[f.resources, f.phase].seconds:.1f}x our time"
        f" and {f.peak_mib / ours[f.resources, f.phase].peak_mib:.1f}x our memory"
        for f in figures
        if f.engine != "local engine" and (f.resources, f.phase) in ours
    ]
    counts = sorted({count for count, _ in ours})
    if len(counts) > 1:
        low, high = counts[0], counts[-1]
        lines += [
            f"{phase}: {high / low:.0f}x the resources take {ours[high, phase].seconds / ours[low, phase].seconds:.1f}x the time"
            for phase in PHASES
        ]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 5000])
    parser.add_argument(
        "--cli-counts",
        type=int,
        nargs="*",
        default=[1000],
        help="those of the counts that the Pulumi CLI runs, too (5,000 take it many minutes)",
    )
    parser.add_argument("--rounds", type=int, default=5, help="for each count; each begins with an empty state")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON at the end")
    arguments = parser.parse_args()
    engines = [engine for engine in ENGINES if engine == "local engine" or shutil.which(engine)]
    for engine in ENGINES.keys() - set(engines):
        print(f"{engine} is not on PATH and is left out")
    figures: list[Figure] = []
    try:
        for count in arguments.counts:
            taking = [engine for engine in engines if engine != "pulumi" or count in arguments.cli_counts]
            figures += run_count(taking, count, arguments.rounds)
    finally:
        stop_servers()
    print("\nmedian of the rounds (least to most), peak memory")
    for each in figures:
        print(
            f"{each.engine:>13}  {each.resources:>6,}  {each.phase:<9} {each.seconds:8.2f} s"
            f" ({each.least_seconds:.2f} to {each.most_seconds:.2f}) {each.peak_mib:8.0f} MiB"
        )
    print()
    for line in compare(figures):
        print(line)
    if arguments.json:
        print(json.dumps([asdict(figure) for figure in figures], indent=4))


if __name__ == "__main__":
    main()
