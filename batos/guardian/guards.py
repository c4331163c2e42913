"""What compiled methods call instead of Python's own operators: attribute access, sends and growth.

Every guard answers as the plain operation would, or raises a sentence.  Attribute access goes by an
allow-list of types: what is not listed has no attributes.  Growth is bounded *before* the operation,
because one call into C cannot be interrupted: a result beyond these bounds is a `ValueError`, which
a method may catch like any other.
"""

from __future__ import annotations

import codecs
import collections
import datetime
import decimal
import fractions
import functools
import inspect
import itertools
import operator
import re
import string
import types
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from batos.errors import Refused
from batos.objects import fuel, lookup
from batos.objects.containers import Dict, List, Set, keep
from batos.objects.dispatch import dispatch
from batos.objects.fuel import tank as _tank
from batos.objects.uvm_object import UvmObject

MAX_TEXT = 4_000_000  # characters or bytes in one value
MAX_ITEMS = 5_000_000  # elements in one container, steps of one iterator
MAX_BITS = 200_000  # of one whole number: 60,000 digits multiply in a millisecond
MAX_DIGITS = 10_000  # exponent of a Decimal, width of a format field
MAX_KINDS = 1_000  # classes asked for at once
MAX_FIELDS = 100  # fields of one template
MAX_FORM = 1_000  # characters of a date's text and of its form
CODECS = frozenset(
    "utf-8 utf8 ascii latin-1 latin1 iso-8859-1 utf-16 utf-16-le utf-16-be utf-32 cp1252".split()
)

for _codec_name in CODECS:
    codecs.lookup(_codec_name)  # found now: behind the wall nothing can be imported any more


def too_big(what: str) -> ValueError:
    return ValueError(f"{what} would grow beyond what one value may be")


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


# -- classes whose making is bounded ---------------------------------------------------------------


class Guarded:
    """Stands for a class: called it makes one within bounds, `isinstance` sees the class itself."""

    __slots__ = ("kind", "make")

    def __init__(self, kind: type, make: Callable):
        self.kind, self.make = kind, make

    def __call__(self, *args, **kw):
        return self.make(*args, **kw)

    def __getitem__(self, _):
        raise TypeError(f"{self.kind.__name__}[...] tells a kind to type checkers; a method has no use for it")

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


def countable(value: Any) -> Any:
    """A number whose whole part may be written out: a Decimal can have an exponent of a million."""
    if isinstance(value, decimal.Decimal) and value.is_finite() and abs(value.adjusted()) > MAX_DIGITS:
        raise too_big("a number")
    return value


def _int(value=0, *base, **named):
    countable(value)
    if type(value) in (str, bytes) and len(value) > MAX_BITS // 5:
        raise too_big("a number")
    return int(value, *base, **named)


def _bytes(value=b"", *rest):
    if isinstance(value, int) and value > MAX_TEXT:
        raise too_big("bytes")
    _codec(*rest[:1])
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
        _codec(*encoding[:1])
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

# `isinstance(x, list)` is asked of what a slot holds too.
_FAMILY = {list: (list, List), dict: (dict, Dict), set: (set, Set)}


def kinds(wanted: Any) -> Any:
    """The classes `isinstance` is to look for where the method says `wanted`."""
    if isinstance(wanted, tuple):
        return tuple(found for each in _flat(wanted) for found in _flat(kinds(each)))
    if isinstance(wanted, Guarded):
        return _FAMILY.get(wanted.kind, wanted.kind)
    if isinstance(wanted, types.UnionType):
        return kinds(wanted.__args__)
    if wanted is None:
        return type(None)
    return _FAMILY.get(wanted, wanted) if isinstance(wanted, type) else wanted


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
    for plain, (_, ours) in _FAMILY.items():
        if kind is ours:
            kind = plain
    made = _NAMED.get(kind)
    if made is None:  # it can be compared and asked for with `isinstance`, and is nothing else
        made = _NAMED[kind] = Guarded(kind, cannot_make(kind))
    return made


# -- attributes ------------------------------------------------------------------------------------

