"""Fuel: what a running method may spend before its turn is ended.

A method's loops, its inner functions and every send look at one flag, `tank.low`, which costs less than
a call would.  The flag is raised by a thread that wakes every `GLANCE` and finds that some limit is
near; from then on each look counts ticks, and once in a *sip* of them the clock is read.  The sip
follows what a tick costs: a thousand where a turn of the loop takes a microsecond, one where it takes a
long C call.  So a limit is met to the millisecond, however long the method ran before, and a limit that
another thread brings forward is noticed within a glance.

What never looks is ended from outside: the same thread raises the end in a running thread that is `GRACE`
past its limit (`PyThreadState_SetAsyncExc`), but only where the innermost Python code is a method's own
or stands in a module named by `ends_in`: library code that can be left at any line.  Neither that nor a look
reaches into one call of C; what such a call may cost is bounded before it begins (`guardian.consumers`).

A turn is ended too in which the process's own memory grew by more than `MEMORY`: a method that keeps what
it makes would else fill the machine long before its time is over.  Whoever takes much memory that no
method asked for, as a model that is loaded, says so with `announced(bytes)`; so much more may the process
grow.  The price: of two methods that run at once in two threads nobody can say which of them it was.

Where no thread can watch (a walled child, which has one thread and may make none) the flag is always up.

Each thread that runs methods (the image thread, a mission's, the walled child) has a limit of its own,
set with `spend`.  `OutOfFuel` is a `BaseException`: a method's own `except Exception` must not swallow
its end.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import get_ident
from types import FrameType

try:
    import resource
except ImportError:  # Windows
    resource = None

GLANCE = 0.02  # seconds between two looks at the limits
GRACE = 0.1  # seconds past its limit after which what does not look is ended from outside
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


@dataclass(slots=True, eq=False)
class _Run:
    """What runs in a thread.

    least    bytes the process held at the first glance at it
    excused  bytes that were announced and whose taking had ended by then
    hungry   has the process grown too much meanwhile?
    struck   was its end raised from outside?  It may still be on its way
    """

    limit: Limit
    least: int | None = None
    excused: int = 0
    hungry: bool = False
    struck: bool = False


class _Tank:
    """Is some limit near?  Then ticks count, those of all threads together: they only say when to look at the
    clock, and a plain attribute costs a quarter of a thread's own."""

    __slots__ = ("hungry", "left", "looked", "low", "sip")


tank = _Tank()
tank.left = tank.sip = FIRST_SIP
tank.looked = 0.0
tank.low = True
tank.hungry = False  # is some run?
_running: dict[int, _Run] = {}  # thread -> what runs in it


def tick() -> None:
    """Spend one unit; raises `OutOfFuel` past the limit."""
    if tank.low:
        look()


def look() -> None:
    """Count a tick, and look at the clock when a sip of them is used up."""
    if tank.hungry:
        run = _running.get(get_ident())
        if run is not None and run.hungry:
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
    run = _running.get(get_ident())
    if run is not None and now > run.limit.at:
        tank.left = tank.sip = 0
        raise OutOfFuel


def weigh() -> None:
    """Look at the memory now: something large is about to be made, and the next glance may be late."""
    run = _running.get(get_ident())
    if run is not None:
        _watch.weigh(run, _held())
        if run.hungry:
            tank.hungry = tank.low = True
            raise OutOfFuel


class spend:  # noqa: N801 - read as `with spend(limit):`
    """Run methods of this thread until `limit` (None: without end)."""

    __slots__ = ("_before", "_limit", "_low")

    def __init__(self, limit: Limit | float | None):
        self._limit = Limit(limit) if isinstance(limit, (int, float)) else limit

    def __enter__(self) -> None:
        thread, limit = get_ident(), self._limit
        self._before, self._low = _running.get(thread), tank.low
        tank.left = tank.sip = FIRST_SIP
        tank.looked = time.monotonic()
        if limit is None:
            _running.pop(thread, None)
            return
        _running[thread] = _Run(limit)
        # For so short a time no thread is begun: a zygote must have none.  One that is there watches it too.
        if limit.at < tank.looked + 2 * GLANCE:
            tank.low = True
            _watch.wake()
        elif not _watch.watches():
            tank.low = True

    def __exit__(self, *_: object) -> None:
        thread = get_ident()
        run = _running.get(thread)
        if _watch.alive and run is not None and (run.struck or run.hungry or time.monotonic() > run.limit.at):
            _watch.leave(thread, run, self._leave)
        else:
            self._leave(thread)
        if _watch.alive:
            tank.low = self._low  # should another thread's limit be near, the next glance says so again

    def _leave(self, thread: int) -> None:
        if self._before is None:
            _running.pop(thread, None)
        else:
            _running[thread] = self._before


