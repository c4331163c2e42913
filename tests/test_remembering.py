"""The verb `remember` as a person at a terminal has it: a bar while the image reads, ^C, and going on from there."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

import pytest

from batos.config import Settings
from batos.knowledge import ingestion, structure
from batos.knowledge.embedding import LexicalEmbedder
from batos.server import Server
from tests.test_catalog import file

PARTS = 60


class Slow(LexicalEmbedder):
    """Takes its time, so that somebody can lose patience, and counts what it was given to read."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.seconds = 0.3

    def encode_parts(self, windows):
        time.sleep(self.seconds)
        self.read += [text for _, parts in windows for text in parts]
        return super().encode_parts(windows)


@pytest.fixture
def door(system, monkeypatch):
    monkeypatch.setattr(structure, "STRETCH", 600)
    monkeypatch.setattr(ingestion, "CHARACTERS_A_TURN", 600)
    system.memory.embedder = Slow()
    served = Server(system.kernel, Settings(endpoint="tcp://127.0.0.1:*"))
    served.start()
    yield served.endpoint
    served.stop()


class Terminal:
    """A command line at a pseudo-terminal; `seen` is what its screen got."""

    def __init__(self, *words: str):
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 100, 0, 0))
        line = [sys.executable, "-m", "batos", *words]
        self.process = subprocess.Popen(line, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, text=True)
        os.close(theirs)
        self.seen = ""

    def until(self, pattern: str, seconds: float = 30.0) -> str:
        """What was shown once `pattern` is seen, or the terminal is left."""
        end = time.monotonic() + seconds
        while not re.search(pattern, self.seen) and time.monotonic() < end:
            if select.select([self._ours], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self._ours, 4096).decode(errors="replace")
                except OSError:  # nobody has the other side open any more
                    break
        return self.seen

    def left(self) -> tuple[int, str]:
        """(exit code, what went to stdout) once the process has ended by itself."""
        self.until("(?!)")
        code, out = self.process.wait(timeout=30), self.process.stdout.read()
        self.process.stdout.close()
        os.close(self._ours)
        return code, out


def test_a_large_document_shows_how_far_it_is_stops_at_the_first_ctrl_c_and_goes_on_from_there(
    door, system, tmp_path
):
    text = "".join(
        f"The secret of part {n} is the word walnut{n}. Nobody ever told it.\n\n" for n in range(PARTS)
    )
    path = file(tmp_path, "book.txt", text)
    embedder = system.memory.embedder
    first = Terminal("--endpoint", door, "remember", str(path))
    bar = r"book\.txt: +\d+%\|.*\d/\d\.\d+k \[\d\d:\d\d<\d\d:\d\d, +[\d.]+k?B/s\]"  # share, rate, time that is left
    assert re.search(bar, first.until(bar)), first.seen
    first.process.send_signal(signal.SIGINT)
    assert first.left() == (130, "")
    assert "stopped: what was read is kept, and the same command goes on from there" in first.seen
    deadline = time.monotonic() + 5
    while system.kernel.stats()["waiting"] and time.monotonic() < deadline:
        time.sleep(0.02)
    left_at = len(embedder.read)
    time.sleep(2 * embedder.seconds)
    done = len(embedder.read)  # a stretch may have been on its way
    time.sleep(3 * embedder.seconds)
    assert 0 < done == len(embedder.read) <= left_at + 30  # the image reads no further, either
    assert done < PARTS
    assert system.memory.recall("secret of part 1 walnut1") == []  # all of it or nothing
    embedder.seconds = 0.0
    code, out = Terminal("--endpoint", door, "remember", str(path)).left()
    assert code == 0 and "documents: 1" in out
    again = set(embedder.read[:done]) & set(embedder.read[done:])
    assert len(again) <= 30  # what was kept is not read again: a stretch at most was on its way
    for n in (1, PARTS - 1):
        found = system.memory.recall(f"secret of part {n} walnut{n}", top=1)[0]
        assert f"walnut{n}" in found["text"] and text[found["start"] : found["end"]] == found["text"]


def test_a_folder_off_a_terminal_has_no_bar_and_is_unchanged_the_second_time(door, cli, tmp_path):
    for name in "abc":
        file(tmp_path, f"notes/{name}.md", f"# {name}\n\nThe {name} of the mill.\n")
    told = cli("--endpoint", door, "--json", "remember", str(tmp_path / "notes"))
    assert '"documents": 3' in told.stdout and "%" not in told.stderr and "the image reads" in told.stderr
    assert '"unchanged": 3' in cli("--endpoint", door, "--json", "remember", str(tmp_path / "notes")).stdout
