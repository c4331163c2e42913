"""Instances of other people's classes, and arguments for their methods, drawn at random.

A value is drawn by the name of the parameter it is for, because a program that calls `seek(pos)` with a
dictionary learns nothing.  Everything drawn can be copied deeply, so that one draw serves several runs.
"""

from __future__ import annotations

import collections
import contextlib
import copy
import io
import random
import types
from collections.abc import Callable
from typing import Any

from scripts.proving import oracle
from scripts.proving.corpus import Found

# Not ordinary messages: they make the object, or stand between it and Python.
NOT_MESSAGES = frozenset(
    "__init__ __new__ __del__ __getattribute__ __setattr__ __getattr__ __delattr__ __reduce__ __reduce_ex__ "
    "__getstate__ __setstate__ __copy__ __deepcopy__ __init_subclass__ __class_getitem__ __getnewargs__ "
    "__getnewargs_ex__ __post_init__ __getinitargs__ __instancecheck__ __subclasscheck__ __hash__".split()
)


class Draw:
    """Values drawn by the name of the parameter they are for."""

    def __init__(self, rng: random.Random, kind: type):
        self.rng = rng
        self.kind = kind
        self.instance: Callable[[], Any] | None = None

    def value(self, name: str) -> Any:
        rng = self.rng
        for words, pool in _POOLS:
            if rng.random() < 0.85 and any(word in name.lower() for word in words.split()):
                return pool(rng)
        if self.instance is not None and (
            name in ("other", "node", "parent", "child") or rng.random() < 0.08
        ):
            return self.instance()
        return rng.choice(_ANY)(rng)

    def arguments(self, function: types.FunctionType, skip: int = 1) -> tuple[list[Any], dict[str, Any]]:
        code = function.__code__
        names = code.co_varnames[skip : code.co_argcount]
        needed = len(names) - len(function.__defaults__ or ())
        wanted = needed + (self.rng.randint(0, len(names) - max(needed, 0)) if self.rng.random() < 0.5 else 0)
        args = [self.value(name) for name in names[: max(wanted, 0)]]
        if code.co_flags & 0x04 and self.rng.random() < 0.6:
            args += [self.rng.choice(_ANY)(self.rng) for _ in range(self.rng.randint(0, 2))]
        kw = {}
        for name in code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]:
            if name not in (function.__kwdefaults__ or {}) or self.rng.random() < 0.3:
                kw[name] = self.value(name)
        return args, kw


def _first(*args: Any) -> Any:
    return args[0] if args else None


_TEXTS = (
    "a",
    "b",
    "ab",
    "x=1",
    "key",
    "",
    "1",
    "name: value",
    "a b",
    "[s]\nk = 1\n",
    "<a>t</a>",
    "2024-01-02",
)
_ANY: list[Callable[[random.Random], Any]] = [
    lambda rng: rng.choice((0, 1, 2, 3, -1, 7)),
    lambda rng: rng.choice(_TEXTS),
    lambda rng: [3, 1, 2][: rng.randint(0, 3)],
    lambda rng: ["a", "b"],
    lambda rng: {"a": 1, "b": 2} if rng.random() < 0.7 else {},
    lambda rng: None,
    lambda rng: ("a", 1),
    lambda rng: [("a", 1), ("b", 2)],
    lambda rng: 1.5,
    lambda rng: {1, 2},
    lambda rng: _first,
    lambda rng: True,
    lambda rng: b"ab",
    lambda rng: io.StringIO("a b\nc = 1\n"),
]
_POOLS: list[tuple[str, Callable[[random.Random], Any]]] = [
    ("func callback hook factory pred method handler cb", lambda rng: rng.choice((_first, len, str))),
    (
        "iterable items seq values args lines list data elements nodes edges words nbunch",
        lambda rng: rng.choice(([3, 1, 2], ["a", "b"], [("a", 1)], [])),
    ),
    (
        "mapping dict attrs options kwds kwargs headers env",
        lambda rng: rng.choice(({"a": 1}, {}, {"b": [1]})),
    ),
    (
        "name text string line key word section option msg message prefix suffix tag attr title path url sep",
        lambda rng: rng.choice(_TEXTS),
    ),
    (
        "index count size num width pos length max min level start stop end year month day depth limit idx",
        lambda rng: rng.choice((0, 1, 2, 3, 2024)),
    ),
    ("file stream fp fd buf out", lambda rng: io.StringIO("a b\nc = 1\n")),
]


def instances(found: Found, rng: random.Random, draw: Draw) -> list[Any]:
    """Up to six instances in different states, each of which can be copied."""
    made: list[Any] = []
    looks: set[str] = set()
    init = found.kind.__init__

    def keep(one: Any) -> None:
        for name, value in list(getattr(one, "__dict__", {}).items()):
            if type(value) is collections.defaultdict:  # as a slot does: to read it there adds nothing
                one.__dict__[name] = dict(value)
        with contextlib.suppress(Exception):
            look = oracle.picture(copy.deepcopy(one))
            if look not in looks and look == oracle.picture(one):
                looks.add(look)
                made.append(one)

    for _ in range(40):
        if len(made) >= 3:
            break
        try:
            args, kw = draw.arguments(init) if isinstance(init, types.FunctionType) else ([], {})
            keep(found.kind(*args, **kw))
        except Exception:  # noqa: BLE001, S112 - the next draw may fit
            continue
    methods = [each for name, each in found.methods.items() if name not in NOT_MESSAGES]
    for one in list(made):
        draw.instance = lambda one=one: copy.deepcopy(one)
        for _ in range(2):
            grown = copy.deepcopy(one)
            for method in rng.sample(methods, min(len(methods), 6)):
                with contextlib.suppress(Exception):
                    args, kw = draw.arguments(method.function)
                    method.function(grown, *args, **kw)
            keep(grown)
    return made[:7]
