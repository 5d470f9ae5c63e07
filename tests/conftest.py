"""What every test stands on."""

from __future__ import annotations

import asyncio

import pytest

_LOOP = asyncio.new_event_loop()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Pulumi's SDK takes the thread's event loop; asyncio.run in an earlier test leaves none. Before any fixture is made."""
    asyncio.set_event_loop(_LOOP)


def pytest_unconfigure() -> None:
    asyncio.set_event_loop(None)
    _LOOP.close()
