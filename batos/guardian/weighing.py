"""The part of the compile step that has values weighed before C walks them (`consumers`).

A guard is left out where the text alone shows that one side is light: a constant, a counter, a text.  A
name is looked at where it stands, which costs a fifth of a call; everything else goes through a call.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from batos.guardian.inference import sort_of

_HOOKS = {
    ast.Eq: "_eq_", ast.NotEq: "_ne_", ast.Lt: "_lt_", ast.LtE: "_le_", ast.Gt: "_gt_", ast.GtE: "_ge_",
    ast.In: "_in_", ast.NotIn: "_not_in_",
}  # fmt: skip
_HASHING = frozenset({"get", "pop", "setdefault", "add", "discard", "remove"})
_WALKING = frozenset({"remove", "sort", "index", "count", "update"})
MOST_LOOKED_AT = 3  # names in one key; beyond that the call costs less


def _name(name: str) -> ast.Name:
    return ast.Name(name, ast.Load())


def _call(hook: str, *args: ast.expr) -> ast.Call:
    return ast.Call(_name(hook), list(args), [])


def is_light(value: ast.expr) -> ast.expr:
    """`type(value) in LIGHT`."""
    return ast.Compare(_call("_type_", value), [ast.In()], [_name("_light_")])


def _constant(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp):
        return _constant(node.operand)
    return isinstance(node, ast.Constant)


class Weighing(ast.NodeTransformer):
    """Comparisons, subscripts and displays with their guards."""

    if TYPE_CHECKING:
        sorts: dict[str, str]
        bound: frozenset[str]
        plain: dict[str, frozenset[str]]

        def placed(self, new: ast.AST, old: ast.AST) -> Any: ...
        def node_contents_visit(self, node: Any) -> Any: ...

    def light(self, node: ast.expr) -> bool:
        """Does the text show that a value holds no other?"""
        return (
            _constant(node)
            or isinstance(node, (ast.JoinedStr, ast.Compare))
            or sort_of(node, self.sorts, self.bound) is not None
        )

    def key(self, node: ast.expr, visited: ast.expr) -> ast.expr:
        """What is about to be hashed; `node` as it was written, `visited` as it was rewritten."""
        if self.light(node) or (isinstance(node, ast.Tuple) and all(map(self.light, node.elts))):
            return visited
        keyed: ast.expr = _call("_keyed_", visited)
        parts = visited.elts if isinstance(visited, ast.Tuple) else [visited]
        unsure = [each for each in parts if not self.light(each)]
        if len(unsure) <= MOST_LOOKED_AT and all(isinstance(each, ast.Name) for each in unsure):
            tests = [is_light(each) for each in unsure]
            keyed = ast.IfExp(tests[0] if len(tests) == 1 else ast.BoolOp(ast.And(), tests), visited, keyed)
        return self.placed(keyed, visited)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        written = node.slice
        whose = node.value
        node = self.node_contents_visit(node)
        if isinstance(written, ast.Slice):
            if not isinstance(node.ctx, ast.Load):
                node.value = self.placed(_call("_grow_", node.value), node)
        elif not self.is_plain_list(whose):
            node.slice = self.key(written, node.slice)
        return node

    def is_plain_list(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and "append" in self.plain.get(node.id, ())

    # -- comparing -------------------------------------------------------------------------------

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        written = [node.left, *node.comparators]
        node = self.node_contents_visit(node)
        made = [node.left, *node.comparators]
        if len(node.ops) == 1:
            return self.compared(node, written, made)
        if any(isinstance(op, (ast.In, ast.NotIn)) for op in node.ops):
            return self.chained(node, written, made)
        for at in range(1, len(made) - 1):  # weighed once for its neighbour on either side
            before, after = node.ops[at - 1], node.ops[at]
            if not (
                self.settled(before, *written[at - 1 : at + 1]) and self.settled(after, *written[at : at + 2])
            ):
                node.comparators[at - 1] = self.key(written[at], made[at])
        return node

    def settled(self, op: ast.cmpop, one: ast.expr, other: ast.expr) -> bool:
        """Does a comparison need no guard?"""
        if isinstance(op, (ast.Is, ast.IsNot)):
            return True
        if not isinstance(op, (ast.In, ast.NotIn)):
            return self.light(one) or self.light(other)
        if _constant(other):
            return True
        few = isinstance(other, (ast.Tuple, ast.List, ast.Set)) and all(map(_constant, other.elts))
        return few and not isinstance(other, ast.Set)

    def compared(self, node: ast.Compare, written: list[ast.expr], made: list[ast.expr]) -> ast.AST:
        op = node.ops[0]
        if self.settled(op, *written):
            return node
        one, other = made
        if not (isinstance(one, ast.Name) and isinstance(other, ast.Name)):
            return self.placed(_call(_HOOKS[type(op)], one, other), node)
        if isinstance(op, (ast.In, ast.NotIn)):  # what is light is hashed at once; a list would be walked
            hashing = ast.Compare(_call("_type_", other), [ast.In()], [_name("_hashing_")])
            sure = ast.BoolOp(ast.And(), [is_light(one), hashing])
            return self.placed(ast.IfExp(sure, node, _call(_HOOKS[type(op)], one, other)), node)
        sure = ast.BoolOp(ast.Or(), [is_light(one), _call("_weighed_", one, other)])
        return self.placed(ast.BoolOp(ast.And(), [sure, node]), node)

    def chained(self, node: ast.Compare, written: list[ast.expr], made: list[ast.expr]) -> ast.AST:
        """`a == b in c`: pair by pair, in a function of its own, where each part is evaluated once."""
        parts: list[ast.expr] = []
        names = [self.gen_tmp_name() for _ in made]
        for at, op in enumerate(node.ops):
            one = _name(names[at]) if at else ast.NamedExpr(ast.Name(names[0], ast.Store()), made[0])
            other = ast.NamedExpr(ast.Name(names[at + 1], ast.Store()), made[at + 1])
            if type(op) in _HOOKS:
                parts.append(_call(_HOOKS[type(op)], one, other))
            else:
                parts.append(ast.Compare(one, [op], [other]))
        nothing = ast.arguments([], [], None, [], [], None, [])
        return self.placed(ast.Call(ast.Lambda(nothing, ast.BoolOp(ast.And(), parts)), [], []), node)

    # -- displays --------------------------------------------------------------------------------

    def visit_Dict(self, node: ast.Dict) -> ast.AST:
        written = list(node.keys)
        node = self.node_contents_visit(node)
        node.keys = [made and self.key(was, made) for was, made in zip(written, node.keys, strict=True)]
        return node

    def visit_DictComp(self, node: ast.DictComp) -> ast.AST:
        written = node.key
        node = self.node_contents_visit(node)
        node.key = self.key(written, node.key)
        return node

    def visit_SetComp(self, node: ast.SetComp) -> ast.AST:
        written = node.elt
        node = self.node_contents_visit(node)
        node.elt = self.key(written, node.elt)
        return node

    def members(self, written: list[ast.expr], made: list[ast.expr]) -> list[ast.expr]:
        """The elements of a set's display, which are hashed."""
        keyed = []
        for was, now in zip(written, made, strict=True):
            if isinstance(now, ast.Starred):
                now.value = self.placed(_call("_hashable_", now.value), now)
                keyed.append(now)
            else:
                keyed.append(self.key(was, now))
        return keyed

    # -- methods of plain locals -------------------------------------------------------------------

    def plain_call(self, node: ast.Call, args: list[ast.expr]) -> list[ast.expr] | None:
        """The arguments of a call of a plain local's own method, None where it has to be guarded."""
        func = node.func
        whose = self.plain.get(func.value.id, ()) if isinstance(func.value, ast.Name) else ()
        if func.attr not in whose or (func.attr in _WALKING and ("append" in whose or func.attr == "update")):
            return None
        if func.attr in _HASHING and "append" not in whose and node.args:
            return [self.key(node.args[0], args[0]), *args[1:]]
        return args
