"""Genesis: the first objects of a newborn image, under the names of the design.

Runs at every opening and adds only what is missing, so that a birth which was cut short is completed
and a user's edits stand.  What other parts keep in the image (personas, states, the catalog) they
make themselves and hand in as `parts`; here are only the world's own first objects.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from batos.message import SERIES
from batos.objects.method import Method
from batos.objects.traits import EVERY_OBJECT, make_traits
from batos.objects.uvm_object import UvmObject

SCHEMA = 1


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
    """The root object called so, made as a child of genesis_obj if it is missing; missing slots are added."""
    obj = root[called] if called in root else named(root, called, UvmObject(root["genesis_obj"]))
    for slot, value in slots.items():
        if slot not in obj._slots:
            setattr(obj, slot, value)
    return obj


def add_primitives(obj: UvmObject, *names: str) -> None:
    """Give an object the primitives it lacks."""
    for name in names:
        if obj._method(name) is None:
            obj._install(Method(name, primitive=name))
