"""Each switch of the policy is seen: what it refuses is refused by it, and by nothing else, for off it gets through.

`test_policy` asks that an escape be refused or harmless, and so does not notice when one of two nets is gone.
Here every payload meets one net alone.  It is tried with the net, and once more without, which shows that
the payload would be worth having and that the test would notice.
"""

from __future__ import annotations

import ast
import string
import time
from collections.abc import Callable
from typing import Any

import pytest

from batos.errors import Refused
from batos.guardian import facades, texts
from batos.guardian.policy import compile_method
from batos.guardian.transformer import Method
from batos.objects import UvmObject, fuel

MATCHES = (ast.MatchAs, ast.MatchStar, ast.MatchMapping, ast.MatchClass)


def no_names_in_patterns(patch: pytest.MonkeyPatch) -> None:
    check = Method.check_name

    def unless_a_pattern(self: Method, node: ast.AST, *name: Any) -> None:
        if not isinstance(node, MATCHES):
            check(self, node, *name)

    patch.setattr(Method, "check_name", unless_a_pattern)


def defaults_unread(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Method, "default", lambda self, node: node)


def defaults_shared(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Method, "fresh_defaults", lambda self, node: [])


def raised_unseen(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Method, "visit_Raise", Method.node_contents_visit)


def any_field(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(texts._Template, "get_field", string.Formatter.get_field)


def any_codec(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(texts, "codec", lambda *how, **kw: None)


def any_flags(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(facades, "_checked_flags", int)


def refused(rule: str, line: int) -> Callable[[Exception], bool]:
    return lambda error: isinstance(error, Refused) and (error.rule, error.line) == (rule, line)


def told(kind: type[Exception], words: str) -> Callable[[Exception], bool]:
    return lambda error: isinstance(error, kind) and words in str(error)


def ends(error: BaseException) -> bool:
    return isinstance(error, fuel.OutOfFuel)


FIELD = told(ValueError, "a field of a template names a value, not an attribute of one")
CODEC = told(LookupError, "unknown encoding")
FLAGS = told(ValueError, "the flags of a pattern are I, M, S, X and A")
TREE = "x = 1\nfor i in range(40):\n    x = ValueError(x, x)\nraise x"

# what is tried: (how the net is taken away, lines of a method of `self` and `v`, what the net says)
SEEN = {
    "a template reads no attribute": (any_field, "return '{0.n}'.format(self)", FIELD),
    "nor by a name": (any_field, "return '{x.n}'.format_map({'x': self})", FIELD),
    "nor by the class": (any_field, "return str.format('{0.n}', self)", FIELD),
    "bytes are read by plain codecs": (any_codec, "return b'x41'.decode('unicode_escape')", CODEC),
    "a text is written by plain codecs": (any_codec, "return 'a'.encode('punycode')", CODEC),
    "a text is made by plain codecs": (any_codec, "return str(b'a', 'utf-7')", CODEC),
    "a pattern has plain flags": (any_flags, "return re.compile('a', flags=256).groups", FLAGS),
    "a search has plain flags": (any_flags, "return re.match('a', 'a', 256).span()", FLAGS),
    "a replacement has plain flags": (any_flags, "return re.sub('a', 'b', 'a', flags=256)", FLAGS),
    "no hook is bound by a kind": (
        no_names_in_patterns, "match v:\n    case int(_send_0_):\n        return 1", refused("private-name", 3)),
    "no hook is bound by `as`": (
        no_names_in_patterns, "match v:\n    case 1 as _tank_:\n        return 1", refused("private-name", 3)),
    "no hook is bound by a star": (
        no_names_in_patterns, "match [v]:\n    case [*_kind_]:\n        return 1", refused("private-name", 3)),
    "no hook is bound by a rest": (
        no_names_in_patterns, "match {1: v}:\n    case {**_look_}:\n        return 1", refused("private-name", 3)),
    "the default of an inner function is read": (
        defaults_unread, "def f(x=_type_):\n    return x\nreturn f()", refused("private-name", 2)),
    "the default of a lambda is read": (
        defaults_unread, "return (lambda *, x=_type_: x)()", refused("private-name", 2)),
    "what is raised is looked into": (raised_unseen, TREE, ends),
}  # fmt: skip


def tried(body: str, head: str = "def m(self, v=None):") -> Any:
    """What the method answers, or the error it ends with."""
    text = head + "\n" + "".join(f"    {line}\n" for line in body.split("\n"))
    try:
        function = compile_method(text)
        with fuel.spend(time.monotonic() + 0.3):
            return function(UvmObject(n=3), 1)
    except (Exception, fuel.OutOfFuel) as error:  # noqa: BLE001 - whatever it ends with is told
        return error


@pytest.mark.parametrize("name", SEEN)
def test_a_net_catches_what_it_is_there_for_and_nothing_else_does(name, monkeypatch):
    take_away, body, caught = SEEN[name]
    assert caught(tried(body)), tried(body)
    take_away(monkeypatch)
    assert not caught(tried(body)), "another net catches it too: this payload would not notice"


def test_a_default_that_is_no_constant_is_made_at_every_call(monkeypatch):
    text = "def m(self, v=None, seen=[]):\n    seen.append(1)\n    return len(seen)\n"

    def answers() -> list[int]:
        function = compile_method(text)
        return [function(UvmObject()), function(UvmObject())]

    with fuel.spend(time.monotonic() + 1):
        assert answers() == [1, 1]
        defaults_shared(monkeypatch)
        assert answers() == [1, 2]
