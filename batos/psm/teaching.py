"""Teaching: "that was wrong, 60 was expected" becomes a counter-example, a new version, and a rule for the next.

What was wrong is taken back first, so that the example is told of the object as it was; then the method is
forgotten and the same message sent again with the example, which makes it a mission like any other: the
voices draft, and what does not give the expected answer is objected to.  If no method can be found, the
old one runs again and the sender is told.

Examples stand in the version they were given for and are handed on to every later one: a mission must
satisfy them, and a person's own `define` that contradicts one is refused with the rule ``example`` until
the example is taken back (`unteach`).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from batos.errors import BadRequest, BatosError, Conflict, MissionFailed, NoSuchObject
from batos.guardian.verdict import Finding, Verdict
from batos.message import Message, Reply
from batos.objects import Method, UvmObject, permission
from batos.objects.lookup import lookup
from batos.objects.snapshot import slots_data, to_data

REMEMBERED = 64  # of the last answered messages, to find the one that was wrong
SECONDS = 1.0  # for the trial of a definition against its examples
Rehearse = Callable[[dict[str, Any], float], list[list[dict[str, Any]]]]


class Teaching:
    """Corrects methods of one awake image.

    image  has ``run(why, function)``
    send   `Message -> Reply`: the kernel
    last   the last answered messages, oldest first, with the tid of each that changed something
    """

    def __init__(self, image: Any, send: Callable[[Message], Reply], last: deque[tuple[Message, Reply]]):
        self._image = image
        self._send = send
        self._last = last

    def wrong(self, expected: Any, message: str | None = None) -> dict[str, Any]:
        """The last message, or that of the id `message`, should have been answered with `expected`.

        Answers ``{"result", "mission", "to", "send"}`` once it is.  Raises `NoSuchObject` where no such
        message is remembered, `BadRequest` where its method is not the receiver's own, `Conflict` where its
        effect cannot be taken back, `MissionFailed` where no method was found; then all is as it was.
        """
        said, reply = self._said(message)
        path = said.to
        if not isinstance(path, str):
            raise BadRequest("only a message to an object with a path can be corrected so")
        owned = self._image.run("look whose method it is", lambda root: _own(root, path, said.send))
        if owned is None:
            raise BadRequest(
                f"{said.send!r} is no method of {path} itself", hint=f"see whose it is: inspect {path}"
            )
        if reply.tid is not None:
            self._must(Message("kernel", "undo", [said.id or reply.tid]))
        slots = self._image.run("look at the object", lambda root: _shown(slots_data(root.resolve(path))))
        example = {"slots": slots, "args": said.args, "kw": said.kw, "result": expected}
        self._must(Message(path, "forget", [said.send]))
        again = self._send(
            replace(said, id="", examples=[example], miss="mission", idem=None, timeout=None, wait=True)
        )
        if again.error is not None:
            self._must(Message(path, "revert", [said.send, owned]))
            if reply.tid is not None:
                self._must(Message("kernel", "redo"))
            raise MissionFailed(
                f"no method was found that answers {expected!r}: {again.error}; the old one runs again",
                mission=again.mission,
                hint=f"write it yourself: python -m batos define {path} FILE",
            )
        return {"result": again.result, "mission": again.mission, "to": path, "send": said.send}

    def examples(self, path: str, selector: str) -> list[dict[str, Any]]:
        """What was taught about a method: its examples, as they are handed on."""
        return self._image.run("look at the examples", lambda root: taught(root.resolve(path), selector))

    def unteach(self, path: str, selector: str, number: int) -> list[dict[str, Any]]:
        """Take one example (from 0) out of a method; answers those that stay."""

        def write(root: Any) -> list[dict[str, Any]]:
            holder = root.resolve(path)
            method = holder._method(selector)
            left = taught(holder, selector)
            if method is None or method.installed is None or not 0 <= number < len(left):
                raise NoSuchObject(f"{path} {selector} has no example {number}; it has {len(left)}")
            del left[number]
            facts = {**method.installed, "examples": left}
            facts = {name: facts[name] for name in facts if name not in ("version", "digest", "time")}
            own = method.private()
            own.add_version(**facts)
            holder._install(own)
            return left

        return self._image.run(f"unteach {selector} of {path}", write)

    def _said(self, ident: str | None) -> tuple[Message, Reply]:
        for said, reply in reversed(self._last):
            if ident is None or said.id == ident:
                return said, reply
        raise NoSuchObject(
            "no message is remembered that could have been wrong" if ident is None
            else f"the message {ident!r} is not among the last {REMEMBERED}",
            hint="send it again, and then say what was expected",
        )  # fmt: skip

    def _must(self, message: Message) -> None:
        error = self._send(message).error
        if error is not None:
            raise error if isinstance(error, BatosError) else Conflict(str(error))


def _own(root: Any, path: str, selector: str) -> int | None:
    """The number of the version that the object itself has installed, None where it has none."""
    method = root.resolve(path)._method(selector)
    return method.current if method is not None and method.primitive is None else None


def _shown(slots: dict[str, Any]) -> dict[str, Any]:
    """The slots that mean the same in any circle: those without objects."""

    def plain(value: Any) -> bool:
        if isinstance(value, dict):
            return not ({"$obj", "$outside"} & value.keys()) and all(map(plain, value.values()))
        return all(map(plain, value)) if isinstance(value, list) else True

    return {name: value for name, value in slots.items() if plain(value)}


def taught(holder: UvmObject, selector: str) -> list[dict[str, Any]]:
    """The examples that later versions of a method must satisfy: those of its newest version."""
    method = holder._method(selector)
    newest = next(method._newest_first(), None) if method is not None and method.primitive is None else None
    return list(newest.get("examples") or ()) if newest is not None else []


def held_to_examples(verdict: Verdict, holder: UvmObject, rehearse: Rehearse) -> Verdict:
    """The verdict, refused where the method contradicts an example that a person gave for its selector.

    The examples run in the walled child; one whose trial comes to nothing (it misses, it leaves the circle)
    objects to nothing.
    """
    if not verdict.passed:
        return verdict
    _, known = lookup(holder, verdict.selector)
    examples = (
        taught(holder, verdict.selector)
        if isinstance(known, Method) or holder._method(verdict.selector)
        else []
    )
    if not examples:
        return verdict
    calls = [
        {"slots": each.get("slots"), "args": each.get("args", []), "kw": each.get("kw", {})}
        for each in examples
    ]
    circle = {**to_data(holder), "author": [permission.writer().author, None]}  # as whom it will run, once installed
    trial = {"circle": circle, "selector": verdict.selector, "drafts": [verdict.source], "calls": calls,
             "seconds": SECONDS}  # fmt: skip
    (outcomes,) = rehearse(trial, time.monotonic() + SECONDS + 1.0)
    for number, (example, outcome) in enumerate(zip(examples, outcomes, strict=True)):
        if "unknown" in outcome or outcome.get("result", ...) == example["result"]:
            continue
        came = outcome["error"] if "error" in outcome else repr(outcome.get("result"))
        finding = Finding(
            "example",
            None,
            f"example {number} says that {verdict.selector}{tuple(example['args'])} answers "
            f"{example['result']!r}, and this comes to {came}; take the example back if it no longer holds: "
            f"send kernel unteach PATH {verdict.selector} {number}",
        )
        return Verdict(
            "refused",
            verdict.selector,
            verdict.parameters,
            verdict.source,
            (),
            (*verdict.findings, finding),
            verdict.digest,
        )
    return verdict
