"""Real classes turned Persistent: what the guardian says of their methods against what they do.

For each class of the corpus a child is forked and walled in (`batos.guardian.wall`), because calling
the methods of other people's classes with drawn arguments does anything at all.  It makes instances,
calls every method many times, and tells which runs changed the state (`oracle.picture` before, after
and at every line; every assignment to an attribute counts, also of an equal value).  The analysis has
said before what it expects; nothing of it is known in the child.

What is counted:
    recognised    of the methods that were seen to change state: the analysis found a change, or the
                  policy refuses the method for another reason than a `_` name or a name of its own module
    false alarm   of the methods whose every line of change was reached and that never changed anything;
                  where the only changes are calls of unknown code counted as change, they count apart
    repaired      the repaired text, compiled into the Persistent class: same answers, same state, and
                  nothing forgotten by the oracle, with an exception and with a save at every line
"""

from __future__ import annotations

import __future__

import ast
import contextlib
import copy
import functools
import operator
import random
import re
import sys
import types
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from persistent import Persistent

from batos.guardian import Summary, bits, covenant, policy, summaries_of
from batos.guardian import vocabulary as words
from batos.guardian.repair import mended
from scripts.proving import bytecode, oracle, walled
from scripts.proving.corpus import Found, Method
from scripts.proving.drawing import NOT_MESSAGES, Draw, instances
from scripts.proving.telling import Row, share

TRIES = 12  # children for one class: each method that ends its child is left out by the next
CALLS = 24  # drawn calls of one method
INJECTED = 24  # lines of one run at which the oracle throws, and saves

# -- what the analysis says --------------------------------------------------------------------------


@dataclass
class Said:
    """What the guardian says of one method.

    outcome    "changes", "assumed" (only by calls of unknown code), "reads", "refused"
    lines      (line of the text, why) of what it takes for a change
    repaired   the text that keeps the covenant, None where it is refused
    """

    outcome: str
    lines: list[tuple[int, str]]
    rules: list[str]
    repaired: str | None


def said_of(found: Found, by_function: dict[types.FunctionType, Method]) -> dict[str, Said]:
    """The guardian's word on every method of a class, its other methods known by their texts."""

    def source_of(name: str) -> str | None:
        for base in found.kind.__mro__:
            if name in vars(base):
                method = (
                    by_function.get(vars(base)[name])
                    if isinstance(vars(base)[name], types.FunctionType)
                    else None
                )
                return None if method is None else method.text
        return None

    summaries = summaries_of(source_of)
    return {
        name: said(method, summaries) for name, method in found.methods.items() if name not in NOT_MESSAGES
    }


def said(method: Method, summaries: Callable[[str], Summary | None]) -> Said:
    function, findings = policy.read(method.text)
    rules = [
        each.rule
        for each in findings
        if not each.warning and each.rule != "private-name" and not _of_its_module(each, method)
    ]
    if function is None or rules:
        return Said("refused", [], rules or ["shape"], None)
    study = covenant.study(function, summaries)
    if study.refused:
        return Said("refused", [], [each.rule for each in study.findings if not each.warning], None)
    certain = [(line, why) for line, why in study.changes if not why.endswith(bits.COUNTED)]
    lines = certain or study.changes
    text, again, _ = mended(
        method.text, study, lambda spread: covenant.study(ast.parse(spread).body[0], summaries)
    )
    outcome = "changes" if certain else "assumed" if lines else "reads"
    return Said(outcome, lines, [], text if again.holds and not again.refused else None)


def _of_its_module(finding: Any, method: Method) -> bool:
    """Is a name refused only because it is a function or class of the method's own module?"""
    if finding.rule == "dunder":
        return f"{method.name!r}:" in finding.message
    if finding.rule != "unknown-name":
        return False
    name = finding.message.partition("'")[2].partition("'")[0]
    return name in method.function.__globals__ or name in BUILTIN_KINDS


