"""Giving and lifting permissions: the messages of `permissions_obj`, and what batos itself seals.

What a permission is, and who is asked when: `permission`.
"""

from __future__ import annotations

from typing import Any

from batos.errors import BadRequest, WrongArguments
from batos.objects import permission
from batos.objects.genesis import add_primitives, child
from batos.objects.holding import hold
from batos.objects.method import primitive
from batos.objects.permission import MISSIONS, NAME, SEALED, SELF
from batos.objects.uvm_object import UvmObject


def seal(obj: UvmObject) -> None:
    """Give an object the permission that lets nobody but the owner change it."""
    put(obj, SEALED)


def put(obj: UvmObject, rules: dict[str, Any]) -> None:
    """Give an object a permission in place of its own."""
    setattr(obj, NAME, rules)  # refuses whoever is not the owner
    hold(obj)
    used = _permissions_of(obj)
    if used is not None and not used.__dict__.get("in_use"):
        used.in_use = True


def _permissions_of(obj: UvmObject) -> UvmObject | None:
    return obj._p_jar.root().get("permissions_obj") if obj._p_jar is not None else None


def _names(value: Any, what: str) -> tuple[str, ...]:
    value = getattr(value, "data", value)  # a list of ours
    if not isinstance(value, (list, tuple)) or not all(isinstance(each, str) and each for each in value):
        raise WrongArguments(f"{what} takes a list of names: of keys, {MISSIONS!r} or {SELF!r}")
    return tuple(value)


def _an_object(obj: Any) -> UvmObject:
    if not isinstance(obj, UvmObject):
        raise WrongArguments(
            'whose permission? Name the object so that it is no text: \'{"$ref": "account"}\''
        )
    return obj


@primitive
def permit(self, obj, define=None, write=None):
    """Say who may define on `obj` (a list of names) and write which slot ({slot: names}, "*" for the others);
    what is left out is open to all.  It replaces the permission `obj` had of its own."""
    _an_object(obj)
    told: dict[str, Any] = {}
    if define is not None:
        told["define"] = _names(define, "define")
    if write is not None:
        slots = getattr(write, "data", write)
        if not isinstance(slots, dict):
            raise WrongArguments('write takes {slot: names}, such as {"balance": ["self"], "*": []}')
        told["write"] = {slot: _names(who, f"write of {slot}") for slot, who in slots.items()}
    if not told:
        raise BadRequest(
            "this permits nothing and forbids nothing", hint="give define, write or both; or `lift`"
        )
    put(obj, told)
    return permission_of(self, obj)


@primitive
def permission_of(self, obj):
    """The permission that rules `obj`, and the object that holds it; null where `obj` is open."""
    found = permission.ruling(_an_object(obj))
    if found is None:
        return None
    holder, told = found
    return {"define": told.get("define"), "write": told.get("write"), "holder": holder}


@primitive
def lift(self, obj):
    """Take away the permission that `obj` has of its own; answers the one that rules it from now on."""
    if NAME in _an_object(obj).__dict__:
        delattr(obj, NAME)
    return permission_of(self, obj)


def permissions(root: Any) -> None:
    """The part of genesis that makes `permissions_obj`, or adds what it lacks."""
    keeper = child(root, "permissions_obj")
    add_primitives(keeper, "permit", "permission_of", "lift")
    keeper._p_activate()
    if keeper.__dict__.get("in_use"):
        permission.in_use = True
