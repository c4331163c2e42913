"""Fuel: what a running method may spend before its turn is ended.

Compiled methods call `tick` at every entry and every turn of a loop; once in a thousand ticks the
clock is read.  Each thread that runs methods (the image thread, a mission's, the walled child) has a
limit of its own, set with `spend`.  `OutOfFuel` is a `BaseException`: a method's own `except
Exception` must not swallow its end.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass

SIP = 1024


class OutOfFuel(BaseException):
    """The running method has used up its time; its turn is rolled back."""


@dataclass(slots=True)
class Limit:
    """When the running method must end, in seconds of `time.monotonic`; another thread may bring it forward."""

    at: float


class _Tank:
    """Counts ticks of all threads together: it only says when to look at the clock, and a plain attribute
    costs a quarter of a thread's own."""

    __slots__ = ("left",)


_tank = _Tank()
_tank.left = SIP
_running = threading.local()


def tick() -> None:
    """Spend one unit; raises `OutOfFuel` past the limit (looked at once in `SIP` ticks)."""
    _tank.left -= 1
    if _tank.left < 0:
        _tank.left = SIP
        limit = getattr(_running, "limit", None)
        if limit is not None and time.monotonic() > limit.at:
            raise OutOfFuel


@contextmanager
def spend(limit: Limit | float | None):
    """Run methods of this thread until `limit` (None: without end)."""
    before = getattr(_running, "limit", None)
    _running.limit = Limit(limit) if isinstance(limit, (int, float)) else limit
    try:
        yield
    finally:
        _running.limit = before
