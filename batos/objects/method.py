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
from batos.objects.undo_log import note

_compiler: Callable[[str], Callable] | None = None
_compiled: dict[str, Callable] = {}
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


def compiled(source: str) -> Callable:
    """The function of a checked source text, compiled once a process."""
    key = digest(source)
    function = _compiled.get(key)
    if function is None:
        if _compiler is None:
            raise RuntimeError("no compiler was handed in: call use_compiler first")
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
    """

    primitive: str | None = None

    def __init__(self, selector: str, primitive: str | None = None):
        self.selector = selector
        self.versions: tuple[dict[str, Any], ...] = ()
        self.current: int | None = None
        if primitive is not None:
            self.primitive = primitive
            self.current = 0

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith(("_p_", "_v_")):
            note(self)
        super().__setattr__(name, value)

    def add_version(self, source: str, author: str, verdict: str, **provenance: Any) -> dict[str, Any]:
        """Make `source` the newest version and the installed one; answers its record."""
        record = {
            "version": len(self.versions) + 1,
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
        if not isinstance(wanted, int) or not 1 <= wanted <= len(self.versions):
            raise NotUnderstood(
                f"{self.selector!r} has no version {wanted}; there are {len(self.versions)}",
                hint=f"ask for its versions with `versions {self.selector}`",
            )
        return self.versions[wanted - 1]

    @property
    def source(self) -> str:
        if self.primitive is not None:
            return inspect.getsource(PRIMITIVES[self.primitive]).removeprefix("@primitive\n")
        return self.record()["source"]

    def function(self) -> Callable:
        """The callable that runs this method."""
        if self.primitive is not None:
            return PRIMITIVES[self.primitive]
        return compiled(self.record()["source"])

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
