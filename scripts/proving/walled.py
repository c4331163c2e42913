"""Foreign code runs in a forked child behind the wall, and tells what it found line by line."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from batos.guardian import wall

SECONDS, MEMORY = 20, 1 << 30  # of one child
SILENCE = 10  # seconds without a word after which it waits for what never comes


def told(examine: Callable[[], Iterator[dict[str, Any]]]) -> list[dict[str, Any]]:
    """What `examine` yields in a walled child, as far as the child came."""
    reading, writing = os.pipe()
    nothing, never = os.pipe()  # what it reads from: nothing is ever written there
    parent, pid = os.getpid(), os.fork()
    if pid == 0:
        try:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            sys.stdout = sys.stderr = io.StringIO()
            sys.stdin = io.StringIO()
            wall.enter(nothing, writing, parent, SECONDS, MEMORY)
            for each in examine():
                view = memoryview(json.dumps(each).encode() + b"\n")
                while view:
                    view = view[os.write(wall.OUT, view) :]
        finally:
            os._exit(0)
    for end in (writing, nothing, never):
        os.close(end)
    parts, until = [], time.monotonic() + 2 * SECONDS
    while time.monotonic() < until and select.select([reading], [], [], SILENCE)[0]:
        part = os.read(reading, 1 << 16)
        if not part:
            break
        parts.append(part)
    os.close(reading)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    found = []
    for line in b"".join(parts).split(b"\n")[:-1]:
        with contextlib.suppress(ValueError):
            found.append(json.loads(line))
    return found


class Kept:
    """What children told, kept in a file by what was asked: a long proof that was broken off goes on there."""

    def __init__(self, path: Path | None):
        self.path = path
        self.known: dict[str, Any] = {}
        for line in path.read_text().splitlines() if path is not None and path.exists() else ():
            with contextlib.suppress(ValueError):  # the last line of a run that was killed
                self.known.update(json.loads(line))

    def told(self, asked: Any, run: Callable[[], Any]) -> Any:
        """The answer that is known, else that of `run`, from then on."""
        key = hashlib.sha256(json.dumps(asked).encode()).hexdigest()
        if key not in self.known:
            self.known[key] = run()
            if self.path is not None:
                with self.path.open("a") as file:
                    file.write(json.dumps({key: self.known[key]}) + "\n")
        return self.known[key]
