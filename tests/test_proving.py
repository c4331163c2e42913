"""The guardian's proof, in short: drawn methods on which analysis and oracle must agree, and its own proof.

`scripts/prove_guardian` draws thousands and runs the library's own classes.  Here a hundred are drawn with a
fixed seed.  And for every rule of the covenant and every kind of alias the analysis is broken on purpose:
a proof that does not notice proves nothing.
"""

from __future__ import annotations

import ast

import pytest

from scripts.proving import bytecode, generated, grammar
from scripts.proving.broken import BROKEN, noticed
from scripts.proving.telling import share, wilson

SEED = 4
DRAWN = range(100)


def test_analysis_and_oracle_agree_on_drawn_methods():
    tally = generated.prove(SEED, DRAWN)
    assert not tally.bugs, "\n\n".join(tally.bugs[:3])
    passed = tally.outcomes["repaired"] + tally.outcomes["accepted"]
    assert passed > 0.85 * len(DRAWN), tally.outcomes  # else there is little to agree on
    assert tally.changing > 0.5 * passed and tally.ended > 0.6 * tally.runs


def test_what_is_drawn_covers_the_language():
    drawn = "".join(text for number in range(300) for text in grammar.drawn(SEED, number).values())
    seen = {type(node) for node in ast.walk(ast.parse(drawn))}
    wanted = (
        ast.Assign, ast.AugAssign, ast.Delete, ast.For, ast.While, ast.If, ast.With, ast.Try,
        ast.Match, ast.FunctionDef, ast.Lambda, ast.NamedExpr, ast.IfExp, ast.BoolOp, ast.ListComp,
        ast.DictComp, ast.GeneratorExp, ast.Starred, ast.Return, ast.Raise, ast.Break, ast.Continue,
        ast.Slice, ast.Tuple, ast.MatchMapping, ast.MatchStar,
    )  # fmt: skip
    assert not set(wanted) - seen
    for words in (
        "setdefault",
        "self.help_a",
        "finally:",
        "functools.partial",
        "list.append(",
        "getattr(",
        "self.m(",
    ):
        assert words in drawn, words


@pytest.mark.parametrize("name", BROKEN)
def test_the_proof_finds_an_analysis_that_is_broken(name, monkeypatch):
    assert noticed(name) == []
    BROKEN[name].breaks(monkeypatch)
    assert noticed(name), f"nothing was noticed, though {name}"


def test_bytecode_alone_decides_what_is_plain():
    class Counter:
        def add(self, n):
            self.n += n

        def put(self, key, value):
            self.slots[key] = value

        def read(self):
            return (self.n, self.slots["k"]) if self.n else None

        def call(self):
            return self.read()

        def other(self, them):
            them.n = 1

    told = {name: bytecode.truth(each) for name, each in vars(Counter).items() if not name.startswith("_")}
    assert told == {"add": "changes", "put": "changes", "read": "reads", "call": None, "other": None}


def test_a_share_is_told_with_its_interval():
    low, high = wilson(8, 10)
    assert round(low, 4) == 0.4902 and round(high, 4) == 0.9433  # Wilson 1927, by hand
    assert share(230, 233).startswith("98.7 % (230 of 233") and share(0, 0) == "nothing to count"
