"""Lists come whole, whatever page what is looked for is on; and a name that somebody else has taken is refused clearly."""

from __future__ import annotations

import pytest
from pulumi.runtime.proto import provider_pb2 as pb

from model_factory.local import wire
from tests.local.providers.gcp.conftest import PROJECT, AbortedError, Context, Engine
from tests.local.providers.gcp.test_types import (
    ACCOUNT,
    CASES,
    FIREWALL,
    NAT,
    NETWORK,
    REPOSITORY,
    ROUTER,
    SUBNETWORK,
    Case,
)

NAMED = (NETWORK, SUBNETWORK, ROUTER, NAT, FIREWALL, ACCOUNT, REPOSITORY)


def test_all_pages_of_a_list_are_read(engine: Engine) -> None:
    made = {
        engine.create(NETWORK, {"autoCreateSubnetworks": False}, name=f"net-{each}").outputs["name"] for each in "abc"
    }
    answer = engine.provider._configured().call("compute.networks.list", project=PROJECT, maxResults=1)
    assert made <= {each["name"] for each in answer["items"]}
    assert "nextPageToken" not in answer


@pytest.mark.parametrize("case", [each for each in CASES if each.token in NAMED], ids=lambda case: case.token)
def test_what_has_the_name_already_stays_as_it_is(engine: Engine, case: Case) -> None:
    first = engine.create(case.token, {**case.inputs, **case.before(engine)}, name="theirs")
    held = engine.held()
    urn = engine.urn(case.token, "ours")
    with pytest.raises(AbortedError, match=r"gcp refused [\w.]+: (ALREADY_EXISTS|alreadyExists): .*already") as refused:
        engine.provider.Create(pb.CreateRequest(urn=urn, properties=wire.encode(first.inputs)), Context())
    assert refused.value.details is None, "it is nothing of ours"
    assert engine.held() == held
    assert wire.decode(engine.read(first).inputs) == first.inputs
