"""Send: what becomes of a message once its slot is found, and what happens when none answers.

How a slot is found stands in `dispatch`.  A method found on a parent runs with the receiver as `self`.
What a miss means is the activation's business: nobody here knows of missions.  Sends inside compiled
methods go through `send_0` to `send_n`, which are what they cost: two dict reads, one call and the
fuel.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from batos.errors import NotUnderstood, Refused, WrongArguments
from batos.message import OWNER
from batos.objects import fuel
from batos.objects.dispatch import (
    MISSING,
    call_of,
    changed,
    dispatch,
    inherited,
    lookup,
    on_miss,
    own,
    structure_changed,
)  # fmt: skip

if TYPE_CHECKING:
    from batos.objects.uvm_object import UvmObject

LONGEST_LIKENED = 200  # characters of a name that is compared with those that are understood

__all__ = ["MISSING", "changed", "lookup", "own", "structure_changed"]  # found here by those who send


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


on_miss(Missed)


@dataclass(slots=True)
class Activation:
    """What a running message is given from outside: who speaks, and what is handed down.

    judge  `(source, selector, holder) -> verdict`: the guardian
    tools  what a mission's primitives work with, None outside a mission
    seen   what was seen of methods on probation (`objects.probation`), None where none was called
    """

    who: str = OWNER
    mission: str | None = None
    judge: Callable[[str, str | None, Any], Any] | None = None
    tools: Any = None
    seen: dict[int, Any] | None = None


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
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename.startswith("<method "):
            raise Refused(
                "this needs the mind, the embedder or a file, and no turn may wait for those",
                rule="slow",
                hint="send it as a message of its own",
            )
        frame = frame.f_back
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


def send(receiver: UvmObject, selector: str, args: tuple = (), kw: dict[str, Any] | None = None) -> Any:
    """Send a message; answers what the method or the slot answers.

    Raises `Missed` when a public selector finds no slot, `NotUnderstood` for a name that starts with
    ``_`` (never a message), `WrongArguments`, and whatever the method raises.
    """
    if selector.startswith("_"):
        raise NotUnderstood(f"{selector!r} is not a message: names that start with '_' are never sent")
    fuel.tick()
    try:
        return dispatch[receiver][selector](receiver, *args, **(kw or {}))
    except TypeError as exc:
        check_fit(exc, receiver, selector)
        raise


def resend(holder: UvmObject, receiver: UvmObject, selector: str, args: tuple, kw: dict[str, Any]) -> Any:
    """Send to the parents of `holder`, who holds the running method, with `receiver` still the one who acts."""
    above, found = inherited(holder, selector)
    if found is MISSING:
        raise NotUnderstood(f"no parent of {holder!r} understands {selector!r}")
    return run(found, above, receiver, selector, args, kw)


def run(
    found: Any,
    holder: UvmObject,
    receiver: UvmObject,
    selector: str,
    args: tuple = (),
    kw: dict[str, Any] | None = None,
) -> Any:
    """Run what `lookup` found in `holder`: a method with `receiver` as self, or a data slot, which takes no arguments."""
    fuel.tick()
    try:
        return call_of(holder, found, selector)(receiver, *args, **(kw or {}))
    except TypeError as exc:
        check_fit(exc, receiver, selector, found)
        raise


def check_fit(exc: TypeError, receiver: UvmObject, selector: str, found: Any = None) -> None:
    """Raise `WrongArguments` if a TypeError says that the arguments of a call did not fit the method."""
    # Raised by the call itself: there is no frame below the one that called.
    if exc.__traceback__ is None or exc.__traceback__.tb_next is not None:
        return
    found = lookup(receiver, selector)[1] if found is None else found
    told = str(exc).removeprefix(found.function().__name__)
    raise WrongArguments(
        f"{selector!r} of {receiver!r} takes ({', '.join(found.signature())}): {told}"
    ) from exc


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
    if len(selector) > LONGEST_LIKENED:
        return []
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
