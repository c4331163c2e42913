"""The journal: one line of JSON for everything a mission did, outside the transactions it describes.

Append-only, so that failures are remembered although their transaction was doomed.  A line is one
write, flushed; a journal that cannot be written (a full disk) costs a warning, never a mission.

Only `rotate` and `redact` rewrite it, by rule.  The new file is written and synced beside the old one while
notes go on, and takes its name at once: a reader, or whoever comes after a kill, finds the one or the other
whole.  What is redacted keeps its time, mission and kind, so that the journal still says that something was.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

log = logging.getLogger(__name__)

NAME = "metacognition.jsonl"
CATCHING_UP = 3  # rounds in which a rewritten journal takes in what was noted, before notes wait for it


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
                    self._file = open(self.path, "a", encoding="utf-8")
                    text = "\n" + text if torn else text
                self._file.write(text)
                self._file.flush()
            except OSError as exc:
                log.warning("the journal %s cannot be written: %s", self.path, exc)
                self._file = None

    def events(self, mission: str) -> list[dict[str, Any]]:
        """Everything noted of a mission, oldest first; a torn line is none."""
        mark, found = mission.encode(), []
        with self._reading() as source:
            for line in source:
                if mark in line:
                    with contextlib.suppress(ValueError):
                        event = json.loads(line)
                        if event.get("cycle_id") == mission:
                            found.append(event)
        return found

    def close(self) -> None:
        """Close the file; a later note opens it again."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def rotate(self, most_bytes: float, oldest: float) -> int:
        """Let the oldest lines go: what is over `most_bytes`, and what was noted before `oldest`, seconds
        since the epoch.  Answers how many bytes went; a journal that keeps to both is not touched."""
        with self._rewriting, self._reading() as source:
            size, start = _size(source), 0
            if size > most_bytes:
                source.seek(size - int(most_bytes) - 1)
                source.readline()  # the rest of a line that began before
                start = source.tell()
            while start < size and (line := source.readline()).endswith(b"\n") and _noted_at(line) < oldest:
                start = source.tell()
            if start == 0:
                return 0
            source.seek(start)
            self._replace(source, lambda line: line)
            return start

    def redact(self, about: Callable[[dict[str, Any]], bool]) -> int:
        """Take the contents out of every event that `about(event)` is true of; answers how many there were.

        A line that cannot be read as an event goes whole: nobody can say what it is about.
        """
        count = 0

        def kept(line: bytes) -> bytes:
            nonlocal count
            told = _redacted(line, about)
            count += told is not line
            return told

        with self._rewriting, self._reading() as source:
            for line in _lines(source, _size(source)):
                kept(line)
            if count:
                count = 0
                source.seek(0)
                self._replace(source, kept)
        return count

    @contextlib.contextmanager
    def _reading(self) -> Iterator[BinaryIO]:
        """The journal as it is, empty where there is none."""
        if self.path.exists():
            with open(self.path, "rb") as source:
                yield source
        else:
            yield io.BytesIO()

    def _replace(self, source: BinaryIO, kept: Callable[[bytes], bytes]) -> None:
        """Put a new file in the journal's place: `kept(line)` for each line that `source` has left."""
        part = self.path.with_suffix(".part")
        try:
            with open(part, "wb") as target:
                for _ in range(CATCHING_UP):
                    target.writelines(kept(line) for line in _lines(source, _size(source)))
                target.flush()
                os.fsync(target.fileno())
                with self._lock:  # nobody notes from here on; what came meanwhile is short
                    target.writelines(kept(line) for line in source)
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


def _size(source: BinaryIO) -> int:
    """Bytes in an open file now."""
    at = source.tell()
    size = source.seek(0, os.SEEK_END)
    source.seek(at)
    return size


def _lines(source: BinaryIO, end: int) -> Iterator[bytes]:
    """The whole lines up to `end`; one that is still being written is left for the next time."""
    while (at := source.tell()) < end:
        line = source.readline()
        if not line.endswith(b"\n"):
            source.seek(at)
            return
        yield line


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
            if not file.seek(0, os.SEEK_END):
                return False
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"
    except FileNotFoundError:
        return False
