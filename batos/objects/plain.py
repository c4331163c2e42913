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


class NotPlain(ValueError):
    """A value that plain data cannot say; the message names it."""


def oid_text(obj: Persistent) -> str | None:
    """An object's id as the wire writes it, None before it is kept."""
    return f"0x{int.from_bytes(obj._p_oid, 'big'):x}" if obj._p_oid else None


def plain(value: Any, path_of: Callable[[Any], str | None] = lambda obj: None, depth: int = 0) -> Any:
    """`value` as plain data: list, dict with text keys, text, numbers, true, false, null.

    Sets come sorted, bytes as base64, dates and times as ISO text, Decimal and Fraction as text, an
    object as ``{"oid", "path"}``.  Raises `NotPlain` for NaN, infinities, functions, and data nested
    deeper than `MAX_DEPTH` (a container that contains itself).
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value if type(value) in (type(None), bool, int, str) else _base(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise NotPlain(f"{value} is not a number that can be told")
        return float(value)
    if depth > MAX_DEPTH:
        raise NotPlain(f"the value is nested deeper than {MAX_DEPTH}, or contains itself")
    if isinstance(value, (list, tuple, PersistentList)):
        return [plain(each, path_of, depth + 1) for each in value]
    if isinstance(value, (dict, PersistentMapping)):
        return {_key_text(key): plain(each, path_of, depth + 1) for key, each in value.items()}
    if isinstance(value, (set, frozenset, Set)):
        items = [plain(each, path_of, depth + 1) for each in value]
        try:
            return sorted(items)
        except TypeError:
            return sorted(items, key=lambda item: json.dumps(item, sort_keys=True))
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, (decimal.Decimal, fractions.Fraction)):
        return str(value)
    if isinstance(value, (type({}.keys()), type({}.values()), type({}.items()), range)):
        return [plain(each, path_of, depth + 1) for each in value]
    if isinstance(value, Persistent):
        return {"oid": oid_text(value), "path": path_of(value)}
    raise NotPlain(f"a {type(value).__name__} is not plain data")


def _base(value: Any) -> Any:
    """A subclass of int or str (an enum, a numpy-like) as the thing it is based on."""
    return int(value) if isinstance(value, int) else str.__str__(value)


def _key_text(key: Any) -> str:
    if isinstance(key, str):
        return key
    if isinstance(key, bool) or key is None:
        return json.dumps(key)
    told = plain(key)
    return told if isinstance(told, str) else json.dumps(told)


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
    """`value` as JSON data with tags, objects as `ref(obj)` says; the inverse of `decode`."""
    if value is None or type(value) in (bool, int, str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$float": str(value)}
    if isinstance(value, (list, PersistentList)):
        return [encode(each, ref) for each in value]
    if isinstance(value, tuple):
        return {"$tuple": [encode(each, ref) for each in value]}
    if isinstance(value, (dict, PersistentMapping)):
        if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return {key: encode(each, ref) for key, each in value.items()}
        return {"$dict": [[encode(key, ref), encode(each, ref)] for key, each in value.items()]}
    if isinstance(value, (set, frozenset, Set)):
        items = [encode(each, ref) for each in value]
        return {"$set": sorted(items, key=lambda item: json.dumps(item, sort_keys=True))}
    if isinstance(value, datetime.datetime):
        return {"$datetime": value.isoformat()}
    if isinstance(value, datetime.date):
        return {"$date": value.isoformat()}
    if isinstance(value, datetime.time):
        return {"$time": value.isoformat()}
    if isinstance(value, datetime.timedelta):
        return {"$seconds": value.total_seconds()}
    if isinstance(value, decimal.Decimal):
        return {"$decimal": str(value)}
    if isinstance(value, fractions.Fraction):
        return {"$fraction": str(value)}
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, Persistent):
        return ref(value)
    raise NotPlain(f"a {type(value).__name__} cannot be told as data")


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
