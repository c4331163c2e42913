"""Relations: what an example says, told as what its answer *is* of the slots and arguments, never as values.

A small model cannot subtract 30 from 100, but it reads `§0-¢0` at once; so the arithmetic is done here, by
trying a fixed table of simple relations on the example (property signatures, Odena and Sutton 2020), and the
mind is told those that hold in every example:

    eg int §0-¢0              the answer; its kind, then relations that hold in all examples, at most SHOWN
    now §0 int §0-¢0          what the slot holds afterwards, where an example tells it
    no int §0+¢0              a counter-example: this came out and is wrong
    no refused                ... it raised an error where it should not

The table is no list of methods: it says nothing of checks, of missing keys, of empty lists; where no relation
holds only the kind is told.  The price: what an example shows that the table does not know is not heard.
Pure functions over plain data.
"""

from __future__ import annotations

import ast
import datetime
import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from typing import Any

SHOWN = 4  # relations of one outcome
EXAMPLES_SHOWN, COUNTER_EXAMPLES_SHOWN = 6, 2  # examples compared with each other; lines of counter-examples
TERMS = 3  # slots that are compared
REFUSED = "refused"
_LONG = 400  # elements or letters: beyond it only the kind is told

_OF_ALL: tuple[tuple[str, Callable[[list], Any]], ...] = (
    ("sum", sum),
    ("max", max),
    ("min", min),
    ("mean", statistics.mean),
    ("median", statistics.median),
    ("product", math.prod),
    ("any", any),
    ("all", all),
)
Term = tuple[str, Any]
Try = tuple[str, Callable[[], Any]]


def relations(target: Any, slots: Sequence[Term], params: Sequence[Term]) -> list[str]:
    """The relations that hold between `target` and the terms `(handle, value)`, the most telling first."""
    found = []
    for text, make in _table(slots, params):
        try:
            holds = _same(make(), target)
        except Exception:  # whatever a person's values do in a try: then it does not hold
            continue
        if holds:
            found.append(text)
    return found


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-9)
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return list(left) == list(right) and all(_same(left[key], right[key]) for key in left)
    return type(left) is type(right) and left == right


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _sized(value: Any) -> bool:
    return isinstance(value, (str, list, tuple, set, frozenset, dict))


def _table(slots: Sequence[Term], params: Sequence[Term]) -> Iterator[Try]:
    terms = [term for term in slots[:TERMS] if not _sized(term[1]) or len(term[1]) <= _LONG]
    params = [term for term in params if not _sized(term[1]) or len(term[1]) <= _LONG]
    for name, value in [*terms, *params]:
        yield name, lambda value=value: value
    for name, value in terms:
        for other, with_it in params:
            yield from _pair(name, value, other, with_it)
        if len(params) > 1:
            yield from _triple(name, value, *params[0], *params[1])
        yield from _single(name, value)
    for index, (name, value) in enumerate(terms):
        for other, with_it in terms[index + 1 :]:
            yield from _pair(name, value, other, with_it)
    if len(terms) > 2 and all(_number(value) for _, value in terms):
        (a, x), (b, y), (c, z) = terms
        yield f"{a}+{b}+{c}", lambda: x + y + z
        yield f"{a}*{b}*{c}", lambda: x * y * z
        yield f"{a}+{b}-{c}", lambda: x + y - z
        yield f"{a}-{b}-{c}", lambda: x - y - z
        yield f"{a}*{b}+{c}", lambda: x * y + z
    for text in ("0", "1", "''", "[]", "{}", "None", "True", "False"):
        yield text, lambda text=text: ast.literal_eval(text)


def _single(n: str, x: Any) -> Iterator[Try]:
    if isinstance(x, bool):
        yield f"not {n}", lambda: not x
    elif _number(x):
        yield f"{n}+1", lambda: x + 1
        yield f"{n}-1", lambda: x - 1
        yield f"{n}*2", lambda: x * 2
        yield f"{n}*3", lambda: x * 3
        yield f"{n}*4", lambda: x * 4
        yield f"{n}/2", lambda: x / 2
        yield f"{n}*{n}", lambda: x * x
        yield f"{n}*{n}*{n}", lambda: x**3
        yield f"-{n}", lambda: -x
        yield f"abs {n}", lambda: abs(x)
        yield f"round {n}", lambda: round(x)
        yield f"sqrt {n}", lambda: math.sqrt(x)
        yield f"text {n}", lambda: str(x)
        yield f"{n}>0", lambda: x > 0
        yield f"{n}<0", lambda: x < 0
        yield f"{n}==0", lambda: x == 0
        if isinstance(x, int):
            yield f"digits {n}", lambda: len(str(abs(x)))
            yield f"{n} even", lambda: x % 2 == 0
            yield f"{n} odd", lambda: x % 2 == 1
    elif isinstance(x, str):
        yield from _text(n, x)
    elif isinstance(x, Mapping):
        yield from _mapping(n, dict(x))
    elif isinstance(x, (Sequence, Set)):
        yield from _elements(n, x)


