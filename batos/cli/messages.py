"""Verbs that send: a message, a method, a question; and those that look at the thinking they set off."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from batos.cli.calls import (
    Call,
    Flag,
    argument,
    asked,
    awake_record,
    call_awake,
    checked,
    no_file,
    open_client,
    receiver,
    usage,
    verb,
    whom,
)
from batos.cli.progress import thinking
from batos.cli.telling import fail, say, show
from batos.errors import BadRequest, NoSuchObject, Refused
from batos.message import Message


@verb(
    "RECEIVER SELECTOR [ARG ...] [-k NAME=VALUE ...]",
    2,
    None,
    flags=(
        Flag("k", "NAME=VALUE", "an argument by name", many=True),
        Flag("miss", "mission|error", "what becomes of a message nobody understands"),
        Flag("no-wait", "", "where a mission is needed, answer its id and do not wait"),
        Flag("idem", "KEY", "run at most once under this key, however often it is sent"),
        Flag("at", "TID", "ask the image as it was right after a transaction; log tells their ids"),
        Flag("dry", "", "try it: say what it would answer and change, and keep nothing"),
    ),
)
def send(call: Call) -> int:
    """send one message; print its result as JSON

    ARG and VALUE are JSON, or plain text where they are not JSON.
    """
    to, selector, *args = call.args
    message = Message(
        receiver(to),
        selector,
        [argument(arg) for arg in args],
        _named(call),
        timeout=call.timeout,
        wait="no-wait" not in call.flags,
        miss=call.flags.get("miss"),
        idem=call.flags.get("idem"),
        at=call.flags.get("at"),
        dry="dry" in call.flags,
        stream=not {"no-wait", "at", "dry"} & set(call.flags),  # a mission may be waited for
    )
    endpoint, _ = whom(call)
    with thinking(to, selector) as tell:
        reply = call_awake(endpoint, message, call, tell)
    if reply.error is not None:
        return fail(call, reply)
    print(json.dumps(reply.to_wire() if call.json else reply.result, ensure_ascii=False))
    if message.dry and not call.json:
        from batos.pages import changed

        # Beside the result, which a script reads, and not in it.
        for words in changed(reply.changes or []) or ["nothing"]:
            say(f"would change {words}")
    return 0


def _named(call: Call) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for pair in call.flags.get("k", []):
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise usage(f"-k wants NAME=VALUE, not {pair!r}", call.verb)
        if name in named:
            raise usage(f"-k {name} was given twice", call.verb)
        named[name] = argument(value)
    return named


@verb("PATH FILE", 2, 2)
def define(call: Call) -> int:
    """install the method in FILE (-: standard input) through the guardian"""
    path, file = call.args
    try:
        source = (sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()).decode()
    except UnicodeDecodeError as exc:
        raise BadRequest(f"{file} is not UTF-8 text: {exc.reason} at byte {exc.start}") from exc
    except OSError as exc:
        raise no_file(file, exc) from exc
    try:
        return show(call, asked(call, receiver(path), "define", source).result)
    except Refused as error:
        from batos.pages import pointed

        for words in pointed(source, error):
            say(words)
        raise


@verb()
def repl(call: Call) -> int:
    """talk to the image line by line"""
    from batos.repl import run

    endpoint, _ = whom(call)
    with open_client(endpoint, call) as client:
        checked(client.call(Message("kernel", "ping", timeout=5.0)))
        record = awake_record(call.settings.image)
        here = record is not None and record["endpoint"] == endpoint
        return run(client, call.settings.image / "repl_history" if here else None)


@verb()
def missions(call: Call) -> int:
    """list the missions: what is being thought about, and what was"""
    return show(call, asked(call, "kernel", "missions").result)


@verb("ID", 1, 1)
def mission(call: Call) -> int:
    """one mission: its plan, drafts, verdict and answer"""
    from batos.psm.report import report

    return show(call, asked(call, "kernel", "mission", call.args[0]).result, report)


@verb("ID", 1, 1)
def replay(call: Call) -> int:
    """run a mission again from the journal, without the mind; nothing of it is kept

    Exit 0: it came to the same end with the same method.
    """
    told = asked(call, "kernel", "replay", call.args[0]).result
    show(call, told)
    if not told["same"]:
        say(
            f"mission {told['mission']} came to {told['was']} then and comes to {told['state']} now: {told['why']}"
        )
    return 0 if told["same"] else 1


@verb("ID", 1, 1)
def cancel(call: Call) -> int:
    """end a mission, or a message that waits; nothing is changed by it"""
    if not asked(call, "kernel", "cancel", call.args[0]).result:
        raise NoSuchObject(
            f"nothing that runs or waits is called {call.args[0]!r}", hint=call.command("missions")
        )
    return 0


@verb("TEXT", 1, None, flags=(Flag("session", "NAME", "go on with the conversation of that name"),))
def ask(call: Call) -> int:
    """a question to the Composite Mind

    Arithmetic, algebra, units, dates and simple logic are answered exactly, questions about objects
    from the objects, others from what is remembered, with the place it stands. What is told and asks
    nothing is remembered.
    """
    from batos.pages import Growing, answered

    text, session = " ".join(call.args), {}
    if "session" in call.flags:
        session["session"] = call.flags["session"]
    if call.json or not sys.stdout.isatty():
        return show(call, asked(call, "kernel", "ask", text, kw=session).result, answered)
    growing = Growing(sys.stdout)
    growing.end(asked(call, "kernel", "ask", text, kw=session, tell=growing.tell).result)
    return 0
