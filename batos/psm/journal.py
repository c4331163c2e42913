"""The journal: one line of JSON for everything a mission did, outside the transactions it describes.

Append-only, so that failures are remembered although their transaction was doomed.  A line is one
write, flushed; a journal that cannot be written (a full disk) costs a warning, never a mission.

Only `rotate` and `redact` rewrite it, by rule.  The new file is written and synced beside the old one while
notes go on, and takes its name at once: a reader, or whoever comes after a kill, finds the one or the other
whole.  What is redacted keeps its time, mission and kind, so that the journal still says that something was.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

log = logging.getLogger(__name__)

NAME = "metacognition.jsonl"


class Journal:
    """Appends events to `DIR/metacognition.jsonl`; safe to use from any thread."""

    def __init__(self, directory: Path):
        self.path = directory / NAME
        self._lock = threading.Lock()
        self._rewriting = threading.Lock()
        self._file = None

    def note(self, mission: str | None, event: str, **facts: Any) -> None:
        """Write one event: `{"timestamp", "cycle_id", "event_type", ...facts}`."""
        line = {"timestamp": time.time(), "cycle_id": mission, "event_type": event, **facts}
        text = json.dumps(line, ensure_ascii=False, default=repr) + "\n"
        with self._lock:
            try:
                if self._file is None:
                    torn = _ends_torn(self.path)
                    self._file = open(self.path, "a", encoding="utf-8")  # noqa: SIM115 - closed by close()
                    text = "\n" + text if torn else text
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

    def rotate(self, most_bytes: float, oldest: float) -> int:
        """Let the oldest lines go: what is over `most_bytes`, and what was noted before `oldest`, seconds
        since the epoch.  Answers how many bytes went; a journal that keeps to both is not touched."""
        with self._rewriting:
            try:
                source = open(self.path, "rb")  # noqa: SIM115 - closed below
            except FileNotFoundError:
                return 0
            with source:
                size = os.fstat(source.fileno()).st_size
                if size > most_bytes:
                    source.seek(size - int(most_bytes) - 1)
                    source.readline()  # the rest of a line that began before
                start = source.tell()
                while (line := source.readline()) and _noted_at(line) < oldest:
                    start = source.tell()
                if start == 0:
                    return 0
                source.seek(start)
                self._replace(source, lambda target: shutil.copyfileobj(source, target))
                return start

    def redact(self, about: Callable[[dict[str, Any]], bool]) -> int:
        """Take the contents out of every event that `about(event)` is true of; answers how many there were.

        A line that cannot be read as an event goes whole: nobody can say what it is about.
        """
        with self._rewriting:
            try:
                source = open(self.path, "rb")  # noqa: SIM115 - closed below
            except FileNotFoundError:
                return 0
            with source:
                if not any(_redacted(line, about) is not line for line in source):
                    return 0
                source.seek(0)
                count = 0

                def copy(target: BinaryIO) -> None:
                    nonlocal count
                    for line in source:
                        kept = _redacted(line, about)
                        count += kept is not line
                        target.write(kept)

                self._replace(source, copy)
                return count

    def _replace(self, source: BinaryIO, copy: Callable[[BinaryIO], None]) -> None:
        """Put a new file in the journal's place; `copy(target)` copies what `source` has left to read."""
        part = self.path.with_suffix(".part")
        try:
            with open(part, "wb") as target:
                copy(target)
                target.flush()
                os.fsync(target.fileno())
                with self._lock:  # from here on nobody notes; what came meanwhile is short
                    copy(target)
                    target.flush()
                    os.fsync(target.fileno())
                    if self._file is not None:
                        self._file.close()
                        self._file = None
                    os.replace(part, self.path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def about(*words: str) -> Callable[[dict[str, Any]], bool]:
    """A rule for `Journal.redact`: events in which any of the words stands, in whatever field.

    >>> about("/letters/mum.txt")({"event_type": "X", "seen": [{"source": "/letters/mum.txt"}]})
    True
    """

    def stands_in(value: Any) -> bool:
        if isinstance(value, str):
            return any(word in value for word in words)
        if isinstance(value, dict):
            return any(stands_in(each) for pair in value.items() for each in pair)
        return isinstance(value, list) and any(stands_in(each) for each in value)

    return stands_in


def _redacted(line: bytes, rule: Callable[[dict[str, Any]], bool]) -> bytes:
    """The line itself, or what is left of it."""
    try:
        event = json.loads(line)
        if not rule(event):
            return line
        kept = {name: event.get(name) for name in ("timestamp", "cycle_id", "event_type")}
    except (ValueError, AttributeError, TypeError):
        return b""
    return (json.dumps(kept | {"redacted": True}, ensure_ascii=False) + "\n").encode()


def _noted_at(line: bytes) -> float:
    """When an event was noted; a line that cannot be read is as old as can be."""
    try:
        return float(json.loads(line)["timestamp"])
    except (ValueError, KeyError, TypeError):
        return 0.0


def _ends_torn(path: Path) -> bool:
    """Does the file end inside a line, as a power cut leaves it?"""
    try:
        with open(path, "rb") as file:
            return bool(file.seek(0, os.SEEK_END) and file.seek(-1, os.SEEK_END) is not None and file.read(1) != b"\n")
    except FileNotFoundError:
        return False