# Classes and exceptions of Python that methods of batos have no name for; harmless in an analysis.
BUILTIN_KINDS = frozenset(
    name
    for name, each in vars(__import__("builtins")).items()
    if isinstance(each, type) and issubclass(each, BaseException)
) | {"bytearray", "memoryview", "print", "id", "hash", "NotImplemented", "ascii"}


# -- the child: runs ------------------------------------------------------------------------------------


def codes_of(code: types.CodeType) -> set[types.CodeType]:
    """A function's code and that of everything made inside it."""
    inner = {each for each in code.co_consts if isinstance(each, types.CodeType)}
    return {code}.union(*(codes_of(each) for each in inner))


class Writes:
    """Counts what touches the state of `one`: assignments to its attributes, mutators of its containers."""

    def __init__(self) -> None:
        self.count = 0
        self.one: Any = None

    def of(self, kind: type) -> type:
        """The class with every assignment to an attribute counted."""
        put, take = kind.__setattr__, kind.__delattr__

        def set_(obj: Any, name: str, value: Any) -> None:
            self.count += obj is self.one  # and not an object that the method makes of the same class
            put(obj, name, value)

        def del_(obj: Any, name: str) -> None:
            self.count += obj is self.one
            take(obj, name)

        return type(kind)(kind.__name__, (kind,), {"__setattr__": set_, "__delattr__": del_, "__slots__": ()})

    def copy(self, value: Any) -> Any:
        """A deep copy whose lists, dicts, sets and deques count their own mutators."""
        plain = dict(copy._deepcopy_dispatch)
        counting = {kind: self.counting(kind) for kind in _MUTATING}

        def of_list(one: list, memo: dict[int, Any]) -> list:
            made = memo[id(one)] = counting[list]()
            list.extend(made, [copy.deepcopy(each, memo) for each in one])
            return made

        def of_dict(one: dict, memo: dict[int, Any]) -> dict:
            made = memo[id(one)] = counting[dict]()
            for key, each in one.items():
                dict.__setitem__(made, copy.deepcopy(key, memo), copy.deepcopy(each, memo))
            return made

        def of_set(one: set, memo: dict[int, Any]) -> set:
            made = memo[id(one)] = counting[set]()
            set.update(made, [copy.deepcopy(each, memo) for each in one])
            return made

        copy._deepcopy_dispatch.update({list: of_list, dict: of_dict, set: of_set})
        try:
            return copy.deepcopy(value)
        finally:
            copy._deepcopy_dispatch.clear()
            copy._deepcopy_dispatch.update(plain)

    def counting(self, kind: type) -> type:
        def wrap(name: str) -> Callable:
            plain = getattr(kind, name)

            def call(one: Any, *args: Any, **kw: Any) -> Any:
                self.count += 1
                return plain(one, *args, **kw)

            return call

        return type(kind.__name__, (kind,), {name: wrap(name) for name in _MUTATING[kind].split()})


_MUTATING = {
    list: "append extend insert remove pop clear sort reverse __setitem__ __delitem__ __iadd__ __imul__",
    dict: "update pop popitem setdefault clear __setitem__ __delitem__ __ior__",
    set: "add discard remove pop clear update difference_update intersection_update "
    "symmetric_difference_update __ior__ __iand__ __isub__ __ixor__",
}


def shared(one: Any) -> str:
    """The containers that the object's class keeps for all its objects: state that is reached from it."""
    kept = [
        (name, value)
        for base in type(one).__mro__
        for name, value in vars(base).items()
        if base.__module__ != "builtins" and isinstance(value, (list, dict, set)) and name[:2] != "__"
    ]
    return oracle.picture(kept)