def _text(n: str, x: str) -> Iterator[Try]:
    for word in ("upper", "lower", "title", "capitalize", "swapcase", "strip", "split", "splitlines"):
        yield f"{word} {n}", getattr(x, word)
    yield f"reversed {n}", lambda: x[::-1]
    yield f"list {n}", lambda: list(x)
    yield f"len {n}", lambda: len(x)
    yield f"words {n}", lambda: len(x.split())
    yield f"first {n}", lambda: x[0]
    yield f"last {n}", lambda: x[-1]
    yield f"first word {n}", lambda: x.split()[0]
    yield f"last word {n}", lambda: x.split()[-1]
    yield f"longest {n}", lambda: max(x.split(), key=len)
    yield f"sorted {n}", lambda: "".join(sorted(x))
    yield f"sorted words {n}", lambda: sorted(x.split())
    yield f"no blanks {n}", lambda: x.replace(" ", "")
    yield f"{n}*2", lambda: x * 2
    yield f"rest {n}", lambda: x[1:]
    yield f"{n} empty", lambda: not x
    yield f"{n} not empty", lambda: bool(x)
    yield f"{n} palindrome", lambda: x == x[::-1]
    if len(x) == 10 and x[4:5] == "-":
        day = datetime.date.fromisoformat
        yield f"year {n}", lambda: day(x).year
        yield f"month {n}", lambda: day(x).month
        yield f"day {n}", lambda: day(x).day
        yield f"weekday {n}", lambda: day(x).weekday()
        yield f"{n}+1 days", lambda: (day(x) + datetime.timedelta(days=1)).isoformat()
        yield f"{n}-1 days", lambda: (day(x) - datetime.timedelta(days=1)).isoformat()


def _elements(n: str, x: Any) -> Iterator[Try]:
    items = list(x)
    yield f"len {n}", lambda: len(items)
    yield f"{n} empty", lambda: not items
    yield f"{n} not empty", lambda: bool(items)
    for word, make in _OF_ALL:
        yield f"{word} {n}", lambda make=make: make(items)
    yield f"max-min {n}", lambda: max(items) - min(items)
    yield f"sorted {n}", lambda: sorted(items)
    if not isinstance(x, Sequence):
        yield f"list {n}", lambda: items
        return
    yield f"falling {n}", lambda: sorted(items, reverse=True)
    yield f"reversed {n}", lambda: items[::-1]
    yield f"unique {n}", lambda: list(dict.fromkeys(items))
    yield f"len unique {n}", lambda: len(set(items))
    yield f"first {n}", lambda: items[0]
    yield f"last {n}", lambda: items[-1]
    yield f"rest {n}", lambda: items[1:]
    yield f"most {n}", lambda: items[:-1]
    yield f"commonest {n}", lambda: max(items, key=items.count)
    yield f"longest {n}", lambda: max(items, key=len)
    yield f"shortest {n}", lambda: min(items, key=len)
    yield f"joined {n}", lambda: ", ".join(items)
    yield f"joined words {n}", lambda: " ".join(items)
    yield f"glued {n}", lambda: "".join(items)
    yield f"second {n}", lambda: items[1]
    yield f"flat {n}", lambda: [each for part in items for each in list(part)]
    yield f"tally {n}", lambda: {each: items.count(each) for each in items}
    yield f"each*2 {n}", lambda: [each * 2 for each in items]
    yield f"each*each {n}", lambda: [each * each for each in items]
    yield f"each upper {n}", lambda: [each.upper() for each in items]
    yield f"each lower {n}", lambda: [each.lower() for each in items]
    yield f"each len {n}", lambda: [len(each) for each in items]
    yield f"even {n}", lambda: [each for each in items if each % 2 == 0]
    yield f"odd {n}", lambda: [each for each in items if each % 2 == 1]
    yield f"positive {n}", lambda: [each for each in items if each > 0]
    yield f"negative {n}", lambda: [each for each in items if each < 0]


