"""The stack that tests of this folder run programs in."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local.engine import cli
from tests.local.engine.stack import Bench

WITH_CLI = [
    pytest.mark.cli,
    pytest.mark.slow,
    pytest.mark.skipif(cli.MISSING is not None, reason=str(cli.MISSING)),
    # Tasks of a program that failed under the CLI are left in its loop.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(params=["local", pytest.param("pulumi", marks=WITH_CLI)])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench | cli.CliBench]:
    """The local engine, and where there is one the Pulumi CLI: each case is one that both must pass."""
    if request.param == "local":
        yield Bench(tmp_path)
        return
    made = cli.CliBench(tmp_path)
    yield made
    made.close()
    del made
    # Here, where what the SDK left is ignored, and not in some later test.
    gc.collect()


@pytest.fixture
def ours(tmp_path: Path) -> Bench:
    """The local engine alone: for its own promises, which the CLI does not make."""
    return Bench(tmp_path)
