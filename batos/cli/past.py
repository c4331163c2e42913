"""Verbs that look: at an object, and at what was changed; and that take a change back."""

from __future__ import annotations

from batos.cli.calls import Call, Flag, argument, asked, receiver, usage, verb
from batos.cli.telling import show


@verb("PATH", 1, 1, asleep=True)
def inspect(call: Call) -> int:
    """an object: its slots, parents and methods, and who wrote them"""
    from batos.pages import described

    return show(call, asked(call, receiver(call.args[0]), "describe").result, described)


@verb("PATH [SELECTOR]", 1, 2, asleep=True)
def history(call: Call) -> int:
    """the versions of its methods, and who changed which of its slots when and why"""
    from batos.pages import past

    return show(call, asked(call, "kernel", "history", *call.args).result, past)


@verb(flags=(Flag("n", "N", "how many of the newest (50)"),), asleep=True)
def log(call: Call) -> int:
    """what changed the image, newest last: when, who and why"""
    from batos.pages import logged

    last = [argument(call.flags["n"])] if "n" in call.flags else []
    if last and (type(last[0]) is not int or last[0] < 1):
        raise usage(f"-n wants a whole number, 1 or more, not {call.flags['n']!r}", call.verb)
    return show(call, asked(call, "kernel", "log", *last).result, logged)


@verb("PATH SELECTOR [VERSION]", 2, 3)
def revert(call: Call) -> int:
    """put the version before back, or the one named"""
    path, selector, *version = call.args
    return show(call, asked(call, receiver(path), "revert", selector, *map(argument, version)).result)


@verb("[MESSAGE_OR_MISSION]", 0, 1)
def undo(call: Call) -> int:
    """take back the last change, or what a message or a mission changed

    Its id stands in log; a transaction's is taken too, where it held one message. What others
    did since stays; where they changed the same again, nothing is taken back.
    """
    from batos.pages import taken

    told = asked(call, "kernel", "undo", *call.args).result
    return show(call, told, lambda told: taken(told, "taken back"))


@verb()
def redo(call: Call) -> int:
    """do again what was taken back last"""
    from batos.pages import taken

    return show(call, asked(call, "kernel", "redo").result, lambda told: taken(told, "done again"))
