"""Weight: how many values there are in one, every container counted as often as it is named.

`x = (x, x)` thirty times takes thirty-one tuples and weighs two thousand million.  Hashing, comparing or
printing it visits them all within one call into C, which neither fuel nor another thread can end: the
interpreter never comes back from it.  So whoever is about to have C walk a value weighs it first, and
what is heavier than `MOST` is a `ValueError`, which a method may catch like any other.

Weighing goes level by level, each level at the speed of C, so it costs about what the walk in C costs and
stops at the bound.  It goes no deeper than `DEEPEST`: Python compares no deeper either, and hashes
without asking how deep, until the process ends.

A value of a light class holds no other and is compared or hashed at once.  Only where there are very many
on one level, or what holds them is named very often, the long texts and great numbers among them are measured:
comparing a million times a megabyte is one call into C too.
"""

from __future__ import annotations

import collections
import datetime
import decimal
import fractions
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

MOST = 6_000_000  # values C may visit in one call: 0.2 s
SHARED = (
    5_000  # containers on one level, from which on it is asked whether they are the same few again and again
)
DEEPEST = 800
LIGHT: set[type] = {
    type(None), bool, int, float, complex, str, bytes, type(Ellipsis), type(NotImplemented), range, slice,
    datetime.date, datetime.datetime, datetime.time, datetime.timedelta, datetime.timezone,
    decimal.Decimal, fractions.Fraction,
}  # fmt: skip
MANY = 1_000  # texts on one level, from which on their lengths count
A_VALUE = 64  # characters that weigh as much as a value
CROWD = 50_000  # whole numbers on one level, from which on their lengths count
BITS = 1_000  # of a whole number that weigh as much as a value
LONGEST_TOLD = 200  # characters of a text that stands in a sentence

_Level = list[Any] | tuple[Any, ...]


def weigh(*values: Any) -> int:
    """How many values C visits when it walks these; `ValueError` beyond `MOST`, `RecursionError` beyond `DEEPEST`."""
    level: _Level = values
    total = 0
    for _ in range(DEEPEST):
        kinds = set(map(type, level))
        total += len(level) + _lengths(level, kinds)
        if total > MOST:
            raise _too_heavy()
        kinds -= LIGHT
        parts: list[Iterable[Any]] = []
        for kind in kinds:
            way = _ways.get(kind) or _found(kind)
            if way is None:
                continue
            same = (
                level if len(kinds) == 1 and _all_of(level, kind) else [x for x in level if type(x) is kind]
            )
            if len(same) > SHARED and len(set(map(id, same))) < len(same) // 8:
                return total + _weigh_shared(level, MOST - total)
            count, inside = way(same)
            if total + count > MOST:
                raise _too_heavy()
            parts += inside
        if not parts:
            return total
        level = list(chain.from_iterable(parts))
    raise RecursionError("this is nested too deeply")


def _all_of(level: _Level, kind: type) -> bool:
    return type(level[0]) is kind and len(set(map(type, level))) == 1


def _weigh_shared(level: _Level, most: int) -> int:
    """What lies below a level in which the same containers stand many times: each is looked into once."""
    found: dict[int, tuple[Any, int]] = {}
    for each in level:
        if type(each) not in LIGHT:
            found[id(each)] = each, found.get(id(each), (None, 0))[1] + 1
    total = 0
    for _ in range(DEEPEST):
        below: dict[int, tuple[Any, int]] = {}
        for each, times in found.values():
            way = _ways.get(type(each)) or _found(type(each))
            if way is None:
                continue
            for part in chain.from_iterable(way([each])[1]):
                total += times * (1 + _length(part))
                if total > most:
                    raise _too_heavy()
                if type(part) not in LIGHT:
                    below[id(part)] = part, below.get(id(part), (None, 0))[1] + times
        if not below:
            return total
        found = below
    raise RecursionError("this is nested too deeply")


def _too_heavy() -> ValueError:
    return ValueError("this holds too many values: what it names again and again counts each time")


def _lengths(level: _Level, kinds: set[type]) -> int:
    """What long texts and great numbers weigh beyond one each."""
    more = 0
    if len(level) > MANY:
        for text in kinds & {str, bytes}:
            same = level if len(kinds) == 1 else [each for each in level if type(each) is text]
            more += sum(map(len, same)) // A_VALUE
        if len(level) > CROWD and int in kinds:
            same = level if len(kinds) == 1 else [each for each in level if type(each) is int]
            more += sum(map(int.bit_length, same)) // BITS
    return more


def _length(value: Any) -> int:
    """What a long text or great number weighs beyond one."""
    if type(value) in (str, bytes):
        return len(value) // A_VALUE
    return value.bit_length() // BITS if type(value) is int else 0


# How to go down from containers of one kind: (how many values are below, iterables of them).
_Way = Callable[[Any], tuple[int, list[Iterable[Any]]]]


def _sequences(same: Any) -> tuple[int, list[Iterable[Any]]]:
    return sum(map(len, same)), [chain.from_iterable(same)]


def _mappings(same: Any) -> tuple[int, list[Iterable[Any]]]:
    return 2 * sum(map(len, same)), [chain.from_iterable(same), *(each.values() for each in same)]


def _of_image(same: Any) -> tuple[int, list[Iterable[Any]]]:
    return len(same), [[each.data for each in same]]


_ways: dict[type, _Way | None] = {
    **dict.fromkeys((list, tuple, set, frozenset, collections.deque), _sequences),
    **dict.fromkeys((type({}.keys()), type({}.values()), type({}.items())), _sequences),
    **dict.fromkeys((dict, collections.OrderedDict, collections.Counter, collections.defaultdict), _mappings),
}


def _found(kind: type) -> _Way | None:
    """The way of a kind that is met the first time: a subclass goes as its base does."""
    if kind not in _ways:
        _ways[kind] = next((_ways[base] for base in kind.__mro__ if base in _ways), None)
    return _ways[kind]


def light(*kinds: type) -> None:
    """Values of these classes hold nothing that C walks."""
    LIGHT.update(kinds)


def of_image(*kinds: type) -> None:
    """Containers of these classes have what they hold in `data`."""
    _ways.update(dict.fromkeys(kinds, _of_image))


def all_light(values: Any) -> bool:
    """Are these few enough, and all of light classes?  The quick question before `weigh`."""
    return len(values) <= MANY and LIGHT.issuperset(map(type, values))


def briefly(values: tuple[Any, ...]) -> bool:
    """Are these so few that they may be written out?"""
    try:
        return weigh(values) <= MANY
    except (ValueError, RecursionError):
        return False


def shortly(value: Any) -> str:
    """A value as a sentence about it may write it: what holds others, and what is long, by its kind."""
    kind = type(value)
    long = (kind in (str, bytes) and len(value) > LONGEST_TOLD) or (kind is int and value.bit_length() > BITS)
    return f"a {'long ' * long}{kind.__name__}" if long or kind not in LIGHT else repr(value)


def keyed(key: Any) -> Any:
    """A key or member that may be hashed."""
    kind = type(key)
    if kind not in LIGHT and not (kind is tuple and all_light(key)):
        weigh(key)
    return key


def check_pair(one: Any, other: Any) -> None:
    """Raise where comparing two values would have C visit too many: it goes as far down as both do."""
    kind = type(one)
    if kind in LIGHT or type(other) in LIGHT or (kind in (tuple, list) and all_light(one)):
        return
    try:
        weigh(one)
    except (ValueError, RecursionError):
        weigh(other)
