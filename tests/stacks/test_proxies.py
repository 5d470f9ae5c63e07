"""What is local stays on loopback in every environment: a proxy named there sees nothing of a stack's whole life."""

from __future__ import annotations

import importlib.util
import shutil
from contextlib import closing

import pytest

from tests.local.recorder import PROXY_VARIABLES, Recorder, answer
from tests.stacks.harness import LocalStack

pytestmark = pytest.mark.slow

_CLI = (
    pytest.mark.cli,
    pytest.mark.skipif(
        shutil.which("pulumi") is None or importlib.util.find_spec("pip") is None,
        reason="needs the Pulumi CLI on PATH, and pip",
    ),
)


@pytest.mark.parametrize("engine", ["local", pytest.param("pulumi", marks=_CLI)])
def test_a_proxy_of_the_environment_sees_nothing(stack: LocalStack, engine: str) -> None:
    with closing(Recorder(answer("502 Bad Gateway"))) as proxy:
        environment = dict.fromkeys(PROXY_VARIABLES, proxy.url)
        for command in ("up", "refresh", "destroy"):
            stack.factory(command, "--yes", "--engine", engine, env=environment)
        assert not proxy.connections
