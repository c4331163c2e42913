"""The journal: one line of JSON for everything a mission did, outside the transactions it describes.

Append-only, so that failures are remembered although their transaction was doomed.  A line is one
write, flushed; a journal that cannot be written (a full disk) costs a warning, never a mission.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

NAME = "metacognition.jsonl"


class Journal:
    """Appends events to `DIR/metacognition.jsonl`; safe to use from any thread."""

    def __init__(self, directory: Path):
        self.path = directory / NAME
        self._lock = threading.Lock()
        self._file = None

    def note(self, mission: str | None, event: str, **facts: Any) -> None:
        """Write one event: `{"timestamp", "cycle_id", "event_type", ...facts}`."""
        line = {"timestamp": time.time(), "cycle_id": mission, "event_type": event, **facts}
        text = json.dumps(line, ensure_ascii=False, default=repr) + "\n"
        with self._lock:
            try:
                if self._file is None:
                    self._file = open(self.path, "a", encoding="utf-8")  # noqa: SIM115 - closed by close()
                self._file.write(text)
                self._file.flush()
            except OSError as exc:
                log.warning("the journal %s cannot be written: %s", self.path, exc)
                self._file = None

    def close(self) -> None:
        """Close the file; a later note opens it again."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None
