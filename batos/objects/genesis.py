"""Genesis: the first objects of a newborn image, under the names of the design.

Runs at every opening and adds only what is missing, so that a birth which was cut short is completed
and a user's edits stand.  What other parts keep in the image (personas, states, the catalog) they
make themselves and hand in as `parts`; here are only the world's own first objects.

A newer batos ships newer texts.  An object therefore remembers, in `_shipped`, the digest of what each
slot and method was shipped with: what is still as it was shipped follows the newer text, what a user
has edited stays, and the newer text waits beside it, a method as a version that is not installed, a slot
in `_offered`, until somebody takes it (`offers`, `take`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from batos.errors import NotUnderstood
from batos.message import SERIES
from batos.objects.lookup import send
from batos.objects.method import Method, digest
from batos.objects.plain import NotPlain, encode
from batos.objects.traits import EVERY_OBJECT, make_traits
from batos.objects.uvm_object import UvmObject

SCHEMA = 3  # of what is written here; `image.schema` brings an older image to it
AUTHOR = "batos"  # of the methods that are shipped
DIGITS = 16  # of a digest that only has to tell one text from another


def genesis(root: Any, parts: Iterable[Callable[[Any], None]] = ()) -> None:
    """Fill `root` (an image's `Root`) with what it has not yet; each of `parts(root)` adds its own."""
    if "batos" not in root:
        root["batos"] = {"series": SERIES, "schema": SCHEMA, "born": time.time()}
    if "traits_obj" not in root:
        named(root, "traits_obj", make_traits())
    traits = root["traits_obj"]
    for word in EVERY_OBJECT:  # a word this edition has and the image's birth had not
        if traits._method(word) is None:
            traits._install(Method(word, primitive=word))
    if "genesis_obj" not in root:
        named(root, "genesis_obj", UvmObject(traits))
    if "lobby" not in root:
        named(root, "lobby", UvmObject(traits))
    for part in parts:
        part(root)


def named(root: Any, name: str, obj: UvmObject) -> UvmObject:
    """Put an object at the root under its name."""
    obj._name = name
    obj._born = time.time()
    root[name] = obj
    root.connection.add(obj)
    return obj


def child(root: Any, called: str, /, **slots: Any) -> UvmObject:
    """The root object called so, made as a child of genesis_obj if it is missing; slots as `ship` says."""
    obj = root[called] if called in root else named(root, called, UvmObject(root["genesis_obj"]))
    for slot, value in slots.items():
        ship(obj, slot, value)
    return obj


def add_primitives(obj: UvmObject, *names: str) -> None:
    """Give an object the primitives it lacks."""
    for name in names:
        if obj._method(name) is None:
            obj._install(Method(name, primitive=name))


# -- what is shipped, and what a user made of it ---------------------------------------------------------


def ship(obj: UvmObject, slot: str, value: Any) -> None:
    """Give a slot the value this edition ships: a missing one is made, one that nobody has edited since it
    was shipped follows, an edited one stays and the new value is offered beside it."""
    new, before = value_digest(value), _facts(obj, "_shipped").get(slot)
    if slot not in obj._slots:
        setattr(obj, slot, value)
    elif before is not None and before != new:
        if value_digest(obj._slots[slot]) == before:
            setattr(obj, slot, value)
            _drop_offer(obj, slot)
        else:
            _put(obj, "_offered", slot, value)
    if before != new:
        _put(obj, "_shipped", slot, new)


def ship_method(obj: UvmObject, selector: str, source: str) -> None:
    """Give a method the source this edition ships, through the guardian: the same rule as for a slot, but
    that the offered source is a version of the method, there to be installed with `revert`."""
    name, new = f"{selector}()", digest(source)[:DIGITS]
    before, method = _facts(obj, "_shipped").get(name), obj._method(selector)
    if method is None:
        send(obj, "define", (source,))
    elif before is not None and before != new:
        installed, edited = method.current, method.current != newest_shipped(method)
        send(obj, "define", (source,))
        if not edited:
            _drop_offer(obj, name)
        else:
            _put(obj, "_offered", name, obj._method(selector).current)
            if installed is None:
                send(obj, "forget", (selector,))
            else:
                send(obj, "revert", (selector, installed))
    if before != new:
        _put(obj, "_shipped", name, new)


def newest_shipped(method: Method) -> int | None:
    """The newest version of a method that batos shipped."""
    return max((each["version"] for each in method.versions if each["author"] == AUTHOR), default=None)


def offers(root: Any) -> list[dict[str, Any]]:
    """What newer editions ship and edited objects have not taken: `{"object", "slot", "shipped", "current"}`,
    with the slot of a method as ``selector()`` and its `shipped` and `current` as numbers of versions."""
    told = []
    for path, obj in _shipped_objects(root):
        for slot, value in _facts(obj, "_offered").items():
            if slot.endswith("()"):
                current = obj._method(slot[:-2]).current
            else:
                current = obj._slots.get(slot)
            if value_digest(current) != value_digest(value):
                told.append({"object": path, "slot": slot, "shipped": value, "current": current})
    return told


def take(root: Any, path: str, slot: str) -> dict[str, Any]:
    """Take what is offered for a slot or method in place of the user's own; answers the offer that was taken.

    Raises `NotUnderstood` where nothing is offered.  A method is reverted, a slot changed, by an ordinary
    message: it has its change record and can be undone.
    """
    found = offers(root)
    names = (slot, f"{slot}()")
    offer = next((each for each in found if each["object"] == path and each["slot"] in names), None)
    if offer is None:
        there = ", ".join(f"{each['object']} {each['slot']}" for each in found)
        raise NotUnderstood(
            f"{path} has no newer {slot!r} to take",
            hint=f"there is: {there}" if there else "every shipped object is as this edition ships it",
        )
    obj, name = root.resolve(path), offer["slot"]
    if name.endswith("()"):
        send(obj, "revert", (name[:-2], offer["shipped"]))
    else:
        setattr(obj, name, offer["shipped"])
    _drop_offer(obj, name)
    return offer


def value_digest(value: Any) -> str:
    """A digest of a slot's value; objects count by their name, what is no data (an index) by its kind."""

    def ref(obj: Any) -> dict[str, Any]:
        obj._p_activate()
        return {"$obj": obj.__dict__.get("_name") if isinstance(obj, UvmObject) else type(obj).__name__}

    try:
        told = encode(value, ref)
    except NotPlain:
        told = {"$kind": type(value).__name__}
    return digest(json.dumps(told, sort_keys=True))[:DIGITS]


def _shipped_objects(root: Any) -> Iterator[tuple[str, UvmObject]]:
    """The genesis objects with the path of each: those at the root, and the states of the machine."""
    for name in root.names():
        obj = root[name]
        yield name, obj
        if name == "psm_prototypes_obj":
            for slot, each in obj._slots.items():
                if isinstance(each, UvmObject) and not slot.endswith("*"):
                    yield f"{name}.{slot}", each


def _facts(obj: UvmObject, name: str) -> dict[str, Any]:
    obj._p_activate()
    return obj.__dict__.get(name, {})


def _put(obj: UvmObject, name: str, slot: str, value: Any) -> None:
    setattr(obj, name, {**_facts(obj, name), slot: value})


def _drop_offer(obj: UvmObject, slot: str) -> None:
    offered = _facts(obj, "_offered")
    if slot in offered:
        obj._offered = {each: value for each, value in offered.items() if each != slot}
