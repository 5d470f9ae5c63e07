"""The stack's program: load, plan, build, export."""

from pathlib import Path

import pulumi
from pulumi.runtime.config import get_config_env

from components.declared import record
from components.factory import build
from components.kubernetes.serving import SERVING
from components.outputs import budget_row, model_rows
from model_factory.planning.placing.lock import Lock, lock_file, read_lock, write_lock
from model_factory.planning.placing.unkept import unkept
from model_factory.planning.planned import market, planned
from model_factory.planning.settings.load import read_config
from model_factory.planning.settings.problems import PlanningError
from model_factory.planning.settings.stackfile import read_stack_file


def main() -> None:
    """Declares the stack. What is wrong with its input ends the run before any resource, each problem with its line."""
    project, stack = pulumi.get_project(), pulumi.get_stack()
    root = Path(pulumi.runtime.get_root_directory() or ".")
    file, kept_in = root / f"Pulumi.{stack}.yaml", lock_file(root, stack)
    where = read_stack_file(file) if file.is_file() else None
    reading = read_config(get_config_env(), SERVING, where, project=project, stack=stack)
    lock = read_lock(kept_in, stack)
    settings, plan = planned(reading, market(), lock)
    for warning in (*settings.warnings, *plan.notes):
        pulumi.log.warn(str(warning))
    if pulumi.runtime.is_dry_run():
        for assumed in unkept(settings, plan, lock):
            pulumi.log.warn(str(assumed))
    elif Lock.of(plan) != lock:  # `pulumi up` by hand; `factory up` has kept it already
        write_lock(kept_in, Lock.of(plan), stack)

    declared = record()
    for name, each in build(settings, plan).items():
        pulumi.export(name, each)
    pulumi.export("models", model_rows(plan))
    if settings.rules.budget is not None:
        pulumi.export("budget", budget_row(settings.rules.budget))
    for name, amounts in declared.cost_outputs().items():
        pulumi.export(name, amounts)


try:
    main()
except PlanningError as error:
    # A RunError shows its message alone; any other exception shows a stack trace, which helps nobody with a typo.
    raise pulumi.RunError(str(error)) from error
