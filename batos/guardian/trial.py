"""One draft tried on copies of its object: what happens inside the wall.

Works on plain data only (`batos.objects.snapshot`), without storage, sockets or files.  Every call gets
a circle of its own, so nothing carries over from one call to the next.  A process runs one draft and
ends.  Beside the kernel's wall an audit hook, which Python code cannot take off, ends the process at the
first touch of files, processes, sockets or foreign code that CPython reports.  An outcome is

    {"result": plain} or {"error": type name, "message": str, "rule"?: str} or {"unknown": why, "missed"?: {...}}
    "changes": {slot: after}     own data slots that changed, by value, in the form of `plain.encode`;
                                 those of other objects of the circle as "name.slot"
    "flagged": bool              did the database learn of a change of the receiver?

Unknown votes for nothing: it stands for a miss inside, the end of fuel, an object outside the circle,
an answer that cannot be told.
"""

from __future__ import annotations

import json
import os
import struct
import sys
import time
from collections.abc import Iterator
from typing import Any

from batos.errors import BatosError
from batos.guardian.policy import compile_method, seed
from batos.objects import caps, fuel, traits  # noqa: F401  traits bring the words every object understands
from batos.objects.containers import keep
from batos.objects.lookup import Activation, Missed, activated, send
from batos.objects.method import PRIMITIVES, Method, use_compiler
from batos.objects.plain import NotPlain, encode, plain
from batos.objects.snapshot import OutsideCircle, from_data
from batos.objects.uvm_object import UvmObject

MAX_ANSWER = 65_536  # characters of one outcome as JSON
MAX_SAID = 1_000  # characters of the sentences in it
END = b".\n"  # the line after the last outcome
SEED = 8  # of `random`, the same for every call of every draft

VIOLATION = 31  # the exit code of a process that reached for what is outside
# Audit events by the word before their first point (the standard library's table of audit events).
OUTSIDE = frozenset(
    """
    open os fcntl socket subprocess shutil tempfile glob pathlib pty mmap ctypes signal syslog urllib ftplib
    http smtplib imaplib poplib nntplib telnetlib webbrowser winreg msvcrt _winapi sqlite3 resource pickle
    marshal cpython code function ensurepip
    """.split()  # noqa: SIM905 - as read in that table
)

FORGOTTEN = {"$forgotten": None}  # what a slot that is gone is after


class Beyond(BaseException):
    """A primitive that needs the running system."""


class _Jar:
    """As much of a connection as makes the flag observable."""

    def register(self, obj):
        pass

    def setstate(self, obj):
        pass

    def root(self):
        return {}

    def add(self, obj):
        pass


def serve(reading: int, writing: int) -> None:
    """Read one draft and its trial, run it, and write its outcomes, a line each, and `END`."""
    head = exactly(reading, 4)
    body = exactly(reading, struct.unpack("!I", head)[0]) if head else None
    if body is None:
        return  # a spare that was never needed
    draft, _, rest = body.partition(b"\n")
    draft, given = json.loads(draft), json.loads(rest)
    sys.addaudithook(_watch)
    for told in outcomes(given, draft):
        _say(writing, json.dumps(told).encode() + b"\n")
    _say(writing, END)
    os.read(reading, 1)  # until it is ended, or the pipe closes


def _say(writing: int, text: bytes) -> None:
    view = memoryview(text)
    while view:
        view = view[os.write(writing, view) :]


def exactly(fd: int, count: int) -> bytes | None:
    """`count` bytes of a pipe, None where it closes before."""
    parts = []
    while count:
        part = os.read(fd, min(count, 1 << 16))
        if not part:
            return None
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _watch(event: str, args: Any) -> None:
    if event.partition(".")[0] in OUTSIDE:
        os._exit(VIOLATION)


