"""What a method says: which words its source sends or reads, so that one can ask who uses a name."""

from __future__ import annotations

import ast
import warnings

RESEND = "resend"


def words_in(source: str) -> frozenset[str]:
    """The names a method sends to, or reads as slots of, any object; a resent name counts.

    >>> sorted(words_in("def pay(self, n):\\n    self.balance -= n\\n    return self.resend('pay') or x.note(n)"))
    ['balance', 'note', 'pay']
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return frozenset()
    said = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Attribute):
            said.add(node.target.attr)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            said.add(node.attr)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == RESEND:
            said.update(each.value for each in node.args[:1] if isinstance(each, ast.Constant))
    return frozenset(said) - {RESEND}
