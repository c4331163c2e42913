"""Permissions: who may define on an object, and who may write which of its slots.

An object without one is open to whoever may send to it.  A permission is `{"define": [who, ...],
"write": {slot: [who, ...], "*": [who, ...]}}`; what is left out is open, ``*`` is every slot that is not
named.  Who is

    the name of a key     messages that came by it, and methods it has defined
    "missions"            methods that batos wrote, whoever sent the message that runs them
    "self"                methods the object itself has or inherits, whoever wrote them, with it as receiver

and the owner always, who is therefore not named.  A change that a running method makes counts as the
doing of whoever wrote that method, not of whoever sent the message: an object's own words are the way
in that its owner made, and a stranger's method gains nothing by being called by the owner.

Only the owner gives and lifts permissions, by a message of their own and out of no method.  The
nearest permission along the parents rules (breadth first, its own before theirs); a clone takes a copy
of its prototype's own; the parents of a ruled object, and who it is (`become`), are changed by the
owner alone, because its permission may come from there.

What batos itself stands on, the objects at the root and those in their slots, no method changes but the
owner's and its own, permission or none (`check_ground`): every method reaches its parents.

How containers come to know whose they are is in `holding`, giving and lifting in `permits`.  As long as no
object of the process has a permission (`in_use`), nobody pays for any of this.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from persistent import Persistent

from batos.errors import Refused
from batos.message import OWNER
from batos.objects import dispatch
from batos.objects.lookup import activation

if TYPE_CHECKING:
    from batos.objects.uvm_object import UvmObject

MISSIONS, SELF = "missions", "self"
# Who speaks or writes for the owner: the owner under the name of earlier editions, and batos itself.
OWNERS = frozenset({OWNER, "user", "batos", "heartbeat"})
# No key may be called so.
RESERVED = OWNERS | {MISSIONS, SELF, "anyone", "rehearsal", "snapshot", "brick", "robin", "babs", "alfred"}
SEALED = {"define": (), "write": {"*": ()}}  # the owner alone
NAME = "_permission"  # of the hidden slot; no method can say such a name
_METHOD = "<method "

in_use = False  # has an object that this process has met a permission?


@dataclass(frozen=True, slots=True)
class Writer:
    """Who is about to change something.

    who      `OWNER`, the name of a key, or `MISSIONS`
    author   as a version of a method records it, with the mission it came from
    method   is it a running method that does it?
    actor    the receiver of that method, where the method is one that this object has or inherits
    """

    who: str
    author: str
    mission: str | None = None
    method: bool = False
    actor: UvmObject | None = None


def writer() -> Writer:
    """Whose doing it is, what is being done now: the innermost running method's author's, else the speaker's."""
    frame = sys._getframe(1)
    while frame is not None and not frame.f_code.co_filename.startswith(_METHOD):
        frame = frame.f_back
    if frame is None:
        given = activation()
        return Writer(_who(given.who, None), given.who, given.mission)
    named = frame.f_code.co_filename
    selector = named[len(_METHOD) : -1]
    while frame is not None and not (
        frame.f_code.co_filename == named and frame.f_code.co_name == selector and frame.f_code.co_argcount
    ):
        frame = frame.f_back  # a comprehension or lambda of it
    found = _running(frame, selector) if frame is not None else None
    if found is None:
        return Writer("a method that nobody knows", "?", method=True)
    actor, record = found
    author, mission = record["author"], record.get("mission")
    return Writer(_who(author, mission), author, mission, True, actor)


def _who(author: str, mission: str | None) -> str:
    return MISSIONS if mission else OWNER if author in OWNERS else author


def _running(frame: Any, selector: str) -> tuple[UvmObject, dict[str, Any]] | None:
    """(receiver, record of the version) of the method that runs in a frame.

    Its first name may have been bound anew, to an object with a method of the same name: so the code
    itself is compared, and with it the author of that very text is found.
    """
    actor = frame.f_locals.get(frame.f_code.co_varnames[0])
    if not hasattr(actor, "_parents"):
        return None
    seen: set[int] = set()
    waiting = [actor]
    while waiting:
        each = waiting.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        method = each._method(selector)
        ours = method is not None and method.primitive is None and method.current is not None
        if ours and method.function(each).__code__ == frame.f_code:
            return actor, method.record()
        waiting.extend(each._parents())
    return None


# -- which permission rules -------------------------------------------------------------------------------


def ruling(obj: UvmObject) -> tuple[UvmObject, dict[str, Any]] | None:
    """(holder, permission) that rules an object, None where it is open."""
    if obj._p_jar is None:
        holder = _search(obj)
    else:
        known = dispatch.dispatch[obj]
        holder = known.ruler
        if holder is dispatch.MISSING:
            holder = _search(obj, dispatch.depends_on)
            if known.kept:
                known.ruler = holder
    if holder is None:
        return None
    holder._p_activate()
    return holder, holder.__dict__[NAME]


