"""A method: source text with provenance, every version kept; its compiled form lives outside the image.

The compiler is handed in from above (`use_compiler`), because only the guardian's policy compiles;
what it made is cached by the digest of the source for the life of the process.  Primitives are what
Python itself must do: a method may name one instead of holding source.
"""

from __future__ import annotations

import difflib
import hashlib
import inspect
import time
from collections.abc import Callable
from typing import Any

from persistent import Persistent

from batos.errors import NotUnderstood
from batos.objects.dispatch import structure_changed
from batos.objects.undo_log import note

_compiler: Callable[[str], Callable] | None = None
_compiled: dict[str, Callable] = {}
COMPILED_KEPT = 2048  # some KB each; compiling one again takes about a millisecond
PRIMITIVES: dict[str, Callable] = {}


def use_compiler(compiler: Callable[[str], Callable] | None) -> Callable[[str], Callable] | None:
    """Hand in what turns checked source into a function `f(self, *args, **kw)`; answers what was there."""
    global _compiler
    before, _compiler = _compiler, compiler
    _compiled.clear()
    return before


def digest(source: str) -> str:
    """The sha256 of a source text, in hex."""
    return hashlib.sha256(source.encode()).hexdigest()


def compiled(source: str, key: str) -> Callable:
    """The function of a checked source text, compiled once a process; `key` is its digest."""
    function = _compiled.get(key)
    if function is None:
        if _compiler is None:
            raise RuntimeError("no compiler was handed in: call use_compiler first")
        if len(_compiled) >= COMPILED_KEPT:  # the oldest goes: one that is in use stays in the lookup cache
            del _compiled[next(iter(_compiled))]
        function = _compiled[key] = _compiler(source)
    return function


def primitive(function: Callable) -> Callable:
    """Register `function(self, ...)` as the primitive of its name."""
    PRIMITIVES[function.__name__] = function
    return function


class Method(Persistent):
    """What one selector does, and all it ever did.

    versions  one dict a version: version (from 1), source, digest, author, time (seconds since the
              epoch), verdict, repairs, and for a method batos wrote mission, model, experts, prompts,
              rehearsal
    current   the version that is installed, None once the method was forgotten
    shared    several objects hold it, since a clone shares its prototype's methods: it is never
              changed again, whoever wants to takes a copy of their own (`private`)
    """

    versions: tuple[dict[str, Any], ...]
    current: int | None

    primitive: str | None = None
    shared = False

    def __init__(self, selector: str, primitive: str | None = None):
        self.__dict__.update(selector=selector, versions=(), current=None)
        if primitive is not None:
            self.__dict__.update(primitive=primitive, current=0)

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_"):
            note(self)
            if name == "current":
                structure_changed()  # who holds this method is not known here
        super().__setattr__(name, value)

    def private(self) -> Method:
        """This method as its holder may change it: itself, or a copy where others hold it too."""
        if not self.shared:
            return self
        copy = Method(self.selector, self.primitive)
        copy.__dict__.update(versions=self.versions, current=self.current)
        return copy

    def add_version(self, source: str, author: str, verdict: str, **provenance: Any) -> dict[str, Any]:
        """Make `source` the newest version and the installed one; answers its record."""
        record = {
            "version": (self.versions[-1]["version"] if self.versions else 0) + 1,
            "source": source,
            "digest": digest(source),
            "author": author,
            "time": time.time(),
            "verdict": verdict,
            **provenance,
        }
        self.versions = (*self.versions, record)
        self.current = record["version"]
        return record

    def record(self, version: int | None = None) -> dict[str, Any]:
        """The record of a version, by default the installed one; `NotUnderstood` if there is none."""
        wanted = self.current if version is None else version
        # By its number, not by its place: old versions may have been let go by retention.
        found = next((each for each in self.versions if each["version"] == wanted), None)
        if found is None:
            there = ", ".join(str(each["version"]) for each in self.versions)
            raise NotUnderstood(
                f"{self.selector!r} has no version {wanted}; there are {there or 'none'}",
                hint=f"ask for its versions with `versions {self.selector}`",
            )
        return found

    @property
    def source(self) -> str:
        if self.primitive is not None:
            return inspect.getsource(PRIMITIVES[self.primitive]).removeprefix("@primitive\n")
        return self.record()["source"]

    def function(self, holder: Any = None) -> Callable:
        """The callable that runs this method; one that resends is made for the object that holds it."""
        if self.primitive is not None:
            return PRIMITIVES[self.primitive]
        record = self.record()
        function = compiled(record["source"], record["digest"])
        held_by = getattr(function, "held_by", None)
        return function if held_by is None else held_by(holder)

    def signature(self) -> list[str]:
        """Parameter names after `self`, starred as written."""
        parameters = list(inspect.signature(self.function()).parameters.values())[1:]
        stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
        return [stars.get(each.kind, "") + each.name for each in parameters]

    def told_versions(self) -> list[dict[str, Any]]:
        """All versions as plain data, each with a unified diff against the one before."""
        told, before = [], ""
        for record in self.versions:
            diff = difflib.unified_diff(before.splitlines(), record["source"].splitlines(), lineterm="", n=2)
            told.append(
                {
                    "mission": None,
                    **record,
                    "installed": record["version"] == self.current,
                    "diff": "\n".join(list(diff)[2:]),
                }
            )
            before = record["source"]
        return told
