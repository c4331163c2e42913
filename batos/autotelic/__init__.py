"""What batos does of its own accord: it notes what happens, and at night it says what the notes mean."""

from __future__ import annotations

from batos.autotelic.heartbeat import Heartbeat
from batos.autotelic.metrics import Metrics
from batos.autotelic.schedule import Clock, Schedule

__all__ = ["Clock", "Heartbeat", "Metrics", "Schedule"]
