"""Fuel: what a running method may spend before its turn is ended.

A method's loops, its inner functions and every send look at one flag, `tank.low`, which costs less than
a call would.  The flag is raised by a thread that wakes every `GLANCE` and finds that some limit is
near; from then on each look counts ticks, and once in a *sip* of them the clock is read.  The sip
follows what a tick costs: a thousand where a turn of the loop takes a microsecond, one where it takes a
long C call.  So a limit is met to the millisecond, however long the method ran before, and a limit that
another thread brings forward is noticed within a glance.

The same thread ends a turn in which the process's own memory grew by more than `MEMORY`: a method that
keeps what it makes would else fill the machine long before its time is over.

Where no thread can watch (a walled child, which has one thread and may make none) the flag is always up.

Each thread that runs methods (the image thread, a mission's, the walled child) has a limit of its own,
set with `spend`.  `OutOfFuel` is a `BaseException`: a method's own `except Exception` must not swallow
its end.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from threading import get_ident

try:
    import resource
except ImportError:  # Windows
    resource = None

GLANCE = 0.02  # seconds between two looks at the limits
MEMORY = 1 << 30  # bytes the process may grow within one turn
IDLE = 50  # glances without any limit, after which the watch sleeps until it is wanted
PAGE = resource.getpagesize() if resource is not None else 4096
FIRST_SIP, LONGEST_SIP = 16, 1024
QUICK, SLOW = 0.001, 0.02  # seconds a sip should take

try:  # opened once: what is opened while a method runs is the method's doing
    _STATM = os.open("/proc/self/statm", os.O_RDONLY)
except OSError:
    _STATM = None


class OutOfFuel(BaseException):
    """The running method has used up its time; its turn is rolled back."""


@dataclass(slots=True)
class Limit:
    """When the running method must end, in seconds of `time.monotonic`; another thread may bring it forward."""

    at: float


class _Tank:
    """Is some limit near?  Then ticks count, those of all threads together: they only say when to look at the
    clock, and a plain attribute costs a quarter of a thread's own."""

    __slots__ = ("entered", "hungry", "left", "looked", "low", "sip")


tank = _Tank()
tank.left = tank.sip = FIRST_SIP
tank.looked = 0.0
tank.low = True
tank.hungry = False  # has the process grown too much?
tank.entered = 0  # how often `spend` was entered: memory is compared within one
_running: dict[int, Limit] = {}  # thread -> its limit


def tick() -> None:
    """Spend one unit; raises `OutOfFuel` past the limit."""
    if tank.low:
        look()


def look() -> None:
    """Count a tick, and look at the clock when a sip of them is used up."""
    if tank.hungry and get_ident() in _running:
        raise OutOfFuel  # every further tick of the turn too: a `finally` may not go on
    tank.left -= 1
    if tank.left >= 0:
        return
    now = time.monotonic()
    took, tank.looked = now - tank.looked, now
    if took < QUICK:
        tank.sip = min(tank.sip * 2, LONGEST_SIP)
    elif took > SLOW:
        tank.sip = max(1, tank.sip // 8)
    tank.left = tank.sip
    limit = _running.get(get_ident())
    if limit is not None and now > limit.at:
        tank.left = tank.sip = 0
        raise OutOfFuel


class spend:  # noqa: N801 - read as `with spend(limit):`
    """Run methods of this thread until `limit` (None: without end)."""

    __slots__ = ("_before", "_limit", "_low")

    def __init__(self, limit: Limit | float | None):
        self._limit = Limit(limit) if isinstance(limit, (int, float)) else limit

    def __enter__(self) -> None:
        thread, limit = get_ident(), self._limit
        self._before, self._low = _running.get(thread), tank.low
        tank.entered += 1
        tank.hungry = False
        tank.left = tank.sip = FIRST_SIP
        tank.looked = time.monotonic()
        if limit is None:
            _running.pop(thread, None)
            return
        _running[thread] = limit
        if limit.at < tank.looked + 2 * GLANCE or not _watch.watches():
            tank.low = True

    def __exit__(self, *_: object) -> None:
        if self._before is None:
            _running.pop(get_ident(), None)
        else:
            _running[get_ident()] = self._before
        if _watch.alive:
            tank.low = self._low  # should another thread's limit be near, the next glance says so again


def _held() -> int:
    """Bytes of memory the process has for itself; where only the most it ever had is known, that."""
    if _STATM is None:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss if resource is not None else 0
    _, resident, shared, _, _, data, _ = map(int, os.pread(_STATM, 100, 0).split())
    # `data` counts what was promised and never touched, as `bytes(n)` is; half, because threads' stacks are promised too.
    return max(resident - shared, data // 2) * PAGE


class _Watch:
    """The thread that glances at the limits; it sleeps where nothing runs."""

    def __init__(self) -> None:
        self.alive = False  # is there a thread?
        self._alone = False  # none can be made here
        self._sleeps = False
        self._wanted = threading.Event()
        self._lock = threading.Lock()

    def watches(self) -> bool:
        """See to it that somebody glances; false where nobody can."""
        if self._sleeps:
            self._wanted.set()
        return self.alive or self._started()

    def _started(self) -> bool:
        with self._lock:
            if not (self.alive or self._alone):
                try:
                    threading.Thread(target=self._glance, name="batos-fuel", daemon=True).start()
                    self.alive = True
                except RuntimeError:
                    self._alone = True
            return self.alive

    def _glance(self) -> None:
        idle, entered, least = 0, -1, 0
        while True:
            time.sleep(GLANCE)
            near = time.monotonic() + 2 * GLANCE
            limits = list(_running.values())
            if limits:
                held = _held()
                if entered != tank.entered:
                    entered, least = tank.entered, held
                tank.hungry = held - least > MEMORY
            low = tank.hungry or any(limit.at < near for limit in limits)
            if low and not tank.low:  # what ran unseen so far may be slow: look at once, then find the sip
                tank.left, tank.sip = 0, 1
            tank.low = low
            idle = 0 if limits else idle + 1
            if idle > IDLE:
                self._wanted.clear()
                self._sleeps = True
                if not _running:  # what began in between saw no sleeper
                    self._wanted.wait()
                self._sleeps, idle = False, 0


_watch = _Watch()


def _forked() -> None:
    """In a forked child no thread watches, and behind the wall none may be made."""
    _watch.__init__()
    _watch._alone = True
    _running.clear()
    tank.low = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
