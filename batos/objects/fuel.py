"""Fuel: what a running method may spend before its turn is ended.

Every send, every turn of a loop and every call of an inner function is a tick; once in a *sip* of ticks the
clock is read.  The sip follows what a tick costs: a thousand where a turn of the loop takes a
microsecond, one where it takes a long C call, so that a limit is overrun by some milliseconds and
not by a thousand long calls.  Each thread that runs methods (the image thread, a mission's, the
walled child) has a limit of its own, set with `spend`.  `OutOfFuel` is a `BaseException`: a method's
own `except Exception` must not swallow its end.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass

FIRST_SIP, LONGEST_SIP = 16, 1024
QUICK, SLOW = 0.001, 0.02  # seconds a sip should take


class OutOfFuel(BaseException):
    """The running method has used up its time; its turn is rolled back."""


@dataclass(slots=True)
class Limit:
    """When the running method must end, in seconds of `time.monotonic`; another thread may bring it forward."""

    at: float


class _Tank:
    """Counts ticks of all threads together: it only says when to look at the clock, and a plain attribute
    costs a quarter of a thread's own."""

    __slots__ = ("left", "looked", "sip")


tank = _Tank()
tank.left = tank.sip = FIRST_SIP
tank.looked = 0.0
_running = threading.local()


def tick() -> None:
    """Spend one unit; raises `OutOfFuel` past the limit (looked at once in a sip)."""
    tank.left -= 1
    if tank.left < 0:
        look()


def look() -> None:
    """Look at the clock: a sip of ticks is used up."""
    now = time.monotonic()
    took, tank.looked = now - tank.looked, now
    if took < QUICK:
        tank.sip = min(tank.sip * 2, LONGEST_SIP)
    elif took > SLOW:
        tank.sip = max(1, tank.sip // 8)
    tank.left = tank.sip
    limit = getattr(_running, "limit", None)
    if limit is not None and now > limit.at:
        raise OutOfFuel


@contextmanager
def spend(limit: Limit | float | None):
    """Run methods of this thread until `limit` (None: without end)."""
    before = getattr(_running, "limit", None)
    _running.limit = Limit(limit) if isinstance(limit, (int, float)) else limit
    tank.left = tank.sip = FIRST_SIP
    tank.looked = time.monotonic()
    try:
        yield
    finally:
        _running.limit = before
