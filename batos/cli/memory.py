"""Verbs of the fractal memory: documents in and out, and what is found in them."""

from __future__ import annotations

import os
import secrets
from typing import Any

from batos.cli.calls import Call, Flag, argument, asked, call_awake, checked, existing, usage, verb, whom
from batos.cli.progress import following
from batos.cli.telling import say, show
from batos.message import Message
from batos.pages import readable

KINDS = ("markdown", "text", "chat", "python", "code")  # of what is remembered


@verb("FILE ...", 0, None, flags=(Flag("forget", "SOURCE", "take a document out again", many=True),))
def remember(call: Call) -> int:
    """put documents or folders into the fractal memory

    Text, Markdown, HTML, PDF, source code, mail (.eml, .mbox), exported conversations (.json); and of
    the image itself: image:PATH for an object, image:missions for what its missions came to.
    """
    forget = [_source(source) for source in call.flags.get("forget", [])]
    if not call.args and not forget:
        raise usage("remember wants a FILE, a folder, or --forget SOURCE", call.verb)
    paths = [arg if arg.startswith("image:") else existing(arg) for arg in call.args]
    message = Message(
        "kernel",
        "remember",
        [paths],
        {"forget": forget} if forget else {},
        id=f"remember-{secrets.token_hex(8)}",
        timeout=call.timeout,
        stream=True,
    )
    endpoint = whom(call)[0]
    what = paths[0] if len(paths) == 1 else f"{len(paths)} files and folders"
    try:
        with following(f"the image reads {what}; a large one takes a while" if paths else "") as tell:
            reply = checked(call_awake(endpoint, message, call, tell))
    except KeyboardInterrupt:
        call_awake(endpoint, Message("kernel", "cancel", [message.id]), call)
        say("stopped: what was read is kept, and the same command goes on from there")
        return 130
    skipped = reply.result.get("skipped", [])
    show(call, reply.result, lambda told: readable({name: told[name] for name in told if name != "skipped"}))
    for one in skipped:
        say(f"{one['source']} was left out: {one['why']}")
    # A picture somewhere in a folder is no failure; a file that was named and not taken in is one.
    return 1 if any(one["source"] in paths for one in skipped) else 0


@verb(
    "[QUERY]",
    0,
    None,
    flags=(
        Flag("top", "N", "how many passages (5)"),
        Flag("source", "PATH", "only from this file, or from files under this folder"),
        Flag("kind", "KIND", "only markdown (also HTML, PDF and mail), text, chat, python or code"),
        Flag("persona", "NAME", "only what this persona remembered"),
        Flag("since", "DATE", "only what was remembered since"),
        Flag("until", "DATE", "only what was remembered until then"),
        Flag("at", "TID", "what was known right after this transaction"),
        Flag("why", "", "also what made each an answer"),
        Flag("exact", "", "only the sentence or few of each passage that answer"),
        Flag("tokens", "N", "the best text for so many tokens, passages that touch joined to one"),
        Flag("like", "PATH:OFFSET", "passages like the one that stands there, instead of QUERY"),
    ),
    asleep=True,
)
def recall(call: Call) -> int:
    """search the fractal memory"""
    from batos.pages import passages

    top, tokens = (_count(call, name) for name in ("top", "tokens"))
    only: dict[str, Any] = {
        name: call.flags[name] for name in ("kind", "persona", "at") if name in call.flags
    }
    if "like" in call.flags:
        others = {"source", "kind", "persona", "since", "until", "why", "exact", "tokens"}
        if call.args or others & set(call.flags):
            raise usage("--like stands alone, with --top and --at at most", call.verb)
        source, _, place = call.flags["like"].rpartition(":")
        source, place = (source, int(place)) if source and place.isdecimal() else (call.flags["like"], 0)
        found = asked(call, "kernel", "alike", _source(source), place, top or 5, kw=only)
        return show(call, found.result, passages)
    if not call.args:
        raise usage("recall wants a QUERY, or --like PATH:OFFSET", call.verb)
    if "kind" in call.flags and call.flags["kind"] not in KINDS:
        raise usage(f"--kind is one of {', '.join(KINDS)}, not {call.flags['kind']!r}", call.verb)
    if "source" in call.flags:
        only["source"] = _source(call.flags["source"])
    only |= {name: _moment(call, name) for name in ("since", "until") if name in call.flags}
    if tokens:
        if top or {"why", "exact"} & set(call.flags):
            raise usage(
                "--tokens says how much is answered; --top, --why and --exact go with passages", call.verb
            )
        found = asked(call, "kernel", "context_for", " ".join(call.args), tokens, kw=only)
        return show(call, found.result, passages)
    only |= {name: True for name in ("why", "exact") if name in call.flags}
    found = asked(call, "kernel", "recall", " ".join(call.args), top or 5, kw=only)
    return show(call, found.result, passages)


def _source(source: str) -> str:
    """What a document is remembered under: an absolute path, image:PATH for an object of the image, the
    conversation:NAME/TURN in which it was told, or fact:ABOUT."""
    # As `itself.NO_FILES`, which would import what only the image needs.
    return source if source.startswith(("image:", "conversation:", "fact:")) else os.path.abspath(source)


def _count(call: Call, name: str) -> int | None:
    """The whole number above 0 that a flag says; None where it is not there."""
    if name not in call.flags:
        return None
    value = argument(call.flags[name])
    if type(value) is not int or value < 1:
        raise usage(f"--{name} wants a whole number, 1 or more, not {call.flags[name]!r}", call.verb)
    return value


def _moment(call: Call, name: str) -> float:
    """The moment a flag says, in seconds since the epoch; a day that something lasts until is meant whole."""
    from datetime import datetime, timedelta

    said = call.flags[name]
    try:
        moment = datetime.fromisoformat(said)
    except ValueError:
        raise usage(f"--{name} wants a date such as 2026-05-01, not {said!r}", call.verb) from None
    whole = name == "until" and len(said) <= len("2026-05-01")
    return (moment + timedelta(days=whole)).timestamp()
