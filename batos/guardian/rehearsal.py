"""Rehearsal: drafts are tried in a walled child, on copies, before anything is installed.

This side lives in the process of the image and knows nothing of the methods it has tried out: it hands
a trial over as JSON and reads outcomes as JSON, never a pickle, trusting neither their shape nor their
size.  What a child says is taken as the outcome of its own draft and of nothing else.

Two tiers make children: the `zygote`, behind the kernel's wall, on Linux; and `portable`, separate
interpreters under limits, elsewhere or where the settings ask for it.  Where there is no wall nothing
runs, unless the settings said so in so many words.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
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
from batos.guardian import portable, wall
from batos.guardian.trial import MAX_ANSWER, MAX_SAID
from batos.objects.plain import MAX_DEPTH

log = logging.getLogger(__name__)

START_SECONDS = 30.0  # a cold machine imports slowly; a zygote that takes longer is not coming
GRACE = 2.0  # seconds past a deadline for the zygote to end its children and answer
MAX_REPLY = 64 * 2**20

Outcome = dict[str, Any]


class _Gone(Exception):
    """The zygote ended, or did not answer."""


class Rehearsal:
    """The way to the walled children.  `run` may be called from any thread; one trial runs at a time.

    wall      what is enforced around a trial, as probed; waits for the tier's first word
    restarts  how often the zygote had to be started again
    """

    def __init__(self, unwalled: bool = False, in_interpreters: bool = False):
        self.unwalled = unwalled
        self._tier: _Zygote | portable.Interpreters
        self._tier = portable.Interpreters() if in_interpreters or not wall.LINUX else _Zygote()
        self._lock = threading.Lock()

    @classmethod
    def start(cls, unwalled: bool = False, in_interpreters: bool = False) -> Rehearsal:
        """Start the tier and return at once.  Call it before threads, storage and sockets exist.

        unwalled         run also where the kernel does not wall children in
        in_interpreters  take the portable tier although this machine may have a better one
        """
        rehearsal = cls(unwalled, in_interpreters)
        rehearsal._tier.launch()
        return rehearsal

    def stop(self) -> None:
        """End the tier and whatever it runs; safe to call twice."""
        self._tier.stop()

    @property
    def wall(self) -> dict[str, Any]:
        with self._lock:
            return dict(self._tier.held())

    @property
    def restarts(self) -> int:
        return self._tier.restarts

    def run(self, trial: dict[str, Any], deadline: float) -> list[list[Outcome]]:
        """Outcomes of every draft on every call: `outcomes[draft][call]`.

        `trial` is `{"circle", "selector", "drafts", "calls", "seconds"}`, plain data: `circle` as
        `batos.objects.snapshot.to_data` makes it, a call `{"slots", "args", "kw"}` with encoded values,
        `seconds` the fuel of one call.  `deadline` is of `time.monotonic`.  Outcomes: see `trial`.
        Raises `Refused` where there is no wall, `Deadline` where the time was over before it began.
        """
        rest = json.dumps({name: trial[name] for name in ("circle", "selector", "calls", "seconds")}).encode()
        if time.monotonic() >= deadline or not self._lock.acquire(timeout=deadline - time.monotonic()):
            raise Deadline("no time was left for a rehearsal")
        try:
            if not self._tier.held()["seccomp"] and not self.unwalled:
                raise Refused(
                    "this machine cannot wall generated code in, so none is run",
                    rule="no-wall",
                    hint="set `unwalled = true` in batos.toml to run it all the same; "
                    "`python -m batos doctor` says what is not held then",
                )
            told = self._tier.tried(trial["drafts"], rest, float(trial["seconds"]), deadline)
        finally:
            self._lock.release()
        return [_outcomes(each, len(trial["calls"])) for each in told]


class _Zygote:
    """The client of the zygote's process, which is started again when it ends."""

    module = "batos.guardian.zygote"  # and its arguments

    def __init__(self) -> None:
        self.restarts = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._wall: dict[str, Any] | None = None
        self._stopped = False
        self._asked = 0

    def launch(self) -> None:
        root = Path(__file__).resolve().parents[2]
        path = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
        self._wall = None
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-s", "-m", *self.module.split()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # an inherited one would keep whoever reads it waiting
            env={"PYTHONPATH": path, "PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"},  # nobody's secrets
            cwd="/",
            start_new_session=True,  # a Ctrl-C on the terminal is the image's to handle
        )
        os.set_blocking(self._process.stdin.fileno(), False)

    def stop(self) -> None:
        self._stopped = True
        process, self._process = self._process, None
        if process is not None:
            _end(process)

    def held(self) -> dict[str, Any]:
        """The zygote's first word: what its wall holds."""
        if self._stopped:
            raise Internal("the rehearsal was stopped")
        if self._wall is None:
            try:
                self._wall = self._heard(time.monotonic() + START_SECONDS)["wall"]
            except _Gone as gone:
                self._again(str(gone))
                self._wall = self._heard(time.monotonic() + START_SECONDS)["wall"]
        return self._wall

    def tried(self, drafts: list[str], rest: bytes, seconds: float, deadline: float) -> list[dict[str, str]]:
        """What the child of each draft said, and how it ended."""
        for attempt in (1, 2):
            try:
                self.held()
                self._asked += 1
                envelope = {"id": self._asked, "drafts": drafts, "seconds": seconds, "deadline": deadline}
                self._write(json.dumps(envelope).encode() + b"\n" + rest, deadline + GRACE)
                told = self._heard(deadline + GRACE)
                if told["id"] != self._asked:
                    raise _Gone("it answered an older question")
                return told["told"]
            except _Gone as gone:
                if attempt == 2 or self._stopped:
                    raise Internal(f"the rehearsal is gone: {gone}") from gone
                self._again(str(gone))
        raise AssertionError

    def _again(self, why: str) -> None:
        log.warning("the zygote of the rehearsal ended (%s); it is started again", why)
        if self._process is not None:
            _end(self._process)
        self.restarts += 1
        self.launch()

    def _write(self, body: bytes, until: float) -> None:
        fd = self._process.stdin.fileno()
        poll = select.poll()
        poll.register(fd, select.POLLOUT)
        view = memoryview(struct.pack("!I", len(body)) + body)
        while view:
            if not poll.poll(max(0.0, (until - time.monotonic()) * 1000)):
                raise _Gone("it does not listen")
            try:
                view = view[os.write(fd, view) :]
            except OSError as exc:
                raise _Gone(str(exc)) from exc

    def _heard(self, until: float) -> dict[str, Any]:
        (length,) = struct.unpack("!I", self._exactly(4, until))
        if length > MAX_REPLY:
            raise _Gone(f"an answer of {length} bytes")
        return json.loads(self._exactly(length, until))

    def _exactly(self, count: int, until: float) -> bytes:
        fd = self._process.stdout.fileno()
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        parts = []
        while count:
            if not poll.poll(max(0.0, (until - time.monotonic()) * 1000)):
                raise _Gone("no answer in time")
            part = os.read(fd, min(count, 1 << 16))
            if not part:
                raise _Gone(f"exit code {self._process.poll()}")
            parts.append(part)
            count -= len(part)
        return b"".join(parts)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    with contextlib.suppress(OSError):  # what it was last told may still wait in the broken pipe
        process.stdin.close()
    process.stdout.close()


