"""The lease of the heartbeat: of several processes on one storage, one beats.

A record at the image's root says who holds it and until when.  It is taken, renewed and given up by
ordinary turns, so two processes that reach for it at once conflict, and the second finds it taken.  Who
stops renewing loses it: at once where it can be seen that the process is gone (the same machine and the
same process namespace), else when the clock says so.  Clocks of machines may differ by `SKEW`; if they
differ by more, two processes beat for a while, which costs an audit too many and nothing else.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from persistent import Persistent

from batos.errors import BatosError

NAME = "heartbeat_lease"  # at the root
SECONDS = 300.0  # a lease; the heartbeat beats once a night, so a dead machine may be missed for that long
SKEW = 30.0  # seconds by which the clocks of two machines may differ
UPKEEP = "batos"  # who renews it: no person, so it leaves no change record


class Held(Persistent):
    """Who holds the lease: `holder` (an id of a process' own), `machine`, `host`, `pid`, `started`, `until`."""

    def __init__(self, facts: dict[str, Any]):
        self.__dict__.update(facts)


class Lease:
    """One process' hand on the lease.

    image    has ``run(why, function, who)``
    clock    () -> seconds since the epoch
    """

    def __init__(self, image: Any, clock: Callable[[], float] = time.time, seconds: float = SECONDS):
        self._image = image
        self._clock = clock
        self.seconds = seconds
        self._me = {
            "holder": uuid.uuid4().hex,
            "machine": machine(),
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "started": started(os.getpid()),
        }

    @property
    def pause(self) -> float:
        """Seconds between two calls of `held`, so that a lease is renewed well before its end."""
        return self.seconds / 3

    def held(self) -> bool:
        """Take or renew the lease; false where another process holds it, or the storage is out of reach."""
        try:
            return self._image.run("heartbeat lease", self._take, UPKEEP)
        except BatosError:
            return False

    def release(self) -> None:
        """Give it up, so that another process need not wait for its end."""
        with contextlib.suppress(BatosError):
            self._image.run("heartbeat lease", self._leave, UPKEEP)

    def facts(self) -> dict[str, Any] | None:
        """Who holds it: `{"host", "pid", "until"}`, None if nobody does."""

        def look(root: Any) -> dict[str, Any] | None:
            kept = _kept(root)
            if kept is None:
                return None
            return {"host": kept.host, "pid": kept.pid, "until": kept.until, "ours": self._ours(kept)}

        return self._image.run("heartbeat lease", look, UPKEEP)

    def _take(self, root: Any) -> bool:
        kept, now = _kept(root), self._clock()
        if kept is not None and not self._ours(kept) and not self._over(kept, now):
            return False
        facts = self._me | {"until": now + self.seconds}
        if kept is None:
            root[NAME] = Held(facts)
        elif not self._ours(kept) or kept.until - now < self.seconds - self.pause:
            kept.__dict__.update(facts)
            kept._p_changed = True
        return True

    def _leave(self, root: Any) -> None:
        kept = _kept(root)
        if kept is not None and self._ours(kept):
            kept.until = 0.0

    def _ours(self, kept: Held) -> bool:
        return kept.holder == self._me["holder"]

    def _over(self, kept: Held, now: float) -> bool:
        if kept.until == 0.0 or now > kept.until + SKEW:
            return True
        # The same boot and process namespace: whether the holder lives can be seen.
        return kept.machine == self._me["machine"] != "" and started(kept.pid) != kept.started


def _kept(root: Any) -> Held | None:
    if NAME not in root:
        return None
    kept = root[NAME]
    kept._p_activate()  # its facts are read from its state below
    return kept


def machine() -> str:
    """The boot of this machine and the process namespace, in which a process id means one process; empty if unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def started(pid: int) -> int | None:
    """When a process was started, in clock ticks since the boot (proc(5), field 22 of stat); None if there is none."""
    try:
        # The name of the program, in parentheses, may hold anything.
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None
