"""A method: source text with provenance, every version kept in a record of its own.

Its compiled form lives outside the image.  The compiler is handed in from above (`use_compiler`), because
only the guardian's policy compiles; what it made is cached by the digest of the source for the life of the
process.  Primitives are what Python itself must do: a method may name one instead of holding source.
"""

from __future__ import annotations

import difflib
import hashlib
import inspect
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from persistent import Persistent

from batos.errors import NotUnderstood
from batos.objects.dispatch import structure_changed
from batos.objects.undo_log import note

_compiler: Callable[[str], Callable] | None = None
_compiled: dict[str, Callable] = {}
CHAPTER = 16  # versions a method refers to itself, 18 bytes each in its record; older ones are in chapters
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


class Version(Persistent, Mapping):
    """One version of a method, a record of its own in the image, never changed again: methods that clones
    share and copies of them hold the same ones.  It reads like a dict: version (from 1), source, digest,
    author, time (seconds since the epoch), verdict, repairs, and for a method batos wrote mission, model,
    experts, prompts, rehearsal; whatever else `add_version` was given."""

    def __init__(self, facts: dict[str, Any]):
        self.facts = facts

    def __getitem__(self, name: str) -> Any:
        return self.facts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.facts)

    def __len__(self) -> int:
        return len(self.facts)


class Chapter(Persistent):
    """A stretch of older versions, oldest first, and the chapter before it; never changed again."""

    def __init__(self, versions: tuple[Version, ...], before: Chapter | None):
        self.versions = versions
        self.before = before


class Method(Persistent):
    """What one selector does, and all it ever did.

    current    the number of the version that is installed, None once the method was forgotten
    installed  that version
    recent     the newest versions, oldest first; all of them, with those of `older`, are `versions`
    older      the last `Chapter` of the others
    shared     several objects hold it, since a clone shares its prototype's methods: it is never
               changed again, whoever wants to takes a copy of their own (`private`)
    probation  version -> how its probation goes or went: `{"state", "calls", "failed", "kinds", "why"}`,
               see `objects.probation`; of a version a person wrote there is none

    So a new version costs its own source and a few hundred bytes, however many there are.
    """

    current: int | None
    installed: Version | None
    recent: tuple[Version, ...]
    older: Chapter | None

    primitive: str | None = None
    shared = False
    probation: Mapping[int, dict[str, Any]] = MappingProxyType({})

    def __init__(self, selector: str, primitive: str | None = None):
        self.__dict__.update(selector=selector, recent=(), older=None, current=None, installed=None)
        if primitive is not None:
            self.__dict__.update(primitive=primitive, current=0)

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_"):
            note(self)
            if name in ("current", "probation"):
                structure_changed()  # who holds this method is not known here
            if name == "current":
                super().__setattr__("installed", self.version(value) if value else None)
        super().__setattr__(name, value)

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "versions" in state:  # written by an edition of schema 2, or seen as it was in the past
            versions = tuple(map(Version, state.pop("versions")))
            recent, older = _bound(versions)
            installed = next((each for each in versions if each["version"] == state["current"]), None)
            state |= {"recent": recent, "older": older, "installed": installed}
        super().__setstate__(state)

    def private(self) -> Method:
        """This method as its holder may change it: itself, or a copy where others hold it too."""
        if not self.shared:
            return self
        copy = Method(self.selector, self.primitive)
        self._p_activate()
        parts = ("recent", "older", "current", "installed", "probation")
        copy.__dict__.update((name, self.__dict__[name]) for name in parts if name in self.__dict__)
        return copy

    @property
    def versions(self) -> tuple[Version, ...]:
        """All versions, oldest first."""
        return tuple(self._newest_first())[::-1]

    def _newest_first(self) -> Iterator[Version]:
        yield from reversed(self.recent)
        chapter = self.older
        while chapter is not None:
            yield from reversed(chapter.versions)
            chapter = chapter.before

    def keep_versions(self, versions: Iterable[Mapping[str, Any]], noted: bool = True) -> None:
        """Have these versions, oldest first, and no others; what is installed stays.

        noted  False: it is no change that anybody takes back (what retention lets go)
        """
        kept = (each if isinstance(each, Version) else Version(dict(each)) for each in versions)
        recent, older = _bound(tuple(kept))
        if noted:
            note(self)
        for name, value in (("recent", recent), ("older", older)):
            Persistent.__setattr__(self, name, value)

    def add_version(self, source: str, author: str, verdict: str, **provenance: Any) -> Version:
        """Make `source` the newest version and the installed one; answers it.  `provenance` is plain data."""
        newest = next(self._newest_first(), None)
        made = Version(
            {
                "version": (newest["version"] if newest is not None else 0) + 1,
                "source": source,
                "digest": digest(source),
                "author": author,
                "time": time.time(),
                "verdict": verdict,
                **provenance,
            }
        )
        if len(self.recent) == CHAPTER:
            self.older = Chapter(self.recent, self.older)
            self.recent = ()
        self.recent = (*self.recent, made)
        self.current = made["version"]
        return made

    def version(self, number: int | None) -> Version | None:
        """The version of that number, if there is one."""
        # By its number, not by its place: old versions may have been let go by retention.
        return next((each for each in self._newest_first() if each["version"] == number), None)

    def record(self, version: int | None = None) -> Version:
        """A version by its number, by default the installed one; `NotUnderstood` if there is none."""
        wanted = self.current if version is None else version
        found = self.installed if wanted == self.current else self.version(wanted)
        if found is None:
            there = ", ".join(str(each["version"]) for each in self.versions)
            raise NotUnderstood(
                f"{self.selector!r} has no version {wanted}; there are {there or 'none'}",
                hint=f"ask for its versions with `versions {self.selector}`",
            )
        return found

    @property
    def on_probation(self) -> bool:
        """Is the installed version watched?"""
        return self.probation.get(self.current, {}).get("state") == "on"

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
                    "probation": self.probation.get(record["version"]),
                    "diff": "\n".join(list(diff)[2:]),
                }
            )
            before = record["source"]
        return told


def _bound(versions: tuple[Version, ...]) -> tuple[tuple[Version, ...], Chapter | None]:
    """Versions, oldest first, as (recent, older) of a method that has just these."""
    older, split = None, max(len(versions) - CHAPTER, 0)
    for start in range(0, split, CHAPTER):
        older = Chapter(versions[start : min(start + CHAPTER, split)], older)
    return versions[split:], older
