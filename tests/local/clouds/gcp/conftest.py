"""A local Google Cloud for these tests, and Google's own client for it."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httplib2
import pytest

from model_factory.local.clouds.gcp.core import Cloud
from model_factory.local.providers.gcp.session import HttpError, google_discovery
from tests.local.gcp_server import gcp_server

PROJECT = "model-factory-dev"
BASES = {
    "compute": "/compute/v1/",
    "container": "/container/",
    "artifactregistry": "/artifactregistry/",
    "storage": "/storage/v1/",
    "iam": "/iam/",
    "cloudresourcemanager": "/cloudresourcemanager/",
    "serviceusage": "/serviceusage/",
    "cloudkms": "/cloudkms/",
}


@dataclass
class World:
    """A running cloud and clients for it."""

    url: str
    cloud: Cloud

    connection: httplib2.Http

    def api(self, service: str, version: str = "v1", base: str | None = None) -> Any:
        return google_discovery.build(
            service,
            version,
            http=self.connection,
            client_options={"api_endpoint": self.url + (BASES[service] if base is None else base)},
            static_discovery=True,
            cache_discovery=False,
        )

    def control(self, method: str, name: str, document: object = None) -> Any:
        body = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(f"{self.url}/_cloud/{name}", data=body, method=method)  # noqa: S310  always http on loopback
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
            return json.loads(response.read())

    def compute_done(self, operation: dict[str, Any]) -> dict[str, Any]:
        """Wait for a compute operation, and give it back."""
        compute = self.api("compute")
        scope = operation["selfLink"].split(f"/{PROJECT}/")[1].split("/")
        if scope[0] == "global":
            call = compute.globalOperations().wait(project=PROJECT, operation=operation["name"])
        else:
            call = compute.regionOperations().wait(project=PROJECT, region=scope[1], operation=operation["name"])
        return call.execute()

    def container_done(self, operation: dict[str, Any], location: str = "us-central1") -> dict[str, Any]:
        operations = self.api("container").projects().locations().operations()
        name = f"projects/{PROJECT}/locations/{location}/operations/{operation['name']}"
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            current = operations.get(name=name).execute()
            if current["status"] == "DONE":
                return current
            time.sleep(0.01)
        raise AssertionError(f"{name} is not done after 10 s")

    def network(self, name: str = "net") -> str:
        """A custom-mode network with a subnetwork `sub` that has ranges `pods` and `services`."""
        compute = self.api("compute")
        self.compute_done(
            compute.networks().insert(project=PROJECT, body={"name": name, "autoCreateSubnetworks": False}).execute()
        )
        body = {
            "name": "sub",
            "network": f"projects/{PROJECT}/global/networks/{name}",
            "ipCidrRange": "10.0.0.0/20",
            "secondaryIpRanges": [
                {"rangeName": "pods", "ipCidrRange": "10.4.0.0/14"},
                {"rangeName": "services", "ipCidrRange": "10.8.0.0/20"},
            ],
        }
        self.compute_done(compute.subnetworks().insert(project=PROJECT, region="us-central1", body=body).execute())
        return f"projects/{PROJECT}/global/networks/{name}"

    def cluster(self, name: str = "c", **fields: Any) -> str:
        """A running regional cluster on `network()`."""
        parent = f"projects/{PROJECT}/locations/us-central1"
        cluster = {
            "name": name,
            "network": "net",
            "subnetwork": "sub",
            "initialNodeCount": 1,
            "ipAllocationPolicy": {
                "clusterSecondaryRangeName": "pods",
                "servicesSecondaryRangeName": "services",
            },
            **fields,
        }
        clusters = self.api("container").projects().locations().clusters()
        operation = clusters.create(parent=parent, body={"cluster": cluster}).execute()
        assert "error" not in self.container_done(operation)
        return f"{parent}/clusters/{name}"


def refusal(call: Callable[[], object]) -> HttpError:
    """The error that the cloud answers a call with."""
    with pytest.raises(HttpError) as caught:
        call()
    return caught.value


@pytest.fixture
def refused() -> Callable[[Callable[[], object]], HttpError]:
    return refusal


@pytest.fixture(scope="module")
def server() -> Iterator[World]:
    with gcp_server(PROJECT, transition_seconds=0.05) as (url, cloud):
        connection = httplib2.Http()
        yield World(url, cloud, connection)
        connection.close()


@pytest.fixture
def world(server: World) -> World:
    """The server, empty and at its usual speed."""
    server.control("POST", "reset")
    server.control("PUT", "transition", {"seconds": 0.05})
    return server