# What methods do, one of each: what it takes (caches, pages of its own) a child then has before its trial.
_USUAL = """
def usual(self, x=1, words=()):
    self._p_changed = True
    if not isinstance(x, int) or x < 0:
        raise ValueError(f'{x!r} is no count')
    kept = [each for each in self.items if each > x]
    for each in list(self.items):
        x += each * 2 - 1
        if each in kept or x > 1000:
            self.items.remove(each)
    while len(kept) < 3:
        kept.append(len(kept))
    tally = {}
    for word in words:
        tally[word] = tally.get(word, 0) + 1
    self.rates['a'] = round(x / 3, 2)
    self.items.append(sum(kept))
    self.count = x
    self._p_changed = True
    return sorted(tally.items(), key=lambda pair: (-pair[1], pair[0]))
"""
_USUAL_CALLS = 6  # after so many nothing is touched for the first time


def warm_up() -> None:
    """Run a method of ours: what a first run costs is then paid before the trial."""
    slots = {"items": [1, 2], "count": 0, "rates": {"a": 1.5}}
    obj = {"name": "account", "slots": slots, "parents": [], "methods": {}, "primitives": {}}
    circle = {"receiver": 0, "objects": [obj], "args": [], "kw": {}}
    call = {"slots": None, "args": [5, ["a", "b", "a"]], "kw": {}}
    # So little time that nobody has to watch it: the zygote must have no thread when it forks.
    given = {"circle": circle, "selector": "usual", "calls": [call] * _USUAL_CALLS, "seconds": fuel.GLANCE}
    for told in outcomes(json.loads(json.dumps(given)), _USUAL):
        json.dumps(told)


def outcomes(trial: dict[str, Any], draft: str) -> Iterator[dict[str, Any]]:
    """The outcomes of one draft, call by call."""
    use_compiler(compile_method)
    circle = trial["circle"]
    for obj in circle["objects"]:
        for name in obj["primitives"].values():
            PRIMITIVES.setdefault(name, _beyond)
    seconds = float(trial["seconds"])
    for call in trial["calls"]:
        yield _bounded(outcome(circle, trial["selector"], draft, call, seconds))


def _beyond(*args: Any, **kw: Any) -> Any:
    raise Beyond


def _bounded(told: dict[str, Any]) -> dict[str, Any]:
    try:
        if len(json.dumps(told)) <= MAX_ANSWER:
            return told
    except (ValueError, TypeError, RecursionError) as exc:
        return {
            "unknown": f"what it answered cannot be told: {exc}"[:MAX_SAID],
            "changes": {},
            "flagged": False,
        }
    return {"unknown": "it answered or changed more than a rehearsal tells", "changes": {}, "flagged": False}


def outcome(
    circle: dict[str, Any], selector: str, draft: str, call: dict[str, Any], seconds: float
) -> dict[str, Any]:
    """What one call of one draft comes to, on a fresh copy of the circle; the draft counts as the work of the
    circle's `author`, [author, mission], where it has one."""
    objects = [dict(each) for each in circle["objects"]]
    receiver_data = objects[circle["receiver"]]
    receiver_data["slots"] = {**receiver_data["slots"], **(call.get("slots") or {})}
    fresh = {**circle, "objects": objects, "args": call.get("args") or [], "kw": call.get("kw") or {}}
    receiver, args, kw = from_data(fresh)
    method = Method(selector)
    author, mission = circle.get("author") or ("rehearsal", "rehearsal")
    method.add_version(draft, author, "accepted", mission=mission)
    receiver._install(method)
    names, before = _reached(receiver)
    receiver._p_jar, receiver._p_oid = _Jar(), b"\0" * 8
    receiver._p_changed = False
    seed(SEED)
    caps.use_world(
        lambda: caps.TRIAL_MOMENT,
        lambda name: next((each for _, each in names.values() if each.__dict__.get("_name") == name), None),
    )
    with activated(Activation(who="rehearsal")):
        told = _sent(
            receiver,
            selector,
            [keep(each) for each in args],
            {name: keep(each) for name, each in kw.items()},
            seconds,
        )
    flagged = bool(receiver._p_changed)
    after = _state(names)
    told["changes"] = {
        key: after.get(key, FORGOTTEN) for key in {**before, **after} if before.get(key) != after.get(key)
    }
    told["flagged"] = flagged
    return told


