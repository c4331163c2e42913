"""Facets: what a method that stands for one of a persona's ways has to look like.

What a facet answers is what a mind says, and no rehearsal can say whether that is right.  So its drafts are
judged by their form: one question to the persona's own mind, with a system prompt, and nothing else.
"""

from __future__ import annotations

import ast

from batos.mind.personas import INFER


def why_not(source: str) -> str | None:
    """What keeps a method from being a facet, None if nothing does.

    >>> why_not("def sage_facet_(self, query):\\n    return self.infer_(query, self.facets['sage_facet_'])\\n")
    >>> why_not("def sage_facet_(self, query):\\n    return query\\n")
    'it does not ask the mind (self.infer_) just once'
    """
    function = ast.parse(source).body[0]
    if not isinstance(function, ast.FunctionDef) or len(function.args.args) != 2:
        return "it does not take one question"
    asked = [each for each in ast.walk(function) if isinstance(each, ast.Call) and _is_infer(each.func)]
    if len(asked) != 1:
        return "it does not ask the mind (self.infer_) just once"
    (call,) = asked
    told = [*call.args[1:2], *(each.value for each in call.keywords if each.arg == "system_prompt")]
    if not told or isinstance(told[0], ast.Constant) and not told[0].value:
        return "it asks the mind without a system prompt"
    query = function.args.args[1].arg
    if not call.args or not any(
        isinstance(each, ast.Name) and each.id == query for each in ast.walk(call.args[0])
    ):
        return "it does not put the question to the mind"
    if not any(isinstance(each, ast.Return) and call in ast.walk(each) for each in function.body):
        return "it does not answer what the mind says"
    for each in ast.walk(function):
        stores = isinstance(each, (ast.Attribute, ast.Subscript)) and isinstance(
            each.ctx, (ast.Store, ast.Del)
        )
        if stores or isinstance(each, (ast.For, ast.While, ast.Try)):
            return "it does more than ask the mind"
    return None


def _is_infer(function: ast.expr) -> bool:
    return (
        isinstance(function, ast.Attribute) and function.attr == INFER
        and isinstance(function.value, ast.Name) and function.value.id == "self"
    )  # fmt: skip
