"""The one rule, for every cloud, of which calls are made again, how often, and after what pause."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from itertools import count
from typing import Final, TypeVar

from model_factory.local.providers.errors import AnswerLostError, BusyError

T = TypeVar("T")

ATTEMPTS: Final = 5
FIRST_PAUSE_SECONDS: Final = 0.2
LONGEST_PAUSE_SECONDS: Final = 5.0
log: Final = logging.getLogger("model_factory.local.providers")


def persistently(attempt: Callable[[], T], *, repeatable: bool) -> T:
    """The answer of `attempt`, which is made at most ATTEMPTS times. A line of the log tells of each repetition.

    After BusyError nothing was done: any call is made again. After AnswerLostError it may have been: only a `repeatable` call
    is made again, one that brings about the same when it is done twice. Raises what the last attempt raised.
    """
    pause = FIRST_PAUSE_SECONDS
    for tries in count(1):
        try:
            return attempt()
        except (BusyError, AnswerLostError) as error:
            if not (repeatable or isinstance(error, BusyError)):
                raise
            if tries == ATTEMPTS:
                error.args = (f"{error} (asked {tries} times)",)
                raise
            # Callers that were refused together must not come back together.
            seconds = pause * random.uniform(0.5, 1)  # noqa: S311
            # As text: a record that is kept must not keep the error's frames, and the connection that they hold.
            log.info("%s; asked again in %.1f s, %d of %d", str(error), seconds, tries + 1, ATTEMPTS)
            time.sleep(seconds)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
    raise AssertionError("the loop has no end")
