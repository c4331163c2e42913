"""What ruled objects hold: each container in their slots is marked with its holder, so that it is guarded too.

A container does not know where it is kept, so an object that a permission rules marks its own, at the latest
when the turn ends that put them there.  The price: where a permission is given to a parent, what the children
hold already is marked with the first change or `_p_changed` of each child, and guarded from then on.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from persistent import Persistent

from batos.objects import permission
from batos.objects.containers import containers_in
from batos.objects.undo_log import note

if TYPE_CHECKING:
    from batos.objects.uvm_object import UvmObject


def settle(objects: Iterable[Persistent]) -> None:
    """Mark what ruled objects, and containers that are marked, hold by now; called when a turn has run."""
    if not permission.in_use:
        return
    for obj in objects:
        if "data" in obj.__dict__:
            held = obj.__dict__.get("_held")
            if held is not None:
                _mark(obj, held)
        elif "selector" not in obj.__dict__:
            hold(obj)


def hold(obj: UvmObject, *names: str) -> None:
    """Mark the containers in these slots of an object (default: in all) as its own, where it is ruled."""
    slots = obj.__dict__
    held = [
        name
        for name in names or slots
        if name[0] != "_" and name[-1] != "*" and isinstance(slots.get(name), (Persistent, tuple, frozenset))
    ]
    if held and permission.ruling(obj) is not None:
        for name in held:
            _mark(slots[name], (obj, name))


def _mark(value: Any, held: tuple[UvmObject, str]) -> None:
    for each in containers_in(value):
        if "_held" not in each.__dict__:
            note(each)
            each._p_changed = True
            each.__dict__["_held"] = held


def put_back(given: dict[UvmObject, dict[str, Any]], among: Iterable[UvmObject]) -> None:
    """Let objects built from a snapshot have the permissions they had, and mark what they all hold."""
    for obj, rules in given.items():
        obj.__dict__[permission.NAME] = rules
        permission.in_use = True
    for obj in among if given else ():
        hold(obj)
