"""`factory lab up` and `down` as a user runs them: an answer, the same again, mended after kills, and nothing left."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from ruamel.yaml import YAML

from model_factory.access.client import ClusterClient
from model_factory.cli import laboratory
from model_factory.cli.session import LAB_PLACE
from model_factory.local.lab import cache, remains
from model_factory.local.lab.node import network
from model_factory.local.lab.node.join import NODE
from tests.stacks.harness import FACTORY, ROOT, Ended, free_ports

PORTS = ("4620", "4621")
LIMIT_SECONDS = 540
CONNECTS = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)"


class LabStack:
    """The lab's stack in a folder and on ports of its own; what is built once is this user's."""

    def __init__(self, folder: Path, *, with_cpu_models: bool) -> None:
        self.root = folder
        self.lab = folder / ".factory" / LAB_PLACE
        for name in ("__main__.py", "Pulumi.yaml", "Pulumi.lab.yaml", "Pulumi.lab.plan.yaml"):
            shutil.copy(ROOT / name, folder)
        file = folder / "Pulumi.lab.yaml"
        ports = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
        text = re.sub(r"(?<=127\.0\.0\.1:)\d+", lambda found: ports[found[0]], file.read_text(encoding="utf-8"))
        document = YAML().load(text)
        if not with_cpu_models:
            models = document["config"]["model-factory:models"]
            for name in [name for name, model in models.items() if model.get("gpusPerReplica") == 0]:
                del models[name]
            (folder / "Pulumi.lab.plan.yaml").unlink()
        with file.open("w", encoding="utf-8") as out:
            YAML().dump(document, out)

    def factory(self, *arguments: str) -> Ended:
        kept = {key: os.environ[key] for key in ("PATH", "LANG", "TMPDIR") if key in os.environ}
        environment = kept | {"HOME": str(self.root), "XDG_CACHE_HOME": str(cache.root().parents[1]), "COLUMNS": "200"}
        ended = subprocess.run(
            [str(FACTORY), *arguments], cwd=self.root, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=LIMIT_SECONDS, check=False,
        )  # fmt: skip
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def up(self) -> Any:
        ended = self.factory("lab", "up", "--json")
        assert ended.code == 0, f"{ended.out}\n{ended.err}"
        return ended.json

    def down(self) -> None:
        ended = self.factory("lab", "down")
        assert ended.code == 0, f"{ended.out}\n{ended.err}"

    def kill(self, *names: str) -> int:
        """SIGKILL what has one of these names; without any, all of the lab. Returns how many."""
        found = [each for each in laboratory.running(self.lab) if not names or each.name in names]
        for each in found:
            with suppress(psutil.NoSuchProcess):
                psutil.Process(each.pid).kill()
        return len(found)

    def reached_from(self, program: str) -> set[str]:
        """The Services of the cluster on AWS that take a connection from where the program of a Pod runs."""
        (server,) = [each for each in laboratory.running(self.lab) if each.name == program]
        (kubeconfig,) = self.lab.glob("aws/data/clusters/*/admin.kubeconfig")
        with closing(ClusterClient.of(str(kubeconfig))) as client:
            services = {
                each["metadata"]["name"]: (each["spec"]["clusterIP"], str(each["spec"]["ports"][0]["port"]))
                for each in client.list("v1", "Service")
            }
        inside = ["nsenter", f"--net=/proc/{server.pid}/ns/net", sys.executable, "-c", CONNECTS]
        return {
            name
            for name, address in services.items()
            if subprocess.run([*inside, *address], capture_output=True, check=False).returncode == 0
        }


def traces(lab: Path) -> dict[str, Any]:
    """What a lab in this folder could leave on the machine."""
    node = network.name_of(lab / NODE)
    return {
        "processes": [each.pid for each in remains.find(lab).processes],
        "mounts": [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if f" {lab}/" in line],
        "links": [name for name in psutil.net_if_addrs() if name == node],
        "groups": [str(path) for path in Path("/sys/fs/cgroup").glob(f"*/{node}*")],
    }


@pytest.fixture
def lab(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[LabStack]:
    made = LabStack(tmp_path, with_cpu_models=request.param)
    yield made
    made.factory("lab", "down")


WITHOUT_ANSWERS = pytest.param(False, marks=pytest.mark.lab, id="simulated nodes alone")
WITH_ANSWERS = pytest.param(True, marks=pytest.mark.realnode, id="with a real node")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.platform != "linux", reason="the lab runs on Linux")
class TestLab:
    @pytest.mark.parametrize("lab", [WITHOUT_ANSWERS, WITH_ANSWERS], indirect=True)
    def test_it_comes_up_mends_what_was_killed_and_leaves_nothing(self, lab: LabStack) -> None:
        first = lab.up()
        assert (first["answer"] is not None) == (first["model"] is not None)
        if first["answer"]:
            # Names and the clouds are let through; its neighbours, and whoever else is in the cluster, are not.
            assert lab.reached_from("llama-server") == {"kube-dns", "local-clouds"}

        assert lab.kill("kube-apiserver", "kwok", "local.clouds.aws") >= 4
        assert lab.up()["answer"] == first["answer"]

        assert lab.kill() > 3
        assert lab.up()["answer"] == first["answer"]
        assert [each for each in laboratory.running(lab.lab) if each.name == "etcd"]

        assert lab.kill() > 3
        lab.down()
        assert not lab.lab.exists()
        assert not any(traces(lab.lab).values()), traces(lab.lab)

    @pytest.mark.parametrize("lab", [WITHOUT_ANSWERS], indirect=True)
    def test_an_up_that_is_killed_is_gone_on_with(self, lab: LabStack) -> None:
        process = subprocess.Popen(
            [str(FACTORY), "lab", "up"], cwd=lab.root, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )  # fmt: skip
        with process:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("stack: "):
                    break
            journal = lab.root / ".factory" / "stacks" / "lab.journal"
            while process.poll() is None and not (journal.exists() and journal.read_bytes().count(b"\n") > 40):
                os.sched_yield()
            process.send_signal(signal.SIGKILL)
        lab.up()
        lab.down()
        assert not lab.lab.exists()