def told_of(found: Found, name: str, said_: Said, made: list[Any], draw: Draw) -> dict[str, Any]:
    """What one method does, over many calls."""
    method = found.methods[name]
    function = method.function
    codes = codes_of(function.__code__)
    told: dict[str, Any] = {
        "name": name,
        "runs": 0,
        "ended": 0,
        "changed": False,
        "wrote": False,
        "reached": [],
    }
    reached: set[int] = set()
    good: list[tuple[Any, list[Any], dict[str, Any], bool]] = []
    for number in range(CALLS):
        one = made[number % len(made)]
        args, kw = draw.arguments(function)
        try:
            writes = Writes()
            copied, (args_, kw_) = writes.copy(one), copy.deepcopy((args, kw))
            writes.count, writes.one = 0, copied
        except Exception:  # noqa: BLE001, S112
            continue
        with contextlib.suppress(Exception):
            copied.__class__ = writes.of(type(copied))
        run = oracle.Run(
            lambda copied=copied, args_=args_, kw_=kw_: function(copied, *args_, **kw_),
            lambda copied=copied: oracle.picture(copied) + shared(copied),
            lambda code: code in codes,
            steps=number < 8,
        )
        if isinstance(run.error, oracle.Endless) or not run.reached:
            continue
        told["runs"] += 1
        told["ended"] += run.error is None
        reached |= run.reached if run.error is None else set()
        changed = run.after != run.before or any(look != run.before for look in run.looks)
        told["changed"] |= changed
        told["wrote"] |= bool(writes.count)
        good.append((one, args, kw, changed))
    told["reached"] = sorted(line - method.line + 1 for line in reached)
    if said_.repaired is not None and good and told["runs"]:
        told["repair"] = repaired(found, method, said_.repaired, good)
    return told


def compiled(method: Method, text: str, owner: str, line: int = 1) -> types.FunctionType | None:
    """A function of the text in the method's place: its module, defaults and closure.  Its text begins at `line`."""
    tree = ast.parse(text)
    body = ast.ClassDef(
        owner, [], [], tree.body, [], **({"type_params": []} if sys.version_info >= (3, 12) else {})
    )
    module = ast.fix_missing_locations(ast.Module([body], []))
    code: types.CodeType | None = compile(
        ast.increment_lineno(module, line - 1), method.function.__code__.co_filename, "exec",
        method.function.__code__.co_flags & _FUTURE, dont_inherit=True,
    )  # fmt: skip
    for wanted in (owner, method.name):
        code = next(
            (each for each in code.co_consts if isinstance(each, types.CodeType) and each.co_name == wanted),
            None,
        )
        if code is None:
            return None
    old = method.function
    if code.co_freevars != old.__code__.co_freevars:
        return None
    made = types.FunctionType(code, old.__globals__, old.__name__, old.__defaults__, old.__closure__)
    made.__kwdefaults__ = old.__kwdefaults__
    return made


_FUTURE = functools.reduce(
    operator.or_, (getattr(__future__, each).compiler_flag for each in __future__.all_feature_names)
)


def repaired(
    found: Found, method: Method, text: str, good: list[tuple[Any, list[Any], dict[str, Any], bool]]
) -> dict[str, Any]:
    """Does the repaired method behave as before, in the class turned Persistent, and forget nothing?"""
    new = compiled(method, text, found.kind.__name__)
    moved = compiled(method, method.text, found.kind.__name__, line=3)
    if new is None or moved is None:
        return {"skipped": "its closure is another"}
    kind = found.kind
    try:
        before = type(kind)(kind.__name__, (kind, Persistent), {method.name: method.function})
        control = type(kind)(kind.__name__, (kind, Persistent), {method.name: moved})
        after = type(kind)(kind.__name__, (kind, Persistent), {method.name: new})
    except TypeError as exc:
        return {"skipped": str(exc)[:60]}

    def fresh(turned: type, case: tuple) -> tuple[Any, Callable[[], Any]]:
        one, args, kw = copy.deepcopy(case[:3])
        obj = turned.__new__(turned)
        obj.__dict__.update(one.__dict__)
        oracle.watched(obj)
        return obj, lambda: getattr(turned, method.name)(obj, *args, **kw)

    codes = codes_of(new.__code__)
    ran = 0
    cases = sorted(good, key=lambda case: not case[3])[:5]
    for index, case in enumerate(cases):
        try:
            fresh(after, case)
        except Exception as exc:  # noqa: BLE001 - a class that cannot be a Persistent
            return {"skipped": f"{type(exc).__name__}: {exc}"[:80]}
        looks = []
        for turned in (before, control, after):
            obj, call = fresh(turned, case)
            run = oracle.Run(call, lambda obj=obj: oracle.picture(obj), lambda code: False)
            looks.append((oracle.picture(run.answer), type(run.error).__name__, run.after))
            if isinstance(run.error, MemoryError):
                return {"skipped": "it takes more memory than the child has"}
        if looks[0] != looks[1]:
            return {"skipped": "it behaves otherwise each time, or where its text stands"}
        if looks[1] != looks[2]:
            return {
                "differs": str([(a[:300], b[:300]) for a, b in zip(*looks[1:], strict=True) if a != b])[:900]
            }
        ran += 1
        if index < 2:
            lost = oracle.forgotten(
                lambda case=case: fresh(after, case), lambda code: code in codes, INJECTED
            )
            if lost:
                return {"forgotten": lost[:3]}
    return {"same": ran, "changed": any(case[3] for case in cases)}


