"""Ordinary methods of other people's classes under the policy: do they compile, and do they still behave?

Ordinary is a method whose text has no name that starts with `_` and uses nothing but its arguments, its
own names, Python's built-ins and the modules methods have by name.  Some of these the design refuses
whatever they do, and they are counted apart: generators (case 41), `super` (case 54), what reaches
files, terminals, text as code or the interpreter's own insides (case 59, "powers come only from objects").

A method that compiles is run beside its original behind the wall, on equal copies of a built instance
with equal drawn arguments: the same answer, the same kind of exception, the same state of instance and
arguments afterwards.  Objects of the classes stand for objects of batos there, so their public
attributes may be read and assigned as an object's slots may; nothing else is relaxed.
"""

from __future__ import annotations

import ast
import builtins
import collections
import contextlib
import copy
import gc
import itertools
import random
import re
import types
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from RestrictedPython.transformer import INSPECT_ATTRIBUTES

from batos.errors import Refused
from batos.guardian import facades, guards, kinds, policy
from batos.guardian.names import GLOBALS
from batos.guardian.resting import bound_names
from batos.objects.containers import Dict, List, Set
from scripts.proving import oracle, walled
from scripts.proving.corpus import Found, Method
from scripts.proving.drawing import Draw, instances
from scripts.proving.foreign import codes_of
from scripts.proving.telling import Row, progress, share

SEED = 4
CALLS = 16  # drawn calls of one method
GOAL = "98 %"

# Built-ins whose work is outside of what a method is given.
OUTSIDE = frozenset(
    "print open input exec eval compile __import__ breakpoint exit quit help globals locals vars dir memoryview "
    "copyright credits license id object classmethod staticmethod property KeyboardInterrupt SystemExit "
    "GeneratorExit BaseException".split()
)


def is_ordinary(method: Method) -> bool:
    """No `_` names; only self, arguments, built-ins and the modules methods have by name."""
    tree = ast.parse(method.text).body[0]
    bound, known = bound_names(tree), method.function.__globals__
    for node in ast.walk(tree):
        words = (getattr(node, each, None) for each in ("id", "attr", "arg", "name"))
        if any(isinstance(word, str) and word.startswith("_") and word != "_" for word in words):
            return False
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            return False
        if isinstance(node, ast.Name) and node.id not in bound:
            if node.id in known:
                module = known[node.id]
                if not isinstance(module, types.ModuleType) or module.__name__ != node.id:
                    return False
                if node.id not in facades.MODULES:
                    return False
            elif node.id in method.function.__code__.co_freevars or not hasattr(builtins, node.id):
                return False
    return True


def refused_by_design(method: Method) -> str | None:
    """Why the design wants this method refused, whatever it does."""
    tree = ast.parse(method.text).body[0]
    bound = bound_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Yield, ast.YieldFrom)):
            return "generators, case 41"
        if isinstance(node, (ast.Await, ast.AsyncFunctionDef)):
            return "async, case 42"
        if isinstance(node, ast.Attribute) and node.attr in INSPECT_ATTRIBUTES:
            return "frames and code objects"
        if isinstance(node, ast.Name) and node.id not in bound:
            if node.id == "super":
                return "super, case 54"
            if node.id in OUTSIDE:
                return f"reaching outside: {node.id}"
    return None


def measure(methods: list[Method]) -> list[Row]:
    """The rows of the table about `methods`, of which only the ordinary ones count."""
    tally = Tally()
    wanted: dict[int, tuple[Found, list[str]]] = {}
    for method in methods:
        if not is_ordinary(method):
            continue
        apart = refused_by_design(method)
        if apart is not None:
            tally.apart[apart] += 1
            continue
        tally.ordinary += 1
        try:
            policy.compile_method(method.text)
        except Refused as refused:
            tally.refused[f"{refused.rule}: {method.place}"] = str(refused)
            continue
        wanted.setdefault(id(method.found), (method.found, []))[1].append(method.name)
    for number, (found, names) in enumerate(wanted.values()):
        if number % 100 == 0:
            progress(f"ordinary: {number} of {len(wanted)} classes, {len(tally.ran)} methods run")
        tally.take(found, names)
    return tally.rows()


