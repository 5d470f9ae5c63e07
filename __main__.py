"""The stack's program: load, plan, build, export."""

from pathlib import Path

import pulumi
from pulumi.runtime.config import get_config_env

from components.declared import record
from components.factory import build
from components.kubernetes.serving import SERVING
from components.outputs import budget_row, model_rows
from model_factory.planning.planned import market, planned
from model_factory.planning.settings.load import read_config
from model_factory.planning.settings.problems import PlanningError
from model_factory.planning.settings.stackfile import read_stack_file


def main() -> None:
    """Declares the stack. What is wrong with its input ends the run before any resource, each problem with its line."""
    project, stack = pulumi.get_project(), pulumi.get_stack()
    file = Path(pulumi.runtime.get_root_directory() or ".") / f"Pulumi.{stack}.yaml"
    where = read_stack_file(file) if file.is_file() else None
    reading = read_config(get_config_env(), SERVING, where, project=project, stack=stack)
    settings, placed = planned(reading, market())
    for warning in (*settings.warnings, *placed.notes):
        pulumi.log.warn(str(warning))

    declared = record()
    for name, each in build(settings, placed).items():
        pulumi.export(name, each)
    pulumi.export("models", model_rows(placed))
    if settings.rules.budget is not None:
        pulumi.export("budget", budget_row(settings.rules.budget))
    for name, amounts in declared.cost_outputs().items():
        pulumi.export(name, amounts)


try:
    main()
except PlanningError as error:
    # A RunError shows its message alone; any other exception shows a stack trace, which helps nobody with a typo.
    raise pulumi.RunError(str(error)) from error
