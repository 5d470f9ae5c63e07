"""A local Google Cloud for these tests, and the provider called as an engine calls it."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httplib2
import pytest
from pulumi.runtime.proto import provider_pb2 as pb

from model_factory.local import wire
from model_factory.local.clouds.gcp.core import Cloud
from model_factory.local.providers.gcp.provider import GcpProvider
from model_factory.local.providers.gcp.session import google_discovery
from model_factory.local.wire import Properties
from tests.local.gcp_server import gcp_server
from tests.local.providers.protocol import AbortedError as AbortedError
from tests.local.providers.protocol import Context, Made, ProviderEngine

PROJECT = "model-factory-dev"
REGION = "us-central1"


def endpoints(url: str) -> Properties:
    return {
        "computeCustomEndpoint": f"{url}/compute/v1/",
        "containerCustomEndpoint": f"{url}/container/v1/",
        "artifactRegistryCustomEndpoint": f"{url}/artifactregistry/v1/",
        "storageCustomEndpoint": f"{url}/storage/v1/",
        "iamCustomEndpoint": f"{url}/iam/v1/",
        "resourceManagerCustomEndpoint": f"{url}/cloudresourcemanager/v1/",
        "kmsCustomEndpoint": f"{url}/cloudkms/v1/",
        "serviceUsageCustomEndpoint": f"{url}/serviceusage/v1/",
    }


@dataclass
class Engine(ProviderEngine):
    """An engine, and ways to look at the cloud from outside."""

    cloud: Cloud
    connection: httplib2.Http

    def configure(self, **config: Any) -> None:
        arguments: Properties = {"project": PROJECT, "region": REGION, **endpoints(self.url), **config}
        self.provider.Configure(pb.ConfigureRequest(args=wire.encode(arguments)), Context())

    def change(self, made: Made, **changes: Any) -> tuple[pb.DiffResponse, Properties]:
        """The difference that changed inputs make, and those inputs checked; None takes one away."""
        asked = {k: v for k, v in made.inputs.items() if k not in set(made.inputs.get("__defaults") or ())}  # type: ignore[arg-type]
        asked.pop("__defaults", None)
        news = {k: v for k, v in {**asked, **changes}.items() if v is not None}
        inputs = self.checked(made.token, news, made.inputs, name=made.urn.rpartition("::")[2])
        return self.diff(made, inputs), inputs

    def adopt(self, made: Made) -> str | None:
        return self.provider.adopt(made.token, made.urn, made.inputs)

    def api(self, service: str) -> Any:
        """Google's own client, to look from outside."""
        bases = {"compute": "/compute/v1/", "storage": "/storage/v1/"}
        return google_discovery.build(
            service,
            "v1",
            http=self.connection,
            client_options={"api_endpoint": self.url + bases.get(service, f"/{service}/")},
            static_discovery=True,
            cache_discovery=False,
        )

    def control(self, method: str, name: str, document: object = None) -> Any:
        body = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(f"{self.url}/_cloud/{name}", data=body, method=method)  # noqa: S310  always http on loopback
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
            return json.loads(response.read())

    def fault(self, operation: str, **fields: Any) -> None:
        self.control("PUT", "faults", [{"operation": operation, "error": "BACKEND", "status": 500, **fields}])


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, Cloud]]:
    with gcp_server(PROJECT, transition_seconds=0.02) as running:
        yield running


@pytest.fixture(scope="module")
def provider() -> GcpProvider:
    return GcpProvider()


@pytest.fixture
def engine(server: tuple[str, Cloud], provider: GcpProvider) -> Iterator[Engine]:
    """A configured provider over an empty cloud."""
    url, cloud = server
    connection = httplib2.Http()
    made = Engine(provider, url, cloud, connection)
    made.control("POST", "reset")
    made.control("PUT", "transition", {"seconds": 0.02})
    made.configure()
    yield made
    connection.close()
