"""Which local names may come to rest: the analysis behind one promise of the compile step.

A list put into a slot becomes a persistent one, and the name it had must go on meaning what is stored.
So every value that may ever rest in a slot is made persistent where it is bound to a name, and
`resting_names` says which names those are.  It ignores order and branches: making a value persistent
too early costs a little and loses nothing.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from batos.guardian import trees
from batos.guardian.aliases import receiver_name
from batos.guardian.shapes import captured
from batos.guardian.vocabulary import CONTAINER_TYPES, MODULES, MUTATORS

# Calls without a receiver that may put one argument into another, or hand it to a send.
_STORING = frozenset({"setattr", "map", "filter"})
_SCALAR_CALLS = frozenset("len int float str bool abs round sum isinstance ord chr any all hash repr".split())


def bound_names(function: ast.AST) -> frozenset[str]:
    """Every name the text binds anywhere, in a tree that nobody has rewritten yet."""
    if "_bound" in function.__dict__:
        return function._bound
    # A method does not see itself by its bare name.
    function._bound = frozenset(name for name, node in names_bound(function) if node is not function)
    return function._bound


def names_bound(function: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """(name, the node that binds it) of everything the text binds, the function itself included."""
    for node in trees.every(function, ast.Name):
        if not isinstance(node.ctx, ast.Load):
            yield node.id, node
    for node in trees.every(function, ast.arg):
        yield node.arg, node
    for node in trees.every(function, ast.FunctionDef, ast.MatchAs, ast.MatchStar, ast.ExceptHandler):
        if node.name:
            yield node.name, node
    for node in trees.every(function, ast.MatchMapping):
        if node.rest:
            yield node.rest, node


def _bindings(function: ast.FunctionDef) -> Iterator[tuple[list[ast.expr], ast.expr]]:
    """(targets, value) of everything that binds; what is iterated counts as the value of its targets."""
    for node in trees.every(function, ast.Assign):
        yield node.targets, node.value
    for node in trees.every(function, ast.AugAssign, ast.AnnAssign, ast.NamedExpr):
        if node.value is not None:
            yield [node.target], node.value
    for node in trees.every(function, ast.For, ast.comprehension):
        yield [node.target], node.iter


def resting_names(function: ast.FunctionDef) -> frozenset[str]:
    """Local names whose value may come to rest in a slot, or be bound to what rests there.

    The least set with: names in a value stored under an attribute, in what may be state (a name bound,
    at any distance, from a parameter), or handed to a send; and names bound together with a name of
    the set, either way.
    """
    bindings = [
        (
            {each.id for target in targets for each in trees.walk(target) if stored(each)},
            _carriers(value),
            targets,
        )
        for targets, value in _bindings(function)
    ]
    for node in trees.every(function, ast.Match):
        parts = {name for case in node.cases for name in captured(case.pattern)}
        bindings.append((parts, _carriers(node.subject), []))
    stateful = {each.arg for each in trees.every(function, ast.arg)}
    groups: list[set[str]] = []
    for bound, named, _ in bindings:
        groups.append(bound | named)
    while more := {name for bound, named, _ in bindings if named & stateful for name in bound} - stateful:
        stateful |= more
    resting: set[str] = set()
    made_here = bound_names(function)

    def store(into: ast.expr, names: set[str]) -> None:
        """Values of `names` go into the container or object `into`."""
        root = _root(into)
        if isinstance(into, ast.Name) and into.id not in stateful:
            groups.append(names | {into.id})
        else:
            resting.update(names)
            if root is not None:  # `box[0]['x'] = rows`: what the container holds may be in a slot as well
                groups.append(names | {root})

    for bound, named, targets in bindings:
        for each in (each for target in targets for each in trees.walk(target)):
            if isinstance(each, ast.Attribute) and not isinstance(each.ctx, ast.Load):
                resting |= named | bound
            elif isinstance(each, ast.Subscript) and not isinstance(each.ctx, ast.Load):
                store(each.value, named | bound)
    for node in trees.every(function, ast.FunctionDef):
        if node is function:
            continue
        answers = [each.value for each in trees.every(node, ast.Return) if each.value is not None]
        taken = {each.arg for each in trees.every(node.args, ast.arg)}
        groups.append({node.name} | taken | {name for each in answers for name in _carriers(each)})
    for node in trees.every(function, ast.Call):
        values = (*node.args, *(keyword.value for keyword in node.keywords))
        handed = {name for each in values for name in _carriers(each)}
        keyed = any(each.arg == "key" and not isinstance(each.value, ast.Lambda) for each in node.keywords)
        base = node.func.value if isinstance(node.func, ast.Attribute) else None
        if isinstance(base, ast.Name) and base.id in MODULES | CONTAINER_TYPES:
            if handed & stateful:  # `list.append(self.l, rows)`, `heapq.heappush(self.h, row)`
                resting |= handed
        elif base is not None:
            if node.func.attr in MUTATORS or (isinstance(base, ast.Name) and base.id not in stateful):
                store(base, handed)  # a send hands on; a local value only takes in
            else:
                resting |= handed
        elif isinstance(node.func, ast.Name):
            if (node.func.id in _STORING or keyed) and handed & stateful:
                resting |= handed
            elif node.func.id in made_here:
                groups.append(handed | {node.func.id})
    grown = True
    while grown:
        grown = False
        for group in groups:
            if group & resting and not group <= resting:
                resting |= group
                grown = True
    return frozenset(resting - {receiver_name(function)})


_PLAIN_METHODS = {
    ast.List: "append insert pop remove sort reverse count index clear copy",
    ast.Dict: "get keys values items pop popitem setdefault clear copy update",
    ast.Set: "add discard remove pop clear copy",
}
_PLAIN_METHODS |= {
    ast.ListComp: _PLAIN_METHODS[ast.List], ast.DictComp: _PLAIN_METHODS[ast.Dict],
    ast.SetComp: _PLAIN_METHODS[ast.Set],
}  # fmt: skip


def plain_locals(function: ast.FunctionDef, resting: frozenset[str]) -> dict[str, frozenset[str]]:
    """Names that are only ever bound to a display of one kind, and their methods that need no guard."""
    kinds: dict[str, set[str]] = {}
    once = {each.targets[0] for each in trees.every(function, ast.Assign) if len(each.targets) == 1}
    for node in trees.every(function, ast.Assign):
        if node.targets[0] in once and isinstance(node.targets[0], ast.Name):
            kinds.setdefault(node.targets[0].id, set()).add(_PLAIN_METHODS.get(type(node.value), ""))
    others = {node.id for node in trees.every(function, ast.Name) if stored(node) and node not in once}
    others |= bound_names(function) - {each.id for each in once if isinstance(each, ast.Name)}
    others |= {each.arg for each in trees.every(function, ast.arg)}
    return {
        name: frozenset(methods.pop().split())
        for name, methods in kinds.items()
        if len(methods) == 1 and name not in resting and name not in others
    }


def stored(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def _carriers(node: ast.AST) -> set[str]:
    """Names whose value may be, or be inside, the value of an expression."""
    if isinstance(node, ast.Name):
        return {node.id}
    if isinstance(node, (ast.Compare, ast.JoinedStr, ast.Constant, ast.UnaryOp)):
        return set()
    if isinstance(node, ast.BinOp) and not isinstance(node.op, (ast.Add, ast.BitOr, ast.Mult)):
        return set()
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _SCALAR_CALLS:
        return set()
    children: set[str] = set()
    for child in trees.below(node):
        children |= _carriers(child)
    return children


def _root(node: ast.AST) -> str | None:
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Starred)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None
