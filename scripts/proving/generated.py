"""The analysis against the oracle, on methods drawn from `grammar`.

Of each drawn object the helpers are judged and installed, then `m` is judged with their summaries, and
run on plain containers in a plain Persistent object, where only the flag stands between a change and
oblivion.  What is asked of each method that passes:

    forgets nothing      undisturbed; with an exception thrown at every line; saved at every line
    every change known   each line at which the state changes is one that the analysis takes for a change
    repaired once        the repaired text is accepted as it is
    behaves as before    the repaired text answers, raises and leaves what the text as written does

A method whose text has no point of change but changes the state would be caught by each of the first two.
"""

from __future__ import annotations

import ast
import bisect
import collections
import copy
import functools
import heapq
import itertools
import math
import random
import re
import types
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from persistent import Persistent

from batos.guardian import Verdict, bits, covenant, judge, summaries_of
from scripts.proving import grammar, oracle

FILE = "<drawn>"
LUCK = random.Random(7)  # one for all drawn methods, so that two runs can be alike
ARGUMENTS: tuple[tuple[Any, ...], ...] = ((0, [9]), (2, [7, 8]))


class Manager:
    """A context manager that is part of the state it keeps."""

    def __init__(self) -> None:
        self.uses: list[int] = [0]

    def __enter__(self) -> list[int]:
        self.uses.append(1)
        return self.uses

    def __exit__(self, *exc: object) -> bool:
        self.uses.append(2)
        return False


class Plain(Persistent):
    """What a drawn method finds: containers that nobody watches, and the sends every object understands."""

    def get(self, name: str) -> Any:
        return getattr(self, name)

    def put(self, name: str, value: Any) -> Any:
        setattr(self, name, value)
        return value

    def stir(self, value: Any = 0, more: Any = None) -> Any:
        """Changes the state and flags nothing; no summary of it is known."""
        self.l.append(value)
        return self.h


def born(functions: dict[str, Any], base: type[Plain] = Plain) -> Plain:
    """An object as drawn methods expect it, with these methods."""
    kind = type("Plain", (base,), functions)
    obj = kind()
    obj.__dict__.update(
        n=3,
        l=[1, 2],
        h=[3, 5],
        s={1, 2},
        rows=[{"a": 0}, {"a": 1}],
        d={"k": [1], "y": [4, 2]},
        g={"y": [0], "k": [6]},
        cm=Manager(),
    )
    return oracle.watched(obj)


def function_of(source: str) -> types.FunctionType:
    LUCK.seed(7)
    names: dict[str, Any] = {
        "random": LUCK, "heapq": heapq, "functools": functools, "itertools": itertools, "math": math,
        "collections": collections, "copy": copy, "bisect": bisect, "re": re,
    }  # fmt: skip
    exec(compile(source, FILE, "exec", dont_inherit=True), names)  # noqa: S102 - a text of our own grammar
    return next(reversed(names.values()))


@dataclass
class Tally:
    """What was counted, and every disagreement in words: each one is a bug."""

    outcomes: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    ended: int = 0
    changing: int = 0  # passed, and seen to change state
    reading: int = 0  # passed, and the analysis says it changes nothing
    said: int = 0  # lines taken for a change that were run
    idle: int = 0  # of these, how many were never seen to change anything
    disputed: int = 0  # methods with a disagreement
    bugs: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        for name in ("outcomes", "rules"):
            getattr(self, name).update(getattr(other, name))
        for name in ("runs", "ended", "changing", "reading", "said", "idle", "disputed"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.bugs += other.bugs


def prove(seed: int, numbers: range, until: Callable[[Tally], bool] = lambda tally: False) -> Tally:
    """Draw the objects of these numbers and look for disagreements; stops early when `until` says so."""
    tally = Tally()
    for number in numbers:
        before = len(tally.bugs)
        examine(grammar.drawn(seed, number), f"seed {seed} number {number}", tally, number % 3 == 0)
        tally.disputed += len(tally.bugs) > before
        if until(tally):
            break
    return tally


def examine(texts: dict[str, str], where: str, tally: Tally, as_written: bool = False) -> None:
    """Judge and run one drawn object; what disagrees goes into `tally.bugs`.

    `as_written`: the helpers are installed without their repairs, so that their callers must flag for them.
    """
    installed: dict[str, str] = {}
    flagging: set[str] = set()  # helpers that flag what they change themselves
    for selector, text in texts.items():  # as in a life: each helper is judged knowing those before it
        verdict = judge(text, selector, summaries_of(installed.get))
        if selector == "m":
            break
        if verdict.passed:
            installed[selector] = text if as_written else verdict.source
            if not as_written or verdict.outcome == "accepted":
                flagging.add(selector)
    tally.outcomes[verdict.outcome] += 1

    def bug(what: str, text: str = verdict.source) -> None:
        helpers = "".join(installed.values())
        tally.bugs.append(f"{what}; {where}\n{helpers}{text}")

    if not verdict.passed:
        tally.rules[verdict.refusals[0].rule] += 1
        if verdict.refusals[0].rule == "unproved":
            bug(f"no repair holds: {verdict.refusals[0]}")
        return
    again = judge(verdict.source, "m", summaries_of(installed.get))
    if again.outcome != "accepted" or again.source != verdict.source:
        bug(f"the repaired text is {again.outcome}: {again}")
    _run(texts["m"], verdict, installed, flagging, bug, tally)


def _run(
    text: str,
    verdict: Verdict,
    installed: dict[str, str],
    flagging: set[str],
    bug: Callable[[str], None],
    tally: Tally,
) -> None:
    helpers = {selector: function_of(source) for selector, source in installed.items()}
    written, repaired = function_of(text), function_of(verdict.source)
    study = covenant.study(ast.parse(verdict.source).body[0], summaries_of(installed.get))
    known = {line for line, _ in study.changes}
    apart = {Plain.put.__code__, *(helpers[selector].__code__ for selector in flagging)}
    tally.reading += not known
    changed = False
    seen: set[int] = set()
    reached: set[int] = set()
    for args in ARGUMENTS:

        def fresh(
            function: types.FunctionType = repaired, args: tuple[Any, ...] = args
        ) -> tuple[Plain, Callable[[], Any]]:
            random.seed(11)
            LUCK.seed(7)
            obj = born({**helpers, "m": function})
            given = copy.deepcopy(args)
            return obj, lambda: obj.m(*given)

        def inside(code: types.CodeType) -> bool:
            return code.co_filename == FILE

        ends = []
        for function in (written, repaired):
            obj, call = fresh(function)
            run = oracle.Run(call, lambda obj=obj: oracle.picture(obj), inside)
            error = type(run.error).__name__
            if isinstance(run.error, oracle.Endless):
                return
            ends.append((oracle.picture(run.answer), error, run.after))
        tally.runs += 1
        tally.ended += run.error is None
        reached |= run.reached
        changed |= run.after != run.before
        if ends[0] != ends[1]:
            bug(f"m{args}: as written {ends[0]}, repaired {ends[1]}\n{text}")
        obj, call = fresh()
        lines = oracle.changing_lines(call, lambda obj=obj: oracle.picture(obj), repaired.__code__, apart)
        seen |= lines
        if lines - known:
            bug(f"m{args} changes the state at line {sorted(lines - known)}, unknown to the analysis")
        lost = oracle.forgotten(fresh, inside, 60)
        if lost:
            bug(f"m{args} forgets: {', '.join(lost[:3])}")
    tally.changing += changed
    certain = {line for line, why in study.changes if not bits.assumed([(line, why)])}
    tally.said += len(certain & reached)
    tally.idle += len((certain & reached) - seen)
