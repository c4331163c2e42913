"""The undo log: what the objects a message changes were before, so that it can be taken back alone.

Waiting messages share a commit, so ZODB's abort would take all of them back, and a savepoint for each
costs more than the message.  Instead every change of ours passes `note` first, which keeps a shallow
image of the object's state once a message (a before-image, as databases call it: Gray and Reuter,
*Transaction Processing*, 1992, chapter 10).  From the before-images come three things: `rollback`
restores them, `entries` tells what the message changed, and `apply` puts one side of such an entry
back, which is what undo and redo are.

An entry is `(object, kind, data)` and may be kept in the image, live references and all:

    "slots"   {name: (before, after)}   each () for missing, else (value,); a method stands under
                                        "selector()" with the value (Method, version), forgotten
                                        with None; the order of the parents, where it changed, under
                                        "*" as a tuple of names
    "list"    (index, out, in)          the items that went out at that place and came in instead
    "dict"    {key: (before, after)}
    "set"     (out, in)

New objects need no entry: what refers to them has one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from random import Random
from typing import Any

from persistent import Persistent

from batos.errors import Conflict
from batos.objects import fuel, permission
from batos.objects.dispatch import changed, structure_changed

Entry = tuple[Persistent, str, Any]

_current: ContextVar[UndoLog | None] = ContextVar("undo_log", default=None)
current = _current.get  # the log of the message that runs, if one is kept
HIDDEN = frozenset({"_methods", "_last_change", "_shipped"})  # told in another form, or notes of batos itself


class UndoLog:
    """The before-images of one message, and what its random numbers came from.

    seed     of the numbers its methods drew, None where none did
    drawing  what draws them
    """

    __slots__ = ("_before", "drawing", "seed")

    def __init__(self) -> None:
        self._before: dict[int, tuple[Persistent, dict[str, Any]]] = {}
        self.seed: int | None = None
        self.drawing: Random | None = None

    def __len__(self) -> int:
        return len(self._before)

    def __contains__(self, obj: Persistent) -> bool:
        return id(obj) in self._before

    def note(self, obj: Persistent) -> None:
        """Keep the state of an object that is about to change; the first time of a message counts."""
        if id(obj) not in self._before:
            obj._p_activate()
            self._before[id(obj)] = obj, _image_of(obj)

    def before(self, obj: Persistent) -> dict[str, Any]:
        """The before-image of a noted object."""
        return self._before[id(obj)][1]

    def objects(self) -> list[Persistent]:
        """What was noted, in the order of its first change."""
        return [obj for obj, _ in self._before.values()]

    def rollback(self, ghosted: set[int]) -> None:
        """Restore what was noted, but for the ids in `ghosted`: the storage has those as they were."""
        for key, (obj, state) in self._before.items():
            if key not in ghosted:
                obj.__dict__.clear()
                obj.__dict__.update(state)
        if self._before:
            structure_changed()

    def entries(self, new: frozenset[int] = frozenset()) -> list[Entry]:
        """What differs now from the before-images; shape: module docstring.  `new`: ids of the message's own
        new objects, whose making is no change."""
        told = []
        for key, (obj, state) in self._before.items():
            if key in new:
                continue
            obj._p_activate()
            if "data" in state:
                kind, data = _container_entry(state["data"], obj.__dict__["data"])
            elif "selector" in state:
                continue  # a method: its holder was noted with it
            else:
                kind, data = "slots", self._slots_entry(obj, state)
            if data:
                told.append((obj, kind, data))
        return told

    def _slots_entry(self, obj: Persistent, before: dict[str, Any]) -> dict[str, tuple]:
        after = obj.__dict__
        told = {}
        if before.get("_methods") or after.get("_methods"):
            told |= self._methods_entry(before.get("_methods") or {}, after.get("_methods") or {})
        for name, value in before.items():
            if name not in HIDDEN and not (name in after and _same(after[name], value)):
                told[name] = (value,), ((after[name],) if name in after else ())
        for name, value in after.items():
            if name not in before and name not in HIDDEN:
                told[name] = (), (value,)
        orders = [tuple(name for name in state if name.endswith("*")) for state in (before, after)]
        if orders[0] != orders[1]:
            told["*"] = tuple((order,) for order in orders)
        return told

    def _methods_entry(self, before: dict[str, Any], after: dict[str, Any]) -> dict[str, tuple]:
        told = {}
        for selector in {**before, **after}:
            was, now = before.get(selector), after.get(selector)
            noted = self._before.get(id(was))
            then = (noted[1]["current"] if noted else was.current) if was is not None else None
            current = now.current if now is not None else None
            if was is None and now is not None and now._p_jar is None:
                was = now  # made by this message: taken back, it is a forgotten method whose versions stay
            if was is not now or then != current:
                told[f"{selector}()"] = _standing(was, then), _standing(now, current)
        return told


def _standing(method: Any, version: int | None) -> tuple:
    return () if method is None else ((method, version),)


def _same_standing(one: tuple, other: tuple) -> bool:
    """Do both say the same source, or that there is none?  The method may be another: a clone takes a copy."""
    if not one or not other:
        return not one and not other
    (method, version), (theirs, their_version) = one[0], other[0]
    if method is theirs or version != their_version:
        return version == their_version
    ours, others = method.version(version), theirs.version(version)
    return (ours and ours["digest"]) == (others and others["digest"])


def note(obj: Persistent) -> None:
    """Say that `obj` is about to change.  Every change of an object's own state passes here first."""
    if obj._p_jar is not None:  # what is new has no state to come back to
        log = _current.get()
        if log is not None:
            log.note(obj)


