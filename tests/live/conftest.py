from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.live.server import Answer, Server


@pytest.fixture
def server() -> Iterator[Callable[..., Server]]:
    """Starts servers that end with the test."""
    made: list[Server] = []

    def start(answer: Answer, *, closing: bool = False) -> Server:
        made.append(Server(answer, closing=closing))
        return made[-1]

    yield start
    for each in made:
        each.close()
