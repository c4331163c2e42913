"""Rehearsal: drafts are tried in a walled child, on copies, before anything is installed.

This side lives in the process of the image and knows nothing of the methods it has tried out: it sends
a trial as JSON to the zygote and reads outcomes as JSON, never a pickle, checking their shape.  Where
the machine has no wall nothing runs, unless the settings said so in so many words.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from batos.errors import Deadline, Internal, Refused

log = logging.getLogger(__name__)

START_SECONDS = 30.0  # a cold machine imports slowly; a zygote that takes longer is not coming
GRACE = 2.0  # seconds past a deadline for the zygote to end its children and answer
MAX_REPLY = 64 * 2**20

Outcome = dict[str, Any]


class _Gone(Exception):
    """The zygote ended, or did not answer."""


class Rehearsal:
    """The way to the zygote.  `run` may be called from any thread; one trial runs at a time.

    wall      what the kernel enforces around a trial, as probed; waits for the zygote's first word
    restarts  how often the zygote had to be started again
    """

    def __init__(self, unwalled: bool = False):
        self.unwalled = unwalled
        self.restarts = 0
        self._lock = threading.Lock()
        self._zygote: subprocess.Popen[bytes] | None = None
        self._wall: dict[str, Any] | None = None
        self._stopped = False

    @classmethod
    def start(cls, unwalled: bool = False) -> Rehearsal:
        """Start the zygote and return at once.  Call it before threads, storage and sockets exist."""
        rehearsal = cls(unwalled)
        rehearsal._launch()
        return rehearsal

    def stop(self) -> None:
        """End the zygote and whatever it runs; safe to call twice."""
        self._stopped = True
        zygote, self._zygote = self._zygote, None
        if zygote is not None:
            _end(zygote)

    @property
    def wall(self) -> dict[str, Any]:
        with self._lock:
            self._listen()
            return dict(self._wall)

    def run(self, trial: dict[str, Any], deadline: float) -> list[list[Outcome]]:
        """Outcomes of every draft on every call: `outcomes[draft][call]`.

        `trial` is `{"circle", "selector", "drafts", "calls", "seconds"}`, plain data: `circle` as
        `batos.objects.snapshot.to_data` makes it, a call `{"slots", "args", "kw"}` with encoded values,
        `seconds` the fuel of one call.  `deadline` is of `time.monotonic`.  Outcomes: see `trial`.
        Raises `Refused` where there is no wall, `Deadline` where the time was over before it began.
        """
        body = json.dumps({"trial": trial, "deadline": deadline}).encode()
        if time.monotonic() >= deadline or not self._lock.acquire(timeout=deadline - time.monotonic()):
            raise Deadline("no time was left for a rehearsal")
        try:
            for attempt in (1, 2):
                try:
                    self._listen()
                    if not self._wall["seccomp"] and not self.unwalled:
                        raise Refused(
                            "this machine cannot wall generated code in, so none is run",
                            rule="no-wall",
                            hint="set `unwalled = true` in batos.toml to run it all the same",
                        )
                    self._write(body)
                    told = json.loads(self._read(deadline + GRACE))
                    break
                except _Gone as gone:
                    if attempt == 2 or self._stopped:
                        raise Internal(f"the rehearsal is gone: {gone}") from gone
                    self._again(str(gone))
        finally:
            self._lock.release()
        return [_outcomes(each, len(trial["calls"])) for each in told]

    # -- the zygote ------------------------------------------------------------------------------

    def _launch(self) -> None:
        root = Path(__file__).resolve().parents[2]
        path = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
        self._wall = None
        self._zygote = subprocess.Popen(
            [sys.executable, "-m", "batos.guardian.zygote"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # an inherited one would keep whoever reads it waiting
            env={"PYTHONPATH": path, "PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"},
            cwd="/" if os.sep == "/" else None,
            start_new_session=True,  # a Ctrl-C on the terminal is the image's to handle
        )

    def _again(self, why: str) -> None:
        log.warning("the zygote of the rehearsal ended (%s); it is started again", why)
        if self._zygote is not None:
            _end(self._zygote)
        self.restarts += 1
        self._launch()

    def _listen(self) -> None:
        """Wait for the zygote's first word: what its wall holds."""
        if self._stopped:
            raise Internal("the rehearsal was stopped")
        if self._wall is None:
            try:
                self._wall = json.loads(self._read(time.monotonic() + START_SECONDS))["wall"]
            except _Gone as gone:
                self._again(str(gone))
                self._wall = json.loads(self._read(time.monotonic() + START_SECONDS))["wall"]

    def _write(self, body: bytes) -> None:
        try:
            self._zygote.stdin.write(struct.pack("!I", len(body)) + body)
            self._zygote.stdin.flush()
        except OSError as exc:
            raise _Gone(str(exc)) from exc

    def _read(self, until: float) -> bytes:
        (length,) = struct.unpack("!I", self._exactly(4, until))
        if length > MAX_REPLY:
            raise _Gone(f"an answer of {length} bytes")
        return self._exactly(length, until)

    def _exactly(self, count: int, until: float) -> bytes:
        fd = self._zygote.stdout.fileno()
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        parts = []
        while count:
            if not poll.poll(max(0.0, (until - time.monotonic()) * 1000)):
                raise _Gone("no answer in time")
            part = os.read(fd, min(count, 1 << 16))
            if not part:
                raise _Gone(f"exit code {self._zygote.poll()}")
            parts.append(part)
            count -= len(part)
        return b"".join(parts)


_KEYS = {
    "result": object,
    "error": str,
    "message": str,
    "rule": str,
    "unknown": str,
    "changes": dict,
    "flagged": bool,
}


def _end(zygote: subprocess.Popen[bytes]) -> None:
    zygote.kill()
    zygote.wait()
    with contextlib.suppress(OSError):  # what it was last told may still wait in the broken pipe
        zygote.stdin.close()
    zygote.stdout.close()


def _outcomes(told: dict[str, Any], calls: int) -> list[Outcome]:
    """What a child said, one outcome a call; what is missing or misshapen is unknown."""
    lines = told["said"].split("\n")[:-1]
    found: list[Outcome] = []
    for line in lines[:calls]:
        try:
            outcome = json.loads(line)
        except ValueError:
            break
        if not isinstance(outcome, dict) or not all(
            key in _KEYS and isinstance(value, _KEYS[key]) for key, value in outcome.items()
        ):
            break
        if sum(key in outcome for key in ("result", "error", "unknown")) != 1:
            break
        found.append({"changes": {}, "flagged": False, **outcome})
    why = {"ended": "the trial broke off", "deadline": "out of time", "signal 31": "it went against the wall"}
    missing: Outcome = {"unknown": why.get(told["end"], told["end"]), "changes": {}, "flagged": False}
    if told["end"] == "signal 31":
        missing["violation"] = True
    return found + [dict(missing) for _ in range(calls - len(found))]
