"""Whatever goes wrong with a call on its way: this run or the next one brings about what is asked, once, and says what was wrong."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from model_factory.local.providers import retries
from model_factory.local.providers.aws import session
from model_factory.local.wire import Properties
from tests.local.fault_proxy import FAULTS, Fault, FaultProxy, fault_proxy
from tests.local.providers.aws.conftest import Engine, configured
from tests.local.providers.aws.test_types import CASES, Case, resolved
from tests.local.providers.faults import SLOW_SECONDS, Life, Shown, hurry
from tests.local.providers.protocol import Made

pytestmark = [pytest.mark.slow, pytest.mark.faults]


@pytest.fixture(scope="module")
def proxy(cloud_url: str) -> Iterator[FaultProxy]:
    with fault_proxy(cloud_url) as made:
        yield made


@pytest.fixture(scope="module")
def beside(proxy: FaultProxy, cloud_url: str) -> Engine:
    """An engine whose provider reaches the cloud through the proxy."""
    return Engine(configured(proxy.url), cloud_url)


@pytest.fixture(scope="module")
def impatient(proxy: FaultProxy, cloud_url: str) -> Engine:
    """As `beside`, of a provider that waits for no answer as long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "READ_SECONDS", SLOW_SECONDS)
        made = Engine(configured(proxy.url), cloud_url)
        for service in session.SERVICES:  # clients are made when they are first used
            made.provider._configured().clients.get(service, "us-east-1")
    return made


@pytest.fixture(scope="module")
def shown() -> Shown:
    return Shown()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, fault: Fault) -> None:
    hurry(monkeypatch, fault)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.token.rsplit(":", 1)[-1])
@pytest.mark.parametrize("fault", FAULTS)
def test_every_call(
    beside: Engine,
    impatient: Engine,
    proxy: FaultProxy,
    world: dict[str, Any],
    case: Case,
    fault: Fault,
    shown: Shown,
    caplog: pytest.LogCaptureFixture,
    record_property: Callable[[str, object], None],
) -> None:
    caplog.set_level(logging.INFO, retries.log.name)
    engine = impatient if fault == "slow after" else beside

    def change(made: Made) -> Properties:
        return engine.checked(case.token, {**made.inputs, **resolved(case.change, world)}, made.inputs)

    life = Life(
        case.token, case.token, engine, proxy, fault, caplog, shown,
        inputs_of=lambda name: engine.checked(case.token, resolved(case.inputs, world), name=name),
        change=change if case.change else None,
        lingers=case.lingers,
    )  # fmt: skip
    figures = life.through_every_call()
    if not figures:
        pytest.skip("other types showed each of its calls")
    record_property("spoiled calls", ("AWS", fault, dict(figures)))
