"""docs/policies.md, from the policies themselves: `python -m policies.table --write docs/policies.md`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from pulumi_policy import EnforcementLevel, ResourceValidationPolicy

from policies.authoring.checks import Policy
from policies.pack import NAME, THEMES

CONFIG = Path(__file__).with_name("config")
ENVIRONMENTS = ("dev", "staging", "prod")
# Every check has it.
EVERYWHERE = "exempt"
HEAD = f"""# Policies

Generated from the pack `{NAME}` by `python -m policies.table --write docs/policies.md`: a test compares the two.

A level says what a violation does. *advisory* is told; *mandatory* stops an `up`, and fails a preview; *remediate* mends the
resource before it reaches the cloud, and says so; *disabled* is off. Defaults stand first; where an environment differs, its own level
stands in `policies/config/<environment>.json`, with its settings. What a preview cannot know yet is shown as *not evaluated*, and
counts as neither passed nor failed. Every check also takes `exempt`: names of resources it leaves alone, and says nothing of.
"""


def policies_table() -> str:
    """The page, in Markdown. The same packs and configuration always give the same text."""
    configured = {each: read_config(each) for each in ENVIRONMENTS}
    count = sum(map(len, THEMES.values()))
    remedied = sum(remediates(each) for policies in THEMES.values() for each in policies)
    parts = [HEAD, f"{count} checks, {remedied} of which can mend what they find.\n"]
    for theme, policies in THEMES.items():
        parts.append(f"## {theme[0].upper()}{theme[1:]}\n")
        parts.append(_overview(policies, configured))
        parts.append("\n".join(_details(each) for each in policies))
    return "\n".join(parts)


def read_config(environment: str) -> Mapping[str, Mapping[str, Any]]:
    """What an environment does otherwise; nothing where it has no file."""
    file = CONFIG / f"{environment}.json"
    return cast("Mapping[str, Mapping[str, Any]]", json.loads(file.read_text("utf-8"))) if file.is_file() else {}


def level_of(policy: Policy, config: Mapping[str, Mapping[str, Any]]) -> str:
    """A policy's level under a configuration."""
    default = policy.enforcement_level or EnforcementLevel.ADVISORY
    return str(config.get(policy.name, {}).get("enforcementLevel", default.value))


def remediates(policy: Policy) -> bool:
    """Whether a policy can mend what it finds."""
    return isinstance(policy, ResourceValidationPolicy) and policy.has_remediation()


def _overview(policies: Sequence[Policy], configured: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    rows = [
        "| id | level | severity | stage | remediates | framework | settings | checks that |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for each in policies:
        cells = (
            f"[`{each.name}`](#{each.name})",
            _levels(each, configured),
            each.severity.value if each.severity else "",
            "resource" if isinstance(each, ResourceValidationPolicy) else "stack",
            "yes" if remediates(each) else "no",
            _frameworks(each),
            ", ".join(f"`{key}`" for key in _settings(each)) or "–",
            each.description,
        )
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _details(policy: Policy) -> str:
    framework = policy.framework
    source = f"{framework.name} {framework.version or ''}".strip() if framework else ""
    section = f"{framework.reference}: {framework.specification}" if framework else ""
    lines = [
        f"### {policy.name}\n",
        f"{policy.description} {policy.remediation_steps or ''}\n",
        f"Source: [{source}, {section}]({policy.url}){_also(policy)}\n",
    ]
    for key, schema in _settings(policy).items():
        lines.append(f"- `{key}`: {schema['description']} Default: `{json.dumps(schema['default'])}`")
    return "\n".join(lines) + ("\n" if _settings(policy) else "")


def _levels(policy: Policy, configured: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    default = level_of(policy, {})
    others = [
        f"{level_of(policy, config)} in {environment}"
        for environment, config in configured.items()
        if level_of(policy, config) != default
    ]
    return "; ".join([default, *others])


def _frameworks(policy: Policy) -> str:
    framework = policy.framework
    if framework is None:
        return ""
    return f"[{framework.name} {framework.reference}]({policy.url}){_also(policy)}"


def _also(policy: Policy) -> str:
    """checkov's ids, and other sections that ask for the same."""
    others = [each for each in policy.tags or () if each.startswith("CKV") or ":" in each]
    return "".join(f", {each}" for each in others)


def _settings(policy: Policy) -> Mapping[str, Mapping[str, Any]]:
    properties = policy.config_schema.properties if policy.config_schema else {}
    return {key: cast("Mapping[str, Any]", each) for key, each in properties.items() if key != EVERYWHERE}


def main(arguments: Sequence[str]) -> None:
    """Prints the page, or writes it to the file after --write."""
    if not arguments:
        sys.stdout.write(policies_table())
    elif len(arguments) == 2 and arguments[0] == "--write":
        Path(arguments[1]).write_text(policies_table(), encoding="utf-8")
    else:
        raise SystemExit("usage: python -m policies.table [--write FILE]")


if __name__ == "__main__":
    main(sys.argv[1:])
