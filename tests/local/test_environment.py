"""Processes that we start see nothing of the environment but what they need, and no proxy sees what is for loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import pytest

from model_factory.local import daemon
from model_factory.local.environment import for_child, past_proxies
from tests.local.engine.packs import write_pack
from tests.local.engine.stack import Bench
from tests.local.recorder import PROXY_VARIABLES, Recorder, answer

SECRETS = {
    "PULUMI_CONFIG_PASSPHRASE": "hush",
    "PULUMI_CONFIG_PASSPHRASE_FILE": "hush",
    "PULUMI_ACCESS_TOKEN": "hush",
    "AWS_SECRET_ACCESS_KEY": "hush",
    "GOOGLE_OAUTH_ACCESS_TOKEN": "hush",
    "GITHUB_TOKEN": "hush",
    "HF_TOKEN": "hush",
    "SSH_AUTH_SOCK": "hush",
    "ANYTHING_ELSE": "hush",
}
SHOW = "import json, os, pathlib, sys\npathlib.Path({file!r}).write_text(json.dumps(dict(os.environ)))\n"
PROGRAM = """
import pulumi
class Thing(pulumi.CustomResource):
    def __init__(self, name, props, opts=None):
        super().__init__("test:index:Thing", name, {"computed": None, **props}, opts)
Thing("one", {"token": pulumi.Output.secret("hush")})
"""


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """A proxy that the environment names in every way there is."""
    with closing(Recorder(answer("502 Bad Gateway"))) as recorder:
        for name in PROXY_VARIABLES:
            monkeypatch.setenv(name, recorder.url)
        for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy"):
            monkeypatch.delenv(name, raising=False)
        yield recorder


class TestChildren:
    def test_get_what_they_need_and_nothing_that_they_could_tell(self) -> None:
        needed = {"PATH": "/bin", "HOME": "/home/me", "LC_ALL": "C", "PYTHONPATH": "/src", "TMPDIR": "/tmp"}
        proxies = dict.fromkeys(PROXY_VARIABLES, "http://proxy")
        assert for_child({**needed, **SECRETS, **proxies, "PYTHONDONTWRITEBYTECODE": "1"}) == needed

    def test_of_the_engine_are_a_program_and_packs(
        self, tmp_path: Path, proxy: Recorder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in SECRETS.items():
            monkeypatch.setenv(name, value)
        (tmp_path / "__main__.py").write_text(SHOW.format(file=str(tmp_path / "program.json")) + PROGRAM)
        pack = write_pack(
            tmp_path / "pack", SHOW.format(file=str(tmp_path / "pack.json")) + "policies = [resource('small', small)]"
        )
        outcome = Bench(tmp_path).up(lambda: None, in_process=None, policy_packs=(pack,))
        assert outcome.changes == {"create": 2}
        for file in ("program.json", "pack.json"):
            seen: dict[str, str] = json.loads((tmp_path / file).read_text())
            assert not seen.keys() & SECRETS.keys()
            assert "hush" not in seen.values()
        assert not proxy.connections

    def test_that_outlive_the_command_are_no_exception(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in SECRETS.items():
            monkeypatch.setenv(name, value)
        file = tmp_path / "daemon.json"
        command = [sys.executable, "-c", SHOW.format(file=str(file))]
        process = daemon.spawn(command, tmp_path / "daemon", source=tmp_path, facts={}).process
        process.wait(60)
        daemon.stop(process, seconds=1)
        assert not json.loads(file.read_text()).keys() & SECRETS.keys()


class TestProxies:
    def test_are_passed_by_on_the_way_to_loopback(self) -> None:
        assert past_proxies({"PATH": "/bin", "http_proxy": ""}) == {}
        ours = "127.0.0.1,localhost,::1"
        assert past_proxies({"HTTPS_PROXY": "p"}) == {"no_proxy": ours, "NO_PROXY": ours}
        assert past_proxies({"grpc_proxy": "p", "NO_PROXY": "corp, localhost", "no_grpc_proxy": "*"}) == {
            "no_proxy": "corp,localhost,127.0.0.1,::1",
            "NO_PROXY": "corp,localhost,127.0.0.1,::1",
            "no_grpc_proxy": "*",
        }

    @pytest.mark.parametrize("shielded", [True, False])
    def test_see_a_grpc_call_to_loopback_only_where_nothing_shields_it(self, shielded: bool, proxy: Recorder) -> None:
        """The second case shows that the proxy would see it."""
        code = "import grpc, sys; grpc.channel_ready_future(grpc.insecure_channel(sys.argv[1])).result(timeout=float(sys.argv[2]))"
        server: Any = grpc.server(ThreadPoolExecutor(1))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        environment = {**os.environ, **(past_proxies() if shielded else {})}
        seconds = "30" if shielded else "1"
        command = [sys.executable, "-c", code, f"127.0.0.1:{port}", seconds]
        ended = subprocess.run(command, env=environment, capture_output=True, check=False)
        server.stop(None).wait()
        assert (ended.returncode == 0) is shielded
        assert bool(proxy.connections) is not shielded
