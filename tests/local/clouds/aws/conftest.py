"""A running local AWS, seen from outside with boto3. Started once for all tests; each test begins with an empty cloud."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
from botocore.config import Config

from model_factory.local.clouds import manager
from model_factory.local.clouds.manager import CloudSpec

REGION = "us-east-1"


def trust(service: str) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@dataclass
class Aws:
    """The cloud under test, and shorthands for what many tests need in it."""

    spec: CloudSpec
    root: Path
    clients: dict[tuple[str, str], Any] = field(default_factory=dict)

    def client(self, service: str, region: str = REGION) -> Any:
        key = (service, region)
        if key not in self.clients:
            self.clients[key] = boto3.client(
                service,
                region_name=region,
                endpoint_url=self.spec.url,
                aws_access_key_id="test",
                aws_secret_access_key="test",
                config=Config(retries={"total_max_attempts": 1}),
            )
        return self.clients[key]

    def __getattr__(self, service: str) -> Any:
        return self.client(service)

    def control(self, method: str, name: str, document: object = None) -> Any:
        return manager.call(self.spec, method, name, document)

    def start(self) -> None:
        manager.start([self.spec], self.root)

    def kill(self) -> None:
        process = psutil.Process(self.control("GET", "status")["pid"])
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)

    def stop(self) -> None:
        manager.stop([self.spec], self.root)

    def role(self, service: str, name: str | None = None) -> str:
        name = name or service.split(".")[0]
        return self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(service))["Role"]["Arn"]

    def network(self, region: str = REGION, cidr: str = "10.0.0.0/16") -> tuple[str, list[str]]:
        """A VPC with a subnet in each of three zones."""
        ec2 = self.client("ec2", region)
        vpc = ec2.create_vpc(CidrBlock=cidr)["Vpc"]["VpcId"]
        prefix = ".".join(cidr.split(".")[:2])
        subnets = [
            ec2.create_subnet(VpcId=vpc, CidrBlock=f"{prefix}.{index}.0/24", AvailabilityZone=f"{region}{zone}")
            for index, zone in enumerate("abc")
        ]
        return vpc, [answer["Subnet"]["SubnetId"] for answer in subnets]

    def cluster(self, name: str = "models", *, wait: bool = True, **more: Any) -> dict[str, Any]:
        _, subnets = self.network()
        role = self.role("eks.amazonaws.com")
        arguments = {"roleArn": role, "resourcesVpcConfig": {"subnetIds": subnets}} | more
        cluster = self.eks.create_cluster(name=name, **arguments)["cluster"]
        return self.wait_cluster(name) if wait else cluster

    def wait_cluster(self, name: str = "models", status: str = "ACTIVE") -> dict[str, Any]:
        return self.wait(lambda: self.eks.describe_cluster(name=name)["cluster"], status)

    def nodegroup(
        self, cluster: str = "models", name: str = "gpu", *, wait: bool = True, **more: Any
    ) -> dict[str, Any]:
        found = self.eks.describe_cluster(name=cluster)["cluster"]
        arguments = {
            "subnets": found["resourcesVpcConfig"]["subnetIds"],
            "instanceTypes": ["g6.xlarge"],
            "scalingConfig": {"minSize": 0, "maxSize": 3, "desiredSize": 1},
        } | more
        arguments.setdefault("nodeRole", None)
        if arguments["nodeRole"] is None:
            arguments["nodeRole"] = self.role("ec2.amazonaws.com")
        created = self.eks.create_nodegroup(clusterName=cluster, nodegroupName=name, **arguments)["nodegroup"]
        return self.wait_nodegroup(cluster, name) if wait else created

    def wait_nodegroup(self, cluster: str = "models", name: str = "gpu", status: str = "ACTIVE") -> dict[str, Any]:
        return self.wait(
            lambda: self.eks.describe_nodegroup(clusterName=cluster, nodegroupName=name)["nodegroup"], status
        )

    def wait(self, describe: Any, status: str) -> dict[str, Any]:
        deadline = time.monotonic() + 10
        while True:
            found = describe()
            if found["status"] == status:
                return found
            assert time.monotonic() < deadline, found
            time.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    aws = Aws(CloudSpec("aws", _free_port(), transition_seconds=0.05), tmp_path_factory.mktemp("aws"))
    aws.start()
    yield aws
    aws.stop()


@pytest.fixture
def aws(server: Aws) -> Aws:
    manager.reset([server.spec])
    server.control("PUT", "transition", {"seconds": 0.05})
    return server


@pytest.fixture(scope="module")
def session_keeps_servers() -> bool:
    return True  # one cloud serves all files of this room
