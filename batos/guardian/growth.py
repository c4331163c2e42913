"""Growth: how much one value, one operation or one iteration may come to.

One call into C cannot be interrupted, so what it makes is bounded *before* it begins: a result beyond these
bounds is a `ValueError`, which a method may catch like any other.  Here are the bounds, the operators, and
what walks many values; texts that are filled in are in `texts`, classes in `kinds`.
"""

from __future__ import annotations

import collections
import decimal
import fractions
import functools
import itertools
import operator
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from batos.objects import fuel
from batos.objects.containers import Dict, List, Set
from batos.objects.fuel import tank as _tank

MAX_TEXT = 4_000_000  # characters or bytes in one value
MAX_ITEMS = 5_000_000  # elements in one container, steps of one iterator
LARGE = 500_000  # characters or elements from which on the memory is looked at: 2 us, a copy takes 50
MAX_BITS = 200_000  # of one whole number: 60,000 digits multiply in a millisecond
MAX_DIGITS = 10_000  # exponent of a Decimal, width of a format field
MAX_FIELDS = 100  # fields of one template
MAX_FORM = 1_000  # characters of a date's text and of its form
AT_ONCE = 4096  # numbers are added so many in one call

TEXTS = (str, bytes)
_NUMBERS = frozenset({int, float, bool, decimal.Decimal, complex})
_SMALL = 1 << 62
VIEWS = tuple(type(each) for each in ({}.keys(), {}.values(), {}.items()))


def too_big(what: str) -> ValueError:
    return ValueError(f"{what} would grow beyond what one value may be")


def room(length: int, value: Any) -> None:
    """Raise where so many characters or elements are too many for one value of this kind."""
    if length > LARGE:
        if length > (MAX_TEXT if isinstance(value, TEXTS) else MAX_ITEMS):
            raise too_big(f"a {type(value).__name__.lower()}")
        fuel.weigh()  # hundreds of these are made between two glances at the memory


def countable(value: Any) -> Any:
    """A number whose whole part may be written out: a Decimal can have an exponent of a million."""
    if isinstance(value, decimal.Decimal) and value.is_finite() and abs(value.adjusted()) > MAX_DIGITS:
        raise too_big("a number")
    return value


def sized(made):
    """A display or text made of several others, within bounds."""
    room(len(made), made)
    return made


# -- walking ---------------------------------------------------------------------------------------------


def ticking(items: Iterable) -> Iterator:
    """The items, each for fuel, at most `MAX_ITEMS`: C code that consumes it can be ended."""
    left = MAX_ITEMS
    for item in items:
        if _tank.low:
            fuel.look()
        left -= 1
        if left < 0:
            raise too_big("an iteration")
        yield item


class Lazy:
    """An iterator written in C, or a generator, with a step in Python between.

    Iterators over iterators over iterators call one another in C without asking how deep they are; a
    chain long enough ends the process.  Through this they meet the recursion limit.
    """

    __slots__ = ("_items",)

    def __init__(self, items: Iterator):
        self._items = items

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._items)


def lazy(function: Callable) -> Callable:
    return lambda *args, **kw: Lazy(function(*args, **kw))


def total(items, start=0):
    """`sum`: numbers as quickly as Python adds them, containers one by one and measured."""
    if type(start) in (int, float):
        if type(items) in (list, tuple, range) and len(items) <= AT_ONCE:
            return sum(items, start)
        numbers = iter(items)
        while chunk := list(itertools.islice(numbers, AT_ONCE)):
            if _tank.low:
                fuel.look()
            start = sum(chunk, start)
        return start
    result = start
    for item in ticking(items):
        result = add(result, item)
    return result


def extending(name: str) -> Callable:
    """`extend` or its like, of a list or deque, within bounds."""

    def call(target, items):
        if hasattr(items, "__len__"):
            room(len(target) + len(items), target)
        else:
            items = ticking(items)
        getattr(target, name)(items)

    return call


# -- operators -------------------------------------------------------------------------------------------


def add(a, b):
    if type(a) is int:
        return a + b
    if type(a) not in _NUMBERS and hasattr(a, "__len__") and hasattr(b, "__len__"):
        room(len(a) + len(b), a)
    return a + b