def examine(found: Found, said_: dict[str, Said], names: list[str], seed: int) -> Iterator[dict[str, Any]]:
    rng = random.Random(f"{seed} {found.name}")
    draw = Draw(rng, found.kind)
    made = instances(found, rng, draw)
    yield {"instances": len(made)}
    if made:
        draw.instance = lambda: copy.deepcopy(made[0])
        for name in names:
            yield {"begins": name}
            yield told_of(found, name, said_[name], made, draw)


# -- the parent ----------------------------------------------------------------------------------------


@dataclass
class Tally:
    """The counts of the whole corpus, and what to look at."""

    methods: int = 0
    run: int = 0
    changing: Counter[str] = field(default_factory=Counter)
    still: Counter[str] = field(default_factory=Counter)
    repairs: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)
    by_helper: list[tuple[Found, str, list[str]]] = field(default_factory=list)
    implicit: int = 0
    undecided: int = 0
    certain: Counter[tuple[str, str]] = field(default_factory=Counter)
    disputed: list[str] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def take(self, found: Found, told: dict[str, Any], said_: Said) -> None:
        where = f"{found.name}.{told['name']}"
        if not told["runs"]:
            return
        self.run += 1
        if told["changed"] or told["wrote"]:
            self.changing[said_.outcome] += 1
            if said_.outcome == "refused":
                self.refused[said_.rules[0]] += 1
            if said_.outcome == "reads":
                self.missed.append(where)
        elif told["ended"] and {line for line, _ in said_.lines} <= set(told["reached"]):
            if said_.outcome == "changes":
                self.by_helper.append((found, told["name"], said_.lines))
            else:
                self.still[said_.outcome] += 1
        else:
            self.undecided += 1
        repair = told.get("repair")
        if repair is not None:
            what = next(iter(repair))
            if what == "same" and repair["changed"]:
                what = "same, and changed"
            self.repairs[what] += 1
            if what == "skipped":
                self.skipped[repair["skipped"].split(":")[0]] += 1
            if what in ("differs", "forgotten"):
                self.broken.append(f"{where}: {repair}")

    def weigh(self, found: Found, name: str, said_: Said) -> None:
        """Hold the analysis against what the bytecode alone proves."""
        true = bytecode.truth(found.methods[name].function)
        if true is None or said_.outcome == "refused":
            return
        self.certain[true, said_.outcome] += 1
        if (true, said_.outcome) in (("changes", "reads"), ("reads", "changes")):
            self.disputed.append(f"{found.name}.{name}: {true}, said: {said_.outcome} {said_.lines[:2]}")

    def settle(self) -> None:
        """An alarm that only names helpers is one if a helper's own is: else the helper may change, seen or not."""
        alarmed: set[types.FunctionType] = set()
        waiting = []
        for found, name, lines in self.by_helper:
            helpers = [_HELPER.match(why) for _, why in lines]
            if all(helpers):
                waiting.append((found, name, lines, {getattr(found.kind, each[1], None) for each in helpers}))
            else:
                alarmed.add(found.methods[name].function)
                self.alarms.append(f"{found.name}.{name} {lines}")
        grown = True
        while grown:
            grown = False
            for entry in list(waiting):
                found, name, lines, called = entry
                if called & alarmed:
                    alarmed.add(found.methods[name].function)
                    self.alarms.append(f"{found.name}.{name} {lines}")
                    waiting.remove(entry)
                    grown = True
        self.still["changes"] += len(self.alarms)
        self.still["unsettled"] += len(waiting)