def _mapping(n: str, x: dict) -> Iterator[Try]:
    yield f"len {n}", lambda: len(x)
    yield f"{n} empty", lambda: not x
    yield f"{n} not empty", lambda: bool(x)
    yield f"keys {n}", lambda: list(x)
    yield f"values {n}", lambda: list(x.values())
    yield f"sorted keys {n}", lambda: sorted(x)
    yield f"sorted values {n}", lambda: sorted(x.values())
    yield f"sum {n}", lambda: sum(x.values())
    yield f"max {n}", lambda: max(x.values())
    yield f"min {n}", lambda: min(x.values())
    yield f"mean {n}", lambda: statistics.mean(x.values())
    yield f"key of max {n}", lambda: max(x, key=lambda key: x[key])
    yield f"key of min {n}", lambda: min(x, key=lambda key: x[key])
    yield f"first key {n}", lambda: next(iter(x))
    yield f"last key {n}", lambda: list(x)[-1]
    yield f"inverted {n}", lambda: {value: key for key, value in x.items()}
    yield f"ranked {n}", lambda: sorted(x, key=lambda key: -x[key])


def _pair(a: str, x: Any, b: str, y: Any) -> Iterator[Try]:
    if _number(x) and _number(y):
        yield f"{a}+{b}", lambda: x + y
        yield f"{a}-{b}", lambda: x - y
        yield f"{a}*{b}", lambda: x * y
        yield f"{a}/{b}", lambda: x / y
        yield f"{a}//{b}", lambda: x // y
        yield f"{a}%{b}", lambda: x % y
        yield f"{b}-{a}", lambda: y - x
        yield f"max {a} {b}", lambda: max(x, y)
        yield f"min {a} {b}", lambda: min(x, y)
        yield f"{a}+{b}%", lambda: x * (100 + y) / 100
        yield f"{a}-{b}%", lambda: x * (100 - y) / 100
        yield f"{b}% {a}", lambda: x * y / 100
        yield f"{a}/{b}%", lambda: x * 100 / y
        yield f"mean {a} {b}", lambda: (x + y) / 2
        yield f"abs {a}-{b}", lambda: abs(x - y)
        yield f"round {a} {b}", lambda: round(x, y)
        if abs(x) < 1000 and abs(y) < 20:
            yield f"{a}**{b}", lambda: x**y
        yield f"{a}>{b}", lambda: x > y
        yield f"{a}<{b}", lambda: x < y
        yield f"{a}>={b}", lambda: x >= y
        yield f"{a}<={b}", lambda: x <= y
    if type(x) is type(y) or (_number(x) and _number(y)):
        yield f"{a}=={b}", lambda: _same(x, y)
        yield f"{a}!={b}", lambda: not _same(x, y)
    if isinstance(x, str) and isinstance(y, str):
        yield f"{a}+{b}", lambda: x + y
        yield f"{b}+{a}", lambda: y + x
        yield f"{a} {b}", lambda: f"{x} {y}"
        yield f"{b} {a}", lambda: f"{y} {x}"
        yield f"{a} without {b}", lambda: x.replace(y, "")
        yield f"count {b} in {a}", lambda: x.count(y)
        yield f"place {b} in {a}", lambda: x.find(y)
        yield f"split {a} {b}", lambda: x.split(y)
        yield f"{b} in {a}", lambda: y in x
        yield f"{b} not in {a}", lambda: y not in x
        yield f"{a} starts {b}", lambda: x.startswith(y)
        yield f"{a} ends {b}", lambda: x.endswith(y)
        yield f"{a}<{b}", lambda: x < y
        yield f"{a}>{b}", lambda: x > y
        if len(x) == len(y) == 10:
            day = datetime.date.fromisoformat
            yield f"days {a} {b}", lambda: (day(y) - day(x)).days
            yield f"days {b} {a}", lambda: (day(x) - day(y)).days
        return
    if isinstance(x, str) and isinstance(y, int) and not isinstance(y, bool) and abs(y) <= _LONG:
        yield f"{a}[:{b}]", lambda: x[:y]
        yield f"{a}[-{b}:]", lambda: x[-y:] if y else ""
        yield f"{a}[{b}:]", lambda: x[y:]
        yield f"{a}[{b}]", lambda: x[y]
        yield f"{a}*{b}", lambda: x * y
        yield f"len {a}>{b}", lambda: len(x) > y
        yield f"len {a}<{b}", lambda: len(x) < y
        yield f"{a}+{b} days", lambda: _later(x, y)
        yield f"{a}-{b} days", lambda: _later(x, -y)
    if isinstance(x, Mapping):
        x = dict(x)
        yield f"{a}[{b}]", lambda: x[y]
        yield f"{b} in {a}", lambda: y in x
        yield f"{b} not in {a}", lambda: y not in x
        yield f"{a} without {b}", lambda: {key: x[key] for key in x if key != y} if y in x else None
        yield f"keys {a}>{b}", lambda: [key for key in x if x[key] > y]
        yield f"keys {a}<{b}", lambda: [key for key in x if x[key] < y]
        yield f"key of {b} {a}", lambda: [key for key in x if x[key] == y][0]
        yield f"{b} in values {a}", lambda: y in x.values()
        yield f"{a}[{b}]+1", lambda: x[y] + 1
        yield f"{a} with [{b}]+1", lambda: {**x, y: x.get(y, 0) + 1}
        yield f"{a} and {b}", lambda: {**x, **y}
    elif isinstance(x, (Sequence, Set)) and not isinstance(x, str):
        yield from _element_pair(a, x, b, y)


