from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.local.providers.kubernetes.calls import AbortedError, Engine


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(tmp_path)


@pytest.fixture
def aborted() -> type[AbortedError]:
    return AbortedError


@pytest.fixture
def make_engine(tmp_path: Path) -> Any:
    return lambda **config: Engine(tmp_path, config)
