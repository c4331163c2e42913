"""Snapshots: an object and what it reaches as plain data, and back, without a storage.

A mission thinks and rehearses on a snapshot.  The *circle* holds the receiver, its parents, the
arguments and what they reach, up to a bounded count; beyond the bound an object is *outside*: it can
be carried about, but the first touch raises `OutsideCircle`, and the trial that did it is unknown
rather than wrong.

    {"receiver": 0, "objects": [{"slots": {...}, "parents": [["parent*", 1]], "methods": {sel: source},
     "primitives": {sel: name}, "name": "account"}], "args": [...], "kw": {...}}

Values are in the form of `plain.encode`, an object of the circle is ``{"$obj": index}``, one outside
``{"$outside": null}``.  Where permissions are in use an object also tells its own, and of each method who
wrote it: ``"permission": {...}``, ``"authors": {sel: [author, mission]}``.
"""

from __future__ import annotations

from typing import Any

from persistent import Persistent

from batos.objects import permission
from batos.objects.holding import put_back
from batos.objects.method import Method
from batos.objects.plain import NotPlain, decode, encode
from batos.objects.uvm_object import UvmObject

BOUND = 200


class OutsideCircle(BaseException):
    """A trial touched an object that its snapshot does not hold."""


class Outside(UvmObject):
    """Stands for an object beyond the bound of a snapshot."""

    _beyond = True

    def _p_activate(self):
        raise OutsideCircle

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        raise OutsideCircle

    def __setattr__(self, name, value):
        if name.startswith("_"):
            return Persistent.__setattr__(self, name, value)
        raise OutsideCircle

    def __repr__(self):
        return "<an object outside the rehearsal>"


def to_data(
    receiver: UvmObject,
    args: list | tuple = (),
    kw: dict[str, Any] | None = None,
    bound: int = BOUND,
    reached: list[UvmObject] | None = None,
) -> dict[str, Any]:
    """The circle of `receiver` and its arguments as JSON data (shape: module docstring).

    reached  an empty list, filled with the live objects of the circle
    """
    order: list[UvmObject] = [] if reached is None else reached
    index: dict[int, int] = {}

    def ref(obj: Persistent) -> dict[str, Any]:
        if not isinstance(obj, UvmObject):
            return {"$outside": None}  # a blob, an index: not for generated code
        if id(obj) not in index:
            if len(order) >= bound:
                return {"$outside": None}
            index[id(obj)] = len(order)
            order.append(obj)
        return {"$obj": index[id(obj)]}

    def told(value: Any) -> Any:
        try:
            return encode(value, ref)
        except NotPlain:
            return {"$outside": None}

    ref(receiver)
    data_args = [told(each) for each in args]
    data_kw = {name: told(value) for name, value in (kw or {}).items()}
    objects = []
    for obj in order:  # grows while we walk
        slots, parents = {}, []
        for name, value in obj._slots.items():
            if name.endswith("*"):
                parents.append([name, ref(value)])
            else:
                slots[name] = told(value)
        methods, primitives, authors = {}, {}, {}
        for _, value in obj._own_slots():
            if isinstance(value, Method):
                if value.primitive is not None:
                    primitives[value.selector] = value.primitive
                else:
                    methods[value.selector] = value.source
                    record = value.record()
                    authors[value.selector] = [record["author"], record.get("mission")]
        objects.append(
            {
                "name": obj.__dict__.get("_name"),
                "slots": slots,
                "parents": parents,
                "methods": methods,
                "primitives": primitives,
            }
        )
        if permission.in_use:
            objects[-1] |= {"authors": authors, "permission": obj.__dict__.get(permission.NAME)}
    return {"receiver": 0, "objects": objects, "args": data_args, "kw": data_kw}


def from_data(circle: dict[str, Any]) -> tuple[UvmObject, list[Any], dict[str, Any]]:
    """(receiver, args, kw) built anew from a circle; nothing is shared between two calls."""
    objects = [UvmObject() for _ in circle["objects"]]

    def deref(tag: dict[str, Any]) -> UvmObject:
        return objects[tag["$obj"]] if "$obj" in tag else Outside()

    for obj, data in zip(objects, circle["objects"], strict=True):
        if data["name"]:
            obj._name = data["name"]
        for name, parent in data["parents"]:
            setattr(obj, name, deref(parent))
        for name, value in data["slots"].items():
            setattr(obj, name, decode(value, deref))
        authors = data.get("authors", {})
        methods = {selector: Method(selector, primitive) for selector, primitive in data["primitives"].items()}
        for selector, source in data["methods"].items():
            author, mission = authors.get(selector, ("snapshot", None))
            methods[selector] = Method(selector)
            methods[selector].add_version(source, author, "accepted", mission=mission)
        if methods:  # at once: a rehearsal builds its circle anew for every call
            obj._methods = methods
    put_back(
        {
            obj: data["permission"]
            for obj, data in zip(objects, circle["objects"], strict=True)
            if data.get("permission")
        },
        objects,
    )
    return (
        objects[circle["receiver"]],
        [decode(each, deref) for each in circle["args"]],
        {name: decode(value, deref) for name, value in circle["kw"].items()},
    )


def slots_data(obj: UvmObject) -> dict[str, Any]:
    """The own data slots of an object of a circle in the form of `encode`, for before-and-after."""
    told = {}
    for name, value in obj._slots.items():
        if not name.endswith("*"):
            try:
                told[name] = encode(value, lambda each: {"$obj": each.__dict__.get("_name") or id(each)})
            except NotPlain:
                told[name] = {"$outside": None}
    return told
