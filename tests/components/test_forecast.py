"""The forecast against what the program declares: the same nodes, and the same total but for names and traffic."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from components.forecast import cost_outputs, forecast
from model_factory.cli.cost import described
from model_factory.cli.session import Session
from model_factory.cost import Bill, bill_of
from model_factory.facts.catalogue import catalogue
from model_factory.planning.placing.plan import plan

ROOT = Path(__file__).parents[2]


def copied(folder: Path, stack: str) -> Session:
    for name in ("Pulumi.yaml", "__main__.py", f"Pulumi.{stack}.yaml"):
        shutil.copy(ROOT / name, folder / name)
    return Session.open(stack, folder)


@pytest.mark.parametrize("stack", ["dev", "prod"])
class TestForecast:
    def test_is_the_bill_of_what_the_program_declares(self, tmp_path: Path, stack: str) -> None:
        session = copied(tmp_path, stack)
        # In a thread: the engine's event loop takes the main thread's with it when it ends, and other tests in this process need one.
        with ThreadPoolExecutor(1) as thread:
            real = bill_of(thread.submit(described, session).result())
        planned = forecast(session.settings, plan(session.settings, catalogue().offers))
        assert planned.total == real.total
        assert _models(planned) == _models(real)

    def test_the_outputs_are_what_a_budget_reads(self, tmp_path: Path, stack: str) -> None:
        settings = copied(tmp_path, stack).settings
        outputs = cost_outputs(forecast(settings, plan(settings, catalogue().offers)))
        least, most = (float(outputs["usd_per_month"][key]) for key in ("least", "most"))
        assert 0 < least < most
        assert float(outputs["usd_per_hour"]["least"]) * 730 == pytest.approx(least, rel=1e-3)


def _models(bill: Bill) -> dict[str, object]:
    return {f"{owner} in {cloud}": sums for (owner, cloud), sums in bill.by_owner.items()}
