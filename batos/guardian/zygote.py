"""The zygote: a small process that hands each draft to a walled child.  `python -m batos.guardian.zygote`.

Started before storage, sockets and threads exist, it has nothing a child could inherit but this code.
It forks children ahead of need: a *spare* has entered the wall, run a method of ours so that the memory
it writes to is its own, and waits for the one trial it will ever run.  That keeps forking, walling in
and page faults, three quarters of the cost, out of the time a mission waits; the price is 4 MB for
each spare.  For the same reason a child that has soon told all it has to tell waits for its end until the
zygote has answered: taking a process down takes a core from the trials that still run.

It reads trials from its standard input, each behind its length in four bytes, and answers the same way;
first of all it says what its wall holds.  It relays what children say without reading it, ends those
past their time, and ends itself when its input closes.
"""

from __future__ import annotations

import contextlib
import gc
import json
import math
import os
import resource
import select
import signal
import struct
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from batos.guardian import trial, wall

MEMORY = 512 * 2**20  # bytes a child may map beyond what the zygote has
MAX_TOLD = 1_000_000  # bytes one child may say
AT_ONCE = max(1, min(4, os.cpu_count() or 1))
SPARES = 8  # as many as a mission tries at once: five drafts, and three methods with a like name
BRIEF = 0.05  # seconds a trial takes that has not filled much memory
LONGEST = 60  # seconds of CPU a spare may ever use; what its trial may is told when it gets one


@dataclass(slots=True)
class Child:
    """A walled process and the zygote's ends of its two pipes."""

    pid: int
    into: int
    out: int
    index: int = 0
    began: float = 0.0
    ends: float = math.inf
    said: bytearray = field(default_factory=bytearray)
    end: str | None = None


class Zygote:
    """Forks, hands out and ends children.  One trial at a time."""

    def __init__(self, seccomp: bool, landlock: bool = True):
        self.seccomp, self.landlock = seccomp, landlock
        self.spares: deque[Child] = deque()
        self.done: list[Child] = []  # of the last trial, and not let go of

    def fill(self) -> None:
        """Have one spare more, if there are not enough."""
        if len(self.spares) < SPARES:
            self.spares.append(self._fork())

    def tried(self, drafts: list[str], rest: bytes, seconds: float, deadline: float) -> list[dict[str, Any]]:
        """For each draft what its child said (`said`, text) and how it ended (`end`)."""
        told: list[dict[str, Any]] = [{"said": "", "end": "deadline"} for _ in drafts]
        waiting = deque(range(len(told)))
        running: dict[int, Child] = {}
        poll = select.poll()
        poll.register(0, 0)  # only its hanging up
        while running or waiting:
            while waiting and len(running) < AT_ONCE and time.monotonic() < deadline:
                index = waiting.popleft()
                child = self._given(json.dumps(drafts[index]).encode() + b"\n" + rest, seconds)
                child.index, child.began = index, time.monotonic()
                child.ends = min(deadline, child.began + 2 * seconds + 0.25)
                running[child.out] = child
                poll.register(child.out, select.POLLIN)
            if not running:
                break
            soonest = min(child.ends for child in running.values())
            for fd, event in poll.poll(max(0, (soonest - time.monotonic()) * 1000)):
                if fd == 0:
                    self.end(*running.values())
                    os._exit(0)  # whoever asked is gone
                _hear(running[fd], event)
            now = time.monotonic()
            for fd, child in list(running.items()):
                if child.end is None and now >= child.ends:
                    child.end = "deadline"
                if child.end is not None:
                    poll.unregister(fd)
                    del running[fd]
                    if child.end == "done":
                        if now > child.began + BRIEF:
                            os.kill(child.pid, signal.SIGKILL)  # at once: it may hold much memory
                        self.done.append(child)
                    else:
                        child.end = _reaped(child)
                    said = bytes(child.said[:MAX_TOLD]).removesuffix(trial.END)
                    told[child.index] = {"said": said.decode(errors="replace"), "end": child.end}
        return told

    def reap(self) -> None:
        """Let go of what is left of the last trial's children, when nobody waits any more."""
        while self.done:
            _reaped(self.done.pop())

    def end(self, *children: Child) -> None:
        """End these children and every spare."""
        for child in (*children, *self.spares):
            os.kill(child.pid, signal.SIGKILL)

    def _given(self, work: bytes, seconds: float) -> Child:
        """A child that has this work; a spare that has died meanwhile is passed over."""
        while True:
            child = self.spares.popleft() if self.spares else self._fork()
            try:
                # Not every user may lower another process's limits; the deadline holds all the same.
                with contextlib.suppress(PermissionError):
                    limit = math.ceil(2 * seconds) + 1
                    resource.prlimit(child.pid, resource.RLIMIT_CPU, (limit, limit))
                view = memoryview(struct.pack("!I", len(work)) + work)
                while view:
                    view = view[os.write(child.into, view) :]
                return child
            except (BrokenPipeError, ProcessLookupError):
                _reaped(child)

    def _fork(self) -> Child:
        zygote = os.getpid()
        reading, into = os.pipe()
        out, writing = os.pipe()
        pid = os.fork()
        if pid:
            os.close(reading)
            os.close(writing)
            return Child(pid, into, out)
        try:
            wall.enter(reading, writing, zygote, LONGEST, MEMORY, self.seccomp, self.landlock)
            trial.warm_up()
            trial.serve(wall.IN, wall.OUT)
            os._exit(0)
        finally:
            os._exit(1)  # nothing of a trial may ever run the zygote's own code


