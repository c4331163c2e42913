"""What compiled methods call to reach an attribute, to send, and to write a slot.

Every guard answers as the plain operation would, or raises a sentence.  Attribute access goes by an allow-list
of types: what is not listed has no attributes.  What an operation may make is bounded in `growth` and `texts`,
what C may walk in `consumers`, the classes methods know are in `kinds`.
"""

from __future__ import annotations

import collections
import datetime
import decimal
import fractions
import functools
import inspect
import types
from collections.abc import Callable
from typing import Any

from batos.errors import Refused
from batos.guardian import texts
from batos.guardian.growth import (
    MAX_BITS,
    MAX_FORM,
    MAX_TEXT,
    TEXTS,
    VIEWS,
    countable,
    extending,
    ticking,
    too_big,
)
from batos.guardian.kinds import Guarded, kinds
from batos.objects import fuel, lookup
from batos.objects.containers import Dict, List, Set, keep
from batos.objects.dispatch import dispatch
from batos.objects.fuel import tank as _tank
from batos.objects.uvm_object import UvmObject

# -- attributes ------------------------------------------------------------------------------------

_VALUES = (
    type(None), bool, int, float, complex, str, bytes, list, dict, set, frozenset, tuple, range, slice,
    List, Dict, Set, datetime.date, datetime.datetime, datetime.time, datetime.timedelta, datetime.timezone,
    decimal.Decimal, fractions.Fraction, collections.Counter, collections.defaultdict,
    collections.OrderedDict,
    collections.deque, *VIEWS,
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
            if kind in TEXTS and type(value) is types.MethodDescriptorType and (kind, name) not in _BOUNDED:
                return value  # `str.upper`, to be called for each of many
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


def _to_bytes(number, length=1, byteorder="big", **kw):
    if length > MAX_TEXT:
        raise too_big("bytes")
    return number.to_bytes(length, byteorder, **kw)


_BOUNDED: dict[tuple[type, str], Callable] = {
    **texts.METHODS,
    (int, "to_bytes"): _to_bytes,
    (datetime.datetime, "astimezone"): _zoned("astimezone"),
    (datetime.datetime, "timestamp"): _zoned("timestamp"),
    (decimal.Decimal, "as_integer_ratio"): lambda number: countable(number).as_integer_ratio(),
    (list, "extend"): extending("extend"),
    (List, "extend"): extending("extend"),
    (collections.Counter, "elements"): lambda counter: ticking(counter.elements()),
}


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
