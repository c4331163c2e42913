"""Probation: the first calls of a method batos wrote are watched, and what was seen is noted with the message.

A call of a method that is on probation goes through `watch`, put in where a lookup becomes a callable
(`dispatch.call_of`): before probation and after it a call costs what any call costs.  What was seen is
gathered in the activation, one finding a message and method, the outermost call's; who ran the message
takes it from there (`guardian.probation` counts, and takes a method back).  Nothing is decided here.

What counts against a method is an error of programming.  Not a `ValueError` or `KeyError`, by which a
method says that something cannot be done; not what a method it called did; not a call with arguments of
other kinds than those it was learned with, or a stranger's nonsense would take back what is right; not a
miss, which becomes a mission.

Beside it stands the oracle of the Persistence Covenant: the receiver's state and its containers before
and after, against what was flagged.  A change that nobody flagged would be forgotten, or written by an
unrelated commit; it is taken back at once, and the message is refused.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType
from typing import Any

from persistent import Persistent

from batos.errors import BadRequest, BatosError, NotUnderstood, Refused, WrongArguments
from batos.objects import dispatch
from batos.objects.containers import KINDS, kind_of
from batos.objects.fuel import OutOfFuel
from batos.objects.lookup import Missed, activation, check_fit

ON, PASSED, REVERTED = "on", "passed", "reverted"

BY_CONVENTION = (ValueError, KeyError)  # how a method says that something cannot be done
OUR_OWN = (NotUnderstood, WrongArguments, BadRequest)  # what batos says to a method that is wrong
RUNAWAY_SECONDS = 1.0  # a call that was ended sooner had a short time, not a loop without end
MOST = 4096  # items the oracle compares; what is larger is not watched by it


@dataclass(slots=True)
class Seen:
    """What one message saw of a method on probation; plain data, good after its turn.

    counts     does it say anything of the method?  Not an error that was not its own fault
    failure    the error in a sentence, where one counts against the method
    forgotten  was a change seen that nobody flagged?
    """

    method: bytes | None  # oid
    holder: bytes | None
    where: str  # the holder's name
    selector: str
    version: int
    mission: str | None  # that learned it
    told: dict[str, Any]  # `Method.probation` of that version
    counts: bool = True
    failure: str | None = None
    forgotten: bool = False


def kinds_of(args: Any, kw: dict[str, Any]) -> list[str]:
    """The coarse kinds of arguments, as a method on probation remembers those it was learned with.

    >>> kinds_of([5, "a"], {"note": [1.5]})
    ['number', 'text', 'note=list']
    """
    return [_coarse(each) for each in args] + [f"{name}={_coarse(kw[name])}" for name in sorted(kw)]


def _coarse(value: Any) -> str:
    kind = kind_of(value).partition(" ")[0]
    return "number" if kind in ("int", "float", "nan") else kind


def watch(holder: Any, method: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` with somebody looking; the method is on probation."""
    told, version = method.probation[method.current], method.current
    mission = method.record()["mission"]
    codes = _codes(function.__code__)

    def watched(receiver: Any, /, *args: Any, **kw: Any) -> Any:
        current = activation()
        if current.seen is None:
            current.seen = {}
        elif id(method) in current.seen:  # the outermost call says how it went; a recursion is one call
            return function(receiver, *args, **kw)
        seen = Seen(method._p_oid, holder._p_oid, repr(holder), method.selector, version, mission, told)
        current.seen[id(method)] = seen
        before, began = _looked(receiver), time.monotonic()
        try:
            answer = function(receiver, *args, **kw)
        except TypeError as exc:
            seen.counts = False
            _check(before, seen, receiver)
            check_fit(exc, receiver, method.selector, method)
            seen.failure = _fault(exc, codes, told, args, kw, began)
            seen.counts = seen.failure is not None
            raise
        except BaseException as exc:
            _check(before, seen, receiver)
            seen.failure = _fault(exc, codes, told, args, kw, began)
            seen.counts = seen.failure is not None or isinstance(exc, BY_CONVENTION)
            raise
        _check(before, seen, receiver)
        return answer

    return watched


