"""`factory clouds env` gives a shell all that `pulumi` and `aws` need for the local clouds, and `stop` leaves nothing running."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2_grpc

from tests.stacks.harness import ROOT, LocalStack

pytestmark = pytest.mark.slow

SAID_WITHOUT_CLI = "The Pulumi CLI is not on PATH"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    made = LocalStack(tmp_path_factory.mktemp("env"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def without_cli() -> Mapping[str, str]:
    return {"PATH": "/usr/bin:/bin"}


def variables(stack: LocalStack, without_cli: Mapping[str, str], **more: str) -> dict[str, str]:
    return stack.factory("clouds", "env", "--json", env={**without_cli, **more}).json


def attached(found: Mapping[str, str]) -> dict[str, str]:
    return dict(item.split(":") for item in found["PULUMI_DEBUG_PROVIDERS"].split(","))


class TestEnvironment:
    def test_is_read_by_a_shell_and_works_at_once(self, stack: LocalStack, without_cli: Mapping[str, str]) -> None:
        asked = stack.factory("clouds", "env", env=without_cli)
        assert all(line.startswith("export ") for line in asked.out.splitlines())
        assert "Starting the local clouds" in asked.err
        if shutil.which("pulumi", path=without_cli["PATH"]) is None:
            assert SAID_WITHOUT_CLI in asked.err
        shown = stack.command("bash", "-c", f"set -u\n{asked.out}\necho $PULUMI_DEBUG_PROVIDERS $AWS_ENDPOINT_URL")
        providers, endpoint = shown.out.split()
        assert endpoint == f"http://127.0.0.1:{stack.ports['aws']}"
        for name, port in attached({"PULUMI_DEBUG_PROVIDERS": providers}).items():
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                provider = provider_pb2_grpc.ResourceProviderStub(channel)
                assert provider.GetPluginInfo(empty_pb2.Empty()).version, name

    def test_is_the_same_when_asked_again_and_keeps_what_the_user_attached(
        self, stack: LocalStack, without_cli: Mapping[str, str]
    ) -> None:
        first = variables(stack, without_cli)
        again = variables(stack, without_cli, PULUMI_DEBUG_PROVIDERS=f"random:1,{first['PULUMI_DEBUG_PROVIDERS']}")
        assert attached(again) == {"random": "1", **attached(first)}
        assert again.keys() == first.keys()

    def test_the_passphrase_is_named_by_a_file_and_the_users_own_is_left(
        self, stack: LocalStack, without_cli: Mapping[str, str]
    ) -> None:
        file = Path(variables(stack, without_cli)["PULUMI_CONFIG_PASSPHRASE_FILE"])
        assert file.read_text()
        assert file.stat().st_mode & 0o077 == 0
        own = variables(stack, without_cli, PULUMI_CONFIG_PASSPHRASE="mine")
        assert not any("PASSPHRASE" in name for name in own)

    def test_ends_with_the_clouds(self, stack: LocalStack, without_cli: Mapping[str, str]) -> None:
        port = attached(variables(stack, without_cli))["aws"]
        assert "providers" in stack.factory("clouds", "stop").out
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel, pytest.raises(grpc.RpcError):
            provider_pb2_grpc.ResourceProviderStub(channel).GetPluginInfo(empty_pb2.Empty())

    def test_is_refused_for_real_accounts(self, stack: LocalStack) -> None:
        shutil.copy(ROOT / "Pulumi.prod.yaml", stack.root)
        asked = stack.factory("clouds", "env", "--stack", "prod", check=False)
        assert asked.code != 0
        assert "real accounts" in asked.err

    def test_help_says_how_to_use_it(self, stack: LocalStack) -> None:
        text = " ".join(stack.factory("clouds", "env", "--help").out.split())
        assert 'eval "$(factory clouds env)"' in text
        assert "pulumi stack import" in text
