"""Fuel: what a running method may spend before its turn is ended.

Compiled methods call `tick` at every entry and every turn of a loop; the tank is refilled in small
sips so that the clock is read once in a thousand ticks.  Each thread that runs methods has a tank of
its own (the image thread, a mission's, the walled child), filled with `spend`.  `OutOfFuel` is a
`BaseException`: a method's own `except Exception` must not swallow its end.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager

SIP = 1024


class OutOfFuel(BaseException):
    """The running method has used up its time; its turn is rolled back."""


class _Tank(threading.local):
    left = SIP
    deadline: float | None = None


_tank = _Tank()


def tick() -> None:
    """Spend one unit; raises `OutOfFuel` past the deadline (checked once in `SIP` ticks)."""
    _tank.left -= 1
    if _tank.left < 0:
        _tank.left = SIP
        if _tank.deadline is not None and time.monotonic() > _tank.deadline:
            raise OutOfFuel


@contextmanager
def spend(deadline: float | None):
    """Run methods until `deadline` (seconds of `time.monotonic`, None: without end)."""
    before = _tank.deadline
    _tank.deadline, _tank.left = deadline, SIP
    try:
        yield
    finally:
        _tank.deadline = before
