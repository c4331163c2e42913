"""Runs the payloads: in process under the policy, behind the wall with the policy off, and, as the control,
with neither.  Every report is a list of `Report`, one a payload, in their order."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batos.guardian.rehearsal import Rehearsal
from batos.objects import snapshot
from scripts.escapes import hostile
from scripts.escapes.canaries import Canaries
from scripts.escapes.payloads import Payload, every
from scripts.hearing import hearing

ROOT = Path(__file__).resolve().parents[2]
AT_ONCE = 20  # payloads in one trial, beside an honest draft
SECONDS = 0.1  # a payload is ended after twice that and a quarter second
HONEST = "def m(self, path, port, pid, won):\n    return 'honest'\n"


@dataclass(slots=True)
class Report:
    """What became of a payload: how it ended, what was said of it; `found`: what it should not have done."""

    payload: Payload
    end: str
    said: str = ""
    attempted: dict[str, int] = field(default_factory=dict)
    found: list[str] = field(default_factory=list)


def under_policy(only: str = "") -> list[Report]:
    """The payloads whose family or name holds `only`, in process under the policy; if the process ends, that
    is a finding, and the next one goes on."""
    payloads, reports, first = [each for each in every() if only in str(each)], [], 0
    with Canaries() as canaries:
        while first < len(payloads):
            words = [only, str(first), *map(str, canaries.arguments)]
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "scripts.escapes.policy", *words],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=canaries.folder,
                env=_environment(),
            )  # fmt: skip
            printed: list[str] = []
            for line in process.stdout:
                try:
                    told = json.loads(line)
                    first = told["number"]
                except (ValueError, TypeError, KeyError):
                    printed = ["printed"]
                    continue
                if "begins" in told:
                    printed = []
                    continue
                report = Report(
                    payloads[first],
                    told["end"],
                    told.get("said") or f"{told.get('rule')}, line {told.get('line')}",
                )
                report.found = told["found"] + printed + canaries.told(report.said) + canaries.touched()
                reports.append(report)
                first += 1
            code = process.wait()
            if first < len(payloads):
                reports.append(
                    Report(
                        payloads[first], "ended the process", f"exit code {code}", found=[f"exit code {code}"]
                    )
                )
                first += 1
    return reports


def behind_wall(payloads: Iterable[Payload], how: str = "") -> list[Report]:
    """Each payload as plain Python in a walled child, through the same pipes as any draft.

    Beside each twenty an honest draft runs, whose outcome nobody may disturb.  `how` is empty, `root` (which
    is not given up then), or `portable`: the interpreters, which are no wall.
    """
    reports: list[Report] = []
    payloads = list(payloads)
    stage = Rehearsal(True, how == "portable")
    stage._tier.module = f"scripts.escapes.hostile {how}"
    with Canaries() as canaries:
        stage._tier.launch()
        try:
            for start in range(0, len(payloads), AT_ONCE):
                with hearing(_untoward if how != "portable" else _nothing) as events:
                    reports += _batch(stage, payloads[start : start + AT_ONCE], canaries, events)
        finally:
            stage.stop()
    return reports


def _batch(stage: Rehearsal, payloads: list[Payload], canaries: Canaries, events: list[str]) -> list[Report]:
    sources = [*(payload.source for payload in payloads), HONEST]
    given = {
        "circle": snapshot.to_data(hostile.receiver(), []), "selector": "m", "seconds": SECONDS,
        "calls": [{"slots": None, "args": canaries.arguments, "kw": {}}], "drafts": sources,
    }  # fmt: skip
    restarts, raw = stage.restarts, []
    tried = stage._tier.tried

    def overheard(*arguments: Any) -> list[dict[str, str]]:
        raw.extend(tried(*arguments))
        return raw

    stage._tier.tried = overheard
    try:
        outcomes = stage.run(given, time.monotonic() + 60)
    finally:
        stage._tier.tried = tried
    reports = []
    for payload, told, (outcome,) in zip([*payloads, None], raw, outcomes, strict=True):
        found = canaries.told(told["said"], payload is not None and payload.outside)
        try:
            json.dumps(outcome, allow_nan=False, ensure_ascii=False).encode()
        except (ValueError, RecursionError) as exc:
            found.append(f"an outcome that cannot be told: {exc}")
        if payload is None:
            if outcome.get("result") != "honest":
                reports[-1].found.append(f"the honest draft beside it came out as {outcome}")
            break
        attempted = outcome["changes"].get("attempted", {}) if isinstance(outcome["changes"], dict) else {}
        said = str(
            outcome.get("result", outcome.get("unknown", f"{outcome.get('error')} {outcome.get('message')}"))
        )
        reports.append(Report(payload, told["end"], said[:200], attempted, found))
    shared = canaries.touched() + [f"event {each} in the image's process" for each in events]
    if stage.restarts != restarts:
        shared.append("the zygote ended")
    reports[-1].found += shared  # of one of these; run them one by one to see which
    return reports


def _untoward(event: str, _: Any) -> bool:
    """What no trial has this process do, which stands for the image's."""
    return event.partition(".")[0] in ("subprocess", "pickle", "ctypes", "mmap")


def _nothing(event: str, _: Any) -> bool:
    """The portable tier starts an interpreter for each trial."""
    return False


def unwalled(
    payloads: Iterable[Payload], progress: Callable[[Payload], None] = lambda payload: None
) -> list[Report]:
    """The control: each payload that is `real`, as plain Python without policy and wall.

    What is found here is what the payload does where nothing stops it.
    """
    hostile.prepare()
    reports = []
    for payload in payloads:
        progress(payload)
        with Canaries() as canaries:
            said, end = _in_child(payload, canaries)
            found = canaries.told(said) + canaries.touched()
            reports.append(Report(payload, end, said[-200:], found=found))
    return reports


def _in_child(payload: Payload, canaries: Canaries) -> tuple[str, str]:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setpgid(0, 0)
            signal.alarm(5)
            os.close(reading)
            os.dup2(os.open(os.devnull, os.O_RDWR), 0)
            os.dup2(writing, 1)
            os.dup2(os.open(os.devnull, os.O_RDWR), 2)
            circle = snapshot.to_data(hostile.receiver(), [])
            os.write(1, json.dumps(hostile.tried(payload.source, circle, canaries.arguments)).encode())
        finally:
            os._exit(0)
    os.close(writing)
    parts = []
    while part := os.read(reading, 1 << 16):
        parts.append(part)
        if len(parts) > 100:
            os.kill(pid, signal.SIGKILL)
            break
    os.close(reading)
    status = os.waitpid(pid, 0)[1]
    return b"".join(parts).decode(errors="replace"), f"status {status}"


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}