@contextlib.contextmanager
def noting(log: UndoLog) -> Iterator[UndoLog]:
    """Changes of this thread go into `log`."""
    token = _current.set(log)
    try:
        yield log
    finally:
        _current.reset(token)


@contextlib.contextmanager
def unrecorded() -> Iterator[None]:
    """Changes of this thread stand in no change record, which would keep what they take out; where what makes
    them raises, they are taken back here."""
    log = UndoLog()
    with noting(log):
        try:
            yield
        except BaseException:
            log.rollback(set())
            raise


def _image_of(obj: Persistent) -> dict[str, Any]:
    state = dict(obj.__dict__)
    if "data" in state:
        state["data"] = state["data"].copy()
    return state


def _same(one: Any, other: Any) -> bool:
    """The same value: identical, or equal and of one type (1, True and 1.0 are three values), NaN included."""
    if one is other:
        return True
    if type(one) is not type(other) or isinstance(one, Persistent):
        return False
    if fuel.tank.low:
        fuel.look()
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    try:
        return bool(one == other) or (one != one and other != other)
    except Exception:  # noqa: BLE001 - a signalling NaN raises where it is compared: nobody can say it is the same
        return False


def _container_entry(before: Any, after: Any) -> tuple[str, Any]:
    if isinstance(before, list):
        return "list", _splice(before, after)
    if isinstance(before, dict):
        return "dict", {
            key: ((before[key],) if key in before else (), (after[key],) if key in after else ())
            for key in {**before, **after}
            if not (key in before and key in after and _same(before[key], after[key]))
        }
    out, came = tuple(before - after), tuple(after - before)
    return "set", (out, came) if out or came else ()


def _splice(before: list, after: list) -> tuple:
    """(index, out, in) between what both lists begin and end with; () where they are the same."""
    most = min(len(before), len(after))
    start = 0
    while start < most and _same(before[start], after[start]):
        start += 1
    end = 0
    while end < most - start and _same(before[-1 - end], after[-1 - end]):
        end += 1
    out, came = tuple(before[start : len(before) - end]), tuple(after[start : len(after) - end])
    return (start, out, came) if out or came else ()


# -- taking back and doing again -------------------------------------------------------------------------

BEFORE, AFTER = 0, 1


def apply(entry: Entry, side: int) -> None:
    """Put the `side` (BEFORE or AFTER) of an entry back in its object; ordinary changes, noted as such.

    Raises `Conflict` where the object is no longer what the other side says, so that nobody's later
    change is lost, and `Refused` where whoever acts may not write there.
    """
    obj, kind, data = entry
    obj._p_activate()
    permission.check_entry(obj, kind, data)
    note(obj)
    obj._p_changed = True
    if kind == "slots":
        changed(obj)
        _apply_slots(obj, data, side)
    elif kind == "list":
        _apply_splice(obj, data, side)
    elif kind == "dict":
        _check(obj, obj.data, data, side)
        _assign(obj.data, data, side)
    else:
        gone, come = (data[1], data[0]) if side == BEFORE else (data[0], data[1])
        if not obj.data.issuperset(gone) or not obj.data.isdisjoint(come):
            raise _changed_since(obj, "its members have")
        obj.data.difference_update(gone)
        obj.data.update(come)


def _apply_slots(obj: Any, data: dict[str, tuple], side: int) -> None:
    slots = {name: sides for name, sides in data.items() if name != "*" and not name.endswith("()")}
    _check(obj, obj.__dict__, slots, side)
    methods = dict(obj.__dict__.get("_methods") or {})
    for name, sides in data.items():
        if not name.endswith("()"):
            continue
        selector = name[:-2]
        present = methods.get(selector)
        if not _same_standing(_standing(present, present and present.current), sides[1 - side]):
            raise _changed_since(obj, f"the method {selector!r} has")
        if sides[side]:
            method, version = sides[side][0]
            if method.current != version:
                method = method.private()  # clones may hold it too
                method.current = version
            methods[selector] = method
        else:
            del methods[selector]
    if any(name.endswith("()") for name in data):
        obj._methods = methods
    _assign(obj.__dict__, slots, side)
    if "*" in data:
        for name in data["*"][side][0]:
            obj.__dict__[name] = obj.__dict__.pop(name)


def _apply_splice(obj: Any, data: tuple, side: int) -> None:
    index, out, came = data
    there, put = (came, out) if side == BEFORE else (out, came)
    items = obj.data
    found = items[index : index + len(there)]
    if len(found) != len(there) or not all(map(_same, found, there)) or index > len(items):
        raise _changed_since(obj, f"its items from {index} on have")
    items[index : index + len(there)] = put


def _check(obj: Any, state: dict, data: dict[Any, tuple], side: int) -> None:
    for name, sides in data.items():
        expected = sides[1 - side]
        if (name in state) != bool(expected) or (expected and not _same(state[name], expected[0])):
            raise _changed_since(obj, f"{name!r} has")


def _assign(state: dict, data: dict[Any, tuple], side: int) -> None:
    for name, sides in data.items():
        if sides[side]:
            state[name] = sides[side][0]
        else:
            del state[name]


def _changed_since(obj: Any, what: str) -> Conflict:
    whose = repr(obj) if not hasattr(obj, "data") else f"a {type(obj).__name__.lower()} of the image"
    return Conflict(
        f"{what} changed again since, in {whose}; nothing was taken back",
        hint="look at `log`, and take the later change back first",
    )
