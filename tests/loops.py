"""An event loop for code of Pulumi's SDK that leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager


@contextmanager
def own_event_loop() -> Iterator[None]:
    """Gives this thread a loop for the time of the block. Afterwards it is closed, its threads have ended, and this thread has none.

    The SDK takes the thread's loop and makes one where there is none; its mocks do the same in every thread of the loop's executor. It
    closes none of them. So each of those threads is given one here, and they are closed once the threads have ended.
    """
    of_threads: list[asyncio.AbstractEventLoop] = []

    def take_loop() -> None:
        of_threads.append(asyncio.new_event_loop())
        asyncio.set_event_loop(of_threads[-1])

    try:
        with asyncio.Runner() as runner:
            executor = ThreadPoolExecutor(initializer=take_loop, thread_name_prefix="sdk-call")
            runner.get_loop().set_default_executor(executor)
            yield
    finally:
        for each in of_threads:
            each.close()
