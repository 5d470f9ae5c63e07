"""What stands under the help of each command: how it is typed, and which exit codes it has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import typer

from model_factory.cli.errors import (
    EXIT_BAD_INPUT,
    EXIT_DRIFT,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_NOT_AGREED,
)

EXAMPLES: Final[Mapping[str, tuple[str, ...]]] = {
    "preview": (
        "preview --diff",
        "preview --stack prod --state state.json --markdown comment.md --html report.html",
        "preview --stack prod --agreement agreed.json",
    ),
    "up": (
        "up",
        "up --stack staging --yes --continue-on-error",
        "up --engine pulumi",
        "up --stack prod --yes --agreed agreed.json",
    ),
    "refresh": ("refresh", "refresh --stack prod --preview-only"),
    "destroy": ("destroy --preview-only", "destroy --yes --stop-clouds"),
    "plan": ("plan", "plan --keep", "plan --apply --model assistant", "plan --why assistant"),
    "offers": (
        "offers --accelerator l4 --spot --sort spot",
        "offers --cpu --cpu-feature amx --sort price",
        "offers --min-gpus 8 --cloud aws --json",
    ),
    "cost": ("cost", "cost --stack prod --planned"),
    "prices": ("prices --cloud aws --dry-run",),
    "doctor": ("doctor --stack prod",),
    "diagram": ("diagram --stack prod --out drawings",),
    "kubeconfig": ("kubeconfig --write kubeconfig.yaml", "kubeconfig --stack prod --site aws/us-east-1"),
    "status": ("status", "status assistant --watch", "status --stack prod --site gcp/us-central1 --json"),
    "logs": ("logs assistant --follow --tail 20", "logs assistant --site aws/us-east-1 --previous"),
    "request": (
        "request assistant --data 'What is a model server?'",
        "request assistant --site aws/us-east-1 --data question.json --json",
        "request assistant --rate 5 --repeat 100",
    ),
    "schema": ("schema --file Pulumi.schema.json",),
    "cluster-token aws": ("cluster-token aws --cluster-name dev-aws-us-east-1 --region us-east-1",),
    "cluster-token gcp": ("cluster-token gcp",),
    "comment": ("comment --stack prod --measured prod.measured --markdown comment.md",),
    "stack ls": ("stack ls --json",),
    "stack export": ("stack export --file state.json",),
    "stack strip": ("stack strip --file state.json --out stripped.json",),
    "stack import": ("stack import --file state.json",),
    "stack output": ("stack output clusters", "stack output --json"),
    "clouds start": ("clouds start",),
    "clouds stop": ("clouds stop",),
    "clouds status": ("clouds status --json",),
    "clouds env": ('eval "$(factory clouds env)"',),
    "clouds reset": ("clouds reset --yes",),
    "clouds fault": ("clouds fault aws eks:CreateNodegroup --error ResourceLimitExceededException --status 400",),
    "clouds latency": ("clouds latency gcp 500 --operation 'container.*.create'",),
    "clouds clear": ("clouds clear",),
    "clouds capacity": (
        "clouds capacity aws g6.xlarge 0 --place us-east-1",
        "clouds capacity gcp nvidia-l4 2 --place us-central1-a",
    ),
    "clouds nodes": ("clouds nodes", "clouds nodes --stack lab --json"),
    "clouds node": (
        "clouds node aws ip-10-0-1-23.ec2.internal notice --seconds 30",
        "clouds node aws ip-10-0-1-23.ec2.internal recovery",
    ),
    "lab up": ("lab up", "lab up --model llm --json"),
    "lab down": ("lab down",),
    "lab status": ("lab status --json",),
    "lab build": ("lab build", "lab build --kubernetes 1.36"),
    "lab machine": ("lab machine",),
    "lab clean": ("lab clean",),
}
_CODES: Final[Mapping[str, str]] = {
    "status": f"{EXIT_FAILED} also where a replica that is wanted is not ready",
    "refresh": f"{EXIT_DRIFT} drift, with --preview-only",
    "up": f"{EXIT_NOT_AGREED} with --agreed it would do something else, and nothing was changed",
}


def explain(app: typer.Typer, group: str = "") -> None:
    """Give each command of the application its examples and exit codes."""
    for command in app.registered_commands:
        callback = command.callback
        name = command.name or (callback.__name__ if callback else "")
        command.epilog = epilog(f"{group} {name}".strip())
    for below in app.registered_groups:
        if below.typer_instance is not None:
            explain(below.typer_instance, f"{group} {below.name}".strip())


def epilog(name: str) -> str:
    """The examples a line each, then the codes."""
    typed = (each if each.startswith("eval") else f"factory {each}" for each in EXAMPLES[name])
    codes = [
        "0 done", f"{EXIT_FAILED} failed", f"{EXIT_BAD_INPUT} something given is wrong, and nothing was done",
        *filter(None, (_CODES.get(name),)), f"{EXIT_INTERRUPTED} interrupted, or answered with no",
    ]  # fmt: skip
    lines = "\n".join(f"  {each}" for each in typed)
    return f"\b\nExamples:\n{lines}\n\nExit codes: {'; '.join(codes)}."
