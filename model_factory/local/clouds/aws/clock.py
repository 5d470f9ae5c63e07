"""Clock and random numbers under moto.

moto draws ids from one random generator and times from a few functions. Both are taken over here, so that a call done again
with the same seed at the same recorded time gives the same ids and times. What becomes due later (CREATING to ACTIVE) is a
timer on this clock: nothing sleeps, and nothing depends on who looks when.

moto's state is global to a process, and so is this: one clock a process.
"""

from __future__ import annotations

import datetime
import functools
import heapq
import itertools
import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final

ACCOUNT: Final = "123456789012"
PARTITION: Final = "aws"
BORN: Final = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC).timestamp()
"""When the things that are always there (default networks, AWS's own policies) were made: the same in every run."""

RETRY_SECONDS: Final = 0.1

# One account: to look one up by its access key, moto would load the policies of every partition.
os.environ["MOTO_ACCOUNT_ID"] = ACCOUNT
# AWS's own policies can be attached; its machine images, a quarter of a second a region, nothing here asks for.
os.environ.setdefault("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")
os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")

from moto.core.base_backend import AccountSpecificBackend  # noqa: E402  moto reads the environment when imported
from moto.moto_api._internal import mock_random, moto_api_backends  # noqa: E402


class Clock:
    """The time of the call being done, and what is due later. Not thread safe: its owner holds a lock."""

    def __init__(self) -> None:
        self.now = BORN
        self.transition_seconds = 0.0
        """How long CREATING and the like last, for what the call being done begins."""
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._settled_to = BORN

    def begin(self, at: float, seed: int, transition_seconds: float = 0.0) -> float:
        """Start a call: fire what is due, set the clock and the seed. Time never runs backwards; returns the time taken."""
        at = max(at, self.now)
        self.settle(at)
        self.now = at
        self.transition_seconds = transition_seconds
        mock_random.seed(seed)
        return at

    def settle(self, at: float) -> None:
        """Fire, in order of time, what is due by then."""
        self._settled_to = at
        while self._timers and self._timers[0][0] <= at:
            due, _, action = heapq.heappop(self._timers)
            self.now = max(self.now, due)
            action()
        self.now = max(self.now, at)

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Do `action` once that time has passed. It must draw no random numbers."""
        heapq.heappush(self._timers, (self.now + seconds, next(self._order), action))

    def again(self, action: Callable[[], None]) -> None:
        """Do `action` a little later than anything that is due now: what it waits for is not there yet."""
        at = max(self.now, self._settled_to) + RETRY_SECONDS
        heapq.heappush(self._timers, (at, next(self._order), action))

    def reset(self) -> None:
        self._timers.clear()
        backend: Any = moto_api_backends["global"]
        backend.reset()

    @property
    def datetime(self) -> datetime.datetime:
        return datetime.datetime.fromtimestamp(self.now, datetime.UTC)


CLOCK: Final = Clock()


def hexadecimal(digits: int) -> str:
    """Random hexadecimal digits from the seeded generator."""
    return f"{mock_random.getrandbits(digits * 4):0{digits}x}"


def uuid4() -> str:
    return str(mock_random.uuid4())


def random_bits(bits: int) -> int:
    return mock_random.getrandbits(bits)


class _DatetimeType(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, datetime.datetime)


class _ClockDatetime(datetime.datetime, metaclass=_DatetimeType):
    """`datetime.datetime` whose present is the clock's; what it makes are ordinary datetimes."""

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:  # pyright: ignore[reportIncompatibleMethodOverride]
        return datetime.datetime.fromtimestamp(CLOCK.now, tz)

    @classmethod
    def utcnow(cls) -> datetime.datetime:  # pyright: ignore[reportIncompatibleMethodOverride]
        return datetime.datetime.fromtimestamp(CLOCK.now, datetime.UTC).replace(tzinfo=None)


class _ClockModule(ModuleType):
    """The module `datetime`, with the clock's `datetime.datetime`."""

    datetime = _ClockDatetime

    def __getattr__(self, name: str) -> Any:
        return getattr(datetime, name)


_CLOCKED_MODULES: Final = ("moto.core.utils", "moto.ecr.models", "moto.s3.models", "moto.sts.models")
"""moto's modules that ask `datetime` for the time; all others go through `moto.core.utils`."""


def take_over_clock() -> None:
    """Put the clock under every module of moto that is loaded. May be called again after more are loaded."""
    for name in _CLOCKED_MODULES:
        module = sys.modules.get(name)
        if module is not None:
            is_module = isinstance(module.__dict__["datetime"], ModuleType)
            module.__dict__["datetime"] = _ClockModule("datetime") if is_module else _ClockDatetime


@contextmanager
def _as_born(seed: str) -> Generator[None]:
    random_state, now = mock_random.getstate(), CLOCK.now
    mock_random.seed(seed)
    CLOCK.now = BORN
    try:
        yield
    finally:
        mock_random.setstate(random_state)
        CLOCK.now = now


def take_over_backends() -> None:
    """Make a service's first state in a region the same whichever call, read or write, comes first."""
    original = AccountSpecificBackend.__getitem__

    @functools.wraps(original)
    def getitem(self: AccountSpecificBackend[Any], region_name: str) -> Any:
        if dict.__contains__(self, "aws" if region_name == "global" else region_name):
            return original(self, region_name)
        with _as_born(f"{self.service_name}/{self.account_id}/{region_name}"):
            return original(self, region_name)

    AccountSpecificBackend.__getitem__ = getitem
