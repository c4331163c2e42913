"""When the heartbeat is due: a delay after awakening, then a cron expression, whatever the clock does.

Pure: seconds since the epoch in and out.  `Clock` is the only thing here that waits, and a test hands in
another.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from batos.errors import BadRequest


class Clock:
    """The clock of the wall."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait until the event is set, at most `seconds`; was it set?"""
        return event.wait(seconds)


def local_zone() -> tzinfo:
    """The zone of this machine with its summer times, so that a night job runs once in every night."""
    try:
        with Path("/etc/localtime").open("rb") as file:
            return ZoneInfo.from_file(file)
    except (OSError, ValueError):
        return datetime.now().astimezone().tzinfo or UTC


class Schedule:
    """Due `delay` seconds after awakening the first time, then whenever `cron` says.

    >>> Schedule("30 3 * * *", 300.0, UTC).after(0.0)     # the first half past three of 1970
    12600.0
    """

    def __init__(self, cron: str, delay: float, zone: tzinfo | None = None):
        self.cron = cron
        self.delay = delay
        self.zone = zone or local_zone()
        self.after(0.0)  # a cron expression that means nothing is told at once

    def after(self, now: float) -> float:
        """The next time after `now` that the expression names."""
        try:
            return next(CronSim(self.cron, datetime.fromtimestamp(now, self.zone))).timestamp()
        except (CronSimError, StopIteration) as exc:
            raise BadRequest(
                f"heartbeat_cron = {self.cron!r} names no time", hint='five fields, as in "30 3 * * *"'
            ) from exc

    def first(self, awakened: float, kept: float | None) -> float:
        """The first due time of an image that awakens now; `kept` is what it had written down before.

        What fell due while the image slept is made up for once, but never before the delay is over:
        an image that restarts in a loop would otherwise do nothing else.
        """
        return max(awakened + self.delay, kept if kept is not None else 0.0)
