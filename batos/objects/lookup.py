"""Lookup and send: how a message finds its slot, and what happens when none answers.

A slot is looked up in the receiver, then along its parents.  Of two slots found through different
parents the one whose holder delegates to the other's holder wins; if neither does, the message is
`Ambiguous`, as in Self.  Cycles are walked once.  A method found on a parent runs with the receiver
as `self`.  What a miss means is the activation's business: nobody here knows of missions.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from batos.errors import Ambiguous, NotUnderstood, Refused, WrongArguments
from batos.objects.method import Method

if TYPE_CHECKING:
    from batos.objects.uvm_object import UvmObject

MISSING = object()
MAX_DEPTH = 200  # sends inside sends; deeper is a runaway, told as a RecursionError of the method


class Missed(NotUnderstood):
    """A public selector nobody along the parents understands, sent as a message.

    Only this kind of not-understood may become a mission; the kernel takes the receiver's oid and
    the arguments from it while the turn is still open.
    """

    def __init__(self, receiver: UvmObject, selector: str, args: tuple, kw: dict[str, Any]):
        near = near_selectors(receiver, selector)
        super().__init__(
            f"{receiver!r} did not understand {selector!r}"
            + (f"; did you mean {near[0]!r}?" if near else ""),
            near=near,
        )
        self.receiver = receiver
        self.selector = selector
        self.arguments = args
        self.keywords = kw


@dataclass(slots=True)
class Activation:
    """What a running message is given from outside: who speaks, and what is handed down.

    judge    `(source, selector, holder) -> verdict`: the guardian
    tools    what a mission's primitives work with, None outside a mission
    holders  where the methods that are running were found, the innermost last
    """

    who: str = "user"
    mission: str | None = None
    judge: Callable[[str, str | None, Any], Any] | None = None
    tools: Any = None
    holders: list[UvmObject] = field(default_factory=list)


class LeftTurn(Exception):
    """A turn is left on purpose: rolled back, but nothing failed."""


class Elsewhere(LeftTurn):
    """Raised by a primitive whose work is too slow for a turn: the turn is left, `work()` is done outside
    it, and its answer answers the message.  Good for a message of its own only, not inside a method."""

    def __init__(self, work: Callable[[], Any]):
        super().__init__("this message does slow work")
        self.work = work


def elsewhere(work: Callable[[], Any]) -> None:
    """Leave the turn and answer `work()`; `Refused` where a method is waiting for the answer."""
    if len(activation().holders) > 1:
        raise Refused(
            "this needs the mind, the embedder or a file, and no turn may wait for those",
            rule="slow",
            hint="send it as a message of its own",
        )
    raise Elsewhere(work)


_activation: ContextVar[Activation | None] = ContextVar("activation", default=None)


def activation() -> Activation:
    """The activation of the message that is running; a bare one where nobody gave any."""
    current = _activation.get()
    if current is None:
        _activation.set(current := Activation())
    return current


@contextlib.contextmanager
def activated(given: Activation) -> Iterator[Activation]:
    """Run messages under `given`."""
    token = _activation.set(given)
    try:
        yield given
    finally:
        _activation.reset(token)


def own(obj: UvmObject, name: str) -> Any:
    """The object's own slot of that name: a value, a `Method`, or MISSING."""
    obj._p_activate()
    state = obj.__dict__
    if name in state:
        return state[name]
    methods = state.get("_methods")
    if methods:
        method = methods.get(name)
        if method is not None and method.current is not None:
            return method
    return MISSING


def lookup(obj: UvmObject, name: str) -> tuple[UvmObject | None, Any]:
    """(holder, value or Method) of slot `name`, seen from `obj`; (None, MISSING) if nobody has it.

    Raises `Ambiguous` where two unrelated parents answer.
    """
    found = own(obj, name)
    if found is not MISSING:
        return obj, found
    return _inherited(obj, name, {id(obj)})


def _inherited(obj: UvmObject, name: str, seen: set[int]) -> tuple[UvmObject | None, Any]:
    answers: list[tuple[UvmObject, Any]] = []
    for parent in obj._parents():
        if id(parent) in seen:
            continue
        inside = seen | {id(parent)}  # a path of its own: a diamond is met on both sides
        value = own(parent, name)
        holder = parent
        if value is MISSING:
            holder, value = _inherited(parent, name, inside)
        if value is not MISSING and not any(holder is other for other, _ in answers):
            answers.append((holder, value))
    if len(answers) > 1:
        winners = [a for a in answers if not any(_delegates(b[0], a[0]) for b in answers if b[0] is not a[0])]
        if len(winners) > 1:
            raise Ambiguous(
                f"{obj!r} finds {name!r} in {' and in '.join(repr(holder) for holder, _ in winners)}",
                hint=f"put a slot {name!r} of its own there, or disown one of the parents",
            )
        answers = winners
    return answers[0] if answers else (None, MISSING)


