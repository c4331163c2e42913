"""Plain data: what a result looks like outside the image, and how arguments come in.

`plain` follows section 3 of the contract; `encode` and `decode` are the lossless form used where
data must come back as it was (snapshots, change records): JSON with tags.  Nothing else in batos
turns values into JSON.
"""

from __future__ import annotations

import base64
import datetime
import decimal
import fractions
import json
import math
from collections.abc import Callable
from typing import Any

from persistent import Persistent
from persistent.list import PersistentList
from persistent.mapping import PersistentMapping

from batos.objects.containers import Set

MAX_DEPTH = 64
# Told at once; a small structure that names its parts again and again can say billions.
MAX_NODES = 1_000_000  # values
MAX_TEXT = 50_000_000  # characters


class NotPlain(ValueError):
    """A value that plain data cannot say; the message names it."""


def oid_text(obj: Persistent) -> str | None:
    """An object's id as the wire writes it, None before it is kept."""
    return f"0x{int.from_bytes(obj._p_oid, 'big'):x}" if obj._p_oid else None


def plain(value: Any, path_of: Callable[[Any], str | None] = lambda obj: None) -> Any:
    """`value` as plain data: list, dict with text keys, text, numbers, true, false, null.

    Sets come sorted, bytes as base64, dates and times as ISO text, Decimal and Fraction as text, an
    object as ``{"oid", "path"}``.  Raises `NotPlain` for NaN, infinities, functions, data nested deeper
    than `MAX_DEPTH` (a container that contains itself) and more than `MAX_NODES` values.
    """
    return _Teller(path_of).plain(value, 0)


class _Teller:
    """One telling: how many values it may still say."""

    def __init__(self, path_of: Callable[[Any], str | None] = lambda obj: None, ref: Callable | None = None):
        self.path_of = path_of
        self.ref = ref
        self.left = MAX_NODES
        self.text_left = MAX_TEXT

    def enter(self, value: Any, depth: int) -> None:
        self.left -= len(value) if hasattr(value, "__len__") else 1
        if depth > MAX_DEPTH:
            raise NotPlain(f"the value is nested deeper than {MAX_DEPTH}, or contains itself")
        if self.left < 0:
            raise NotPlain(f"the value holds more than {MAX_NODES} values")

    def spell(self, text: str | bytes) -> None:
        self.text_left -= len(text)
        if self.text_left < 0:
            raise NotPlain(f"the value holds texts of more than {MAX_TEXT:,} characters")

    def plain(self, value: Any, depth: int) -> Any:
        if type(value) is str:
            self.spell(value)
            return value
        if value is None or isinstance(value, (bool, int, str)):
            return value if type(value) in (type(None), bool, int) else _base(value)
        if isinstance(value, float):
            if not math.isfinite(value):
                raise NotPlain(f"{value} is not a number that can be told")
            return float(value)
        self.enter(value, depth)
        if isinstance(value, (list, tuple, PersistentList, *_VIEWS)):
            return [self.plain(each, depth + 1) for each in value]
        if isinstance(value, (dict, PersistentMapping)):
            return {self.key(key): self.plain(each, depth + 1) for key, each in value.items()}
        if isinstance(value, (set, frozenset, Set)):
            items = [self.plain(each, depth + 1) for each in value]
            try:
                return sorted(items)
            except TypeError:
                return sorted(items, key=lambda item: json.dumps(item, sort_keys=True))
        if isinstance(value, bytes):
            self.spell(value)
            return base64.b64encode(value).decode()
        if isinstance(value, (datetime.date, datetime.time)):
            return value.isoformat()
        if isinstance(value, datetime.timedelta):
            return value.total_seconds()
        if isinstance(value, (decimal.Decimal, fractions.Fraction)):
            return str(value)
        if isinstance(value, Persistent):
            return {"oid": oid_text(value), "path": self.path_of(value)}
        raise NotPlain(f"a {type(value).__name__} is not plain data")

    def key(self, key: Any) -> str:
        if isinstance(key, bool) or key is None:
            return json.dumps(key)
        told = self.plain(key, 0)
        return told if isinstance(told, str) else json.dumps(told)

    def encode(self, value: Any, depth: int) -> Any:
        if type(value) in (str, bytes):
            self.spell(value)
        if value is None or type(value) in (bool, int, str):
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else {"$float": str(value)}
        self.enter(value, depth)
        if isinstance(value, (list, PersistentList)):
            return [self.encode(each, depth + 1) for each in value]
        if isinstance(value, tuple):
            return {"$tuple": [self.encode(each, depth + 1) for each in value]}
        if isinstance(value, (dict, PersistentMapping)):
            if all(isinstance(key, str) and not key.startswith("$") for key in value):
                return {key: self.encode(each, depth + 1) for key, each in value.items()}
            pairs = [
                [self.encode(key, depth + 1), self.encode(each, depth + 1)] for key, each in value.items()
            ]
            return {"$dict": pairs}
        if isinstance(value, (set, frozenset, Set)):
            items = [self.encode(each, depth + 1) for each in value]
            return {"$set": sorted(items, key=lambda item: json.dumps(item, sort_keys=True))}
        for kind, tag, tell in _TELL:
            if isinstance(value, kind):
                return {tag: tell(value)}
        if isinstance(value, Persistent):
            return self.ref(value)
        raise NotPlain(f"a {type(value).__name__} cannot be told as data")


_VIEWS = (type({}.keys()), type({}.values()), type({}.items()), range)

# In this order: a datetime is a date too.
_TELL = (
    (datetime.datetime, "$datetime", datetime.datetime.isoformat),
    (datetime.date, "$date", datetime.date.isoformat),
    (datetime.time, "$time", datetime.time.isoformat),
    (datetime.timedelta, "$seconds", datetime.timedelta.total_seconds),
    (decimal.Decimal, "$decimal", str),
    (fractions.Fraction, "$fraction", str),
    (bytes, "$bytes", lambda value: base64.b64encode(value).decode()),
)


def _base(value: Any) -> Any:
    """A subclass of int or str (an enum, a numpy-like) as the thing it is based on."""
    return int(value) if isinstance(value, int) else str.__str__(value)


_TAGGED = {
    "$date": datetime.date.fromisoformat,
    "$datetime": datetime.datetime.fromisoformat,
    "$time": datetime.time.fromisoformat,
    "$seconds": lambda seconds: datetime.timedelta(seconds=seconds),
    "$decimal": decimal.Decimal,
    "$fraction": fractions.Fraction,
    "$bytes": base64.b64decode,
    "$float": float,
}


def encode(value: Any, ref: Callable[[Persistent], Any]) -> Any:
    """`value` as JSON data with tags, objects as `ref(obj)` says; the inverse of `decode`.

    Raises `NotPlain` as `plain` does, but for NaN and infinities.
    """
    return _Teller(ref=ref).encode(value, 0)


def decode(data: Any, deref: Callable[[dict[str, Any]], Any]) -> Any:
    """The value `encode` told; `deref` answers the object for a tag that is not a value's."""
    if isinstance(data, list):
        return [decode(each, deref) for each in data]
    if not isinstance(data, dict):
        return data
    if len(data) == 1:
        ((tag, inner),) = data.items()
        if tag in _TAGGED:
            return _TAGGED[tag](inner)
        if tag == "$tuple":
            return tuple(decode(each, deref) for each in inner)
        if tag == "$set":
            return {decode(each, deref) for each in inner}
        if tag == "$dict":
            return {decode(key, deref): decode(each, deref) for key, each in inner}
        if tag.startswith("$"):
            return deref(data)
    return {key: decode(each, deref) for key, each in data.items()}
