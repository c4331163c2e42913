"""Verbs that care for an image as a whole: awaken it, look it over, pack, copy, bring back, let it sleep."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from batos.cli.calls import Call, Flag, asked, awake_record, call_awake, checked, existing, verb, whom
from batos.cli.telling import patience, say, show
from batos.errors import AlreadyAwake
from batos.message import Message
from batos.pages import readable


@verb(flags=(Flag("no-repl", "", "only serve, also on a terminal"),))
def awaken(call: Call) -> int:
    """open the image or give birth to it, and serve it (the verb when none is given)"""
    from batos.app import awaken as live

    repl = None
    if "no-repl" not in call.flags and sys.stdin.isatty() and sys.stdout.isatty():
        from batos.repl import run as repl
    return live(call.settings, repl, call.json)


@verb(flags=(Flag("scrub", "", "read every byte of the image and compare it with its digest"),), asleep=True)
def doctor(call: Call) -> int:
    """check the image and the machine under it; exit 1 if something fails"""
    from batos.pages import checks

    scrub = "scrub" in call.flags
    with patience("every byte of the image is read" if scrub else "the image is looked over"):
        files = _scrubbed_asleep(call) if scrub else []
        if any(check["state"] == "fail" for check in files):
            found = files
        else:
            found = asked(call, "kernel", "doctor", *[True] * (scrub and not files)).result + files
    show(call, found, checks)
    failed = {check["check"] for check in found if check["state"] == "fail"}
    return 9 if "scrub" in failed else 1 if failed else 0


def _scrubbed_asleep(call: Call) -> list[dict[str, Any]]:
    """What a scrub says of the files of a sleeping image; nothing where none sleeps here.

    They are read before it is opened, because a damaged image may not open any more, and opening may mend
    or cut off what should be looked at first.
    """
    endpoint, _ = whom(call)
    if endpoint is not None or not (call.settings.image / "live_image.fs").exists():
        return []
    from batos.doctor import scrub_files

    return scrub_files(call.settings.image)


@verb(asleep=True)
def pack(call: Call) -> int:
    """give back the room that old states of objects take"""
    with patience("the image is packed; messages are answered meanwhile"):
        told = asked(call, "kernel", "pack").result
    return show(call, told)


@verb(
    "DIR",
    1,
    1,
    flags=(
        Flag(
            "verify", "", "write nothing: read every byte of the backup in DIR and compare it with its digest"
        ),
    ),
    asleep=True,
)
def backup(call: Call) -> int:
    """copy the image into DIR, awake or asleep; the next time only what came since"""
    if "verify" in call.flags:
        from batos.image.backup import verify

        source = existing(call.args[0])
        with patience(f"every byte of {source} is read"):
            told = verify(source)
        return show(call, told)
    target = os.path.abspath(call.args[0])  # the image has a current folder of its own
    with patience(f"the image is copied to {target}"):
        told = asked(call, "kernel", "backup", target).result
    return show(call, told)


@verb(
    "DIR",
    1,
    1,
    flags=(Flag("to", "MOMENT", "as it was then: a transaction id, or a time: 2026-01-31T18:30"),),
)
def restore(call: Call) -> int:
    """bring an image back from the backup in DIR, verified, into an empty folder"""
    source = existing(call.args[0])
    _only_asleep(call)
    from batos.app import restore as bring_back

    with patience(f"{source} is brought back to {call.settings.image}, and every byte of it compared"):
        told = bring_back(call.settings, source, call.flags.get("to"))
    return show(call, told)


@verb("DIR", 1, 1, asleep=True)
def export(call: Call) -> int:
    """write the world into DIR as text that people read and git compares"""
    target = os.path.abspath(call.args[0])
    with patience(f"the image is written to {target}"):
        told = asked(call, "kernel", "export", target).result
    return show(call, told)


@verb("DIR", 1, 1, flags=(Flag("edited", "", "the text was changed by hand: its digests do not count"),))
def import_(call: Call) -> int:
    """build an image from exported text, as data only, in an empty folder"""
    source = existing(call.args[0])
    _only_asleep(call)
    from batos.app import import_image

    with patience(f"an image is built from {source} in {call.settings.image}"):
        told = import_image(call.settings, source, edited="edited" in call.flags)
    refused = told.get("refused", [])
    show(call, told, lambda facts: readable({key: facts[key] for key in facts if key != "refused"}))
    for one in refused:
        where = f"{one['object']} {one['selector']} version {one['version']}"
        say(f"{where} is kept but not installed: {one['why']} (rule {one['rule']}, line {one['line']})")
    return 1 if refused else 0


def _only_asleep(call: Call) -> None:
    """Raise `AlreadyAwake` where somebody serves the image; who else holds it is told by its storage."""
    record = awake_record(call.settings.image)
    if record is not None:
        raise AlreadyAwake(
            f"the image {call.settings.image} is awake: process {record['pid']} serves it "
            f"at {record['endpoint']} since {record.get('since')}",
            hint=call.command("stop"),
        )


@verb()
def stop(call: Call) -> int:
    """let the image go to sleep"""
    endpoint, _ = whom(call)
    result = checked(call_awake(endpoint, Message("kernel", "stop", timeout=call.timeout), call)).result
    pid = result.get("pid") if isinstance(result, dict) else None
    deadline = time.monotonic() + 6.0  # the image promises five
    while isinstance(pid, int) and time.monotonic() < deadline and _alive(pid):
        time.sleep(0.02)
    if isinstance(pid, int) and _alive(pid):
        say(f"the image was told to sleep, but its process {pid} still runs")
        return 1
    return show(call, result) if call.json else 0


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    # Ended, but its parent has not looked yet: done as far as anybody waits for it.
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return True