_HELPER = re.compile(r"'(\w+)' changes the object and does not flag it")


_OPERATES = (
    words.SCALAR_BUILTINS | words.SHELL_BUILTINS | words.LAZY_BUILTINS | words.ELEMENT_BUILTINS - {"getattr"}
)


def implicit(found: Found, names: list[str], by_function: dict[types.FunctionType, Method]) -> set[str]:
    """Of these methods those that run code of their class without a call, or send to self one that does.

    By reading a property, or by an operator, loop or built-in on self.  Objects of batos have neither, so such
    methods have no counterpart there and are left out of all counts, whatever they do.
    """
    waiting, sends, met = list(names), {}, set()
    while waiting:
        name = waiting.pop()
        if name in sends:
            continue
        member = getattr(found.kind, name, None)
        method = by_function.get(member) if isinstance(member, types.FunctionType) else None
        sends[name] = set()
        if method is not None and _operates(found, method, sends[name]):
            met.add(name)
        waiting += sends[name]
    while more := {name for name, sent in sends.items() if sent & met} - met:
        met |= more
    return met & set(names)


def _operates(found: Found, method: Method, sends: set[str]) -> bool:
    """Is there a property or an operator on self in the method itself?  The methods it sends go into `sends`."""
    function = ast.parse(method.text).body[0]
    receiver = covenant.receiver_name(function)

    def is_self(node: ast.AST | None) -> bool:
        return isinstance(node, ast.Name) and node.id == receiver

    for node in ast.walk(function):
        if isinstance(node, ast.Attribute) and is_self(node.value) and isinstance(node.ctx, ast.Load):
            reached = getattr(found.kind, node.attr, None)
            if isinstance(reached, types.FunctionType):
                sends.add(node.attr)
            elif reached is not None and hasattr(type(reached), "__get__") and not callable(reached):
                return True
        elif isinstance(node, (ast.Subscript, ast.Starred)) and is_self(node.value):
            return True
        elif isinstance(node, (ast.For, ast.comprehension)) and is_self(node.iter):
            return True
        elif isinstance(node, ast.Compare):
            plain = all(isinstance(op, (ast.Is, ast.IsNot)) for op in node.ops)
            if not plain and any(map(is_self, (node.left, *node.comparators))):
                return True
        elif isinstance(node, (ast.BinOp, ast.BoolOp, ast.UnaryOp, ast.FormattedValue)):
            if any(map(is_self, ast.iter_child_nodes(node))):
                return True
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _OPERATES:
            if node.func.id != "isinstance" and any(map(is_self, node.args)):
                return True
        elif isinstance(node, (ast.If, ast.While, ast.IfExp)) and is_self(node.test):
            return True
    return False


def prove(
    corpus: list[Found],
    by_function: dict[types.FunctionType, Method],
    seed: int,
    kept: walled.Kept,
    tell: Callable[[str], None] = lambda text: None,
) -> Tally:
    """Run every class of the corpus behind the wall and count; `by_function` has the texts of all methods.

    What the children told is in `kept` afterwards, and a class that is there already is not run again.
    """
    tally = Tally()
    for number, found in enumerate(corpus):
        said_ = said_of(found, by_function)
        apart = implicit(found, list(said_), by_function)
        names = [name for name in said_ if name not in apart]
        tally.methods += len(names)
        tally.implicit += len(said_) - len(names)
        for name in names:
            tally.weigh(found, name, said_[name])
        if number % 50 == 0:
            tell(f"{number} of {len(corpus)} classes, {tally.run} methods run")
        asked = [found.name, seed, [(name, found.methods[name].text, said_[name].repaired) for name in names]]
        for each in kept.told(asked, lambda: _ran(found, said_, names, seed)):  # noqa: B023 - called at once
            tally.take(found, each, said_[each["name"]])
    tally.settle()
    return tally