def add_in_place(a, b):
    if type(a) is int:
        return a + b
    if type(a) not in _NUMBERS:
        if hasattr(a, "__len__"):
            if hasattr(b, "__len__"):
                room(len(a) + len(b), a)
            elif isinstance(a, (list, List, collections.deque)):
                b = ticking(b)
        return operator.iadd(a, b)
    return a + b


def _bits(value: Any) -> int:
    if isinstance(value, int):
        return value.bit_length()
    if isinstance(value, fractions.Fraction):
        return max(value.numerator.bit_length(), value.denominator.bit_length())
    return 0


def _may_multiply(a: Any, b: Any) -> None:
    if isinstance(a, (int, fractions.Fraction)) and isinstance(b, (int, fractions.Fraction)):
        if _bits(a) + _bits(b) > MAX_BITS:
            raise too_big("a number")
    elif isinstance(b, int) and hasattr(a, "__len__"):
        room(len(a) * b, a)
    elif isinstance(a, int) and hasattr(b, "__len__"):
        room(a * len(b), b)


def multiply(a, b):
    if (
        type(a) is int and type(b) is int
    ):  # none is much longer than MAX_BITS, so it is measured when it is made
        made = a * b
        if -_SMALL < made < _SMALL or made.bit_length() <= MAX_BITS:
            return made
        raise too_big("a number")
    if type(a) is not float and type(b) is not float:
        _may_multiply(a, b)
    return a * b


def multiply_in_place(a, b):
    if type(a) is int:
        return multiply(a, b)
    if type(a) is not float and type(b) is not float:
        _may_multiply(a, b)
    return operator.imul(a, b)


def power(a, b, modulus=None):
    if modulus is not None:
        if max(_bits(a), _bits(b), _bits(modulus)) > 4096:
            raise too_big("a power")
        return pow(a, b, modulus)
    if (
        isinstance(b, int)
        and isinstance(a, (int, fractions.Fraction))
        and _bits(a) > 1
        and _bits(a) * abs(b) > MAX_BITS
    ):
        raise too_big("a power")
    return a**b


def divide(a, b):
    """`a / b`: the inverse of a fraction has other denominators, whose sums double."""
    if type(a) is fractions.Fraction or type(b) is fractions.Fraction:
        _may_multiply(a, b)
    return a / b


def shift_left(a, b):
    if isinstance(a, int) and isinstance(b, int) and _bits(a) + b > MAX_BITS:
        raise too_big("a number")
    return a << b


def grow(container):
    """What may stand left of `[a:b] = value`: it may at most double."""
    if type(container) in (list, List):
        room(len(container) * 2, container)
    return container


def rounded(value, digits=None):
    """`round`, which for whole numbers would raise ten to the places asked for."""
    if isinstance(digits, int) and abs(digits) > MAX_DIGITS:
        raise too_big("a number")
    return round(countable(value), digits)


# -- what is written out ---------------------------------------------------------------------------------


def shown(value: Any) -> Any:
    """`value`, if its text stays within bounds: containers can name one another many times over."""
    if type(value) in _NUMBERS or isinstance(value, TEXTS):
        return value
    left, waiting = MAX_TEXT, [value]
    while waiting:
        if _tank.low:
            fuel.look()
        each = waiting.pop()
        if isinstance(each, TEXTS):
            left -= len(each)
        elif isinstance(each, (list, tuple, set, frozenset, List, Set, collections.deque)):
            left -= 2 + len(each)
            waiting.extend(each if left > 0 else ())
        elif isinstance(each, (dict, Dict)):
            left -= 2 + len(each)
            waiting.extend((*each.keys(), *each.values()) if left > 0 else ())
        elif isinstance(each, VIEWS):
            waiting.append(list(each))
        elif isinstance(each, BaseException):
            waiting.append(each.args)
        elif isinstance(each, functools.partial):
            waiting.append((each.func, each.args, each.keywords))
        else:
            left -= 8
        if left < 0:
            raise too_big("a text")
    return value