_VIEWS = tuple(type(each) for each in ({}.keys(), {}.values(), {}.items()))
_VALUES = (
    type(None), bool, int, float, complex, str, bytes, list, dict, set, frozenset, tuple, range, slice,
    List, Dict, Set, datetime.date, datetime.datetime, datetime.time, datetime.timedelta, datetime.timezone,
    decimal.Decimal, fractions.Fraction, collections.Counter, collections.defaultdict,
    collections.OrderedDict,
    collections.deque, *_VIEWS,
)  # fmt: skip
# Of a class only what the class itself lists: `list.mro` belongs to its metaclass.
# What time it is and where the machine stands are powers that objects hand out (`caps`).
_CLOCKS = frozenset({"now", "utcnow", "today"})
_CLASSES: dict[type, frozenset[str]] = {
    kind: frozenset(name for name in dir(kind) if not name.startswith("_")) - _CLOCKS
    for kind in (
        bool, int, float, complex, str, bytes, list, dict, set, frozenset, tuple, range,
        datetime.date, datetime.datetime, datetime.time, datetime.timedelta, datetime.timezone,
        decimal.Decimal, fractions.Fraction, collections.Counter, collections.OrderedDict, collections.deque,
    )
}  # fmt: skip
_SAFE_TYPES: dict[type, frozenset[str]] = {
    kind: frozenset(name for name in dir(kind) if not name.startswith("_")) - _CLOCKS for kind in _VALUES
}


def admit(kind: type, names: str = "") -> None:
    """Let attributes of instances of a kind that a facade hands out be read, all public ones if none are named."""
    known = names.split() or [name for name in dir(kind) if not name.startswith("_")]
    _SAFE_TYPES[kind] = frozenset(known)
    _METHODS[kind] = _methods(kind)


def bound(kind: type, name: str, call: Callable) -> None:
    """Let `call(value, ...)` be what a method of `kind` does."""
    _BOUNDED[kind, name] = call
    _METHODS[kind] = _methods(kind)


def get_attribute(obj: Any, name: str) -> Any:
    """`obj.name`, not called."""
    if type(obj) is UvmObject or isinstance(obj, UvmObject):
        return getattr(obj, name)
    allowed = _SAFE_TYPES.get(type(obj))
    if allowed is not None:
        if name in allowed:
            if (type(obj), name) in _BOUNDED:
                return functools.partial(_BOUNDED[type(obj), name], obj)
            if _asked_of_class(type(obj), name):
                return functools.partial(_class_send, type(obj), name)
            return getattr(obj, name)
    elif isinstance(obj, Facade):
        return getattr(obj, name)
    elif isinstance(obj, Guarded) or (isinstance(obj, type) and obj in _CLASSES):
        kind = obj.kind if isinstance(obj, Guarded) else obj
        if name in _CLASSES.get(kind, ()):
            value = getattr(kind, name)
            return functools.partial(_class_send, kind, name) if callable(value) else value
    elif isinstance(obj, BaseException) and name == "args":
        return obj.args
    elif name in getattr(type(obj), "shown_attributes", ()):
        return getattr(obj, name)
    if name in _CLOCKS and issubclass(obj if isinstance(obj, type) else type(obj), datetime.date):
        raise AttributeError(CLOCK)
    raise AttributeError(f"a {type(obj).__name__} has no public {name!r}")


# A send costs what stands here: a dict read for the receiver, one for the selector, the call, the fuel.
# By the number of arguments, because packing and unpacking them would double it.


def send_0(obj: Any, name: str) -> Any:
    """`obj.name()`: a message where `obj` is an object, an ordinary call where it is a value."""
    if type(obj) is not UvmObject:
        call = _METHODS.get(type(obj), _NONE).get(name)
        return _call_other(obj, name) if call is None else call(obj)
    if _tank.low:
        fuel.look()
    try:
        return dispatch[obj][name](obj)
    except TypeError as exc:
        lookup.check_fit(exc, obj, name)
        raise


def send_1(obj: Any, name: str, a: Any) -> Any:
    """`obj.name(a)`."""
    if type(obj) is not UvmObject:
        call = _METHODS.get(type(obj), _NONE).get(name)
        return _call_other(obj, name, a) if call is None else call(obj, a)
    if _tank.low:
        fuel.look()
    try:
        return dispatch[obj][name](obj, a)
    except TypeError as exc:
        lookup.check_fit(exc, obj, name)
        raise


def send_2(obj: Any, name: str, a: Any, b: Any) -> Any:
    """`obj.name(a, b)`."""
    if type(obj) is not UvmObject:
        call = _METHODS.get(type(obj), _NONE).get(name)
        return _call_other(obj, name, a, b) if call is None else call(obj, a, b)
    if _tank.low:
        fuel.look()
    try:
        return dispatch[obj][name](obj, a, b)
    except TypeError as exc:
        lookup.check_fit(exc, obj, name)
        raise


