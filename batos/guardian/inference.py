"""What the text alone says of a local name's value, so that the compile step can leave guards out.

A name is of a sort if every binding of it anywhere in the method is of that sort, inner functions
included; order and branches are ignored.  What is not known for certain has no sort and keeps its guard.

    SMALL    whole numbers that count something: their products are numbers like any other
    NUMBER   a number, or what comes of adding something to a number, which is a number or a TypeError
    TEXT     a str, or what comes of adding something to one: it has a length
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from batos.guardian import trees
from batos.guardian.resting import bound_names, names_bound

SMALL, NUMBER, TEXT = "small", "number", "text"
_ANY = "any"  # of a name nothing speaks against any sort yet
MOST = 1 << 31  # a constant larger than this is no small number

_COUNTING = frozenset({"len", "ord"})
_TEXTS = frozenset({"str", "repr", "chr", "hex", "bin", "oct", "format"})


def sorts_of(function: ast.FunctionDef) -> dict[str, str]:
    """Local names -> their sort, as far as it is certain."""
    bound = bound_names(function)
    given: dict[str, list[ast.expr | str | None]] = {name: [] for name in bound}
    for name, value in _bindings(function, bound):
        given.setdefault(name, []).append(value)
    sorts: dict[str, str] = {name: _ANY for name, values in given.items() if values and None not in values}
    while True:  # from above: first every sort is possible, then what contradicts is taken back
        found = {}
        for name in sorts:
            sort = _least([sort_of(value, sorts, bound) for value in given[name]])
            if sort is not None:
                found[name] = sort
        if found == sorts:
            return {name: sort for name, sort in sorts.items() if sort != _ANY}
        sorts = found


def _least(sorts: list[str | None]) -> str | None:
    """The one sort that all of them are."""
    kinds = set(sorts) - {_ANY}
    if not kinds:
        return _ANY
    if len(kinds) == 1:
        return kinds.pop()
    return NUMBER if kinds <= {SMALL, NUMBER} else None


def sort_of(node: ast.expr | str | None, sorts: dict[str, str], bound: set[str]) -> str | None:
    """The sort of an expression's value, None where it is not certain."""
    if node is None or isinstance(node, str):
        return node
    if isinstance(node, ast.Constant):
        if isinstance(node.value, int) and abs(node.value) < MOST:
            return SMALL
        if isinstance(node.value, str):
            return TEXT
        return NUMBER if isinstance(node.value, (int, float, complex)) else None
    if isinstance(node, ast.Name):
        return sorts.get(node.id)
    if isinstance(node, ast.JoinedStr):
        return TEXT
    if isinstance(node, ast.IfExp):
        return _least([sort_of(node.body, sorts, bound), sort_of(node.orelse, sorts, bound)])
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        return sort_of(node.operand, sorts, bound)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id not in bound:
        if node.func.id in _COUNTING:
            return SMALL
        return TEXT if node.func.id in _TEXTS else NUMBER if node.func.id in ("int", "float") else None
    if isinstance(node, ast.BinOp):
        left, right = sort_of(node.left, sorts, bound), sort_of(node.right, sorts, bound)
        if _ANY in (left, right):
            return _ANY
        if isinstance(node.op, (ast.Add, ast.Sub)):
            if NUMBER in (left, right) or SMALL in (left, right):
                # number + x is a number or a TypeError; x - number may be a date less a number: a TypeError
                return NUMBER
            return TEXT if isinstance(node.op, ast.Add) and left == TEXT else None
        if left in (SMALL, NUMBER) and (
            right in (SMALL, NUMBER) or isinstance(node.op, (ast.Mod, ast.FloorDiv, ast.Div))
        ):
            return NUMBER  # of a number there is a rest or a part only by a number
    return None


def _bindings(function: ast.FunctionDef, bound: set[str]) -> Iterator[tuple[str, ast.expr | str | None]]:
    """(name, what it is bound to: an expression, a sort, or None for what is not known)."""
    seen: set[ast.AST] = set()

    def targets(
        target: ast.expr, value: ast.expr | str | None
    ) -> Iterator[tuple[str, ast.expr | str | None]]:
        if isinstance(target, ast.Name):
            seen.add(target)
            yield target.id, value
        elif isinstance(target, (ast.Tuple, ast.List)):
            parts: list[ast.expr | None] = [None] * len(target.elts)
            if isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == len(parts):
                if not any(isinstance(each, ast.Starred) for each in (*value.elts, *target.elts)):
                    parts = list(value.elts)
            for inner, part in zip(target.elts, parts, strict=True):
                yield from targets(inner, part)

    for node in trees.every(function, ast.Assign):
        for target in node.targets:
            yield from targets(target, node.value)
    for node in trees.every(function, ast.AnnAssign, ast.NamedExpr):
        if node.value is not None:
            yield from targets(node.target, node.value)
    for node in trees.every(function, ast.AugAssign):
        if isinstance(node.target, ast.Name):
            loaded = ast.Name(node.target.id, ast.Load())
            yield from targets(node.target, ast.BinOp(loaded, node.op, node.value))
    for node in trees.every(function, ast.For, ast.comprehension):
        yield from _iterated(node.target, node.iter, bound, targets)
    for name, node in names_bound(function):
        if node not in seen:
            yield name, None


def _iterated(target, items, bound, targets):
    """Bindings of a loop: what counts up from nothing stays small."""
    called = items.func.id if isinstance(items, ast.Call) and isinstance(items.func, ast.Name) else None
    if called is None or called in bound or items.keywords or len(items.args) != 1:
        return
    if called == "range" and isinstance(target, ast.Name):
        yield from targets(target, SMALL)
    elif called == "enumerate" and isinstance(target, ast.Tuple) and isinstance(target.elts[0], ast.Name):
        yield from targets(target.elts[0], SMALL)
