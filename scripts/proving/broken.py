"""The analysis broken on purpose, one rule or kind of alias at a time: what proves it must find each.

Each entry has a name, a patch that breaks the analysis, and the shortest method that tells: judged by the broken
analysis it passes, and the oracle sees what is forgotten, or a line change the state unknown to the analysis.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, NamedTuple

from batos.guardian import Summary, aliases, bits, covenant, flow
from batos.guardian.aliases import Reader
from scripts.proving import generated

# `patch.setattr(owner, name, value)` and `patch.setitem(mapping, key, value)`, as of pytest's MonkeyPatch.
Break = Callable[[Any], None]


def _first_flag_not_asked(patch):
    patch.setattr(
        covenant.Study, "unflagged", property(lambda self: [], lambda self, value: None), raising=False
    )


def _last_flag_not_asked(patch):
    patch.setattr(covenant.Study, "holds", property(lambda self: not self.unflagged))


def _any_flag_will_do(patch):
    def is_flag(node, receiver):
        return isinstance(node, ast.Assign) and getattr(node.targets[0], "attr", None) == covenant.FLAG

    patch.setattr(covenant, "is_flag", is_flag)


def _no_exception_edges(patch):
    plain = flow.Graph.node

    def node(self, kind, tree, before=(), frame=None):
        made = plain(self, kind, tree, before, frame)
        made.on_error.clear()
        return made

    patch.setattr(flow.Graph, "node", node)


def _expression(kind, bits=0):
    def broken(patch):
        plain = aliases._EXPRESSIONS[kind]

        def on(self, node):
            plain(self, node)
            return bits

        patch.setitem(aliases._EXPRESSIONS, kind, on)

    return broken


def _without_changes(name):
    """The method of `Reader` works as before, but reports no change."""

    def broken(patch):
        plain = getattr(Reader, name)

        def quiet(self, *args):
            before = len(self.changes)
            answer = plain(self, *args)
            del self.changes[before:]
            return answer

        patch.setattr(Reader, name, quiet)
        for table in (aliases._EXPRESSIONS, aliases._STATEMENTS):
            for kind, handler in list(table.items()):
                if handler is plain:
                    patch.setitem(table, kind, quiet)

    return broken


def _does_nothing(name, answer=None):
    return lambda patch: patch.setattr(Reader, name, lambda self, *args: answer)


def _plain_names_forget(patch):
    plain = Reader.bind

    def bind(self, target, bits, value=None):
        plain(self, target, 0 if isinstance(target, ast.Name) else bits, value)

    patch.setattr(Reader, "bind", bind)


def _unpacking_forgets(patch):
    plain = Reader.bind

    def bind(self, target, bits, value=None):
        if isinstance(target, (ast.Tuple, ast.List)):
            bits, value = 0, None
        plain(self, target, bits, value)

    patch.setattr(Reader, "bind", bind)


def _functions_inside_are_harmless(patch):
    patch.setattr(covenant._Analysis, "nested", lambda self, node, env, defaults: bits.UNKEEPABLE)


def _patterns_bind_nothing(patch):
    patch.setattr(covenant._Analysis, "bind_pattern", lambda self, reader, case: None)


def _loops_give_nothing(patch):
    plain = Reader.iterate

    def iterate(self, node):
        plain(self, node)
        return 0

    patch.setattr(Reader, "iterate", iterate)


def _elements_are_nothing(patch):
    patch.setattr(Reader, "pure_result", lambda self, name, base, given: 0)


def _helpers_are_harmless(patch):
    patch.setattr(covenant, "summarise", lambda function, summaries: Summary(False, True, answers=0))


class Broken(NamedTuple):
    breaks: Break
    witness: str  # the body of a method


BROKEN = {
    "C1: a flag first is not asked for": Broken(_first_flag_not_asked, "self.l.append(v)"),
    "C2: a flag after the last change is not asked for": Broken(
        _last_flag_not_asked, "self._p_changed = True\nself.l.append(v)"
    ),
    "C3: the flag may be lowered": Broken(_any_flag_will_do, "self.l.append(v)\nself._p_changed = False"),
    "exceptions leave no statement half-way": Broken(
        _no_exception_edges, "try:\n    self.d['nope']\nexcept KeyError:\n    self.l.append(v)"
    ),
    "an assigned name is no alias": Broken(_plain_names_forget, "x = self.l\nx.append(v)"),
    "an unpacked name is no alias": Broken(_unpacking_forgets, "x, *y = self.rows\nx['a'] = 9"),
    "a loop's name is no alias": Broken(_loops_give_nothing, "for x in self.rows:\n    x['a'] = 9"),
    "a walrus is no alias": Broken(_expression(ast.NamedExpr), "(x := self.l).append(v)"),
    "an element is no alias": Broken(_expression(ast.Subscript), "self.rows[0]['a'] = 9"),
    "`get` and `copy` answer no alias": Broken(_elements_are_nothing, "self.d.get('k').append(v)"),
    "a conditional expression is no alias": Broken(
        _expression(ast.IfExp), "(self.l if v else self.h).append(v)"
    ),
    "`or` is no alias": Broken(_expression(ast.BoolOp), "(self.l or self.h).append(v)"),
    "a display holds nothing": Broken(_expression(ast.List, bits.OWN), "[self.l][0].append(v)"),
    "a comprehension holds nothing": Broken(
        _expression(ast.ListComp, bits.OWN), "[x for x in [self.l]][0].append(v)"
    ),
    "what is put into a container is not there": Broken(
        _does_nothing("goes_into"), "box = []\nbox.append(self.l)\nbox[0].append(v)"
    ),
    "what came to rest in a slot is no alias": Broken(
        _does_nothing("comes_to_rest"), "x = [v]\nself.l = x\nx.append(v)"
    ),
    "a pattern's names are no aliases": Broken(
        _patterns_bind_nothing, "match self.rows:\n    case [x, *_]:\n        x['a'] = 9"
    ),
    "a container's own methods change nothing": Broken(_without_changes("mutation"), "self.l.append(v)"),
    "an item assigned changes nothing": Broken(_without_changes("store_into"), "self.d['q'] = v"),
    "a slot assigned changes nothing": Broken(_without_changes("store_attribute"), "self.n = 9 + v"),
    "an augmented name changes nothing": Broken(_without_changes("augmented"), "x = self.l\nx += [v]"),
    "an iterator consumed changes nothing": Broken(
        _without_changes("takes_in"), "g = (self.l.append(i) for i in [1, 2])\nfor x in g:\n    pass"
    ),
    "a function handed on is not run": Broken(_without_changes("consume"), "list(map(self.l.append, [v]))"),
    "a function called changes nothing": Broken(_without_changes("call_value"), "f = self.l.append\nf(v)"),
    "an unbound built-in changes nothing": Broken(_without_changes("unbound_call"), "list.append(self.l, v)"),
    "a comprehension's effect is none": Broken(
        _without_changes("comprehension"), "[self.l.append(i) for i in [1, 2]]"
    ),
    "a module's function changes nothing": Broken(
        _without_changes("module_call"), "heapq.heappush(self.l, v)"
    ),
    "a function made inside is harmless": Broken(
        _functions_inside_are_harmless, "def f(x):\n    self.l.append(x)\nf(v)"
    ),
    "a send to self changes nothing": Broken(_without_changes("own_send"), "self.stir(v)"),
    "another method of the object is harmless": Broken(_helpers_are_harmless, "self.help_a(v)"),
}
HELPER = "def help_a(self, v=1, w=()):\n    self.l.append(v)\n"


def noticed(name: str) -> list[str]:
    """What the proof says about the witness of this entry: nothing, unless the analysis is broken."""
    lines = BROKEN[name].witness.split("\n")
    method = "def m(self, v=1, w=()):\n" + "".join(f"    {line}\n" for line in lines)
    tally = generated.Tally()
    generated.examine({"help_a": HELPER, "m": method}, name, tally, as_written=True)
    return tally.bugs
