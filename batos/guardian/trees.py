"""Walking a syntax tree quickly: the guardian reads each method a dozen times, for one question at a time.

What was walked is kept on the root itself, so it must not be asked of a tree that is being rewritten.
`every` keeps it by kind: most questions are about a few kinds of node, and a method has hundreds of nodes.
Contexts and operators are left out: nobody asks for a `Load` or an `Add` by itself.
"""

from __future__ import annotations

import ast

_LEAVES = (ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop)
_PLAIN = frozenset(
    {"ctx", "op", "ops", "id", "attr", "arg", "kind", "lineno", "type_comment", "name", "n", "s"}
)
_FIELDS = {
    kind: tuple(field for field in kind._fields if field not in _PLAIN)
    for kind in vars(ast).values()
    if isinstance(kind, type) and issubclass(kind, ast.AST) and not issubclass(kind, _LEAVES)
}
_FIELDS[ast.Constant] = ()


def below(node: ast.AST) -> list[ast.AST]:
    """The nodes that a node itself holds."""
    found: list[ast.AST] = []
    for field in _FIELDS[type(node)]:
        held = getattr(node, field, None)
        if held.__class__ is list:
            found += [each for each in held if isinstance(each, ast.AST)]
        elif isinstance(held, ast.AST):
            found.append(held)
    return found


def walk(root: ast.AST) -> tuple[ast.AST, ...]:
    """The node and all below it, in no promised order."""
    known = root.__dict__.get("_walked")
    if known is not None:
        return known
    found: list[ast.AST] = [root]
    for node in found:  # grows as it goes
        for field in _FIELDS[type(node)]:
            below = getattr(node, field, None)
            if below.__class__ is list:
                found += [each for each in below if isinstance(each, ast.AST)]
            elif isinstance(below, ast.AST):
                found.append(below)
    root._walked = tuple(found)
    return root._walked


def every(root: ast.AST, *kinds: type[ast.AST]) -> list[ast.AST]:
    """The node and all below it that are of exactly these kinds, in the order of `walk` within each."""
    by_kind = root.__dict__.get("_by_kind")
    if by_kind is None:
        by_kind = root._by_kind = {}
        for node in walk(root):
            by_kind.setdefault(node.__class__, []).append(node)
    return [node for kind in kinds for node in by_kind.get(kind, ())]


def placed(root: ast.AST) -> ast.AST:
    """The tree, in which every node without a line now has that of the node it belongs to."""
    waiting = [(root, 1, 0)]
    for node, line, column in waiting:  # grows as it goes
        if hasattr(node, "lineno"):
            line, column = node.lineno, node.col_offset
        elif "lineno" in node._attributes:
            node.lineno, node.col_offset = line, column
        for each in below(node):
            waiting.append((each, line, column))
    return root
