"""Whatever goes wrong with a call on its way: this run or the next one brings about what is asked, once, and says what was wrong."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from model_factory.local.providers import retries
from model_factory.local.providers.gcp import session
from model_factory.local.providers.gcp.provider import GcpProvider
from model_factory.local.wire import Properties
from tests.local.fault_proxy import FAULTS, Fault, FaultProxy, fault_proxy
from tests.local.providers.faults import SLOW_SECONDS, Life, Shown, hurry
from tests.local.providers.gcp.conftest import Engine
from tests.local.providers.gcp.test_types import BY_TYPE, Case
from tests.local.providers.protocol import Made

pytestmark = [pytest.mark.slow, pytest.mark.faults]


@pytest.fixture(scope="module")
def proxy(server: Any) -> Iterator[FaultProxy]:
    with fault_proxy(server[0]) as made:
        yield made


@pytest.fixture(scope="module")
def shown() -> Shown:
    return Shown()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, fault: Fault) -> None:
    hurry(monkeypatch, fault)


@pytest.fixture
def beside(engine: Engine, proxy: FaultProxy, fault: Fault, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """An engine whose provider reaches the cloud through the proxy."""
    if fault == "slow after":
        monkeypatch.setattr(session, "REQUEST_SECONDS", SLOW_SECONDS)
    made = dataclasses.replace(engine, provider=GcpProvider(), url=proxy.url)
    proxy.pass_all()
    made.configure()
    made.url = engine.url
    return made


def whole_change(case: Case) -> Properties:
    """All changes of a case at once."""
    merged: Properties = {}
    for each in case.updates:
        for key, value in each.items():
            old = merged.get(key)
            merged[key] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


@BY_TYPE
@pytest.mark.parametrize("fault", FAULTS)
def test_every_call(
    engine: Engine,
    beside: Engine,
    proxy: FaultProxy,
    case: Case,
    fault: Fault,
    shown: Shown,
    request: pytest.FixtureRequest,
    caplog: pytest.LogCaptureFixture,
    record_property: Callable[[str, object], None],
) -> None:
    caplog.set_level(logging.INFO, retries.log.name)
    inputs = {**case.inputs, **case.before(engine)}

    def change(made: Made) -> Properties:
        return beside.change(made, **whole_change(case))[1]

    life = Life(
        request.node.callspec.id.partition(fault)[2], case.token, beside, proxy, fault, caplog, shown,
        inputs_of=lambda name: beside.checked(case.token, inputs, name=name),
        change=change if case.updates else None,
        lingers=case.stays,
    )  # fmt: skip
    figures = life.through_every_call()
    if not figures:
        pytest.skip("other types showed each of its calls")
    record_property("spoiled calls", ("Google Cloud", fault, dict(figures)))
