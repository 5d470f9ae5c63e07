"""What a stack may cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from decimal import Decimal, InvalidOperation

from pulumi_policy.proxy import UnknownValueError

from model_factory.facts.tables import HOURS_A_MONTH
from model_factory.graph.pools import node_pool
from model_factory.graph.values import at
from policies.authoring.checks import HIGH, Setting, number
from policies.authoring.references import documented
from policies.authoring.resources import Props, Report, Resource, Stack
from policies.authoring.theme import Theme

theme = Theme("organisation")

ROOT = "pulumi:pulumi:Stack"
BUDGET_OUTPUT = "budget"
"""What a stack exports of `model-factory:rules`: {usd_per_month, basis}."""
# What a stack exports of its cost, the best first, and how often that is paid a month.
COST_OUTPUTS = (("usd_per_month", 1), ("usd_per_hour", HOURS_A_MONTH))
BASES: Mapping[str, tuple[str, ...]] = {"rest": ("idle", "least"), "peak": ("peak", "most")}


@theme.stack(
    severity=HIGH,
    steps="Ask for fewer or smaller GPUs, or raise the budget with whoever pays: that of the stack in its model-factory:rules, that of all stacks as usdPerMonth in policies/config. A stack with GPUs exports usd_per_month or usd_per_hour.",
    reference=documented(
        "FinOps Framework",
        "Budgeting",
        "Budgets limit what is spent",
        "https://www.finops.org/framework/capabilities/budgeting/",
    ),
    config={
        "usdPerMonth": number(30_000, "USD a month that any stack may cost; a stack's own rules can set less."),
        "basis": Setting(
            "peak",
            {"type": "string", "enum": ["rest", "peak"]},
            "What that is held against. rest: every model at its least replicas; peak: at its most.",
        ),
    },
)
def monthly_budget(stack: Stack, report: Report) -> None:
    """The stack costs no more a month than its budget, by its own estimate."""
    for root in stack.of(ROOT):
        outputs = _outputs(root)
        limits = [(Decimal(str(stack.config["usdPerMonth"])), str(stack.config["basis"])), *_budget(outputs)]
        told = [(basis, limit, monthly) for limit, basis in limits if (monthly := _monthly(outputs, basis)) is not None]
        for basis, limit, monthly in told:
            if monthly > limit:
                report(f"the stack costs {monthly:,.0f} USD a month at {basis}, and may cost {limit:,.0f}", root.urn)
        if told:
            return
    paid = sorted(each.name for each in stack.resources if (pool := node_pool(each)) is not None and pool.gpus_per_node)
    if paid:
        report(f"what the GPUs of {', '.join(paid)} cost is not told: the stack exports no usd_per_month")


def _outputs(root: Resource) -> Props:
    """What a stack exports. Nothing at all looks like something not known yet, which it is not: outputs come last."""
    with suppress(UnknownValueError):
        if len(root.props):
            return root.props
    return {}


def _budget(outputs: Props) -> Iterator[tuple[Decimal, str]]:
    """The stack's own limit and what it holds for; nothing where it has none that can be read."""
    limit, basis = _decimal(at(outputs, BUDGET_OUTPUT, "usd_per_month")), at(outputs, BUDGET_OUTPUT, "basis")
    if limit is not None and basis in BASES:
        yield limit, str(basis)


def _monthly(outputs: Props, basis: str) -> Decimal | None:
    """What the stack says that it costs a month; None where it does not."""
    for output, times in COST_OUTPUTS:
        amount = _amount(at(outputs, output), basis)
        if amount is not None:
            return amount * times
    return None


def _amount(output: object, basis: str) -> Decimal | None:
    """An amount in an output: a number, a text, or an object with one at rest and one at peak."""
    value = next(
        (found for key in BASES[basis] if (found := at(output, key)) is not None),
        None if isinstance(output, Mapping) else output,
    )
    return _decimal(value)


def _decimal(value: object) -> Decimal | None:
    if value is None or isinstance(value, bool):
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None
