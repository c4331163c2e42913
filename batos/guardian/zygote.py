"""The zygote: a small process that forks one walled child per draft.  `python -m batos.guardian.zygote`.

Started before storage, sockets and threads exist, it has nothing a child could inherit but this code.
It reads trials as JSON from its standard input, each behind its length in four bytes, and answers the
same way; first of all it says what its wall holds.  It relays what children say without reading it,
ends those past their time, and ends itself when its input closes.
"""

from __future__ import annotations

import gc
import json
import math
import os
import select
import signal
import struct
import sys
import time
from typing import Any

from batos.guardian import trial, wall

MEMORY = 512 * 2**20  # bytes a child may map beyond what the zygote has
MAX_TOLD = 1_000_000  # bytes one child may say
AT_ONCE = max(1, min(4, os.cpu_count() or 1))


def main() -> None:
    """Serve until the input closes."""
    held = wall.probe()
    _say(json.dumps({"wall": held}).encode())
    gc.collect()
    gc.freeze()  # what is here now is shared with the children; a collection would copy it
    while (body := _heard()) is not None:
        request = json.loads(body)
        _say(json.dumps(_tried(request["trial"], request["deadline"], held["seccomp"])).encode())


def _heard() -> bytes | None:
    head = _exactly(4)
    return None if head is None else _exactly(struct.unpack("!I", head)[0])


def _exactly(count: int) -> bytes | None:
    parts = []
    while count:
        part = os.read(0, min(count, 1 << 16))
        if not part:
            return None
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _say(body: bytes) -> None:
    view = memoryview(struct.pack("!I", len(body)) + body)
    while view:
        view = view[os.write(1, view) :]


def _tried(given: dict[str, Any], deadline: float, seccomp: bool) -> list[dict[str, Any]]:
    """For each draft what its child said (`said`, text) and how it ended (`end`)."""
    told: list[dict[str, Any]] = [{"said": "", "end": "deadline"} for _ in given["drafts"]]
    waiting = list(range(len(told)))
    running: dict[int, dict[str, Any]] = {}
    poll = select.poll()
    poll.register(0, 0)  # only its hanging up
    while running or waiting:
        while waiting and len(running) < AT_ONCE and time.monotonic() < deadline:
            index = waiting.pop(0)
            pid, out = _fork(given, given["drafts"][index], seccomp)
            ends = min(deadline, time.monotonic() + 2 * float(given["seconds"]) + 0.25)
            running[out] = {"index": index, "pid": pid, "ends": ends, "said": bytearray(), "end": None}
            poll.register(out, select.POLLIN)
        if not running:
            break
        soonest = min(child["ends"] for child in running.values())
        for fd, event in poll.poll(max(0, (soonest - time.monotonic()) * 1000)):
            if fd == 0:
                for child in running.values():
                    os.kill(child["pid"], signal.SIGKILL)
                os._exit(0)  # whoever asked is gone
            child = running[fd]
            part = os.read(fd, 1 << 16) if event & (select.POLLIN | select.POLLHUP) else b""
            child["said"] += part
            if not part:
                child["end"] = "ended"
            elif len(child["said"]) > MAX_TOLD:
                child["end"] = "said too much"
        now = time.monotonic()
        for fd, child in list(running.items()):
            if child["end"] is None and now >= child["ends"]:
                child["end"] = "deadline"
            if child["end"] is None:
                continue
            if child["end"] != "ended":
                os.kill(child["pid"], signal.SIGKILL)
            status = os.waitpid(child["pid"], 0)[1]
            if child["end"] == "ended" and os.WIFSIGNALED(status):
                child["end"] = f"signal {os.WTERMSIG(status)}"
            told[child["index"]] = {
                "said": bytes(child["said"][:MAX_TOLD]).decode(errors="replace"),
                "end": child["end"],
            }
            poll.unregister(fd)
            os.close(fd)
            del running[fd]
    return told


def _fork(given: dict[str, Any], draft: str, seccomp: bool) -> tuple[int, int]:
    """Fork a child that tries `draft` behind the wall; answers its pid and the pipe it writes to."""
    zygote = os.getpid()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    try:
        wall.enter(writing, zygote, math.ceil(2 * float(given["seconds"])) + 1, MEMORY, seccomp)
        for told in trial.outcomes(given, draft):
            view = memoryview(json.dumps(told).encode() + b"\n")
            while view:
                view = view[os.write(wall.OUT, view) :]
        os._exit(0)
    finally:
        os._exit(1)  # nothing of a trial may ever run the zygote's own code


if __name__ == "__main__":
    sys.stdin = sys.stdout = None  # the pipes are ours, no print may disturb them
    main()
