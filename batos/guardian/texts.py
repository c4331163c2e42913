"""Texts: templates, formats, encodings and the methods that make a text longer.

A template reaches the values it is given and nothing behind them; an encoding is one of a few; a width or a
replacement is bounded before it is made (`growth`).
"""

from __future__ import annotations

import codecs
import datetime
import re
import string
from collections.abc import Callable
from typing import Any

from batos.guardian.growth import (
    MAX_DIGITS,
    MAX_FIELDS,
    MAX_FORM,
    TEXTS,
    countable,
    room,
    shown,
    sized,
    too_big,
)
from batos.objects.containers import Dict, List

CODECS = frozenset(
    "utf-8 utf8 ascii latin-1 latin1 iso-8859-1 utf-16 utf-16-le utf-16-be utf-32 cp1252".split()
)

for _codec_name in CODECS:
    codecs.lookup(_codec_name)  # found now: behind the wall nothing can be imported any more

_WIDE = re.compile(r"\d{5,}")


def modulo(a, b):
    """`a % b`: a remainder, or a text with its fields filled in."""
    if type(a) is int:
        return a % b
    if not isinstance(a, TEXTS):
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


def codec(encoding: Any = "utf-8", errors: Any = "strict") -> None:
    if isinstance(encoding, str) and encoding.lower().replace("_", "-") not in CODECS:
        raise LookupError(f"unknown encoding: {encoding}")


# -- texts' own methods ----------------------------------------------------------------------------------


def _bounded(kind: type, name: str, check: Callable) -> Callable:
    def call(obj, *args, **kw):
        check(obj, *args, **kw)
        return getattr(kind, name)(obj, *args, **kw)

    return call


def _width(text, width, *fill):
    room(width, text)


def _replacing(text, old, new, count=-1):
    room(len(text) + (text.count(old) if count < 0 else min(count, len(text) + 1)) * len(new), text)


def _translating(text, table, *rest):
    if isinstance(table, (str, bytes)):
        return
    if not isinstance(table, (dict, Dict, list, tuple, List)):
        raise TypeError("the table of a translation is a dict")
    into = table.values() if isinstance(table, (dict, Dict)) else table
    longest = max((len(each) for each in into if isinstance(each, str)), default=1)
    room(len(text) * longest, text)


def _expanding(text, tabsize=8):
    room(len(text) + text.count("\t" if isinstance(text, str) else b"\t") * tabsize, text)


def _join(separator, items):
    parts = list(items)
    room(sum(map(len, parts)) + len(separator) * len(parts), separator)
    return separator.join(parts)


METHODS: dict[tuple[type, str], Callable] = {
    (str, "format"): _format,
    (str, "format_map"): lambda template, mapping: _format_map(template, mapping),
    (str, "join"): _join,
    (bytes, "join"): _join,
    (str, "encode"): _bounded(str, "encode", lambda text, *how, **kw: codec(*how, **kw)),
    (bytes, "decode"): _bounded(bytes, "decode", lambda text, *how, **kw: codec(*how, **kw)),
    **{
        (kind, "strftime"): _bounded(kind, "strftime", lambda moment, form: room(len(form) * 1_000, form))
        for kind in (datetime.date, datetime.datetime, datetime.time)
    },
    **{
        (kind, name): _bounded(kind, name, check)
        for kind in TEXTS
        for name, check in (
            ("ljust", _width), ("rjust", _width), ("center", _width), ("zfill", _width),
            ("replace", _replacing), ("translate", _translating), ("expandtabs", _expanding),
        )
    },
}  # fmt: skip