def _element_pair(a: str, x: Any, b: str, y: Any) -> Iterator[Try]:
    items = list(x)
    yield f"{b} in {a}", lambda: y in items
    yield f"{b} not in {a}", lambda: y not in items
    if not isinstance(x, Sequence):
        yield f"{a} with {b}", lambda: set(x) | {y}
        yield f"{a} without {b}", lambda: set(x) - {y}
        yield f"{a} and {b}", lambda: set(x) | set(y)
        yield f"{a} or {b}", lambda: set(x) & set(y)
        yield f"{a} less {b}", lambda: set(x) - set(y)
        return
    yield f"count {b} in {a}", lambda: items.count(y)
    yield f"place {b} in {a}", lambda: items.index(y)
    yield f"{a} then {b}", lambda: [*items, y]
    yield f"{b} then {a}", lambda: [y, *items]
    yield f"{a} without {b}", lambda: items[: items.index(y)] + items[items.index(y) + 1 :]
    yield f"{a} without all {b}", lambda: [each for each in items if each != y]
    yield f"{a}>{b}", lambda: [each for each in items if each > y]
    yield f"{a}<{b}", lambda: [each for each in items if each < y]
    yield f"{a}>={b}", lambda: [each for each in items if each >= y]
    yield f"count {a}>{b}", lambda: sum(each > y for each in items)
    yield f"count {a}<{b}", lambda: sum(each < y for each in items)
    yield f"each+{b} {a}", lambda: [each + y for each in items]
    yield f"each*{b} {a}", lambda: [each * y for each in items]
    yield f"joined {b} {a}", lambda: y.join(items)
    yield f"{a} starts {b}", lambda: [each for each in items if each.startswith(y)]
    yield f"{a} has {b}", lambda: [each for each in items if y in each]
    if isinstance(y, int) and not isinstance(y, bool) and abs(y) <= _LONG:
        yield f"{a}[:{b}]", lambda: items[:y]
        yield f"{a}[-{b}:]", lambda: items[-y:] if y else []
        yield f"{a}[{b}:]", lambda: items[y:]
        yield f"{a}[{b}]", lambda: items[y]
        yield f"largest {b} {a}", lambda: sorted(items, reverse=True)[:y]
        yield f"smallest {b} {a}", lambda: sorted(items)[:y]
        yield f"len {a}>{b}", lambda: len(items) > y
        yield f"len {a}<{b}", lambda: len(items) < y
        yield f"len {a}>={b}", lambda: len(items) >= y
        yield f"{a} without [{b}]", lambda: items[:y] + items[y + 1 :] if 0 <= y < len(items) else None
    if isinstance(y, Sequence) and not isinstance(y, str):
        yield f"{a} and {b}", lambda: items + list(y)
        yield f"{a} or {b}", lambda: [each for each in items if each in y]
        yield f"{a} less {b}", lambda: [each for each in items if each not in y]


def _triple(a: str, x: Any, b: str, y: Any, c: str, z: Any) -> Iterator[Try]:
    if _number(x) and _number(y) and _number(z):
        yield f"{a} from {b} to {c}", lambda: max(y, min(x, z))
        yield f"{a} in {b} to {c}", lambda: y <= x <= z
    elif isinstance(x, str) and isinstance(y, str) and isinstance(z, str):
        yield f"{b} to {c} in {a}", lambda: x.replace(y, z)
    elif isinstance(x, Mapping):
        yield f"{a} with [{b}] {c}", lambda: {**x, y: z}
        yield f"{a} with [{b}]+{c}", lambda: {**x, y: x.get(y, 0) + z}
        yield f"{a}[{b}]+{c}", lambda: x.get(y, 0) + z
        yield f"{a}[{b}]-{c}", lambda: x[y] - z
        yield f"{a}[{b}] or {c}", lambda: x.get(y, z)
    elif isinstance(x, Sequence):
        yield f"{a} with [{b}] {c}", lambda: [*x[:y], z, *x[y + 1 :]] if 0 <= y < len(x) else None
        yield f"{a} then {c} at {b}", lambda: [*x[:y], z, *x[y:]] if 0 <= y <= len(x) else None
        yield f"{a}[{b}:{c}]", lambda: x[y:z]
        yield f"{a} in {b} to {c}", lambda: [each for each in x if y <= each <= z]
        yield f"{b} to {c} in {a}", lambda: [z if each == y else each for each in x]


