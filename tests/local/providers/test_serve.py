from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from model_factory.local import wire
from model_factory.local.providers.serve import main, provider_class, serve

CONFIG_MAP = "kubernetes:core/v1:ConfigMap"


@contextmanager
def connected(port: int) -> Iterator[Any]:
    # Without this, channels to one port share a connection: the CLI's are each their own.
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        yield provider_pb2_grpc.ResourceProviderStub(channel)


def configure(stub: Any, folder: str) -> None:
    stub.Configure(provider_pb2.ConfigureRequest(args=wire.encode({"renderYamlToDirectory": folder})))


def create(stub: Any, name: str) -> str:
    inputs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}}
    urn = f"urn:pulumi:dev::p::{CONFIG_MAP}::{name}"
    return stub.Create(provider_pb2.CreateRequest(urn=urn, properties=wire.encode(inputs))).id


class TestServing:
    def test_an_engine_can_attach_shake_hands_and_ask_for_the_version(self) -> None:
        with serve({"kubernetes": 0}) as served, connected(served.ports["kubernetes"]) as stub:
            stub.Attach(plugin_pb2.PluginAttach(address="127.0.0.1:1"))
            assert stub.Handshake(provider_pb2.ProviderHandshakeRequest(engine_address="127.0.0.1:1")).accept_secrets
            assert stub.GetPluginInfo(empty_pb2.Empty()).version == "4.34.2"
            assert served.environment == {"PULUMI_DEBUG_PROVIDERS": f"kubernetes:{served.ports['kubernetes']}"}

    def test_each_connection_is_configured_on_its_own(self, tmp_path: Path) -> None:
        with serve({"kubernetes": 0}, root=tmp_path) as served:
            port = served.ports["kubernetes"]
            with connected(port) as eks, connected(port) as gke:
                configure(eks, "clouds/eks")
                configure(gke, "clouds/gke")
                assert create(eks, "a") == create(gke, "a") == "default/a"
        assert sorted(path.parent.parent.name for path in tmp_path.glob("clouds/*/*/*.yaml")) == [
            "eks",
            "gke",
        ]

    def test_a_handshake_makes_a_provider_that_no_earlier_run_has_configured_or_cancelled(self, tmp_path: Path) -> None:
        # To the server, a port that the system gives out again is the same connection.
        with serve({"kubernetes": 0}, root=tmp_path) as served, connected(served.ports["kubernetes"]) as stub:
            configure(stub, "clouds/eks")
            stub.Cancel(empty_pb2.Empty())
            stub.Handshake(provider_pb2.ProviderHandshakeRequest(engine_address="127.0.0.1:1"))
            with pytest.raises(grpc.RpcError, match="called before it was configured"):
                create(stub, "a")
            configure(stub, "clouds/gke")
            assert create(stub, "a") == "default/a"
        assert [path.name for path in tmp_path.glob("clouds/*")] == ["gke"]

    def test_calls_run_at_the_same_time(self, tmp_path: Path) -> None:
        with serve({"kubernetes": 0}, root=tmp_path) as served, connected(served.ports["kubernetes"]) as stub:
            configure(stub, "clouds/eks")
            with ThreadPoolExecutor(16) as pool:
                names = [f"c{number}" for number in range(64)]
                assert list(pool.map(lambda name: create(stub, name), names)) == [f"default/{name}" for name in names]
        assert len(list(tmp_path.glob("clouds/eks/*/*.yaml"))) == 64

    def test_what_a_provider_refuses_arrives_with_its_code_and_words(self) -> None:
        with serve({"kubernetes": 0}) as served, connected(served.ports["kubernetes"]) as stub:
            with pytest.raises(grpc.RpcError, match="before it was configured") as caught:
                create(stub, "a")
            assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION

    def test_what_is_not_implemented_says_so(self) -> None:
        with serve({"kubernetes": 0}) as served, connected(served.ports["kubernetes"]) as stub:
            with pytest.raises(grpc.RpcError, match="do not implement GetMapping") as caught:
                stub.GetMapping(provider_pb2.GetMappingRequest())
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED

    def test_a_taken_port_is_named(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(OSError, match=f"127.0.0.1:{port}"), serve({"kubernetes": port}):
                pass

    def test_only_loopback_is_listened_on(self) -> None:
        with serve({"kubernetes": 0}) as served:
            sockets = psutil.Process().net_connections("tcp")
            addresses = {item.laddr.ip for item in sockets if item.laddr.port == served.ports["kubernetes"]}
        assert {address.removeprefix("::ffff:") for address in addresses} == {"127.0.0.1"}

    def test_an_unknown_package_names_those_there_are(self) -> None:
        with pytest.raises(ValueError, match="no local provider 'azure'; there are aws, gcp, kubernetes"):
            provider_class("azure")


class TestCommand:
    def test_prints_the_ports_serves_and_ends_on_sigterm(self, tmp_path: Path) -> None:
        command = [
            sys.executable,
            "-m",
            "model_factory.local.providers.serve",
            "--root",
            str(tmp_path),
            "kubernetes",
        ]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
            assert process.stdout is not None
            line = process.stdout.readline().strip()
            try:
                key, _, value = line.partition("=")
                assert key == "PULUMI_DEBUG_PROVIDERS"
                with connected(int(value.removeprefix("kubernetes:"))) as stub:
                    configure(stub, "eks")
                    create(stub, "a")
            finally:
                process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        assert len(list(tmp_path.glob("eks/*/*.yaml"))) == 1

    @pytest.mark.parametrize("argument", ["azure", "aws=x", "aws:1"])
    def test_refuses_what_it_does_not_know(self, argument: str, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            main([argument])
        assert repr(argument) in capsys.readouterr().err
