"""Kinds: the classes methods know by name, what they make, and what `isinstance` and `type` say of values.

A list in a slot is of our persistent kind and passes for a list, so each question after a class is asked of
the family; what a class makes is bounded like anything else (`growth`).
"""

from __future__ import annotations

import decimal
import fractions
import re
import types
import weakref
from collections.abc import Callable
from typing import Any

from batos.guardian import texts
from batos.guardian.growth import (
    MAX_BITS,
    MAX_DIGITS,
    MAX_ITEMS,
    MAX_TEXT,
    countable,
    shown,
    ticking,
    too_big,
)
from batos.objects.containers import Dict, List, Set

MAX_KINDS = 1_000  # classes asked for at once


class Guarded:
    """Stands for a class: called it makes one within bounds, `isinstance` sees the class itself."""

    __slots__ = ("kind", "make")

    def __init__(self, kind: type, make: Callable):
        self.kind, self.make = kind, make

    def __call__(self, *args, **kw):
        return self.make(*args, **kw)

    def __getitem__(self, _):
        raise TypeError(
            f"{self.kind.__name__}[...] tells a kind to type checkers; a method has no use for it"
        )

    def __or__(self, other):
        return Either((self, other))

    def __ror__(self, other):
        return Either((other, self))

    def __repr__(self):
        return repr(self.kind)


class Either(tuple):
    """`int | None` where `int` is a `Guarded`: what `isinstance` is asked for."""

    __slots__ = ()

    def __or__(self, other):
        return Either((*self, other))


# -- what a class makes ----------------------------------------------------------------------------------


def _int(value=0, *base, **named):
    countable(value)
    if type(value) in (str, bytes) and len(value) > MAX_BITS // 5:
        raise too_big("a number")
    return int(value, *base, **named)


def _bytes(value=b"", *rest):
    if isinstance(value, int) and value > MAX_TEXT:
        raise too_big("bytes")
    texts.codec(*rest[:1])
    return bytes(ticking(value) if not isinstance(value, (int, str, bytes)) else value, *rest)


def _decimal(value="0", *context):
    written = value[1] if isinstance(value, (tuple, list)) and len(value) == 3 else value
    if isinstance(written, (str, tuple, list)) and len(written) > MAX_DIGITS:
        raise too_big("a number")
    return countable(decimal.Decimal(value, *context))


def _fraction(numerator=0, denominator=None):
    for part in (numerator, denominator):
        countable(part)
        if isinstance(part, str) and (len(part) > 1000 or re.search(r"[eE][-+]?\d{4,}", part)):
            raise too_big("a Fraction")
    return fractions.Fraction(numerator, denominator)


def _range(*bounds):
    made = range(*bounds)
    if len(made) > MAX_ITEMS:
        raise too_big("a range")
    return made


def _slice(*bounds):
    if not all(isinstance(bound, (int, type(None))) for bound in bounds):
        raise TypeError("the bounds of a slice are whole numbers")
    return slice(*bounds)


def _str(value="", *encoding):
    if encoding:
        texts.codec(*encoding[:1])
        return str(value, *encoding)
    if type(value) is int or type(value) is str:
        return str(value)
    return str(shown(value))


INT = Guarded(int, _int)
BYTES = Guarded(bytes, _bytes)
STR = Guarded(str, _str)
DECIMAL = Guarded(decimal.Decimal, _decimal)
FRACTION = Guarded(fractions.Fraction, _fraction)
RANGE = Guarded(range, _range)
SLICE = Guarded(slice, _slice)


# -- which class a value is of ---------------------------------------------------------------------------

# `isinstance(x, list)` is asked of what a slot holds too.
FAMILY = {list: (list, List), dict: (dict, Dict), set: (set, Set)}


def kinds(wanted: Any) -> Any:
    """The classes `isinstance` is to look for where the method says `wanted`."""
    if isinstance(wanted, tuple):
        return tuple(found for each in _flat(wanted) for found in _flat(kinds(each)))
    if isinstance(wanted, Guarded):
        return FAMILY.get(wanted.kind, wanted.kind)
    if isinstance(wanted, types.UnionType):
        return kinds(wanted.__args__)
    if wanted is None:
        return type(None)
    return FAMILY.get(wanted, wanted) if isinstance(wanted, type) else wanted


def _flat(wanted: Any) -> list[Any]:
    """What a tuple of tuples of classes holds: Python would walk one that names another twice without end."""
    found, waiting = [], [wanted]
    while waiting:
        each = waiting.pop()
        if isinstance(each, tuple):
            waiting.extend(each)
        else:
            found.append(each)
        if len(waiting) + len(found) > MAX_KINDS:
            raise too_big("a tuple of classes")
    return found


def caught(wanted: Any) -> Any:
    """What stands behind `except`: classes of exceptions, one or tuples of them."""
    found = _flat(wanted)
    if not all(isinstance(each, type) and issubclass(each, BaseException) for each in found):
        raise TypeError("`except` takes kinds of exceptions")
    return tuple(found)


def is_instance(value: Any, wanted: Any) -> bool:
    return isinstance(value, kinds(wanted))


class _Family(type):
    def __instancecheck__(cls, value):
        return isinstance(value, kinds(cls.stands_for))


def family(kind: type) -> type:
    """A class for `case list():` that knows the persistent kinds too."""
    return _Family(kind.__name__, (), {"stands_for": kind})


_NAMED: weakref.WeakKeyDictionary[type, Any] = weakref.WeakKeyDictionary()


def named(*values: Any) -> None:
    """Let `type_of` answer these, which methods know by name, for the classes they stand for."""
    for value in values:
        if isinstance(value, (type, Guarded)):
            _NAMED[value.kind if isinstance(value, Guarded) else value] = value


def cannot_make(kind: type) -> Callable:
    def make(*args, **kw):
        raise TypeError(f"a {kind.__name__} cannot be made by its type; an object is made with `clone`")

    return make


def type_of(value: Any) -> Any:
    """`type(value)`: what methods call the value's class by, so that `type(x) is list` says what it should."""
    kind = type(value)
    for plain, (_, ours) in FAMILY.items():
        if kind is ours:
            kind = plain
    made = _NAMED.get(kind)
    if made is None:  # it can be compared and asked for with `isinstance`, and is nothing else
        made = _NAMED[kind] = Guarded(kind, cannot_make(kind))
    return made