def _search(obj: UvmObject, through: Any = None) -> UvmObject | None:
    seen: set[int] = set()
    waiting = [obj]
    while waiting:
        each = waiting.pop(0)
        if id(each) in seen or getattr(type(each), "_beyond", False):
            continue  # what a snapshot does not hold rules nothing in it
        seen.add(id(each))
        if through is not None and each is not obj:
            through(each)
        parents = each._parents()  # loads it
        if NAME in each.__dict__:
            return each
        waiting.extend(parents)
    return None


# -- what is allowed --------------------------------------------------------------------------------------


def check_slot(obj: UvmObject, name: str, what: str = "is written") -> None:
    """Raise `Refused` where whoever acts now may not write the slot `name` of `obj`."""
    found = ruling(obj)
    if found is None:
        return
    write = found[1].get("write")
    if name.endswith("*"):
        allowed: Iterable[str] | None = ()
    else:
        allowed = None if write is None else write.get(name, write.get("*"))
    if allowed is not None:
        _check(obj, f"the slot {name!r} of {obj!r} {what}", allowed, found[0])


def check_container(container: Persistent) -> None:
    """The same for a container that is about to change, by the slot it was put in."""
    container._p_activate()
    held = container.__dict__.get("_held")
    if held is not None:
        check_slot(*held, "and what it holds is written")


def check_entry(obj: Persistent, kind: str, data: Any) -> None:
    """Raise `Refused` where whoever acts now may not put back a side of an entry of the undo log: to take a
    change back is to write what it wrote."""
    if not in_use:
        return
    if kind != "slots":
        check_container(obj)
        return
    for name in data:
        if name == NAME:
            only_owner(obj)
        elif name.endswith("()"):
            check_define(obj)
        elif name[0] == "_":
            check_identity(obj)
        else:  # the order of the parents stands under "*", as they all do
            check_slot(obj, name, "is written back")


def check_define(obj: UvmObject, author: str | None = None, mission: str | None = None) -> None:
    """Raise `Refused` where the author of a method (default: whoever acts now) may not define on `obj`."""
    found = ruling(obj) if in_use else None
    if found is None or found[1].get("define") is None:
        return
    by = writer() if author is None else Writer(_who(author, mission), author, mission)
    _check(obj, f"methods of {obj!r} are written", found[1]["define"], found[0], by)


def may_define(obj: UvmObject, who: str) -> bool:
    """May `who` define on an object?"""
    found = ruling(obj) if in_use else None
    return found is None or found[1].get("define") is None or who in found[1]["define"]


def check_identity(obj: UvmObject) -> None:
    """Raise `Refused` where whoever acts now may not change who a ruled object is."""
    found = ruling(obj) if in_use else None
    if found is not None:
        _check(obj, f"who {obj!r} is, is changed", (), found[0])


def check_ground(obj: UvmObject) -> None:
    """Raise `Refused` where a method that is neither the owner's nor its own changes an object at the root,
    or one that stands in a slot of one under its name: on those everything else stands.

    Every method reaches them, as parents of its own object; what it did to them, it would do to all.  What a
    key sends to them is a matter of what it was granted.
    """
    name = obj.__dict__.get("_name")
    if not name or obj._p_jar is None:
        return
    first, _, rest = name.partition(".")
    found = obj._p_jar.root().get(first)
    if found is not None and rest:
        found = found.__dict__.get(rest)
    if found is obj:
        by = writer()
        if by.method:
            _check(
                obj,
                f"{obj!r} is one of the objects that batos itself stands on, and is changed",
                (SELF,),
                obj,
                by,
            )


def _check(
    obj: UvmObject, what: str, allowed: Iterable[str], holder: UvmObject, by: Writer | None = None
) -> None:
    acts = by or writer()
    if acts.who == OWNER or acts.who in allowed or (SELF in allowed and acts.actor is obj):
        return
    names = ", ".join([OWNER, *allowed])
    told = "a method that a mission wrote" if acts.who == MISSIONS else acts.who
    if acts.method and acts.who != MISSIONS:
        told = f"a method by {acts.author}"
    raise Refused(
        f"{what} only by {names}, and this would be done by {told}; nothing was changed",
        rule="permission",
        hint=f"its owner looks and changes it with: send permissions_obj permission_of '{_ref(holder)}', and permit",
    )


def only_owner(obj: UvmObject) -> None:
    """Raise `Refused` unless a message of the owner's own gives or lifts a permission, as it is about to."""
    global in_use
    in_use = True
    acts = writer()
    if acts.method or acts.who != OWNER:
        raise Refused(
            f"the permission of {obj!r} is changed by a message of the owner's own, never by "
            f"{'a method' if acts.method else acts.who}; nothing was changed",
            rule="permission",
            hint="the owner does it with: send permissions_obj permit '{\"$ref\": \"NAME\"}' -k define='[]'",
        )


def _ref(obj: UvmObject) -> str:
    """An object as one types it; a new one, which has its permission from there, as its prototype."""
    obj = obj if obj._p_oid else obj.__dict__.get("_prototype") or obj
    return f'{{"$oid": "{obj._number()}"}}'
