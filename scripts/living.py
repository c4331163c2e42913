"""A real batos process to talk to: what the stories of the suite and the benchmarks both need.

`Awake` starts `python -m batos` on an image of its own, waits for its line, and ends no other process.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

BIRTH_SECONDS = 60.0  # a slow disk, a busy machine; an awake line on an idle laptop takes about one
SLEEP_SECONDS = 10.0  # the contract promises five


@dataclass
class Awake:
    """A process `python -m batos` that serves `image` at `endpoint`; `line` is what it said when ready."""

    image: Path
    endpoint: str
    flags: list[str] = field(default_factory=list)
    environ: dict[str, str] = field(default_factory=dict)
    line: dict[str, Any] = field(default_factory=dict)
    process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def log(self) -> Path:
        """Everything the process wrote to stderr, over all its lives."""
        return self.image.with_name(self.image.name + ".log")

    def start(self) -> Awake:
        """Awaken and wait for the line.  Raises with the log if the process ends or stays silent."""
        command = [sys.executable, "-m", "batos", "--image", str(self.image), "--endpoint", self.endpoint]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [*command, "--no-repl", "--json", *self.flags],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True,
                env=os.environ | self.environ,
            )  # fmt: skip
        first = first_line(self.process.stdout, BIRTH_SECONDS)
        if not first:
            self.kill9()
            told = self.log.read_text()[-4000:]
            raise AssertionError(f"no awake line within {BIRTH_SECONDS:.0f} s; its log:\n{told}")
        self.line = json.loads(first)
        return self

    def cli(self, *words: Any, stdin: str = "", timeout: float = 120.0) -> subprocess.CompletedProcess[str]:
        """`python -m batos --image IMAGE WORDS...` as a process of its own, its output captured."""
        return run_batos("--image", self.image, *words, stdin=stdin, timeout=timeout)

    def said(self, *words: Any) -> Any:
        """The same, which has to succeed: the JSON it printed."""
        done = self.cli(*words)
        assert done.returncode == 0, f"batos {' '.join(map(str, words))} -> {done.returncode}: {done.stderr}"
        return json.loads(done.stdout)

    def client(self):
        """A blocking client of this image."""
        from batos import Client

        return Client(self.endpoint)

    def kill9(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Ask it to sleep as `kill PID` does; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(SLEEP_SECONDS)

    def restart(self) -> Awake:
        """Awaken again on the same image, putting it to sleep first where it is still awake."""
        if self.process.poll() is None:
            self.stop()
        return self.start()

    def end(self) -> None:
        """Whatever state it is in, gone."""
        if self.process is not None and self.process.poll() is None:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self.kill9()


def first_line(stream: IO[str], seconds: float) -> str:
    """The first line, or nothing after `seconds`; the rest is read away, a full pipe must stop nobody."""
    lines: queue.Queue[str] = queue.Queue()

    def read() -> None:
        for line in stream:
            lines.put(line)
        lines.put("")

    threading.Thread(target=read, daemon=True).start()
    try:
        return lines.get(timeout=seconds)
    except queue.Empty:
        return ""


def run_batos(
    *words: Any, stdin: str = "", timeout: float = 120.0, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """`python -m batos WORDS...` to its end, output captured as text."""
    command = [sys.executable, "-m", "batos", *map(str, words)]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout, cwd=cwd)


def free_tcp_endpoint() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"
