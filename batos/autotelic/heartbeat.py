"""The autotelic heartbeat: what batos does of its own accord, when nobody asked.

A daemon thread that waits for the next due time and then performs the audit.  The due time stands in the
image (`alfred_prototype_obj.next_audit`), so a restart neither forgets a night nor repeats one.  Where
several processes share an image, only the one that holds the lease beats.  What an audit is, is handed in.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from batos.autotelic.audits import alfred_part
from batos.autotelic.schedule import Clock, Schedule
from batos.errors import Busy

log = logging.getLogger(__name__)

BY_DAY = 60.0  # seconds
LONGEST_SLEEP = 3600.0  # a machine that was suspended, or a clock that was set, is noticed within an hour


class Heartbeat:
    """Performs the audit when it is due, never two at once.

    clock     a `Clock`
    image     has ``run(why, function)``
    audit     () -> its report; raises `Busy` when this is no time for it
    settings  heartbeat_cron, heartbeat_delay
    lease     has ``held()``, ``release()`` and ``pause``, in seconds; None where nobody else has the image open
    by_day    () -> None, called every `BY_DAY` seconds between the audits
    """

    def __init__(
        self,
        clock: Clock,
        image: Any,
        audit: Callable[[], Any],
        settings: Any,
        lease: Any = None,
        by_day: Callable[[], Any] | None = None,
    ):
        self._by_day = by_day
        self._clock = clock
        self._image = image
        self._audit = audit
        self._lease = lease
        self._schedule = Schedule(settings.heartbeat_cron, settings.heartbeat_delay)
        self._stopped = threading.Event()
        self._running = threading.Lock()
        self._thread: threading.Thread | None = None
        self._due: float | None = None
        self.performed = 0
        self.skipped = 0
        self.failed = 0

    def start(self) -> None:
        """Begin to beat, in a daemon thread."""
        self._thread = threading.Thread(target=self.beat, name="heartbeat", daemon=True)
        self._thread.start()

    def stop(self, seconds: float = 1.0) -> None:
        """Beat no more.  An audit that runs is not interrupted; it is waited for that long at most."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(seconds)
            if self._lease is not None:
                self._lease.release()

    def run_now(self) -> Any:
        """The audit now, whatever the time; `Busy` while another runs.  The next due time stays."""
        if not self._running.acquire(blocking=False):
            raise Busy("an audit is running already", hint="wait for it, then read it: audit --last")
        try:
            report = self._audit()
            self.performed += 1
            return report
        finally:
            self._running.release()

    def next_due(self) -> float | None:
        """Seconds since the epoch, None before the first beat."""
        return self._due

    def facts(self) -> dict[str, Any]:
        """What there is to know about it, as plain data."""
        return {
            "next": self._due, "cron": self._schedule.cron, "performed": self.performed,
            "skipped": self.skipped, "failed": self.failed,
        }  # fmt: skip

    def beat(self) -> None:
        """Wait and audit, until stopped.  Runs in the heartbeat's own thread."""
        awakened, longest = self._clock.now(), LONGEST_SLEEP
        if self._lease is not None:
            longest = min(longest, self._lease.pause)
        if self._by_day is not None:
            longest = min(longest, BY_DAY)
        while not self._stopped.is_set():
            if self._lease is not None and not self._lease.held():
                self._due = None  # whoever beats meanwhile writes down what comes next
                self._clock.wait(self._stopped, longest)
                continue
            if self._due is None:
                try:
                    self._due = self._schedule.first(awakened, self._image.run("heartbeat", _kept))
                except (
                    Busy
                ):  # the image went to sleep again before the first beat, or its storage is out of reach
                    self._clock.wait(self._stopped, longest)
                    continue
            left = self._due - self._clock.now()
            if left > 0:
                self._clock.wait(self._stopped, min(left, longest))
                if self._by_day is not None and not self._stopped.is_set():
                    try:
                        self._by_day()
                    except Exception:
                        log.exception("what is done by day failed; it is tried again")
                continue
            self._once()

    def _once(self) -> None:
        # Written down before the audit: one that brings the process down must not do so for ever.
        self._due = self._schedule.after(self._clock.now())
        try:
            self._image.run("heartbeat", lambda root, due=self._due: _keep(root, due))
            self.run_now()
        except Busy as exc:
            self.skipped += 1
            log.info("the audit was skipped: %s", exc)
        except Exception:
            self.failed += 1
            log.exception("the audit failed; the next one is due as planned")


def _kept(root: Any) -> float | None:
    if "alfred_prototype_obj" not in root:
        return None
    return root["alfred_prototype_obj"]._slots.get("next_audit")


def _keep(root: Any, due: float) -> None:
    alfred_part(root)
    root["alfred_prototype_obj"].next_audit = due