dispatch.watched_by(watch)


def _codes(code: CodeType) -> frozenset[CodeType]:
    """A function's code and that of what is defined in it."""
    inner = (each for each in code.co_consts if isinstance(each, CodeType))
    return frozenset({code}).union(*map(_codes, inner))


def _fault(
    exc: BaseException, codes: frozenset[CodeType], told: dict, args: tuple, kw: dict, began: float
) -> str | None:
    """The exception in a sentence if it is the method's own fault, else None."""
    if isinstance(exc, (*BY_CONVENTION, Missed)):
        return None
    if isinstance(exc, BatosError):
        if not isinstance(exc, OUR_OWN) and getattr(exc, "rule", None) != "unkeepable":
            return None
    elif isinstance(exc, OutOfFuel):
        if time.monotonic() - began < RUNAWAY_SECONDS:
            return None
    elif not isinstance(exc, Exception):
        return None
    own, line, frame = None, 0, exc.__traceback__
    while frame is not None:
        if frame.tb_frame.f_code.co_filename.startswith("<method "):
            own, line = frame.tb_frame.f_code, frame.tb_lineno
        frame = frame.tb_next
    if own not in codes or kinds_of(args, kw) != told.get("kinds"):
        return None
    words = "it ran without end" if isinstance(exc, OutOfFuel) else f"{type(exc).__name__}: {exc}"
    return f"line {line}: {words}"[:200]


# -- the oracle ----------------------------------------------------------------------------------------


def _looked(receiver: Any) -> list[tuple[Persistent, dict[str, Any], Any]] | None:
    """(object, its state, a copy of its data) of the receiver and its containers; None where that is too much."""
    receiver._p_activate()
    found, waiting, known, left = [], [receiver], {id(receiver)}, MOST
    while waiting:
        obj = waiting.pop()
        obj._p_activate()
        data = obj.__dict__.get("data") if obj is not receiver else None
        values = obj.__dict__.values() if data is None else data.values() if type(data) is dict else data
        left -= len(values) + 1
        if left < 0:
            return None
        found.append((obj, dict(obj.__dict__), data.copy() if data is not None else None))
        inside = list(values)
        while inside:
            each = inside.pop()
            if type(each) in KINDS:
                if id(each) not in known:
                    known.add(id(each))
                    waiting.append(each)
            elif type(each) is tuple:
                left -= len(each)
                inside.extend(each if left > 0 else ())
    return found


def _check(before: list | None, seen: Seen, receiver: Any) -> None:
    """Raise `Refused` (rule ``covenant``) where something changed that was not flagged; it is as before then."""
    for obj, state, data in before or ():
        if obj._p_jar is None or obj._p_changed is not False:
            continue  # new, flagged, or not loaded: an abort or a commit knows of it
        if data is None:
            same = _identical(state, obj.__dict__)
        else:
            same = state["data"] is obj.__dict__["data"] and _identical(data, obj.__dict__["data"])
        if same:
            continue
        seen.forgotten = True
        if data is None:
            obj.__dict__.clear()
        else:
            state["data"] = data
        obj.__dict__.update(state)
    if seen.forgotten:
        seen.counts = True
        seen.failure = "it changed its state and did not flag it: the change would have been forgotten"
        raise Refused(
            f"{seen.selector!r} of {receiver!r} changed its state and did not flag it; nothing was changed",
            rule="covenant",
            hint=f"look at it with `source {seen.selector}`, and define one that assigns its slots",
        )


def _identical(one: Any, other: Any) -> bool:
    if len(one) != len(other):
        return False
    if isinstance(one, set):
        return one == other
    if isinstance(one, dict):
        return all(name in other and other[name] is value for name, value in one.items())
    return all(a is b for a, b in zip(one, other, strict=True))