@dataclass
class Tally:
    """What was counted; `differing` says of each method that no longer behaves how."""

    ordinary: int = 0
    apart: Counter[str] = field(default_factory=Counter)
    refused: dict[str, str] = field(default_factory=dict)
    ran: set[str] = field(default_factory=set)
    runs: int = 0
    differing: dict[str, str] = field(default_factory=dict)

    def take(self, found: Found, names: list[str]) -> None:
        """Run these methods of a class; one that ends the child is left out, the others are tried again."""
        for _ in range(4):
            told = walled.told(lambda names=names: _examine(found, names))
            for each in told:
                if each.get("runs"):
                    self.ran.add(f"{found.name}.{each['name']}")
                    self.runs += each["runs"]
                if each.get("broken"):
                    progress(f"ordinary: {found.name}.{each['name']} could not be compared: {each['broken']}")
                if each.get("differs"):
                    self.differing[f"{found.name}.{each['name']}"] = each["differs"]
            begun = [each["begins"] for each in told if "begins" in each]
            done = [each["name"] for each in told if "name" in each]
            names = names[names.index(begun[-1]) + 1 :] if len(begun) > len(done) else []
            if not names:
                return

    def rows(self) -> list[Row]:
        all_ = self.ordinary + sum(self.apart.values())
        compiled = self.ordinary - len(self.refused)
        rules = Counter(each.partition(":")[0] for each in self.refused)
        apart = defaultdict(int)
        for why, count in self.apart.items():
            apart[why.partition(":")[0]] += count
        return [
            Row(
                "ordinary methods that compile under the policy and still behave",
                share(compiled - len(self.differing), self.ordinary),
                GOAL,
                f"{len(self.ran):,} of them could be run, {self.runs:,} runs beside the original; without what "
                "the design refuses: " + ", ".join(f"{count} {why}" for why, count in sorted(apart.items())),
            ),
            Row("... that compile", share(compiled, self.ordinary), "", _most(rules)),
            Row(
                "... that behave as the original, of those that ran",
                share(len(self.ran) - len(self.differing), len(self.ran)),
            ),
            Row(
                "... what the design refuses counted as failures",
                share(compiled - len(self.differing), all_),
                "",
                _most(self.apart),
            ),
        ]


def _most(counted: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in counted.most_common(12))


# -- in the walled child -----------------------------------------------------------------------------------


def _examine(found: Found, names: list[str]) -> Iterator[dict[str, Any]]:
    _objects_of_batos_they_are()
    rng = random.Random(f"{SEED} {found.name}")
    draw = Draw(rng, found.kind)
    made = instances(found, rng, draw)
    if not made:
        return
    draw.instance = lambda: copy.deepcopy(made[0])
    for name in names:
        yield {"begins": name}
        try:
            told = _compared(found.methods[name], made, draw)
        except Exception as exc:  # noqa: BLE001 - the proof's own failure is told, not hidden
            told = {"runs": 0, "broken": f"{type(exc).__name__}: {exc}"[:200]}
        yield {"name": name, **told}


def _objects_of_batos_they_are() -> None:
    """Let guards read and write public attributes of what stands for an object."""
    strict = guards.get_attribute

    def get_attribute(obj: Any, name: str) -> Any:
        try:
            return strict(obj, name)
        except AttributeError:
            if _stands_for_object(obj):
                return getattr(obj, name)
            raise

    def write(obj: Any) -> Any:
        if _stands_for_object(obj):
            return obj
        raise AttributeError("only an object has slots to assign")

    def kept(value: Any) -> Any:  # objects of batos are no lists
        plain = isinstance(value, (list, dict, set)) and type(value).__module__ not in (
            "builtins",
            "collections",
        )
        return value if plain else strictly_kept(value)

    strictly_kept = guards.kept
    guards.get_attribute, guards.write, guards.kept = get_attribute, write, kept
    GLOBALS.update({"_getattr_": get_attribute, "_write_": write, "_kind_": kept})
    # The other methods of the class are not compiled; to them our containers say that they are plain ones.
    for ours, plain in _PLAIN.items():
        gc.get_referents(vars(ours))[0]["__class__"] = property(lambda self, plain=plain: plain)
        ours.told_as_plain = True  # any assignment makes Python look a class up anew


def _stands_for_object(obj: Any) -> bool:
    kind = obj if isinstance(obj, type) else type(obj)
    return kind not in _PLAIN and kind.__module__ != "builtins" and not isinstance(obj, BaseException)