def send_n(obj: Any, name: str, /, *args, **kw) -> Any:
    """`obj.name(...)` with any arguments."""
    if type(obj) is not UvmObject:
        call = _METHODS.get(type(obj), _NONE).get(name)
        return _call_other(obj, name, *args, **kw) if call is None else call(obj, *args, **kw)
    if _tank.low:
        fuel.look()
    try:
        return dispatch[obj][name](obj, *args, **kw)
    except TypeError as exc:
        lookup.check_fit(exc, obj, name)
        raise


_NONE: dict[str, Callable] = {}


def _call_other(obj: Any, name: str, /, *args, **kw) -> Any:
    """A send to an object of another class, or a call of what something has under that name."""
    if isinstance(obj, UvmObject):
        return lookup.send(obj, name, args, kw)
    return get_attribute(obj, name)(*args, **kw)


def resend(holder: UvmObject, receiver: UvmObject, name: str, /, *args, **kw) -> Any:
    """`self.resend('name', ...)`: the answer of the holder's parents, with the receiver still the one who acts."""
    if not isinstance(name, str) or name.startswith("_"):
        raise TypeError("resend takes the name of a message first")
    return lookup.resend(holder, receiver, name, args, kw)


CLOCK = "the time of day is a power: put caps_obj.clock into a slot and send it `now()` or `today()`"
NO_ZONE = "where the machine stands is not told: name the time zone, such as datetime.timezone.utc"


def _zoned(name: str) -> Callable:
    def call(moment, *zone):
        if not zone and (name == "astimezone" or moment.tzinfo is None):
            raise ValueError(NO_ZONE)
        return getattr(moment, name)(*zone)

    return call


def _class_send(kind: type, name: str, /, *args, **kw) -> Any:
    """`list.append(self.l, 1)`, `dict.fromkeys(xs)`: a method taken from its class."""
    if args and isinstance(args[0], kinds(kind)) and not _asked_of_class(kind, name):
        return send_n(args[0], name, *args[1:], **kw)
    if name == "fromtimestamp" and issubclass(kind, datetime.date) and not (args[1:] or kw.get("tz")):
        raise ValueError(NO_ZONE)
    if (kind, name) == (int, "from_bytes") and len(args[0]) > MAX_BITS // 8:
        raise too_big("a number")
    if (kind, name) in _OF_CLASS:
        return _OF_CLASS[kind, name](*args, **kw)
    return getattr(kind, name)(*args, **kw)


@functools.cache
def _asked_of_class(kind: type, name: str) -> bool:
    found = inspect.getattr_static(kind, name, None)
    return isinstance(found, (classmethod, staticmethod, types.ClassMethodDescriptorType))


def _strptime(text, form):
    if len(text) > MAX_FORM or len(form) > MAX_FORM:
        raise too_big("a date's text")
    return datetime.datetime.strptime(text, form)


_OF_CLASS: dict[tuple[type, str], Callable] = {(datetime.datetime, "strptime"): _strptime}


def of_class(kind: type, name: str, call: Callable) -> None:
    """Let `call(...)` be what `kind.name(...)` does, which is asked of the class itself."""
    _OF_CLASS[kind, name] = call


def write(obj: Any) -> UvmObject:
    """What may stand left of `.name = value`."""
    if isinstance(obj, UvmObject):
        return obj
    raise AttributeError(f"only an object has slots to assign; a {type(obj).__name__} has not")


def checked_name(name: Any) -> str:
    if type(name) is not str:
        raise TypeError("the name of an attribute is a text")
    if name.startswith("_") or not name.isidentifier():
        raise AttributeError(f"{name!r} is not a public name")
    return name


_NOTHING = object()


def get_attr(obj: Any, name: str, default: Any = _NOTHING) -> Any:
    try:
        return get_attribute(obj, checked_name(name))
    except AttributeError:
        if default is _NOTHING:
            raise
        return default


def has_attr(obj: Any, name: str) -> bool:
    try:
        get_attribute(obj, checked_name(name))
    except AttributeError:
        return False
    return True


def set_attr(obj: Any, name: str, value: Any) -> None:
    setattr(write(obj), checked_name(name), value)


def del_attr(obj: Any, name: str) -> None:
    delattr(write(obj), checked_name(name))


def is_callable(obj: Any) -> bool:
    return callable(obj) and not isinstance(obj, UvmObject)


class Facade:
    """A module as methods see it: chosen names, read only."""

    __slots__ = ()


