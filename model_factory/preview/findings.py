"""The terminal view of what policies said: what stops the change first, each with its resource; the rest in short.

Renders to a rich console given by the caller; decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from rich.console import Console
from rich.text import Text

from model_factory.preview.events import Finding, FindingKind, Report
from model_factory.preview.tree import short_type

_STYLES: Final[dict[FindingKind, str]] = {
    "mandatory": "bold red",
    "advisory": "yellow",
    "remediated": "cyan",
    "not evaluated": "magenta",
}
_MAX_NAMES: Final = 3


def print_findings(console: Console, report: Report) -> None:
    """A tally, every mandatory violation in full, and a line for each policy that warns, mended or could not be judged."""
    if not report.policy_packs and not report.findings:
        return
    by_kind: dict[FindingKind, list[Finding]] = {
        kind: [each for each in report.findings if each.kind == kind] for kind in _STYLES
    }
    console.print()
    console.print(_tally(report, by_kind), soft_wrap=True)
    for finding in by_kind["mandatory"]:
        severity = f" ({finding.severity})" if finding.severity else ""
        console.print(
            Text.assemble(
                ("  mandatory: ", _STYLES["mandatory"]),
                (finding.policy, "bold"),
                f"{severity} ",
                (_where(finding), "cyan"),
            ),
            soft_wrap=True,
        )
        for line in finding.message.splitlines():
            console.print(Text(f"    {line}"), soft_wrap=True)
    rest: tuple[FindingKind, ...] = ("advisory", "remediated", "not evaluated")
    for kind in rest:
        for policy, findings in _by_policy(by_kind[kind]).items():
            text = Text.assemble((f"  {kind}: ", _STYLES[kind]), (policy, "bold"), f" {_names(findings)}")
            console.print(text, soft_wrap=True)


def broken(report: Report) -> list[str]:
    """The names of the mandatory policies that are violated."""
    return sorted({each.policy for each in report.findings if each.kind == "mandatory"})


def _tally(report: Report, by_kind: dict[FindingKind, list[Finding]]) -> Text:
    # The CLI says of a pack on disk where it lies: `name|local|folder`.
    packs = ", ".join(
        f"{name.partition('|')[0]} {version}".strip() for name, version in sorted(report.policy_packs.items())
    )
    text = Text(f"Policies{f' of {packs}' if packs else ''}: ")
    parts = [Text(f"{len(findings)} {kind}", _STYLES[kind]) for kind, findings in by_kind.items() if findings]
    if report.policies_passed:
        parts.append(Text(f"{report.policies_passed:,} passed", "green"))
    return text.append(Text(", ").join(parts)) if parts else text.append("nothing to say")


def _by_policy(findings: Iterable[Finding]) -> dict[str, list[Finding]]:
    grouped: dict[str, list[Finding]] = {}
    for finding in findings:
        grouped.setdefault(finding.policy, []).append(finding)
    return grouped


def _names(findings: Sequence[Finding]) -> str:
    names = list(dict.fromkeys(_where(finding) for finding in findings))
    more = len(names) - _MAX_NAMES
    return ", ".join(names[:_MAX_NAMES]) + (f" and {more} more" if more > 0 else "")


def _where(finding: Finding) -> str:
    parts = finding.urn.split("::", 3)
    return f"{short_type(parts[2].rsplit('$', 1)[-1])} {parts[3]}" if len(parts) == 4 else "the stack"