def _later(day: str, days: int) -> str:
    return (datetime.date.fromisoformat(day) + datetime.timedelta(days=days)).isoformat()


# -- lines of a prompt -------------------------------------------------------------------------------------


def lines(
    examples: Sequence[Mapping], counters: Sequence[Mapping], names: Mapping[str, str], params: Sequence[str],
    keywords: Sequence[str | None], state: Mapping[str, Any], kind_of: Callable[[Any], str],
) -> tuple[str, ...]:  # fmt: skip
    """What a brief's examples and counter-examples say.

    names      slot name -> handle, of the slots that are compared
    params     handles of the parameters, keywords the names of those that were sent by keyword, else None
    state      the slots as they are: an example without `slots` is about them
    Examples are `{"slots"?, "args", "kw", "result" or "error", "changes"?}`; one that does not fit the
    message (other arguments) says nothing.
    """
    out: list[str] = []
    shown = [_outcome(each, names, params, keywords, state, kind_of) for each in examples[:EXAMPLES_SHOWN]]
    shown = [each for each in shown if each]
    held: dict[str, set[str]] = {}
    for subject in dict.fromkeys(subject for each in shown for subject in each):
        told = [each[subject] for each in shown if subject in each]
        kinds = {kind for kind, _ in told}
        kind = kinds.pop() if len(kinds) == 1 else min(kinds, key=len)
        common = [text for text in told[0][1] if all(text in found for _, found in told[1:])]
        if kind == REFUSED or (subject and any(subject not in each for each in shown)):
            continue
        held[subject] = set(common)
        out.append(
            " ".join([f"now {subject}" if subject else "eg", kind, " , ".join(common[:SHOWN])]).strip()
        )
    wrong = []
    for each in counters:
        for subject, (kind, found) in (_outcome(each, names, params, keywords, state, kind_of) or {}).items():
            left = [text for text in found if text not in held.get(subject, ())][:SHOWN]
            wrong.append(" ".join(["no", *([subject] if subject else []), kind, " , ".join(left)]).strip())
    return tuple(out + list(dict.fromkeys(wrong))[:COUNTER_EXAMPLES_SHOWN])


def _outcome(
    example: Mapping, names: Mapping[str, str], params: Sequence[str], keywords: Sequence[str | None],
    state: Mapping[str, Any], kind_of: Callable[[Any], str],
) -> dict[str, tuple[str, list[str]]] | None:  # fmt: skip
    """{"" for the answer, or a slot's handle: (kind, relations)} of an example, None where it does not fit."""
    args, kw = list(example.get("args") or ()), dict(example.get("kw") or {})
    given = iter(args)
    try:
        values = [plainly(kw.pop(name) if name else next(given)) for name in keywords]
    except (KeyError, StopIteration):
        return None
    if kw or next(given, given) is not given:
        return None
    before = {**state, **(example.get("slots") or {})}
    slots = [(handle, plainly(before[name])) for name, handle in names.items() if name in before]
    known = list(zip(params, values, strict=True))
    out: dict[str, tuple[str, list[str]]] = {}
    if "error" in example:
        out[""] = (REFUSED, [])
    elif "result" in example:
        result = plainly(example["result"])
        out[""] = (kind_of(result), relations(result, slots, known))
    for name, after in (example.get("changes") or {}).items():
        if name in names:
            after = plainly(after)
            out[names[name]] = (kind_of(after), relations(after, slots, known))
    return out


def plainly(value: Any) -> Any:
    """A value of an example as plain Python: sets and tuples as JSON tells them become sets and lists."""
    if isinstance(value, (list, tuple)):
        return [plainly(each) for each in value]
    if isinstance(value, Mapping):
        if len(value) == 1 and "$set" in value:
            members = plainly(value["$set"])
            return set(members) if all(isinstance(each, (str, int, float)) for each in members) else members
        if len(value) == 1 and "$tuple" in value:
            return plainly(value["$tuple"])
        return {key: plainly(each) for key, each in value.items()}
    return value