# -- growth ----------------------------------------------------------------------------------------

_NUMBERS = frozenset({int, float, bool, decimal.Decimal, complex})
_TEXTS = (str, bytes)
_SMALL = 1 << 62


def _room(length: int, value: Any) -> None:
    if length > (MAX_TEXT if isinstance(value, _TEXTS) else MAX_ITEMS):
        raise too_big(f"a {type(value).__name__.lower()}")


def add(a, b):
    if type(a) is int:
        return a + b
    if type(a) not in _NUMBERS and hasattr(a, "__len__") and hasattr(b, "__len__"):
        _room(len(a) + len(b), a)
    return a + b


def add_in_place(a, b):
    if type(a) is int:
        return a + b
    if type(a) not in _NUMBERS:
        if hasattr(a, "__len__"):
            if hasattr(b, "__len__"):
                _room(len(a) + len(b), a)
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
        _room(len(a) * b, a)
    elif isinstance(a, int) and hasattr(b, "__len__"):
        _room(a * len(b), b)


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


_WIDE = re.compile(r"\d{5,}")


def modulo(a, b):
    """`a % b`: a remainder, or a text with its fields filled in."""
    if type(a) is int:
        return a % b
    if not isinstance(a, _TEXTS):
        return a % b
    template = a if isinstance(a, str) else a.decode("latin-1")
    if _WIDE.search(template) or template.count("%") > 2 * MAX_FIELDS:
        raise too_big("a text")
    if (
        "*" in template
        and isinstance(b, tuple)
        and any(isinstance(each, int) and each > MAX_DIGITS for each in b)
    ):
        raise too_big("a text")
    values = tuple(shown(countable(each)) for each in b) if isinstance(b, tuple) else shown(countable(b))
    return sized(a % values)


def grow(container):
    """What may stand left of `[a:b] = value`: it may at most double."""
    if type(container) in _METHODS:
        _room(len(container) * 2, container)
    return container


def rounded(value, digits=None):
    """`round`, which for whole numbers would raise ten to the places asked for."""
    if isinstance(digits, int) and abs(digits) > MAX_DIGITS:
        raise too_big("a number")
    return round(countable(value), digits)


def sized(made):
    """A display or text made of several others, within bounds."""
    _room(len(made), made)
    return made


def shown(value: Any) -> Any:
    """`value`, if its text stays within bounds: containers can name one another many times over."""
    if type(value) in _NUMBERS or isinstance(value, _TEXTS):
        return value
    left, waiting = MAX_TEXT, [value]
    while waiting:
        if _tank.low:
            fuel.look()
        each = waiting.pop()
        if isinstance(each, _TEXTS):
            left -= len(each)
        elif isinstance(each, (list, tuple, set, frozenset, List, Set, collections.deque)):
            left -= 2 + len(each)
            waiting.extend(each if left > 0 else ())
        elif isinstance(each, (dict, Dict)):
            left -= 2 + len(each)
            waiting.extend((*each.keys(), *each.values()) if left > 0 else ())
        elif isinstance(each, _VIEWS):
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


def formatted(value: Any, conversion: str = "", spec: str = "") -> str:
    """One field of an f-string or template."""
    if len(spec) > MAX_FORM or _WIDE.search(spec):
        raise too_big("a text")
    shown(value)
    if conversion:
        value = {"r": repr, "s": str, "a": ascii}[conversion](value)
    return format(value, spec)


class _Template(string.Formatter):
    """`str.format` without attribute paths: they lead from any value to the interpreter."""

    def get_field(self, name, args, kw):
        if "." in name:
            raise ValueError("a field of a template names a value, not an attribute of one")
        return super().get_field(name, args, kw)

    def format_field(self, value, spec):
        return formatted(value, "", spec)


def _format(template: str, *args, **kw) -> str:
    return _format_map(template, kw, args)


def _format_map(template: str, mapping: Any, args: tuple = ()) -> str:
    if template.count("{") > MAX_FIELDS:
        raise too_big("a text")
    return sized(_Template().vformat(template, args, mapping))


def _codec(encoding: Any = "utf-8", errors: Any = "strict") -> None:
    if isinstance(encoding, str) and encoding.lower().replace("_", "-") not in CODECS:
        raise LookupError(f"unknown encoding: {encoding}")


def _bounded(kind: type, name: str, check: Callable) -> Callable:
    def call(obj, *args, **kw):
        check(obj, *args, **kw)
        return getattr(kind, name)(obj, *args, **kw)

    return call