# -- memory -------------------------------------------------------------------------------------------------


class _Expected:
    """Bytes that were announced, all together, and those of what has ended."""

    __slots__ = ("begun", "ended", "lock")


_expected = _Expected()
_expected.begun = _expected.ended = 0
_expected.lock = threading.Lock()


@contextmanager
def announced(nbytes: int) -> Iterator[None]:
    """About so many bytes are taken here that no running method asked for: what runs meanwhile may grow by them too."""
    with _expected.lock:
        _expected.begun += nbytes
    try:
        yield
    finally:
        with _expected.lock:
            _expected.ended += nbytes


def _held() -> int:
    """Bytes of memory the process has for itself; where only the most it ever had is known, that."""
    if _STATM is None:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss if resource is not None else 0
    _, resident, shared, _, _, data, _ = map(int, os.pread(_STATM, 100, 0).split())
    # `data` counts what was promised and never touched, as `bytes(n)` is; half, because stacks are promised too.
    return max(resident - shared, data // 2) * PAGE


class _Watch:
    """The thread that glances at the limits; it sleeps where nothing runs."""

    def __init__(self) -> None:
        self.alive = False  # is there a thread?
        self._alone = False  # none can be made here
        self._sleeps = False
        self._wanted = threading.Event()
        self._lock = threading.Lock()
        self._ending = threading.Lock()

    def wake(self) -> None:
        if self._sleeps:
            self._wanted.set()

    def watches(self) -> bool:
        """See to it that somebody glances; false where nobody can."""
        self.wake()
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
        idle = 0
        while True:
            time.sleep(GLANCE)
            now = time.monotonic()
            running = list(_running.items())
            if running:
                held = _held()
                for _, run in running:
                    self.weigh(run, held)
            tank.hungry = any(run.hungry for _, run in running)
            low = tank.hungry or any(run.limit.at < now + 2 * GLANCE for _, run in running)
            if low and not tank.low:  # what ran unseen so far may be slow: look at once, then find the sip
                tank.left, tank.sip = 0, 1
            tank.low = low
            for thread, run in running:
                if run.hungry or now > run.limit.at + GRACE:
                    self._end(thread, run)
            idle = 0 if running else idle + 1
            if idle > IDLE:
                self._wanted.clear()
                self._sleeps = True
                if not _running:  # what began in between saw no sleeper
                    self._wanted.wait()
                self._sleeps, idle = False, 0

    def weigh(self, run: _Run, held: int) -> None:
        """Has the process grown too much since this began?"""
        if run.least is None:
            run.least, run.excused = held, _expected.ended
        run.hungry = held - run.least > MEMORY + _expected.begun - run.excused

    # Ending from outside.  The interpreter runs one thread at a time: the one whose frames are looked at here
    # stands between two instructions of the innermost, and what is raised in it is raised right there, before
    # it does anything else.  Should this thread have to give way between looking and raising, it might be
    # raised elsewhere in the turn, which is rolled back all the same; that it is not raised after it, the lock
    # sees to: a run that is past its limit leaves through `leave`.

    def _end(self, thread: int, run: _Run) -> None:
        with self._ending:
            if _running.get(thread) is run and _may_end(sys._current_frames().get(thread)):
                run.struck = True
                _raise_in(thread)

    def leave(self, thread: int, run: _Run, leave: Callable[[int], None]) -> None:
        """End a run that is past its limit: from here on nothing is raised in its thread.

        What may still be on its way is let come, here.  To take it back (`PyThreadState_SetAsyncExc` with NULL)
        would leave the interpreter's alarm ringing: it looks after every call and jump from then on, and under a
        tracer never gets past the first line of a function (CPython 3.11).
        """
        try:
            with self._ending:
                leave(thread)
            if run.struck:
                _raise_in(thread)  # in place of the one before, if that has not come
                while True:
                    pass
        except OutOfFuel:
            leave(thread)


_interruptible: set[str] = set()


def ends_in(*files: str) -> None:
    """The code of these files may be left at any line."""
    _interruptible.update(files)


def _may_end(frame: FrameType | None) -> bool:
    """Is this the frame of a method, or of code it called that may be left at any line?"""
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith("<method "):
            return True
        if file not in _interruptible:
            return False
        frame = frame.f_back
    return False


_set_async = ctypes.pythonapi.PyThreadState_SetAsyncExc  # found now: to look it up is an audit event


def _raise_in(thread: int) -> None:
    _set_async(ctypes.c_ulong(thread), ctypes.py_object(OutOfFuel))


_watch = _Watch()


def _forked() -> None:
    """In a forked child no thread watches, and behind the wall none may be made."""
    _watch.__init__()
    _watch._alone = True
    _running.clear()
    tank.low = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