def _delegates(child: UvmObject, ancestor: UvmObject) -> bool:
    """Is `ancestor` reached along the parents of `child`?"""
    seen, waiting = {id(child)}, list(child._parents())
    while waiting:
        each = waiting.pop()
        if each is ancestor:
            return True
        if id(each) not in seen:
            seen.add(id(each))
            waiting.extend(each._parents())
    return False


def send(receiver: UvmObject, selector: str, args: tuple = (), kw: dict[str, Any] | None = None) -> Any:
    """Send a message; answers what the method or the slot answers.

    Raises `Missed` when a public selector finds no slot, `NotUnderstood` for a name that starts with
    ``_`` (never a message), `WrongArguments`, and whatever the method raises.
    """
    kw = kw or {}
    if selector.startswith("_"):
        raise NotUnderstood(f"{selector!r} is not a message: names that start with '_' are never sent")
    holder, found = lookup(receiver, selector)
    if found is MISSING:
        raise Missed(receiver, selector, args, kw)
    return run(found, holder, receiver, selector, args, kw)


def resend(receiver: UvmObject, selector: str, args: tuple, kw: dict[str, Any]) -> Any:
    """Send to the parents of whoever holds the running method, with `receiver` still the one who acts."""
    holders = activation().holders
    if not holders:
        raise NotUnderstood("resend has a meaning inside a method only")
    holder, found = _inherited(holders[-1], selector, {id(holders[-1])})
    if found is MISSING:
        raise NotUnderstood(f"no parent of {holders[-1]!r} understands {selector!r}")
    return run(found, holder, receiver, selector, args, kw)


def run(
    found: Any,
    holder: UvmObject,
    receiver: UvmObject,
    selector: str,
    args: tuple = (),
    kw: dict[str, Any] | None = None,
) -> Any:
    """Run what `lookup` found in `holder`: a method with `receiver` as self, or a data slot, which takes no arguments."""
    if not isinstance(found, Method):
        if args or kw:
            raise WrongArguments(
                f"{selector!r} is a data slot of {receiver!r} and takes no arguments",
                hint=f"set it with `put {selector} VALUE`",
            )
        return found
    holders = activation().holders
    if len(holders) >= MAX_DEPTH:
        raise RecursionError(f"{selector!r}: more than {MAX_DEPTH} sends inside one another")
    function = found.function()
    holders.append(holder)
    try:
        return function(receiver, *args, **(kw or {}))
    except TypeError as exc:
        # Raised by the call itself (no frame below ours) means that the arguments did not fit.
        if exc.__traceback__ is not None and exc.__traceback__.tb_next is None:
            wanted = ", ".join(found.signature())
            raise WrongArguments(
                f"{selector!r} of {receiver!r} takes ({wanted}): {str(exc).removeprefix(function.__name__)}"
            ) from exc
        raise
    finally:
        holders.pop()


def visible(obj: UvmObject) -> Iterator[tuple[UvmObject, str, Any]]:
    """(holder, name, value or Method) of every public slot seen from `obj`, its own first, shadowed ones left out."""
    seen_objects: set[int] = set()
    seen_names: set[str] = set()
    waiting = [obj]
    while waiting:
        holder = waiting.pop(0)
        if id(holder) in seen_objects:
            continue
        seen_objects.add(id(holder))
        for name, value in holder._own_slots():
            if name not in seen_names:
                seen_names.add(name)
                yield holder, name, value
        waiting.extend(holder._parents())


def near_selectors(obj: UvmObject, selector: str) -> list[str]:
    """Understood names that resemble `selector`, nearest first, at most three."""
    return get_close_matches(selector, [name for _, name, _ in visible(obj)], n=3, cutoff=0.75)


def one_slip(selector: str, name: str) -> bool:
    """Does one slip of the keyboard (Damerau 1964: insert, drop, replace or swap one letter) lie between?"""
    if selector == name or abs(len(selector) - len(name)) > 1:
        return False
    first = next(
        (i for i, (a, b) in enumerate(zip(selector, name, strict=False)) if a != b),
        min(len(selector), len(name)),
    )
    a, b = selector[first:], name[first:]
    return a[1:] == b[1:] or a[1:] == b or a == b[1:] or (a[:2] == b[1::-1] and len(b) > 1 and a[2:] == b[2:])
