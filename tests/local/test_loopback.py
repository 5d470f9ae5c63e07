"""Clients of what is local reach loopback alone: whatever the URL said, wherever an answer points, whatever the environment names."""

from __future__ import annotations

import asyncio
import urllib.error
from collections.abc import Callable, Generator
from typing import Any

import pytest
from pulumi.runtime.proto import callback_pb2

from model_factory.local import loopback
from model_factory.local.engine.callbacks import Callbacks
from model_factory.local.engine.errors import ProviderCallError
from model_factory.local.errors import LocalError
from model_factory.local.providers.aws import session as aws
from model_factory.local.providers.gcp import session as gcp
from tests.local.recorder import PROXY_VARIABLES, Recorder, answer


@pytest.fixture
def serve() -> Generator[Callable[[str], Recorder]]:
    made: list[Recorder] = []

    def start(said: str) -> Recorder:
        made.append(Recorder(said))
        return made[-1]

    yield start
    for each in made:
        each.close()


def ask_aws(url: str) -> Any:
    return aws.connect(aws.AwsConfig("us-east-1", {"sts": url})).call("sts", "GetCallerIdentity")


def ask_s3(url: str) -> Any:
    return aws.connect(aws.AwsConfig("us-east-1", {"s3": url})).call("s3", "HeadBucket", Bucket="weights")


def ask_google(url: str) -> Any:
    endpoint = gcp.Endpoint(f"{url}/compute/v1/", "v1")
    return gcp.Gcp(gcp.GcpConfig("p", "r", {"compute": endpoint})).call("compute.networks.list", project="p")


def ask_control(url: str) -> Any:
    try:
        return loopback.opener().open(f"{url}/_cloud/status", timeout=5)
    except urllib.error.HTTPError as error:
        error.close()
        raise


CLIENTS = (ask_aws, ask_s3, ask_google, ask_control)


class TestPeer:
    @pytest.mark.parametrize("ask", CLIENTS[:3])
    def test_that_is_another_machine_is_sent_nothing(
        self, ask: Callable[[str], Any], serve: Callable[[str], Recorder], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server = serve(answer("200 OK"))
        monkeypatch.setattr(loopback, "is_loopback_address", lambda _: False)  # type: ignore[misc]  no other machine is there
        with pytest.raises(LocalError, match=r"a call to 127\.0\.0\.1 was stopped.*only talks to loopback.*Pulumi CLI"):
            ask(server.url)
        assert server.heard.wait(10)
        assert not server.sent

    def test_of_tls_is_checked_before_the_handshake(
        self, serve: Callable[[str], Recorder], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server = serve("")
        monkeypatch.setattr(loopback, "is_loopback_address", lambda _: False)  # type: ignore[misc]
        for ask in (ask_aws, ask_google):
            with pytest.raises(LocalError, match="was stopped before anything was sent"):
                ask(server.url.replace("http:", "https:"))
        assert server.heard.wait(10)
        assert not server.sent


class TestRedirects:
    @pytest.mark.parametrize("status", ["301 Moved", "307 Temporary Redirect"])
    @pytest.mark.parametrize("ask", CLIENTS)
    def test_are_not_followed(self, ask: Callable[[str], Any], status: str, serve: Callable[[str], Recorder]) -> None:
        elsewhere = serve(answer("200 OK"))
        server = serve(answer(status, f"Location: {elsewhere.url}/", "x-amz-bucket-region: eu-west-1"))
        with pytest.raises((LocalError, urllib.error.HTTPError)):
            ask(server.url)
        assert server.sent
        assert not elsewhere.connections


class TestProxies:
    @pytest.mark.parametrize("ask", CLIENTS)
    def test_of_the_environment_see_nothing(
        self, ask: Callable[[str], Any], serve: Callable[[str], Recorder], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        proxy, server = serve(answer("502 Bad Gateway")), serve(answer("404 Not Found"))
        for name in PROXY_VARIABLES:
            monkeypatch.setenv(name, proxy.url)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        with pytest.raises((LocalError, urllib.error.HTTPError)):
            ask(server.url)
        assert server.sent
        assert not proxy.connections


class TestCallbacks:
    @pytest.mark.parametrize("target", ["evil.example:443", "dns:///evil.example:1", "unix:/tmp/socket", "10.0.0.1:1"])
    def test_of_a_program_go_to_loopback(self, target: str) -> None:
        callbacks = Callbacks()
        callbacks.add_invoke_transform(callback_pb2.Callback(target=target, token="t"))
        with pytest.raises(ProviderCallError, match="is not on loopback"):
            asyncio.run(callbacks.transform_invoke("a:b:c", {"secret": "x"}, "", "", ""))
