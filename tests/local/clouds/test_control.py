"""The control calls, through the core and through both adapters."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_factory.local.clouds.control import Controls, Fault, asgi, stranger, wsgi
from model_factory.local.lab.nodes.fleets import Fleets


class FakeCloud:
    name = "fake"
    version = "1"
    data = "/data"
    fleets = Fleets()

    def __init__(self) -> None:
        self.resources = {"thing": 2}
        self.seeds: list[dict[str, Any]] = []

    def counts(self) -> Mapping[str, int]:
        return self.resources

    def lacking(self) -> Mapping[str, str]:
        return {}

    def authenticate(self, cluster: str, token: str) -> dict[str, Any] | None:
        return {"username": f"{token}@{cluster}", "groups": []} if token else None

    def reset(self) -> None:
        self.resources = {}

    def seed(self, document: dict[str, Any]) -> None:
        self.seeds.append(document)

    def limit_machines(self, place: str, machine: str, available: int) -> None:
        self.seeds.append({place: {machine: available}})


def put(controls: Controls, name: str, document: object, method: str = "PUT") -> tuple[int, Any]:
    reply = controls.handle(method, f"/_cloud/{name}", json.dumps(document).encode())
    return reply.status, json.loads(reply.body)


def get(controls: Controls, name: str) -> Any:
    return json.loads(controls.handle("GET", f"/_cloud/{name}", b"").body)


@pytest.fixture
def controls() -> Controls:
    return Controls(FakeCloud())


class TestFaults:
    def test_a_fault_is_used_up_after_its_count(self, controls: Controls) -> None:
        put(controls, "faults", [{"operation": "eks:Create*", "error": "Boom", "status": 503, "count": 2}])
        hits = [controls.fault("eks:CreateNodegroup") for _ in range(3)]
        assert [hit and hit.error for hit in hits] == ["Boom", "Boom", None]
        assert get(controls, "faults") == []

    def test_other_operations_pass(self, controls: Controls) -> None:
        put(controls, "faults", [{"operation": "eks:CreateCluster", "error": "Boom"}])
        assert controls.fault("eks:DeleteCluster") is None
        assert controls.fault("eks:createcluster") is None

    def test_minus_one_never_runs_out(self, controls: Controls) -> None:
        put(controls, "faults", [{"operation": "*", "error": "Boom", "count": -1}])
        assert all(controls.fault("ec2:CreateVpc") for _ in range(50))

    @given(skip=st.integers(0, 5), count=st.integers(1, 5))
    def test_skip_lets_the_first_matches_through(self, skip: int, count: int) -> None:
        controls = Controls(FakeCloud())
        put(controls, "faults", [{"operation": "a", "error": "Boom", "skip": skip, "count": count}])
        hits = [controls.fault("a") is not None for _ in range(12)]
        assert hits == [False] * skip + [True] * count + [False] * (12 - skip - count)

    def test_putting_faults_replaces_those_before(self, controls: Controls) -> None:
        put(controls, "faults", [{"operation": "a", "error": "Boom"}])
        put(controls, "faults", [])
        assert controls.fault("a") is None

    @pytest.mark.parametrize(
        ("fault", "named"),
        [
            ({"error": "Boom"}, "operation"),
            ({"operation": "a"}, "error"),
            ({"operation": "a", "error": "Boom", "status": 200}, "200"),
            ({"operation": "a", "error": "Boom", "status": True}, "status"),
            ({"operation": "a", "error": "Boom", "times": 3}, "times"),
            ({"operation": "a", "error": "Boom", "count": -2}, "-2"),
            ("a", "object"),
        ],
    )
    def test_a_wrong_fault_is_refused_by_name(self, controls: Controls, fault: object, named: str) -> None:
        status, answer = put(controls, "faults", [fault])
        assert status == 400
        assert named in answer["error"]
        assert get(controls, "faults") == []

    def test_list_shows_the_fields_put(self, controls: Controls) -> None:
        put(controls, "faults", [{"operation": "a", "error": "Boom"}])
        assert get(controls, "faults") == [
            {
                "operation": "a",
                "error": "Boom",
                "status": 500,
                "message": "injected fault",
                "count": 1,
                "skip": 0,
            }
        ]


class TestLatency:
    def test_general_and_matching_latency_add_up(self, controls: Controls) -> None:
        put(controls, "latency", {"milliseconds": 10})
        put(controls, "latency", {"milliseconds": 5, "operation": "eks:*"})
        assert controls.delay_seconds("eks:ListClusters") == pytest.approx(0.015)
        assert controls.delay_seconds("ec2:DescribeVpcs") == pytest.approx(0.010)

    def test_zero_removes_all(self, controls: Controls) -> None:
        put(controls, "latency", {"milliseconds": 5, "operation": "eks:*"})
        put(controls, "latency", {"milliseconds": 0})
        assert controls.delay_seconds("eks:ListClusters") == 0

    @pytest.mark.parametrize("value", [-1, "1", None, True, float("nan"), float("inf")])
    def test_a_latency_that_is_no_duration_is_refused(self, controls: Controls, value: object) -> None:
        status, answer = put(controls, "latency", {"milliseconds": value})
        assert status == 400
        assert "milliseconds" in answer["error"]


class TestStatusAndReset:
    def test_status_has_every_field(self, controls: Controls) -> None:
        status = get(controls, "status")
        assert status["cloud"] == "fake"
        assert status["resources"] == {"thing": 2}
        assert {
            "version",
            "pid",
            "data",
            "uptime_seconds",
            "faults",
            "latency_ms",
            "transition_seconds",
        } <= set(status)

    def test_reset_forgets_resources_faults_and_latency_and_keeps_the_transition_time(self, controls: Controls) -> None:
        put(controls, "faults", [{"operation": "a", "error": "Boom"}])
        put(controls, "latency", {"milliseconds": 5})
        put(controls, "transition", {"seconds": 7})
        _, status = put(controls, "reset", {}, "POST")
        assert (status["resources"], status["faults"], status["latency_ms"]) == ({}, [], 0)
        assert controls.transition_seconds == 7

    def test_seed_reaches_the_cloud(self) -> None:
        cloud = FakeCloud()
        put(Controls(cloud), "seed", {"capacity": []}, "POST")
        assert cloud.seeds == [{"capacity": []}]

    def test_an_unknown_call_lists_the_known(self, controls: Controls) -> None:
        reply = controls.handle("GET", "/_cloud/nothing", b"")
        assert reply.status == 404
        assert b"POST reset" in reply.body

    def test_a_body_that_is_not_json_is_refused(self, controls: Controls) -> None:
        assert controls.handle("PUT", "/_cloud/faults", b"{").status == 400


class TestNodes:
    def test_capacity_reaches_the_cloud_in_its_own_way(self, controls: Controls) -> None:
        asked = {"place": "us-east-1", "machine": "g6.xlarge", "available": 0}
        assert put(controls, "capacity", asked)[0] == 200
        cloud: Any = controls._cloud
        assert cloud.seeds == [{"us-east-1": {"g6.xlarge": 0}}]

    @pytest.mark.parametrize(
        ("asked", "said"),
        [
            ({"place": "us-east-1", "machine": "g6.xlarge", "available": -1}, "0 or more"),
            ({"place": "us-east-1", "machine": 3, "available": 1}, "as text"),
            ({"machine": "g6.xlarge"}, "has place, machine and available"),
        ],
    )
    def test_a_capacity_that_makes_no_sense_is_refused(self, controls: Controls, asked: Any, said: str) -> None:
        status, answer = put(controls, "capacity", asked)
        assert status == 400
        assert said in answer["error"]

    def test_a_cloud_without_real_clusters_has_no_nodes(self, controls: Controls) -> None:
        assert get(controls, "nodes") == {}

    @pytest.mark.parametrize(
        ("asked", "said"),
        [
            ({"node": "n", "fault": "loss"}, "there is no simulated node 'n'"),
            ({"node": "n", "fault": "loss", "seconds": 3}, "seconds go with the fault notice"),
            ({"node": "n", "why": 3}, "nodes have no field 'why'"),
        ],
    )
    def test_a_fault_of_a_node_that_makes_no_sense_is_refused(self, controls: Controls, asked: Any, said: str) -> None:
        status, answer = put(controls, "nodes", asked, method="POST")
        assert status == 400
        assert said in answer["error"]


class TestAdapters:
    def test_wsgi_answers_control_calls_and_passes_the_rest_on(self, controls: Controls) -> None:
        def app(environ: Any, start_response: Any) -> list[bytes]:
            start_response("200 OK", [])
            return [b"app"]

        def request(
            path: str,
            body: bytes = b"",
            method: str = "GET",
            headers: Mapping[str, str] = {"HTTP_HOST": "127.0.0.1:4610"},
        ) -> tuple[str, bytes]:
            statuses: list[str] = []
            environ: Any = {
                "PATH_INFO": path,
                "REQUEST_METHOD": method,
                "CONTENT_LENGTH": str(len(body)),
                "wsgi.input": io.BytesIO(body),
                **headers,
            }
            answer = b"".join(wsgi(controls, app)(environ, lambda status, *_: statuses.append(status)))  # type: ignore[arg-type]
            return statuses[0], answer

        assert request("/clusters") == ("200 OK", b"app")
        assert request("/_cloud/transition", b'{"seconds": 2}', "PUT") == ("200 OK", b'{"seconds": 2.0}\n')
        assert request("/_cloud/transition", b'{"seconds": -2}', "PUT")[0] == "400 Bad Request"
        for path in ("/_cloud/reset", "/clusters"):
            status, body = request(
                path, b"{}", "POST", {"HTTP_HOST": "127.0.0.1:4610", "HTTP_ORIGIN": "http://evil.example"}
            )
            assert status == "403 Forbidden"
            assert b"evil.example" in body
        assert controls.handle("GET", "/_cloud/status", b"").status == 200

    def test_asgi_answers_control_calls_and_passes_the_rest_on(self, controls: Controls) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "passed"})

        async def request(path: str, chunks: list[bytes], method: str = "GET", host: bytes = b"localhost") -> list[Any]:
            sent: list[Any] = []
            messages = [
                {"type": "http.request", "body": chunk, "more_body": index + 1 < len(chunks)}
                for index, chunk in enumerate(chunks)
            ]

            async def receive() -> Any:
                return messages.pop(0)

            async def send(message: Any) -> None:
                sent.append(message)

            scope = {"type": "http", "method": method, "path": path, "headers": [(b"host", host)]}
            await asgi(controls, app)(scope, receive, send)
            return sent

        assert asyncio.run(request("/compute/v1", [b""])) == [{"type": "passed"}]
        sent = asyncio.run(request("/_cloud/transition", [b'{"sec', b'onds": 2}'], "PUT"))
        assert [sent[0]["status"], sent[1]["body"]] == [200, b'{"seconds": 2.0}\n']
        assert controls.transition_seconds == 2
        assert asyncio.run(request("/compute/v1", [b""], host=b"evil.example"))[0]["status"] == 403


class TestStrangers:
    @pytest.mark.parametrize("host", ["127.0.0.1:4610", "localhost", "[::1]:4610"])
    def test_clients_of_this_machine_are_none(self, host: str) -> None:
        assert stranger(host, None, None) is None
        assert stranger(host, None, "none") is None  # typed into a browser by its user

    @pytest.mark.parametrize(
        "host", ["", "evil.example", "127.0.0.1.evil.example:4610", "127.0.0.1@evil.example", "10.0.0.1"]
    )
    def test_a_name_that_points_here_is_one(self, host: str) -> None:
        reply = stranger(host, None, None)
        assert reply is not None
        assert reply.status == 403

    @pytest.mark.parametrize(
        ("origin", "site"),
        [("https://evil.example", None), ("null", None), ("http://localhost:3000", None), (None, "cross-site")],
    )
    def test_every_web_page_is_one(self, origin: str | None, site: str | None) -> None:
        assert stranger("127.0.0.1:4610", origin, site) is not None


def test_a_fault_is_a_value() -> None:
    assert Fault("a", "b") == Fault("a", "b")


class TestTokens:
    def test_an_api_server_is_told_whose_a_token_is(self, controls: Controls) -> None:
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": "ann"}}
        status, answer = put(controls, "authenticate/east.models", review, "POST")
        assert (status, answer["kind"], answer["apiVersion"]) == (200, "TokenReview", review["apiVersion"])
        assert answer["status"] == {"authenticated": True, "user": {"username": "ann@east.models", "groups": []}}

    def test_or_that_it_is_nobodys(self, controls: Controls) -> None:
        assert put(controls, "authenticate/east.models", {"spec": {}}, "POST")[1]["status"] == {"authenticated": False}
