from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.facts.sources import Sources, serving


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sources]:
    with serving(monkeypatch) as found:
        yield found
