"""README's transcript really runs: every command of its console blocks, in order, on one image.

``...`` in the expected text stands for anything; what a command prints is its stdout, then its stderr.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"


def commands(text):
    """(command, expected output) of every console block."""
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, expected = part.partition("\n")
            yield command, expected


def matches(expected, got):
    pattern = ".*".join(re.escape(part) for part in expected.strip().split("..."))
    return re.fullmatch(pattern, got.strip(), re.DOTALL) is not None


def test_the_transcript_prints_what_readme_says(awaken):
    image, seen = None, 0
    for command, expected in commands(README.read_text()):
        if command.endswith("&"):
            image = awaken()
            assert image.line["born"] and image.line["mind"] in expected
            continue
        batos = f"{shlex.quote(sys.executable)} -m batos --image {shlex.quote(str(image.image))}"
        done = subprocess.run(
            command.replace("scripts/awaken", batos),
            shell=True,
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=180,
        )
        got = done.stdout or done.stderr
        assert matches(expected, got), (
            f"$ {command}\nREADME says:\n{expected}\nit printed:\n{got}\n{done.stderr}"
        )
        seen += 1
    assert seen > 10