def _sent(
    receiver: UvmObject, selector: str, args: list[Any], kw: dict[str, Any], seconds: float
) -> dict[str, Any]:
    try:
        with fuel.spend(time.monotonic() + seconds):
            return {
                "result": plain(
                    send(receiver, selector, tuple(args), kw), lambda obj: obj.__dict__.get("_name")
                )
            }
    except Missed as missed:
        return {"unknown": f"{missed.selector!r} is not understood there"[:MAX_SAID]} | _missed(
            missed, receiver
        )
    except fuel.OutOfFuel:
        return {"unknown": "out of fuel"}
    except (OutsideCircle, Beyond):
        return {"unknown": "it needs what a rehearsal does not hold"}
    except NotPlain as exc:
        return {"unknown": str(exc)[:MAX_SAID]}
    except MemoryError:
        return {"unknown": "out of memory"}
    except BatosError as exc:
        if exc.rule in ("outside", "permission"):  # what it may not do, nobody can see it do
            return {"unknown": str(exc)[:MAX_SAID]}
        told = {"error": type(exc).__name__, "message": str(exc)[:MAX_SAID]}
        return told | {"rule": exc.rule} if exc.rule else told
    except Exception as exc:
        return {"error": type(exc).__name__, "message": str(exc)[:MAX_SAID]}


def _missed(missed: Missed, receiver: UvmObject) -> dict[str, Any]:
    """What nobody understood, so that it can be learned first: by the receiver itself (`object` None) or by an
    object with a name; nothing where it cannot be told."""
    name = None if missed.receiver is receiver else missed.receiver.__dict__.get("_name")
    if name is None and missed.receiver is not receiver:
        return {}
    try:
        args = [encode(each, _no_object) for each in missed.arguments]
        kw = {key: encode(value, _no_object) for key, value in missed.keywords.items()}
    except NotPlain:
        return {}
    return {"missed": {"object": name, "selector": missed.selector, "args": args, "kw": kw}}


def _no_object(obj: Any) -> dict[str, Any]:
    raise NotPlain("an object")


def _reached(receiver: UvmObject) -> tuple[dict[int, tuple[str, UvmObject]], dict[str, Any]]:
    """id -> (prefix of its slots in `changes`, object) of all objects the receiver reaches; their `_state`."""
    names: dict[int, tuple[str, UvmObject]] = {id(receiver): ("", receiver)}
    told: dict[str, Any] = {}
    order = [receiver]

    def ref(each: Any) -> dict[str, Any]:
        if type(each) is not UvmObject:
            return {"$outside": None}
        if id(each) not in names:
            names[id(each)] = (f"{each.__dict__.get('_name') or f'object{len(names)}'}.", each)
            order.append(each)
        return {"$obj": names[id(each)][0]}

    for obj in order:  # grows while we walk
        prefix = names[id(obj)][0]
        for name, value in obj._slots.items():
            told[prefix + name] = encode(value, ref)
    return names, told


def _state(names: dict[int, tuple[str, UvmObject]]) -> dict[str, Any]:
    """Every data slot of these objects as data; an object in a slot by its place, not its address."""

    def ref(each: Any, depth: int = 0) -> dict[str, Any]:
        if id(each) in names:
            return {"$obj": names[id(each)][0]}
        if type(each) is not UvmObject or depth > 3:
            return {"$outside": None}
        return {
            "$new": {
                name: encode(value, lambda inner: ref(inner, depth + 1))
                for name, value in each._slots.items()
            }
        }

    told: dict[str, Any] = {}
    for prefix, obj in names.values():
        for name, value in obj._slots.items():
            try:
                told[prefix + name] = encode(value, ref)
            except (NotPlain, RecursionError):
                told[prefix + name] = {"$outside": None}
    return told