def main() -> None:
    """Serve until the input closes."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")  # where memory ends, a trial goes before the image does
    held = wall.probe()
    _say({"wall": held})
    trial.warm_up()  # what is compiled and looked up at the first use is then there for every child
    gc.collect()
    gc.freeze()  # what is here now is shared with the children; a collection would copy it
    zygote = Zygote(held["seccomp"], bool(held["landlock"]))
    poll = select.poll()
    poll.register(0, select.POLLIN)
    while True:
        while len(zygote.spares) < SPARES and not poll.poll(0):
            zygote.fill()
        head = trial.exactly(0, 4)
        if head is None:
            break
        body = trial.exactly(0, struct.unpack("!I", head)[0])
        if body is None:
            break
        envelope, _, rest = body.partition(b"\n")
        asked = json.loads(envelope)
        told = zygote.tried(asked["drafts"], rest, asked["seconds"], asked["deadline"])
        _say({"id": asked["id"], "told": told})
        zygote.reap()
    zygote.end()


def _say(told: dict[str, Any]) -> None:
    body = json.dumps(told).encode()
    view = memoryview(struct.pack("!I", len(body)) + body)
    while view:
        view = view[os.write(1, view) :]


def _hear(child: Child, event: int) -> None:
    part = os.read(child.out, 1 << 16) if event & (select.POLLIN | select.POLLHUP) else b""
    child.said += part
    if not part:
        child.end = "ended"
    elif len(child.said) > MAX_TOLD:
        child.end = "said too much"
    elif child.said.endswith(trial.END):
        child.end = "done"


def _reaped(child: Child) -> str:
    """End the child for certain, and tell how it ended: one that only closed its pipe may still run."""
    os.kill(child.pid, signal.SIGKILL)
    status = os.waitpid(child.pid, 0)[1]
    os.close(child.into)
    os.close(child.out)
    end = child.end or "ended"
    if end == "ended" and os.WIFSIGNALED(status):
        end = "violation" if os.WTERMSIG(status) == signal.SIGSYS else f"signal {os.WTERMSIG(status)}"
    elif end == "ended" and os.WEXITSTATUS(status) == trial.VIOLATION:
        end = "violation"
    return end


if __name__ == "__main__":
    sys.stdin = sys.stdout = None  # the pipes are ours, no print may disturb them
    main()
