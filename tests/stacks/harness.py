"""A stack of its own for a test: the real program and command, local clouds on free ports, looked at with the clouds' clients."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import psutil
from botocore.config import Config
from google.auth.credentials import AnonymousCredentials
from googleapiclient import discovery
from ruamel.yaml import YAML

from model_factory.local.clouds import manager
from model_factory.local.clouds.manager import CloudSpec
from model_factory.local.providers import background
from model_factory.planning.settings.providers import Providers
from model_factory.planning.settings.stackfile import read_stack_file

ROOT = Path(__file__).parents[2]
FACTORY = Path(sys.executable).with_name("factory")
DEV_PORTS = Providers.read(read_stack_file(ROOT / "Pulumi.dev.yaml").config).ports
"""By cloud, as the stack file has them."""
TIMEOUT_SECONDS = 240.0
_TOKENS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class LocalStack:
    """The project's own program in a folder of its own, with the dev stack file moved to ports of its own."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        self._clients: list[Any] = []
        self.name = "dev"
        ports: dict[str, int] = dict(zip(DEV_PORTS, free_ports(len(DEV_PORTS)), strict=True))
        self.ports = ports
        shutil.copy(ROOT / "__main__.py", folder)
        # The Pulumi CLI runs the program in the project's environment: this one, since a folder of its own has none.
        project = (ROOT / "Pulumi.yaml").read_text(encoding="utf-8")
        assert "virtualenv: .venv\n" in project
        project = project.replace("virtualenv: .venv\n", f"virtualenv: {sys.prefix}\n")
        (folder / "Pulumi.yaml").write_text(project, encoding="utf-8")
        text = (ROOT / "Pulumi.dev.yaml").read_text(encoding="utf-8")
        clouds = {str(port): cloud for cloud, port in DEV_PORTS.items()}
        # All at once: a free port can begin with the digits of another cloud's.
        text = re.sub(r"(?<=127\.0\.0\.1:)\d+", lambda found: str(ports[clouds[found[0]]]), text)
        self.stack_file.write_text(text, encoding="utf-8")
        shutil.copy(ROOT / self.lock_file.name, folder)

    @property
    def stack_file(self) -> Path:
        return self.root / f"Pulumi.{self.name}.yaml"

    @property
    def lock_file(self) -> Path:
        return self.root / f"Pulumi.{self.name}.plan.yaml"

    @property
    def environment(self) -> dict[str, str]:
        """An environment without credentials, proxies or settings of the machine."""
        kept = ("PATH", "LANG", "TMPDIR", "SYSTEMROOT")
        return {key: os.environ[key] for key in kept if key in os.environ} | {
            "HOME": str(self.root),
            "COLUMNS": "200",
        }

    @property
    def specs(self) -> list[CloudSpec]:
        arguments = {"gcp": ("--project", "model-factory-dev")}
        return [CloudSpec(name, port, arguments=arguments.get(name, ())) for name, port in self.ports.items()]

    def edit(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Change the stack file's `config`."""
        yaml = YAML()
        document = yaml.load(self.stack_file.read_text(encoding="utf-8"))
        change(document["config"])
        with self.stack_file.open("w", encoding="utf-8") as file:
            yaml.dump(document, file)

    def factory(self, *arguments: str, check: bool = True, env: Mapping[str, str] | None = None) -> Ended:
        """Run the `factory` command as `command` does."""
        return self.command(str(FACTORY), *arguments, check=check, env=env)

    def command(self, *words: str, check: bool = True, env: Mapping[str, str] | None = None) -> Ended:
        """Run a command in the stack's folder; with `check`, a non-zero exit fails the test with what was printed."""
        ended = subprocess.run(
            words,
            cwd=self.root,
            env={**self.environment, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        if check:
            assert ended.returncode == 0, f"{' '.join(words)}\n{ended.stdout}\n{ended.stderr}"
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the command in a process group of its own, to be interrupted or killed."""
        return subprocess.Popen(
            [str(FACTORY), *arguments],
            cwd=self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def kill_after(self, entries: int, *arguments: str, number: int = signal.SIGKILL) -> bool:
        """Run the command until its journal has so many entries, then send it (and its children) a signal.

        Returns whether it was still running then.
        """
        process = self.start(*arguments)
        journal = self.root / ".factory" / "stacks" / f"{self.name}.journal"
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            if journal.exists() and journal.read_bytes().count(b"\n") >= entries:
                break
            time.sleep(0.002)
        running = process.poll() is None
        if running and number == signal.SIGKILL:
            # Children first: none of them may live on and finish what the command began.
            for child in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
                if not any("model_factory.local.clouds" in part for part in child.cmdline()):
                    child.kill()
        elif running:
            process.send_signal(number)
        process.communicate(timeout=TIMEOUT_SECONDS)
        return running

    def aws(self, service: str, region: str = "us-east-1") -> Any:
        """boto3's client of the local AWS."""
        client = boto3.client(
            service,  # pyright: ignore[reportArgumentType]
            region_name=region,
            endpoint_url=f"http://127.0.0.1:{self.ports['aws']}",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"max_attempts": 1}),
        )
        self._clients.append(client)
        return client

    def gcp(self, service: str, version: str) -> Any:
        """google-api-python-client's client of the local GCP."""
        client = discovery.build(
            service,
            version,
            credentials=AnonymousCredentials(),
            static_discovery=True,
            client_options={"api_endpoint": f"http://127.0.0.1:{self.ports['gcp']}"},
        )
        self._clients.append(client)
        return client

    def rendered(self) -> dict[str, dict[tuple[str, str], dict[str, Any]]]:
        """The Kubernetes objects of each cluster by (kind, name), read from the rendered files."""
        yaml = YAML(typ="safe", pure=True)
        clusters: dict[str, dict[tuple[str, str], dict[str, Any]]] = {}
        for file in sorted((self.root / ".factory" / "clouds" / "kubernetes").rglob("*.yaml")):
            item = yaml.load(file.read_text(encoding="utf-8"))
            cluster = file.relative_to(self.root / ".factory" / "clouds" / "kubernetes").parts[0]
            clusters.setdefault(cluster, {})[item["kind"], item["metadata"]["name"]] = item
        return clusters

    def held(self) -> dict[str, Mapping[str, int]]:
        """How many resources each cloud holds, by kind, without what an empty cloud holds too."""
        counts: dict[str, Mapping[str, int]] = {}
        for cloud in manager.status(self.specs, self.root):
            assert cloud.running, f"{cloud.name} does not run"
            counts[cloud.name] = {kind: count for kind, count in (cloud.resources or {}).items() if count}
        counts["kubernetes"] = {name: len(objects) for name, objects in self.rendered().items()}
        return counts

    def close(self) -> None:
        """Stop the clouds and the providers' server, and close every client that was given out."""
        for client in self._clients:
            client.close()
        manager.stop(self.specs, self.root)
        background.stop(self.root)