def _width(text, width, *fill):
    _room(width, text)


def _replacing(text, old, new, count=-1):
    _room(len(text) + (text.count(old) if count < 0 else min(count, len(text) + 1)) * len(new), text)


def _translating(text, table, *rest):
    if isinstance(table, (str, bytes)):
        return
    if not isinstance(table, (dict, Dict, list, tuple, List)):
        raise TypeError("the table of a translation is a dict")
    into = table.values() if isinstance(table, (dict, Dict)) else table
    longest = max((len(each) for each in into if isinstance(each, str)), default=1)
    _room(len(text) * longest, text)


def _expanding(text, tabsize=8):
    _room(len(text) + text.count("\t" if isinstance(text, str) else b"\t") * tabsize, text)


def _join(separator, items):
    parts = list(items)
    _room(sum(map(len, parts)) + len(separator) * len(parts), separator)
    return separator.join(parts)


def extending(name: str) -> Callable:
    """`extend` or its like, of a list or deque, within bounds."""

    def call(target, items):
        if hasattr(items, "__len__"):
            _room(len(target) + len(items), target)
        else:
            items = ticking(items)
        getattr(target, name)(items)

    return call


def _to_bytes(number, length=1, byteorder="big", **kw):
    if length > MAX_TEXT:
        raise too_big("bytes")
    return number.to_bytes(length, byteorder, **kw)


_BOUNDED: dict[tuple[type, str], Callable] = {
    (str, "format"): _format,
    (str, "format_map"): lambda template, mapping: _format_map(template, mapping),
    (str, "join"): _join,
    (bytes, "join"): _join,
    (int, "to_bytes"): _to_bytes,
    **{
        (kind, "strftime"): _bounded(kind, "strftime", lambda moment, form: _room(len(form) * 1_000, form))
        for kind in (datetime.date, datetime.datetime, datetime.time)
    },
    (datetime.datetime, "astimezone"): _zoned("astimezone"),
    (datetime.datetime, "timestamp"): _zoned("timestamp"),
    (decimal.Decimal, "as_integer_ratio"): lambda number: countable(number).as_integer_ratio(),
    (list, "extend"): extending("extend"),
    (List, "extend"): extending("extend"),
    (collections.Counter, "elements"): lambda counter: ticking(counter.elements()),
    (str, "encode"): _bounded(str, "encode", lambda text, *how, **kw: _codec(*how, **kw)),
    (bytes, "decode"): _bounded(bytes, "decode", lambda text, *how, **kw: _codec(*how, **kw)),
    **{
        (kind, name): _bounded(kind, name, check)
        for kind in _TEXTS
        for name, check in (
            ("ljust", _width), ("rjust", _width), ("center", _width), ("zfill", _width),
            ("replace", _replacing), ("translate", _translating), ("expandtabs", _expanding),
        )
    },
}  # fmt: skip


AT_ONCE = 4096  # numbers are added so many in one call


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


_ATOMS = frozenset({int, str, float, bool, type(None)})


def kept(value: Any) -> Any:
    """The value as it will rest in a slot, so that the name it is bound to *is* what is stored.

    What cannot be kept stays as it is here; the slot refuses it with its own sentence.
    """
    if type(value) in _ATOMS:
        return value
    try:
        return keep(value)
    except Refused:
        return value


class _Family(type):
    def __instancecheck__(cls, value):
        return isinstance(value, kinds(cls.stands_for))


def family(kind: type) -> type:
    """A class for `case list():` that knows the persistent kinds too."""
    return _Family(kind.__name__, (), {"stands_for": kind})


def unbounded(kind: type) -> list[str]:
    """The public methods of a kind that need no guard of their own."""
    return [name for name in _SAFE_TYPES[kind] if (kind, name) not in _BOUNDED]


def _methods(kind: type) -> dict[str, Callable]:
    """name -> what to call with a value of exactly this type first."""
    found = {name: getattr(kind, name) for name in _SAFE_TYPES[kind] if callable(getattr(kind, name))}
    return {
        name: _through_class(kind, name)
        if _asked_of_class(kind, name)
        else _BOUNDED.get((kind, name), method)
        for name, method in found.items()
    }


def _through_class(kind: type, name: str) -> Callable:
    """`value.name(...)` where the name is asked of the class: the value plays no part."""
    return lambda _, *args, **kw: _class_send(kind, name, *args, **kw)


_METHODS: dict[type, dict[str, Callable]] = {kind: _methods(kind) for kind in _SAFE_TYPES}
