"""What a person or a script is told: data on stdout, words on stderr, each error with the next command."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from batos.cli.calls import PROGRAM, Call
from batos.errors import BatosError, NoSuchFile
from batos.message import Reply
from batos.pages import readable, sentences

REMARKABLE = 2.0  # seconds a verb works before it says on what


def fail(call: Call, reply: Reply) -> int:
    """Tell an error: the sentence, what is near, and the next command; its exit code."""
    error = reply.error
    if call.json:
        print(json.dumps(reply.to_wire() if reply.id else {"error": error.to_wire()}, ensure_ascii=False))
    for words in sentences(error):
        say(words)
    hint = error.hint or ""
    if "--image" not in hint and "--endpoint" not in hint:
        hint = hint.replace(PROGRAM, call.command("").rstrip())
    command = PROGRAM in hint or (hint and isinstance(error, NoSuchFile))
    if hint and not command:
        say(f"hint: {hint}")
    say(f"next: {hint if command else _next(call, error)}")
    return error.exit_code


def _next(call: Call, error: BatosError) -> str:
    """The next command where the error brought none of its own."""
    import shlex

    path = (
        call.args[0]
        if call.args and call.verb.name in ("send", "define", "inspect", "history", "revert")
        else "lobby"
    )
    selector = call.args[1] if len(call.args) > 1 and call.verb.name == "send" else "SELECTOR"
    words = {
        "no_such_object": "inspect lobby",
        "not_understood": f"inspect {path}",
        "ambiguous": f"inspect {path}",
        "wrong_arguments": f"inspect {path}",
        "method_error": f"send {path} source {selector}",
        "refused": f"{call.verb.name} {shlex.join(call.args)}",
        "mission_failed": f"mission {error.mission}" if error.mission else f"define {path} FILE",
        "conflict": f"inspect {path}",
        "deadline": f"--timeout 60 {call.verb.name} {shlex.join(call.args)}".rstrip(),
        "no_mind": f"define {path} FILE",
        "busy": "missions",
        "cancelled": "missions",
        "nobody_awake": "awaken",
        "already_awake": "stop",
        "internal": "doctor",
        "damaged": "doctor",
    }.get(error.code, f"{call.verb.name} --help")
    return call.command(words)


def say(words: str) -> None:
    """Words to a person, on stderr; what no terminal can show is escaped."""
    text = words.encode("utf-8", "backslashreplace").decode()
    sys.stderr.buffer.write(f"batos: {text}\n".encode(sys.stderr.encoding or "utf-8", "backslashreplace"))
    sys.stderr.flush()


def show(call: Call, data: Any, form: Callable[[Any], str] | None = None) -> int:
    """Data to stdout: JSON where asked for, else as a person reads it."""
    print(json.dumps(data, ensure_ascii=False) if call.json else (form or readable)(data))
    return 0


@contextmanager
def patience(words: str) -> Iterator[None]:
    """Say what is going on where it takes longer than a person expects."""
    import threading

    timer = threading.Timer(REMARKABLE, say, [f"{words}; that takes a while"])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
