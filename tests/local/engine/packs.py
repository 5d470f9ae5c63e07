"""Policy packs for tests, written to disk and run as the engine runs any pack."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

from model_factory.local.engine.request import PackSource

PRELUDE = """
import pulumi
from pulumi_policy import *

def resource(name, validate=None, level=EnforcementLevel.MANDATORY, **options):
    return ResourceValidationPolicy(name, f"{name} holds", validate, level, **options)

def stack(name, validate, level=EnforcementLevel.MANDATORY, **options):
    return StackValidationPolicy(name, f"{name} holds", validate, level, **options)

def things(check):
    def validate(args, report):
        if args.resource_type != "test:index:Thing":
            args.not_applicable("no thing")
        check(args, report)
    return validate

@things
def small(args, report):
    if (args.props.get("size") or 0) > args.get_config().get("most", 10):
        report(f"{args.name} has size {args.props['size']:.0f}")
"""


def write_pack(
    folder: Path,
    policies: str,
    *,
    config: dict[str, Any] | None = None,
    manifest: str = "runtime: python\nversion: 1.2.3\n",
) -> PackSource:
    """A pack whose `__main__.py` is `policies`, which leaves a list of that name, after the prelude."""
    folder.mkdir(parents=True)
    (folder / "PulumiPolicy.yaml").write_text(manifest)
    body = textwrap.dedent(policies)
    (folder / "__main__.py").write_text(f"{PRELUDE}\n{body}\nPolicyPack('trial', policies)\n")
    if config is None:
        return PackSource(folder)
    file = folder.with_suffix(".json")
    file.write_text(json.dumps(config))
    return PackSource(folder, file)