def _ran(found: Found, said_: dict[str, Said], names: list[str], seed: int) -> list[dict[str, Any]]:
    """What each method did; one that ends the child is left out, the others are tried again."""
    methods = []
    for _ in range(TRIES):
        told = walled.told(lambda names=names: examine(found, said_, names, seed))
        done = [each for each in told if "name" in each]
        methods += done
        begun = [each["begins"] for each in told if "begins" in each]
        names = names[names.index(begun[-1]) + 1 :] if len(begun) > len(done) else []
        if not names:
            break
    return methods


def rows(tally: Tally, classes: int) -> list[Row]:
    """The lines of the table about the library's classes."""
    seen, still, sure = tally.changing, tally.still, tally.certain
    judged = seen["changes"] + seen["assumed"] + seen["reads"]
    calm = still["changes"] + still["assumed"] + still["reads"]
    repaired = tally.repairs["same"] + tally.repairs["same, and changed"]
    broken = tally.repairs["differs"] + tally.repairs["forgotten"]
    writers = sure["changes", "changes"] + sure["changes", "assumed"] + sure["changes", "reads"]
    readers = sure["reads", "changes"] + sure["reads", "assumed"] + sure["reads", "reads"]
    return [
        Row(
            "state-changing methods recognised, by running them",
            share(judged - seen["reads"], judged),
            "99 %",
            f"methods seen to change their object in one of {CALLS} drawn calls, of {tally.run:,} methods run of "
            f"{classes:,} classes; {seen['assumed']} of the recognised only by a call assumed to change; "
            f"{seen['refused']} more are refused whatever they change; {tally.implicit:,} methods that run code of "
            "their class without a call have no counterpart and are left out",
        ),
        Row(
            "false alarms, by running them",
            share(still["changes"], calm),
            "under 1 %",
            f"methods that never changed anything, though each line of an alleged change was run to its end; "
            f"{still['assumed']} of them only call what is not known, which is assumed to change and no false alarm; "
            f"{tally.undecided} undecided: an alleged line was not reached; {still['unsettled']} call a helper that is",
        ),
        Row(
            "state-changing methods recognised, by bytecode",
            share(writers - sure["changes", "reads"], writers),
            "99 %",
            "all methods of the corpus whose bytecode stores or deletes an attribute of self or an item of one",
        ),
        Row(
            "false alarms, by bytecode",
            share(sure["reads", "changes"], readers),
            "under 1 %",
            "all methods of the corpus whose bytecode neither calls nor stores anything but local names",
        ),
        Row(
            "the repaired method behaves as before and loses nothing",
            share(repaired, repaired + broken),
            "100 %",
            f"up to 5 calls each in the class turned Persistent, 2 of them with an exception and with a save at up to "
            f"{INJECTED} lines; {tally.repairs['same, and changed']:,} of these methods changed state; "
            f"{tally.repairs['skipped']:,} could not be tried ({_counted(tally.skipped)})",
        ),
    ]


def _counted(reasons: Counter[str]) -> str:
    return "; ".join(f"{count} {reason}" for reason, count in reasons.most_common(3)) or "none"


def disagreements(tally: Tally) -> list[str]:
    """Every disagreement in words."""
    return (
        [f"missed: {each}" for each in tally.missed]
        + [f"false alarm: {each}" for each in tally.alarms]
        + [f"against the bytecode: {each}" for each in tally.disputed]
        + [f"repair: {each}" for each in tally.broken]
    )