def _compared(method: Method, made: list[Any], draw: Draw) -> dict[str, Any]:
    function = method.function
    restricted = policy.compile_method(method.text)
    codes = codes_of(function.__code__)
    if _texts_in(codes) != _texts_in(codes_of(compile(method.text, "<text>", "exec"))):
        return {"runs": 0}  # cut out of its class, a text of several lines is another one
    runs, ended = 0, 0
    for number in range(CALLS):
        one = made[number % len(made)]
        args, kw = draw.arguments(function)
        looks = []
        for call, inside in (
            (function, codes.__contains__),
            (function, codes.__contains__),
            (restricted, lambda code: code.co_filename.startswith("<method")),
        ):
            try:
                copied = copy.deepcopy((one, args, kw))
            except Exception:  # noqa: BLE001 - what cannot be copied cannot be compared
                break
            if call is restricted:  # what an object of batos holds and is handed are the image's containers
                copied = _turned(copied, _KEPT, {})
            random.seed(number)
            policy.seed(number)
            run = oracle.Run(lambda: call(copied[0], *copied[1], **copied[2]), lambda: "", inside)  # noqa: B023
            if isinstance(run.error, (oracle.Endless, Refused)):  # a slot keeps no functions: case 56
                break
            answer = _answer(run.answer)
            state = _picture(copied)
            looks.append((answer, type(run.error).__name__, state, str(run.error)))
        if len(looks) < 3 or looks[0] != looks[1]:
            continue
        runs += 1
        ended += looks[0][1] == "NoneType"
        if looks[0][:3] != looks[2][:3]:
            parts = ("answer", "exception", "state")
            differs = [
                f"{part} {was[:200]} became {now[:200]}"
                for part, was, now in zip(parts, looks[0], looks[2], strict=False)
                if was != now
            ]
            return {
                "runs": runs,
                "differs": f"{'; '.join(differs)} ({looks[0][3][:80]} / {looks[2][3][:150]})",
            }
    return {"runs": runs, "ended": ended}


def _texts_in(codes: set[types.CodeType]) -> set[str]:
    """Texts of several lines; the first constant of a function is its docstring."""
    return {each for code in codes for each in code.co_consts[1:] if isinstance(each, str) and "\n" in each}


def _answer(value: Any) -> str:
    if isinstance(value, kinds.Guarded):
        value = value.kind
    if hasattr(type(value), "__next__"):
        taken: list[Any] = []
        with contextlib.suppress(Exception):
            taken.extend(itertools.islice(value, 200))
        return f"iterator of {_picture(taken)}"
    if (
        callable(value)
        and not isinstance(value, type)
        and type(value).__module__ in ("builtins", "functools")
    ):
        return "callable"
    return _picture(value)


def _picture(value: Any) -> str:
    text = oracle.picture(_turned(value, _PLAIN, {})).replace("Pattern( _pattern=Pattern())", "Pattern()")
    return _ADDRESS.sub("address", text)


_ADDRESS = re.compile(r"\b1[0-9]{14}\b|0x[0-9a-f]{8,}")
_KEPT: dict[type, Any] = {list: List, dict: Dict, set: Set}
_PLAIN: dict[type, Any] = {List: list, Dict: dict, Set: set}


def _turned(value: Any, into: dict[type, Any], memo: dict[int, Any]) -> Any:
    """The value with containers of some kinds as other kinds, at every depth; objects are changed in place."""
    if id(value) in memo:
        return memo[id(value)][0]
    kind = type(value)
    if kind in (list, dict, set, List, Dict, Set):
        made = into.get(kind, kind)()
        memo[id(value)] = (made, value)
        inner = getattr(made, "data", made)
        if kind in (list, List):
            inner.extend(_turned(each, into, memo) for each in value)
        elif kind in (dict, Dict):
            inner.update((_turned(key, into, memo), _turned(each, into, memo)) for key, each in value.items())
        else:
            inner.update(value)
        return made
    if kind is tuple:  # always anew: equal tuples are one value, whichever object they are
        return tuple(_turned(each, into, memo) for each in value)
    memo[id(value)] = (value, value)
    if isinstance(value, (type, types.ModuleType, types.FunctionType, bytes, str)):
        return value
    if isinstance(value, (list, collections.deque)):
        for index in range(list.__len__(value) if isinstance(value, list) else len(value)):
            base = list if isinstance(value, list) else collections.deque
            base.__setitem__(value, index, _turned(base.__getitem__(value, index), into, memo))
    elif isinstance(value, dict):
        for key in list(dict.keys(value)):
            dict.__setitem__(value, key, _turned(dict.get(value, key), into, memo))
    state = getattr(value, "__dict__", None)
    for name, each in list(state.items()) if isinstance(state, dict) else ():
        state[name] = _turned(each, into, memo)
    for base in kind.__mro__:
        for name in oracle._slots(base):
            with contextlib.suppress(AttributeError, TypeError):
                object.__setattr__(value, name, _turned(object.__getattribute__(value, name), into, memo))
    return value
