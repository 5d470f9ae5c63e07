"""A cost delta as rows and sentences that people read. Amounts come from planning.cost; nothing is computed here but differences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from model_factory.cost.values import (
    HOURS_A_MONTH,
    IDLE,
    SHARED,
    Change,
    Delta,
    Missing,
    SiteKey,
    Span,
    Sums,
    site_name,
)
from model_factory.preview.wording import count, join_first

_NAMES_SHOWN: Final = 3
_CENT: Final = Decimal("0.01")
_FINE: Final = Decimal("0.0001")
_FINE_BELOW: Final = Decimal("0.1")
_WHOLE_FROM: Final = Decimal(100)
_BOUGHT: Final = (("reserved", "reserved"), ("spot", "spot"), ("on-demand", "on_demand"))
"""How machines are bought, and the part of `Sums` that has it."""
LEGEND: Final = (
    "After the change, and under it by how much that is more or less. "
    "Nodes of models count at each model's least and most replicas, on the pools that it likes best as far as these go."
)
HEADINGS: Final = ("at rest, $/hour", "$/month", "at peak, $/hour", "$/month", "GPU-hours/month", "at peak")


@dataclass(frozen=True, slots=True)
class Amount:
    """What it is after the change, and by how much that is more or less.

    `difference` is empty where nothing changes, and where there was nothing: `now` has the sign then.
    """

    now: str
    difference: str
    more: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One row under `HEADINGS`. `part` is total, cloud or owner; or kind, which is a part of the row above that is no kind."""

    part: str
    label: str
    note: str
    amounts: tuple[Amount, ...]


def rows(delta: Delta) -> list[Row]:
    """The total and its parts by kind, then what changes a cloud, and a model (or what is shared, or idle) by site and leg."""
    total = delta.total
    found = [_row("total", "Total", "", total)]
    found += [_row("kind", f"{label} machines", "", _part(total, name), gpus=False) for label, name in _BOUGHT]
    rest = Change(_rest(total.before), _rest(total.after))
    found.append(_row("kind", "everything else", "control planes, networks, storage", rest, gpus=False))
    found.extend(_row("cloud", cloud, "", change) for cloud, change in delta.clouds.items())
    for owner in dict.fromkeys(owner for owner, _, _ in delta.sites):
        found += _of_owner(delta, owner)
    return [row for row in found if any(amount.now not in {"", "0"} or amount.difference for amount in row.amounts)]


def _of_owner(delta: Delta, owner: str) -> Iterator[Row]:
    label = {SHARED: "shared", IDLE: "idle GPUs"}.get(owner, owner)
    # Where it runs: its images may be kept at other sites too.
    sites = {
        key
        for bill in (delta.before, delta.after)
        for key in bill.by_site
        if key[0] == owner and bill.by_site[key].machines
    }
    if label == owner and len(sites) > 1:
        together = Change(*(bill.by_model.get(owner, Sums()) for bill in (delta.before, delta.after)))
        yield _row("owner", owner, "all sites", together)
    for key, change in delta.sites.items():
        if key[0] == owner:
            kinds = [_kind(change.before), _kind(change.after)]
            kind = " → ".join(dict.fromkeys(each for each in kinds if each))
            yield _row("owner", label, " · ".join(filter(None, (site_name(*key[1:]), kind))), change)
            yield from _legs(delta, key)


def _legs(delta: Delta, site: SiteKey) -> Iterator[Row]:
    """A row for each way in which its machines are bought; none where there is one way only, and there was no other."""
    used = {key[3] for bill in (delta.before, delta.after) for key in bill.by_leg if key[:3] == site and key[3]}
    for label, _ in _BOUGHT:
        change = delta.legs.get((*site, label))
        if change is not None and len(used) > 1:
            yield _row("kind", f"{label} machines", "", change)


def headline(delta: Delta) -> str:
    """The cost in one sentence."""
    before, after = delta.total.before.usd_per_hour, delta.total.after.usd_per_hour
    unpriced = len(missing_text(delta.missing))
    left_out = (
        f"; without {count(unpriced, 'thing')} that {'has' if unpriced == 1 else 'have'} no price" if unpriced else ""
    )
    if not delta and not after:
        return f"nothing that bills{left_out}"
    if not delta:
        return f"unchanged: {_both(after)}{left_out}"
    change = f"{_change(before.idle, after.idle)} at rest, {_change(before.peak, after.peak)} at peak"
    return f"{change}; then {_both(after)}{left_out}"


