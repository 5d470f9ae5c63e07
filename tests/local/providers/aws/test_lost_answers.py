"""Whatever call of a create goes wrong on the wire: after the next run the object is there once, as asked, and nothing else is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pulumi.runtime.proto import provider_pb2 as pb

from model_factory.local import wire
from model_factory.local.providers import base, retries
from tests.local.fault_proxy import FAULTS, Fault, FaultProxy, fault_proxy
from tests.local.providers.aws.conftest import AbortedError, Engine, configured
from tests.local.providers.aws.test_types import CASES, Case, resolved

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def proxy(cloud_url: str) -> Iterator[FaultProxy]:
    with fault_proxy(cloud_url) as made:
        yield made


@pytest.fixture(scope="module")
def beside(proxy: FaultProxy, cloud_url: str) -> Engine:
    """An engine whose provider reaches the cloud through the proxy."""
    return Engine(configured(proxy.url), cloud_url, name="lost")  # the cloud keeps tags of what is gone by its name


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "FIRST_PAUSE_SECONDS", 0.005)
    monkeypatch.setattr(base, "VISIBLE_SECONDS", 0.2)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.token.rsplit(":", 1)[-1])
class TestEveryCall:
    @pytest.mark.parametrize("fault", FAULTS)
    def test_of_a_create_goes_wrong_and_leaves_no_orphan(
        self, beside: Engine, proxy: FaultProxy, world: dict[str, Any], case: Case, fault: Fault
    ) -> None:
        inputs = beside.checked(case.token, resolved(case.inputs, world))
        proxy.spoil = lambda _: None
        before = beside.held()
        made, _ = beside.brought_up(case.token, inputs)
        whole = beside.held()
        beside.delete(made)
        after = beside.held()
        number = 0
        while True:
            proxy.change(number := number + 1, fault)
            made, runs = beside.brought_up(case.token, inputs)
            if not proxy.spoiled:
                break
            proxy.spoil = lambda _: None
            assert beside.held() == whole, (proxy.spoiled, runs)
            assert runs <= 2
            assert wire.decode(beside.read(made).inputs) == inputs
            assert beside.diff(made, inputs).changes == pb.DiffResponse.DIFF_NONE
            beside.delete(made)
            assert beside.held() == after
        proxy.spoil = lambda _: None
        beside.delete(made)
        assert number > 1, "no call of the create was spoiled"
        assert case.lingers or after == before

    def test_of_an_update_is_lost_and_the_next_run_converges(
        self, beside: Engine, proxy: FaultProxy, world: dict[str, Any], case: Case
    ) -> None:
        if not case.change:
            pytest.skip("changes by replacement alone")
        inputs = beside.checked(case.token, resolved(case.inputs, world))
        changed = beside.checked(case.token, {**inputs, **resolved(case.change, world)}, inputs)
        number = 0
        while True:
            proxy.spoil = lambda _: None
            made, _ = beside.brought_up(case.token, inputs)
            proxy.change(number := number + 1, "reset after")
            try:
                updated = beside.update(made, changed)
            except AbortedError:
                updated = beside.update(made, changed)  # at once: what the lost call began may still be under way
            spoiled = [*proxy.spoiled]
            assert wire.decode(beside.read(updated).inputs) == changed, spoiled
            proxy.spoil = lambda _: None
            beside.delete(updated)
            if not spoiled:
                break
        assert number > 1

    def test_of_a_delete_is_lost_and_the_next_run_finishes_it(
        self, beside: Engine, proxy: FaultProxy, world: dict[str, Any], case: Case
    ) -> None:
        inputs = beside.checked(case.token, resolved(case.inputs, world))
        before = beside.held()
        number = 0
        while True:
            proxy.spoil = lambda _: None
            made, _ = beside.brought_up(case.token, inputs)
            proxy.change(number := number + 1, "reset after")
            try:
                beside.delete(made)
            except AbortedError:
                beside.delete(made)
            assert case.lingers or beside.held() == before, proxy.spoiled
            if not proxy.spoiled:
                break
        assert number > 1
