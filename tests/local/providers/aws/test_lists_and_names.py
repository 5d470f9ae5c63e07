"""Lists come whole, whatever page what is looked for is on; and a name that somebody else has taken is refused clearly."""

from __future__ import annotations

from typing import Any

import pytest
from pulumi.runtime.proto import provider_pb2 as pb

from model_factory.local import wire
from tests.local.providers.aws.conftest import AbortedError, Engine
from tests.local.providers.aws.test_types import CASES, Case, resolved

NAMED = ("Repository", "Role", "LogGroup", "Alias", "LaunchTemplate", "SecurityGroup", "Policy")


def test_all_pages_of_a_list_are_read(engine: Engine) -> None:
    aws = engine.provider._configured()
    first = aws.call("iam", "ListPolicies", Scope="AWS")
    assert first["IsTruncated"], "one page would show nothing"
    assert len(aws.all("iam", "ListPolicies", "Policies", Scope="AWS")) > len(first["Policies"])


@pytest.mark.parametrize("case", [each for each in CASES if each.token.endswith(tuple(f":{name}" for name in NAMED))],
                         ids=lambda case: case.token)  # fmt: skip
def test_what_has_the_name_already_stays_as_it_is(engine: Engine, world: dict[str, Any], case: Case) -> None:
    first = engine.create(case.token, resolved(case.inputs, world), name="theirs")
    held = engine.held()
    urn = engine.urn(case.token, "ours")
    with pytest.raises(AbortedError, match=r"aws refused \w+:\w+: [\w.]*(AlreadyExists|Duplicate)\w*: \S") as refused:
        engine.provider.Create(pb.CreateRequest(urn=urn, properties=wire.encode(first.inputs)), engine.context())
    assert refused.value.details is None, "it is nothing of ours"
    assert engine.held() == held
    assert wire.decode(engine.read(first).inputs) == first.inputs
    engine.delete(first)
