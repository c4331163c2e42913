"""`match` in the language of methods; RestrictedPython knows none of it.

A case may compare with constants, take sequences and mappings apart, and ask for a kind of value.  It reads no
attributes, since a pattern would read them unguarded, and binds no name that belongs to batos.
"""

from __future__ import annotations

import ast
from typing import Any

from batos.guardian.names import HOOKS
from batos.guardian.shapes import captured

_KINDS = ("int", "float", "str", "bool", "bytes", "list", "dict", "set", "tuple", "frozenset", "complex")


class Matching:
    """The part of `transformer.Method` that reads `match`."""

    def visit_Match(self, node: ast.Match) -> ast.AST:
        node.subject = self.visit(node.subject)
        for case in node.cases:
            names = captured(case.pattern)
            case.pattern = self.visit(case.pattern)
            case.guard = case.guard and self.visit(case.guard)
            case.body = [*self.keeping(names, case.pattern), *self.statement_list(case.body)]
        return node

    def visit_MatchValue(self, node: ast.MatchValue) -> ast.AST:
        if not isinstance(node.value, (ast.Constant, ast.UnaryOp)):
            self.refuse("match-pattern", node, "a case compares with constants; use `if` for a named value")
        return node

    def visit_MatchSingleton(self, node: ast.MatchSingleton) -> ast.AST:
        return node

    def visit_MatchSequence(self, node: ast.MatchSequence) -> ast.AST:
        return self.node_contents_visit(node)

    visit_MatchOr = visit_MatchSequence

    def visit_MatchStar(self, node: Any) -> ast.AST:
        self.check_name(node, node.name)
        return self.node_contents_visit(node)

    visit_MatchAs = visit_MatchStar

    def visit_MatchMapping(self, node: ast.MatchMapping) -> ast.AST:
        self.check_name(node, node.rest)
        if not all(isinstance(key, ast.Constant) for key in node.keys):
            self.refuse("match-pattern", node, "the keys of a case are constants")
        node.patterns = [self.visit(each) for each in node.patterns]
        return node

    def visit_MatchClass(self, node: ast.MatchClass) -> ast.AST:
        """`case int(n):`, and nothing of what the value has."""
        kind = node.cls.id if isinstance(node.cls, ast.Name) else None
        whole = (
            len(node.patterns) == 1
            and isinstance(node.patterns[0], ast.MatchAs)
            and node.patterns[0].pattern is None
        )
        if node.kwd_attrs or (node.patterns and not whole) or kind not in _KINDS:
            words = "a case may ask for a kind of value, `case int():` or `case int(n):`, no more"
            self.refuse("match-pattern", node, words)
            return node
        name = node.patterns[0].name if node.patterns else None
        self.check_name(node, name)
        hook = f"_case_{kind}_"
        plain = ast.MatchClass(ast.Name(hook if hook in HOOKS else kind, ast.Load()), [], [], [])
        made = ast.MatchAs(plain, name) if name else plain
        ast.copy_location(plain, node)
        return ast.fix_missing_locations(ast.copy_location(made, node))