def missing_text(missing: tuple[Missing, ...]) -> list[str]:
    """What has no price, the same things once."""
    names: dict[tuple[str, str], list[str]] = {}
    for item in missing:
        names.setdefault((item.what, item.reason), []).append(item.name)
    return [
        f"{what} ({join_first(resources, _NAMES_SHOWN)}): {reason}" if any(resources) else f"{what}: {reason}"
        for (what, reason), resources in names.items()
    ]


def estimates(delta: Delta) -> list[str]:
    """What was assumed, each assumption once."""
    told: dict[str, list[str]] = {}
    for line in delta.after.lines:
        if line.estimated:
            told.setdefault(f"{line.what}: {line.estimated}", []).append(line.name)
    return list(told)


def usd(amount: Decimal) -> str:
    """`$0.0420`, `$3.14`, `$1,235`."""
    size = abs(amount)
    sign = "−" if amount < 0 else ""
    if size == 0:
        return "$0"
    if size >= _WHOLE_FROM:
        return f"{sign}${size:,.0f}"
    return f"{sign}${size.quantize(_FINE if size < _FINE_BELOW else _CENT)}"


def went(before: Decimal, after: Decimal) -> str:
    """An amount as it was and will be: `$722 → $796 (+10%)`; once, where it stays."""
    if before == after:
        return usd(after)
    if not before:
        return _signed(after)
    percent = (after - before) * 100 / before
    return f"{usd(before)} → {usd(after)} ({f'{percent:+,.0f}'.replace('-', '−')}%)"


def _both(span: Span) -> str:
    return (
        f"{usd(span.idle)}/hour ({usd(span.idle * HOURS_A_MONTH)}/month) at rest, "
        f"{usd(span.peak)}/hour ({usd(span.peak * HOURS_A_MONTH)}/month) at peak"
    )


def _change(before: Decimal, after: Decimal) -> str:
    if before == after:
        return "±$0"
    difference = after - before
    return f"{_signed(difference)}/hour ({_signed(difference * HOURS_A_MONTH)}/month)"


def _signed(amount: Decimal) -> str:
    return f"+{usd(amount)}" if amount > 0 else usd(amount)


def _row(part: str, label: str, note: str, change: Change, *, gpus: bool = True) -> Row:
    before, after = change.before, change.after
    amounts = (
        _amount(before.usd_per_hour.idle, after.usd_per_hour.idle),
        _amount(before.usd_per_month.idle, after.usd_per_month.idle),
        _amount(before.usd_per_hour.peak, after.usd_per_hour.peak),
        _amount(before.usd_per_month.peak, after.usd_per_month.peak),
    )
    if gpus:
        amounts += (
            _hours(before.gpu_hours_per_month.idle, after.gpu_hours_per_month.idle),
            _hours(before.gpu_hours_per_month.peak, after.gpu_hours_per_month.peak),
        )
    else:
        amounts += (Amount("", ""), Amount("", ""))
    return Row(part, label, note, amounts)


def _amount(before: Decimal, after: Decimal) -> Amount:
    difference = after - before
    if difference and not before:
        return Amount(_signed(after).replace("$", ""), "", more=True)
    now = usd(after).removeprefix("$")
    return Amount(now, _signed(difference).replace("$", "") if difference else "", difference > 0)


def _hours(before: Decimal, after: Decimal) -> Amount:
    difference = after - before
    sign = "+" if difference > 0 else "−"
    if difference and not before:
        return Amount(f"+{after:,.0f}", "", more=True)
    return Amount(f"{after:,.0f}", f"{sign}{abs(difference):,.0f}" if difference else "", difference > 0)


def _part(change: Change, name: str) -> Change:
    return Change(_only(change.before, name), _only(change.after, name))


def _only(sums: Sums, name: str) -> Sums:
    """A part's money; GPUs are not kept apart by capacity type."""
    span: Span = getattr(sums, name)
    return Sums(usd_per_hour=span)


def _rest(sums: Sums) -> Sums:
    return Sums(usd_per_hour=sums.usd_per_hour - sums.on_demand - sums.spot - sums.reserved)


def _kind(sums: Sums) -> str:
    return " and ".join(label for label, name in _BOUGHT if getattr(sums, name))
