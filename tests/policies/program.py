"""The program's own resources, with the stack files of the repository, as policies are given them."""

from __future__ import annotations

import json
import runpy
from functools import cache
from typing import Any

import pytest

from planning.stackfile import read_stack_file
from policies.table import read_config
from tests.components.conftest import ROOT, Registered, run_program
from tests.policies.harness import Given, Pack, Verdict
from policies.pack import POLICIES


@cache
def declared(stack: str) -> tuple[Given, ...]:
    """Every resource of a stack, and the stack itself with what it exports."""
    config = read_stack_file(ROOT / f"Pulumi.{stack}.yaml").config
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PULUMI_CONFIG", json.dumps(texts))
        patch.chdir(ROOT)
        recorder = run_program(
            lambda: runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__"), stack
        )
    root = Given("pulumi:pulumi:Stack", recorder.outputs, f"model-factory-{stack}", stack=stack)
    return (root, *(_given(each, stack) for each in recorder.resources))


def _given(each: Registered, stack: str) -> Given:
    return Given(
        each.type,
        each.inputs,
        each.name,
        provider=each.provider.rpartition("::")[0].rpartition("::")[2],
        protect=each.protect,
        parent=each.parent,
        dependencies=tuple(each.dependencies),
    )
