"""The portable tier of the rehearsal: a separate interpreter for each draft, under limits.  No wall.

For systems without Linux' kernel (macOS, Windows), and wherever the settings ask for it.  Each draft
gets a fresh `python` with an environment of our making, no descriptor but its two pipes, root given
up, the rlimits this system knows, an audit hook that ends it at the first file, process or socket that
CPython reports, and a deadline after which it is killed.

What this does **not** hold: foreign code in the interpreter (a hole in CPython, or in a package) meets
no kernel that would deny it files, network or signals to processes of the same user; where the system
knows no rlimits (Windows) memory is bounded by the machine alone.  So nothing runs in this tier unless
the settings say `unwalled = true`.  An interpreter costs a tenth of a second or two to start, where the
zygote forks in a millisecond; one or two wait ready.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import struct
import subprocess
import sys
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from batos.errors import Internal
from batos.guardian import trial, wall

log = logging.getLogger(__name__)

MEMORY = 512 * 2**20  # bytes an interpreter may take beyond what it has when it is ready
MAX_TOLD = 1_000_000  # bytes one interpreter may say
AT_ONCE = max(1, min(4, os.cpu_count() or 1))
START_SECONDS = 30.0  # a cold machine imports slowly
CPU_SECONDS = 60  # a second bound, where the deadline's killing should fail


class Interpreters:
    """Starts, hands out and ends interpreters.  `tried` is called by one thread at a time."""

    module = "batos.guardian.portable"  # and its arguments

    def __init__(self) -> None:
        self.restarts = 0  # none to start again: each serves once
        self._wall: dict[str, Any] | None = None
        self._spares: deque[subprocess.Popen[bytes]] = deque()
        self._words: dict[subprocess.Popen[bytes], dict[str, Any]] = {}  # the first of those that have spoken
        self._live: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def launch(self) -> None:
        """Start an interpreter that waits for its draft, and return at once."""
        root = Path(__file__).resolve().parents[2]
        path = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
        # As isolated as with -I, which would also forget the hash seed: we write the whole environment.
        environment = {"PYTHONPATH": path, "PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"}
        if "SYSTEMROOT" in os.environ:  # Windows starts no Python without it
            environment["SYSTEMROOT"] = os.environ["SYSTEMROOT"]
        process = subprocess.Popen(
            [sys.executable, "-P", "-s", "-m", *self.module.split()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            cwd="/" if os.sep == "/" else None,
            start_new_session=True,  # a Ctrl-C on the terminal is the image's to handle
        )
        self._live.add(process)
        self._spares.append(process)

    def stop(self) -> None:
        """End every interpreter; safe to call twice."""
        self._stopped = True
        self._spares.clear()
        for process in list(self._live):
            self._end(process)

    def held(self) -> dict[str, Any]:
        """What the limits of the first interpreter hold, found by trying."""
        if self._wall is None:
            process = self._ready()
            self._wall = self._words[process]
            self._spares.appendleft(process)
        return self._wall

    def tried(self, drafts: list[str], rest: bytes, seconds: float, deadline: float) -> list[dict[str, str]]:
        """For each draft what its interpreter said (`said`, text) and how it ended (`end`)."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            works = [json.dumps(draft).encode() + b"\n" + rest for draft in drafts]
            told = list(pool.map(lambda work: self._one(work, seconds, deadline), works))
        while len(self._spares) < AT_ONCE and not self._stopped:
            self.launch()
        return told

    def _one(self, work: bytes, seconds: float, deadline: float) -> dict[str, str]:
        if time.monotonic() >= deadline:
            return {"said": "", "end": "deadline"}
        process = self._ready()
        ends = min(deadline, time.monotonic() + 2 * seconds + 0.25)
        heard: list[bytes] = []
        # Threads of our own that nobody waits for: what has broken out may hold the pipe open for ever.
        speaking = threading.Thread(target=self._hand, args=(process, work), daemon=True)
        hearing = threading.Thread(target=_hear, args=(process, heard), daemon=True)
        speaking.start(), hearing.start()
        hearing.join(max(0.0, ends - time.monotonic()))
        said = b"".join(heard)
        if hearing.is_alive():
            end = "deadline"
        elif len(said) > MAX_TOLD:
            end = "said too much"
        else:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.5)
            code = process.poll()
            violated = code == trial.VIOLATION
            end = "violation" if violated else f"signal {-code}" if code is not None and code < 0 else "ended"
        self._end(process)
        return {"said": said[:MAX_TOLD].removesuffix(trial.END).decode(errors="replace"), "end": end}

    def _ready(self) -> subprocess.Popen[bytes]:
        """An interpreter that has said its first word."""
        for _ in range(3):
            if self._stopped:
                raise Internal("the rehearsal was stopped")
            with self._lock:  # several drafts ask at once
                if not self._spares:
                    self.launch()
                process = self._spares.popleft()
            if process in self._words:
                return process
            killer = threading.Timer(START_SECONDS, process.kill)
            killer.start()
            try:
                self._words[process] = json.loads(process.stdout.readline())
                return process
            except ValueError:
                log.warning("an interpreter of the rehearsal ended before it was ready")
                self._end(process)
            finally:
                killer.cancel()
        raise Internal("no interpreter could be started for a rehearsal")

    def _hand(self, process: subprocess.Popen[bytes], work: bytes) -> None:
        with contextlib.suppress(OSError, ValueError):  # it has ended, or was ended
            process.stdin.write(struct.pack("!I", len(work)) + work)
            process.stdin.close()

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        process.kill()
        process.wait()
        self._live.discard(process)
        self._words.pop(process, None)
        with contextlib.suppress(OSError):
            process.stdin.close()


def _hear(process: subprocess.Popen[bytes], heard: list[bytes]) -> None:
    left = MAX_TOLD + 1
    with contextlib.suppress(OSError, ValueError):
        while left and (part := process.stdout.read1(min(left, 1 << 16))):
            heard.append(part)
            left -= len(part)


def main() -> None:
    """One interpreter: under limits, a first word about them, one draft, the end."""
    wall.keep_only(0, 1)
    space = wall.mapped() + MEMORY
    trial.warm_up()
    wall.give_up_root()
    wall.limit(CPU_SECONDS, space)
    geteuid = getattr(os, "geteuid", lambda: 1)
    told = {
        "tier": "portable",
        "seccomp": False,
        "landlock": None,
        "rlimits": _bounded(),
        "user": "root" if geteuid() == 0 else "nobody" if geteuid() == wall.NOBODY else "the same",
    }
    os.write(wall.OUT, json.dumps(told).encode() + b"\n")
    trial.serve(wall.IN, wall.OUT)
    os._exit(0)


def _bounded() -> bool:
    """Is memory bounded?  What was not written to costs nothing."""
    try:
        return not bytearray(2 * MEMORY)
    except MemoryError:
        return True


if __name__ == "__main__":
    sys.stdin = sys.stdout = None  # the pipes are ours, no print may disturb them
    main()
