"""README's transcript really runs: every command of its console blocks, in order, on one image.

``...`` in the expected text stands for anything, and blanks for any blanks. An id of 16 hexadecimal digits, or of 12,
stands for the one that is printed there, also in the commands that follow. What a command prints is its
stdout, or its stderr where there is no stdout, or both.

A command of batos alone, to an image that is awake, is run by the command line in this process, which is what it
would come to in its own; a shell runs every other line, and every command to an image that sleeps.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from batos.cli import main

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
WHEN = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
ID = re.compile(r"\b(?:[0-9a-f]{16}|[0-9a-f]{12})\b")


def commands(text):
    """(command, expected output) of every console block."""
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, expected = part.partition("\n")
            yield command, expected


def matched(expected, got):
    """The ids of the expected text and what stands for them, or None where the texts differ."""
    pattern, ids = "", ID.findall(expected)
    for piece in re.split(rf"(\.\.\.|\s+|{ID.pattern})", WHEN.sub("...", expected.strip())):
        if piece == "...":
            pattern += ".*"
        elif ID.fullmatch(piece):
            pattern += f"([0-9a-f]{{{len(piece)}}})"
        else:
            pattern += r"\s+" if piece.isspace() else re.escape(piece)
    found = re.fullmatch(pattern, got.strip(), re.DOTALL)
    return dict(zip(ids, found.groups(), strict=True)) if found else None


def words_of(command):
    """The words behind `scripts/awaken` where that is the whole of the command, else None."""
    words = list(shlex.shlex(command, posix=True, punctuation_chars=True))
    quoted = shlex.split(command)
    return (
        quoted[1:]
        if quoted[0] == "scripts/awaken" and not {"|", "<", ">", ">>", "&", "&&", ";"} & set(words)
        else None
    )


def test_only_a_command_that_stands_alone_is_run_without_a_shell():
    assert words_of("scripts/awaken send a put b '{\"c\": [1]}'") == ["send", "a", "put", "b", '{"c": [1]}']
    for command in (
        "echo a > b",
        "printf x | scripts/awaken define a -",
        "scripts/awaken stop && ls",
        "mkdir notes",
    ):
        assert words_of(command) is None


def test_ids_and_blanks_of_a_transcript_stand_for_what_is_printed():
    told = "time  id\n2026-01-02 03:04:05  040d2820b2826d66  put\n"
    got = "time                 id\n2026-11-21 09:00:00  0123456789abcdef  put\n"
    assert matched(told, got) == {"040d2820b2826d66": "0123456789abcdef"}
    assert matched(told, got.replace("put", "get")) is None and matched("a...c", "abc") == {}


def test_the_transcript_prints_what_readme_says(awaken, tmp_path, monkeypatch, capfd):
    if not shutil.which("git"):
        pytest.skip("the transcript shows a `git diff`, and git is not installed")
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    (here / "README.md").symlink_to(README)
    image, seen, ids = None, 0, {}
    for command, expected in commands(README.read_text()):
        if command == "kill -9 %1":
            image.kill9()
            continue
        if command.endswith("&"):
            born = image is None
            image = image.start() if image else awaken(here / "image")
            assert image.line["born"] is born and ("is born" in expected) is born
            assert image.line["mind"] in expected
            continue
        for told, found in ids.items():
            command = command.replace(told, found)
        words = words_of(command) if image is not None and image.process.poll() is None else None
        if words is not None:
            capfd.readouterr()
            main(words)
            printed = capfd.readouterr()
            stdout, stderr = printed.out, printed.err
        else:
            batos = f"{shlex.quote(sys.executable)} -m batos"
            done = subprocess.run(
                command.replace("scripts/awaken", batos),
                shell=True,
                capture_output=True,
                text=True,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                timeout=180,
            )
            stdout, stderr = done.stdout, done.stderr
        outputs = (stdout or stderr, stdout + stderr)
        found = next((ids for ids in (matched(expected, got) for got in outputs) if ids is not None), None)
        assert found is not None, f"$ {command}\nREADME says:\n{expected}\nit printed:\n{stdout}\n{stderr}"
        ids |= found
        seen += 1
    assert seen > 25
