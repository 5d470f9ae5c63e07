from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stacks.harness import LocalStack


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[LocalStack]:
    """The dev stack, not yet up, its clouds not yet started."""
    made = LocalStack(tmp_path)
    yield made
    made.close()
