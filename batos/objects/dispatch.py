"""Dispatch: how a slot is found along the parents, and what is remembered of it.

A slot is looked up in the receiver, then along its parents.  Of two slots found through different
parents the one whose holder delegates to the other's holder wins; if neither does, the message is
`Ambiguous`, as in Self.  Cycles are walked once.

What was found is remembered by receiver and selector (a lookup cache: Deutsch and Schiffman 1984), so
that a send costs two dict reads however deep the holder stands.  The keys are the live objects, so
connections never share an entry and an id is never met again while an entry stands.  `changed` drops
what depends on one object and is called where an object's slots, parents or methods change;
`structure_changed` drops all, for changes nobody calls out one by one: an abort, and what other
connections committed.  A new value in a slot that is there changes no lookup and drops nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from batos.errors import Ambiguous, WrongArguments

if TYPE_CHECKING:
    from batos.objects.uvm_object import UvmObject

MISSING = object()
MOST = 16_384  # receivers remembered, which stay in memory; not their state, which the storage's cache drops


class Known(dict):
    """What is remembered of one receiver: selector -> what to call with receiver and arguments.

    places  slot name -> the object that holds it
    ruler   the object whose permission rules it, None where nobody's does, MISSING before somebody asked
    kept    is it remembered beyond this send?  Not of what is new or of the past: nobody would let go of it
    """

    __slots__ = ("kept", "places", "receiver", "ruler")

    def __init__(self, receiver: UvmObject):
        jar = receiver._p_jar
        self.receiver = receiver
        self.places: dict[str, UvmObject] = {}
        self.ruler: Any = MISSING
        self.kept = jar is not None and getattr(jar, "before", None) is None

    def __missing__(self, selector: str) -> Callable:
        parent = _only_parent(self.receiver, selector) if self.kept else None
        if parent is not None:  # a new receiver of a kind that was met before: what its parent does, it does
            above = dispatch[parent]  # before anything is noted: see `structure_changed`
            _ancestors.add(parent)
            call = above.get(selector)
            if call is not None:
                self[selector] = call
                return call
        holder, found = lookup(self.receiver, selector)
        call = call_of(holder, found, selector)
        if found is not MISSING:
            self[selector] = call
            if parent is not None:
                above[selector] = call
        return call


def _only_parent(obj: UvmObject, name: str) -> UvmObject | None:
    """The one parent that answers for `obj`, where it has one and no slot of that name of its own."""
    obj._p_activate()
    state = obj.__dict__
    if name in state or name in state.get("_methods", ()):
        return None
    parent = None
    for each in state:
        if each[-1] == "*":
            if parent is not None:
                return None
            parent = state[each]
    return parent


class _Dispatch(dict):
    """Receiver -> `Known`."""

    def __missing__(self, receiver: UvmObject) -> Known:
        known = Known(receiver)
        if known.kept:
            if len(self) >= MOST:
                structure_changed()
            self[receiver] = known
        return known


dispatch = _Dispatch()  # `dispatch[receiver][selector](receiver, *args)` is a send
_ancestors: set[UvmObject] = set()  # objects somebody's lookup went through
_missed: Callable[[UvmObject, str, tuple, dict[str, Any]], BaseException]
_watch: Callable[[UvmObject, Any, Callable], Callable]


def on_miss(makes: Callable[[UvmObject, str, tuple, dict[str, Any]], BaseException]) -> None:
    """Hand in what makes the exception for a message nobody understands."""
    global _missed
    _missed = makes


def watched_by(watch: Callable[[UvmObject, Any, Callable], Callable]) -> None:
    """Hand in what a method on probation is called through, `(holder, method, function) -> function`."""
    global _watch
    _watch = watch


def structure_changed() -> None:
    """Forget every lookup; safe from any thread.

    In this order, and a `Known` is fetched before the ancestors of its entry are noted: an entry that
    another thread is making meanwhile is dropped here, or all it depends on is noted afterwards.
    """
    _ancestors.clear()
    dispatch.clear()


def depends_on(ancestor: UvmObject) -> None:
    """What is remembered now was found through `ancestor`: a change of it drops that."""
    _ancestors.add(ancestor)


def changed(obj: UvmObject) -> None:
    """Forget what depends on the slot names, parents or methods of `obj`."""
    if obj in _ancestors:
        structure_changed()
    else:
        dispatch.pop(obj, None)


def call_of(holder: UvmObject | None, found: Any, selector: str) -> Callable:
    """What a send of `selector` calls, given what `lookup` found."""
    if found is MISSING:

        def miss(receiver: UvmObject, *args: Any, **kw: Any) -> Any:
            raise _missed(receiver, selector, args, kw)

        return miss
    if is_method(holder, selector):
        function = found.function(holder)
        return _watch(holder, found, function) if found.on_probation else function

    def read(receiver: UvmObject, *args: Any, **kw: Any) -> Any:
        if args or kw:
            raise WrongArguments(
                f"{selector!r} is a data slot of {receiver!r} and takes no arguments",
                hint=f"set it with `put {selector} VALUE`",
            )
        holder._p_activate()
        return holder.__dict__[selector]

    return read


def is_method(holder: UvmObject, name: str) -> bool:
    """Is the slot `name` that `holder` has a method?  (A name is a method or data, never both.)"""
    holder._p_activate()
    return name not in holder.__dict__


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
    if type(name) is not str:
        return None, MISSING  # unasked: hashing what a method may say here can have no end
    known = dispatch[obj]
    if not known.kept:
        return search(obj, name)
    holder = known.places.get(name)
    if holder is None:
        holder, found = _search(obj, name)
        if found is not MISSING:
            known.places[name] = holder
        return holder, found
    return holder, own(holder, name)


def search(obj: UvmObject, name: str) -> tuple[UvmObject | None, Any]:
    """`lookup` without looking at what is remembered, nor adding to it."""
    found = own(obj, name)
    return (obj, found) if found is not MISSING else inherited(obj, name)


def _search(obj: UvmObject, name: str) -> tuple[UvmObject | None, Any]:
    """`search`, noting whom the answer depends on; where there is one parent, what it knows is asked."""
    found = own(obj, name)
    if found is not MISSING:
        return obj, found
    parent = _only_parent(obj, name)
    if parent is None:
        return inherited(obj, name, _ancestors.add)
    places = dispatch[parent].places
    _ancestors.add(parent)
    holder = places.get(name)
    if holder is not None:
        return holder, own(holder, name)
    answer = inherited(obj, name, _ancestors.add)
    if answer[1] is not MISSING:
        places[name] = answer[0]
    return answer


def inherited(
    obj: UvmObject, name: str, through: Callable[[UvmObject], Any] | None = None
) -> tuple[UvmObject | None, Any]:
    """What the parents of `obj` answer for `name`; `through` is told every object on the way."""
    return _inherited(obj, name, {id(obj)}, through)


def _inherited(
    obj: UvmObject, name: str, seen: set[int], through: Callable[[UvmObject], Any] | None
) -> tuple[UvmObject | None, Any]:
    answers: list[tuple[UvmObject, Any]] = []
    for parent in obj._parents():
        if through is not None:
            through(parent)
        if id(parent) in seen:
            continue
        inside = seen | {id(parent)}  # a path of its own: a diamond is met on both sides
        value = own(parent, name)
        holder = parent
        if value is MISSING:
            holder, value = _inherited(parent, name, inside, through)
        if value is not MISSING and not any(holder is other for other, _ in answers):
            answers.append((holder, value))
    if len(answers) > 1:
        winners = [
            one
            for one in answers
            if not any(_nearer(other[0], one[0], through) for other in answers if other is not one)
        ]
        if len(winners) > 1:
            raise Ambiguous(
                f"{obj!r} finds {name!r} in {' and in '.join(repr(holder) for holder, _ in winners)}",
                hint=f"put a slot {name!r} of its own there, or disown one of the parents",
            )
        answers = winners
    return answers[0] if answers else (None, MISSING)


def delegates(
    child: UvmObject, ancestor: UvmObject, through: Callable[[UvmObject], Any] | None = None
) -> bool:
    """Is `ancestor` reached along the parents of `child`?"""
    seen, waiting = {id(child)}, list(child._parents())
    while waiting:
        each = waiting.pop()
        if each is ancestor:
            return True
        if id(each) not in seen:
            seen.add(id(each))
            if through is not None:
                through(each)
            waiting.extend(each._parents())
    return False


def _nearer(one: UvmObject, other: UvmObject, through: Callable[[UvmObject], Any] | None) -> bool:
    """Does `one` delegate to `other`?  Where each delegates to the other, neither is nearer."""
    return delegates(one, other, through) and not delegates(other, one, through)
