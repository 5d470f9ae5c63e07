"""Whatever call of a create goes wrong on the wire: after the next run the object is there once, as asked, and nothing else is."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from model_factory.local import wire
from model_factory.local.providers import base, retries
from model_factory.local.providers.gcp.provider import GcpProvider
from tests.local.fault_proxy import FAULTS, Fault, FaultProxy, fault_proxy
from tests.local.providers.gcp.conftest import Engine
from tests.local.providers.gcp.test_types import BY_TYPE, Case

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def proxy(server: Any) -> Iterator[FaultProxy]:
    with fault_proxy(server[0]) as made:
        yield made


@pytest.fixture
def beside(engine: Engine, proxy: FaultProxy) -> Engine:
    """An engine whose provider reaches the cloud through the proxy."""
    made = dataclasses.replace(engine, provider=GcpProvider(), url=proxy.url)
    made.configure()
    made.url = engine.url
    return made


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "FIRST_PAUSE_SECONDS", 0.005)
    monkeypatch.setattr(base, "VISIBLE_SECONDS", 0.2)


@BY_TYPE
class TestEveryCallOfACreate:
    @pytest.mark.parametrize("fault", FAULTS)
    def test_goes_wrong_and_leaves_no_orphan(
        self, engine: Engine, beside: Engine, proxy: FaultProxy, case: Case, fault: Fault
    ) -> None:
        proxy.spoil = lambda _: None
        inputs = beside.checked(case.token, {**case.inputs, **case.before(engine)})
        before = beside.held()
        whole = None
        if not case.stays:  # Google never deletes it: it cannot be made a second time
            made, _ = beside.brought_up(case.token, inputs)
            whole = beside.held()
            beside.delete(made)
        number = 0
        while True:
            proxy.change(number := number + 1, fault)
            made, runs = beside.brought_up(case.token, inputs)
            if not proxy.spoiled:
                break
            proxy.spoil = lambda _: None
            held = beside.held()
            assert held == (whole or {**before, **{kind: 1 for kind in held if kind not in before}}), proxy.spoiled
            assert runs <= 2
            drift = beside.diff(made, made.inputs, wire.decode(beside.read(made).inputs))
            assert list(drift.detailedDiff) == []
            beside.delete(made)
            if case.stays:
                return
            assert beside.held() == before
        assert number > 1, "no call of the create was spoiled"