# -- what a child said -----------------------------------------------------------------------------------

_KEYS = {
    "result": object,
    "error": str,
    "message": str,
    "rule": str,
    "unknown": str,
    "missed": dict,
    "changes": dict,
    "flagged": bool,
}
_MISSED = {"object": (str, type(None)), "selector": str, "args": list, "kw": dict}
_DEEPEST = MAX_DEPTH + 8  # values, and the outcome around them


def _outcomes(told: dict[str, str], calls: int) -> list[Outcome]:
    """What a child said, one outcome a call; what is missing or misshapen is unknown, and what says more than
    it was asked is not believed at all."""
    lines = told["said"].split("\n")[:-1]
    found: list[Outcome] = []
    for line in lines:
        try:
            found.append(_outcome(line))
        except (ValueError, RecursionError):
            break
    if len(lines) > calls:
        found, told = [], {"end": "violation"}
    why = {
        **dict.fromkeys(("done", "ended"), "the trial broke off"),
        "deadline": "out of time",
        "violation": "it went against the wall",
    }
    missing: Outcome = {"unknown": why.get(told["end"], told["end"]), "changes": {}, "flagged": False}
    if told["end"] == "violation":
        missing["violation"] = True
    return found + [dict(missing) for _ in range(calls - len(found))]


def _outcome(line: str) -> Outcome:
    """One outcome; `ValueError` for anything that `trial` would not have said."""
    if len(line) > MAX_ANSWER:
        raise ValueError("too long")
    outcome = json.loads(line, parse_constant=_no_number, parse_float=_finite)
    if not isinstance(outcome, dict) or sum(key in outcome for key in ("result", "error", "unknown")) != 1:
        raise ValueError("no outcome")
    for key, value in outcome.items():
        if key not in _KEYS or not isinstance(value, _KEYS[key]):
            raise ValueError("not of an outcome")
        if key in ("error", "message", "rule", "unknown") and len(value) > MAX_SAID:
            raise ValueError("too much said")
        if key == "missed" and not _is_missed(value):
            raise ValueError("no message that was missed")
    _shallow(outcome, _DEEPEST)
    return {"changes": {}, "flagged": False, **outcome}


def _is_missed(told: dict[str, Any]) -> bool:
    return told.keys() == _MISSED.keys() and all(isinstance(told[key], kind) for key, kind in _MISSED.items())


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no plain number")


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _no_number(digits)


def _shallow(value: Any, left: int) -> None:
    """Raise `ValueError` for a text no file could hold, or nesting that would end whoever walks it."""
    if left < 0:
        raise ValueError("nested too deeply")
    if isinstance(value, str):
        value.encode()
    elif isinstance(value, list):
        for each in value:
            _shallow(each, left - 1)
    elif isinstance(value, dict):
        for key, each in value.items():
            key.encode()
            _shallow(each, left - 1)
