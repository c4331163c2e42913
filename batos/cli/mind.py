"""Verbs of the mind: which model thinks, which experts speak, and ALFRED's audit."""

from __future__ import annotations

import os
from pathlib import Path

from batos.cli.calls import PROGRAM, Call, Flag, asked, existing, no_file, usage, verb
from batos.cli.progress import following
from batos.cli.telling import say, show


@verb(flags=(Flag("last", "", "the last report instead"),))
def audit(call: Call) -> int:
    """ALFRED looks the image over now, and reports"""
    wanted = {"last": True} if "last" in call.flags else {}
    return show(call, asked(call, "kernel", "audit", kw=wanted).result)


@verb("DIR_OR_HUB_ID", 1, 1, asleep=True)
def incarnate(call: Call) -> int:
    """make a model the mind: a folder of Hugging Face files, or OWNER/NAME of a hub

    Size, licence, room and budget are told first. The mind before stays in the image:
    minds --use NAME goes back to it.
    """
    source = call.args[0]
    if Path(source).is_dir():
        source = os.path.abspath(source)
    elif source.startswith(("/", ".", "~")) or "/" not in source:
        raise no_file(source, FileNotFoundError(2, "no such folder"))
    told = asked(call, "kernel", "incarnate", source, kw={"look": True}).result
    quantised = f", {told['quantise']} when it is in" if told["quantise"] else ""
    say(f"{told['name']}: {told['parameters']:,} parameters{quantised}, licence {told['licence']}")
    say(
        f"{told['files']} files of {told['bytes'] / 1e6:,.1f} MB; {told['disk'] / 1e6:,.1f} MB are written, "
        f"{told['disk_free'] / 1e6:,.0f} MB are free"
    )
    say(
        f"its weights take {told['memory'] / 1e6:,.1f} MB of {told['budget'] / 1e6:,.0f} MB {told['device']} "
        f"(profile {told['profile']})"
    )
    with following() as tell:
        report = asked(call, "kernel", "incarnate", source, tell=tell).result
    return show(call, report)


@verb(
    flags=(
        Flag("use", "NAME", "go to that mind"),
        Flag("forget", "NAME", "let that mind and its experts go"),
    ),
    asleep=True,
)
def minds(call: Call) -> int:
    """list the minds of the image, go to another, or forget one"""
    wanted = {name: call.flags[name] for name in ("use", "forget") if name in call.flags}
    return show(call, asked(call, "kernel", "minds", kw=wanted).result)


@verb(
    "[--stage [PATH ...]]",
    0,
    None,
    flags=(
        Flag("stage", "", "take in the adapters at PATH (lora_staging/ of the current directory)"),
        Flag("export", "NAME", "write it to DIR/NAME/ as peft and vLLM load it: --export NAME DIR"),
        Flag("rename", "OLD", "give it another name: --rename OLD NEW"),
        Flag("remove", "NAME", "take it out of the image"),
    ),
    asleep=True,
)
def experts(call: Call) -> int:
    """list the experts, take adapters in, or give one out, another name or away"""
    chosen = [name for name in ("stage", "export", "rename", "remove") if name in call.flags]
    if len(chosen) > 1:
        raise usage(f"experts does one thing at a time, not --{chosen[0]} and --{chosen[1]}", call.verb)
    if chosen and chosen[0] != "stage":
        return _one_expert(call, chosen[0], call.flags[chosen[0]])
    if not chosen:
        if call.args:
            raise usage(f"experts takes a folder only after --stage, not {call.args[0]!r}", call.verb)
        return show(call, asked(call, "kernel", "experts").result)
    paths = [existing(arg) for arg in call.args] or [str(call.settings.staging.absolute())]
    result = asked(call, "kernel", "stage", paths).result
    show(call, result)
    for one in result["refused"]:
        say(f"{one['path']} was refused: {one['reason']}")
    return 1 if result["refused"] else 0


def _one_expert(call: Call, what: str, name: str) -> int:
    """`--export NAME DIR`, `--rename OLD NEW`, `--remove NAME`: the second word is the verb's argument."""
    second = {"export": "DIR", "rename": "NEW"}.get(what)
    if len(call.args) != (1 if second else 0):
        reads = f"--{what} {'OLD' if what == 'rename' else 'NAME'}{f' {second}' if second else ''}"
        raise usage(f"it reads: {PROGRAM} experts {reads}", call.verb)
    args = [os.path.abspath(call.args[0])] if what == "export" else call.args
    return show(call, asked(call, "kernel", f"{what}_expert", name, *args).result)
