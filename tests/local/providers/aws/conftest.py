"""A local AWS for these tests, and the provider called as an engine calls it."""

# ruff: noqa: S310 - only loopback is opened
from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from pulumi.runtime.proto import provider_pb2 as pb

from model_factory.facts.aws.services import SERVICES
from model_factory.local import wire
from model_factory.local.providers.aws.provider import AwsProvider
from model_factory.local.providers.aws.session import Aws
from model_factory.local.wire import Properties
from tests.local.providers.protocol import AbortedError as AbortedError
from tests.local.providers.protocol import Context, Made, ProviderEngine

ROOT = Path(__file__).parents[4]


class Engine(ProviderEngine):
    """An engine, and ways to look at the cloud from outside."""

    @staticmethod
    def context() -> Context:
        return Context()

    def invoke(self, token: str, arguments: Properties) -> Properties:
        response = self.provider.Invoke(pb.InvokeRequest(tok=token, args=wire.encode(arguments)), Context())
        return wire.decode(getattr(response, "return"))

    def client(self, service: str, region: str = "us-east-1") -> Any:
        """A client from outside, with nothing of ours in between."""
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )

    def control(self, method: str, path: str, body: str = "") -> None:
        request = urllib.request.Request(
            f"{self.url}/_cloud/{path}",
            data=body.encode() or None,
            method=method,
            headers={"Content-Type": "application/json"},
        )
        urllib.request.urlopen(request).close()


def configured(url: str, **more: wire.Value) -> AwsProvider:
    endpoints: Properties = {keys[0]: url for keys in SERVICES.values()}
    config: Properties = {"region": "us-east-1", "endpoints": [endpoints], **more}
    provider = AwsProvider()
    provider.Configure(pb.ConfigureRequest(args=wire.encode(config)), Context())
    return provider


@pytest.fixture(scope="session")
def cloud_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("aws")
    command = [
        sys.executable,
        "-m",
        "model_factory.local.clouds.aws",
        "--port",
        str(port),
        "--data",
        str(folder),
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--transition-seconds", "0.05"], cwd=ROOT, stdout=log, stderr=log, env={**os.environ}
        )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{url}/_cloud/status").close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((folder / "log").read_text()) from None
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="session")
def engine(cloud_url: str) -> Engine:
    return Engine(configured(cloud_url), cloud_url)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The API calls that the provider makes during the test."""
    made: list[str] = []
    real = Aws.call

    def counted(self: Aws, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        made.append(f"{service}:{operation}")
        return real(self, service, operation, **parameters)

    monkeypatch.setattr(Aws, "call", counted)
    return made


@pytest.fixture(scope="session")
def configure() -> Any:
    return configured


@pytest.fixture(scope="session")
def aborted() -> type[AbortedError]:
    return AbortedError


@pytest.fixture(scope="session")
def world(engine: Engine) -> dict[str, Made]:
    """Objects that others stand on, made through the provider itself."""
    trust = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": ["sts:AssumeRole", "sts:TagSession"],
                    "Principal": {"Service": [f"{name}.amazonaws.com" for name in ("eks", "ec2", "pods.eks")]},
                }
            ],
        }
    )
    found: dict[str, Made] = {}

    def make(key: str, token: str, inputs: Properties) -> Made:
        found[key] = engine.create(token, inputs, name=f"world-{key}")
        return found[key]

    vpc = make("vpc", "aws:ec2/vpc:Vpc", {"cidrBlock": "10.0.0.0/16"}).id
    for index, zone in enumerate("ab"):
        subnet: Properties = {
            "vpcId": vpc,
            "cidrBlock": f"10.0.{index}.0/24",
            "availabilityZone": f"us-east-1{zone}",
        }
        make(f"subnet_{zone}", "aws:ec2/subnet:Subnet", subnet)
    make("gateway", "aws:ec2/internetGateway:InternetGateway", {"vpcId": vpc})
    make("address", "aws:ec2/eip:Eip", {"domain": "vpc"})
    make("table", "aws:ec2/routeTable:RouteTable", {"vpcId": vpc})
    make("table_2", "aws:ec2/routeTable:RouteTable", {"vpcId": vpc})
    make("group", "aws:ec2/securityGroup:SecurityGroup", {"vpcId": vpc})
    make("role", "aws:iam/role:Role", {"assumeRolePolicy": trust})
    make("role_2", "aws:iam/role:Role", {"assumeRolePolicy": trust})
    make("key", "aws:kms/key:Key", {"description": "first"})
    make("key_2", "aws:kms/key:Key", {"description": "second"})
    make("repository", "aws:ecr/repository:Repository", {})
    make("bucket", "aws:s3/bucket:Bucket", {})
    make("log_group", "aws:cloudwatch/logGroup:LogGroup", {})
    roles: Properties = {"roleArn": found["role"].outputs["arn"]}
    subnets: list[wire.Value] = [found["subnet_a"].id, found["subnet_b"].id]
    make(
        "cluster",
        "aws:eks/cluster:Cluster",
        {
            **roles,
            "vpcConfig": {"subnetIds": subnets},
            "version": "1.33",
            "accessConfig": {"authenticationMode": "API_AND_CONFIG_MAP"},
        },
    )
    principal: Properties = {
        "clusterName": found["cluster"].id,
        "principalArn": found["role_2"].outputs["arn"],
    }
    make("entry", "aws:eks/accessEntry:AccessEntry", principal)
    return found


@pytest.fixture(scope="module")
def session_keeps_servers() -> bool:
    return True  # one cloud serves all files of this room
