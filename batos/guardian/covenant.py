"""The Persistence Covenant: no change a method makes is ever forgotten.

ZODB does not see a change inside a container or through an alias, and a change followed by an
exception leaves a dirty object in memory.  So, with M the points that may change state reachable
from the receiver, and the flag the line `self._p_changed = True`:

    C1  every path from the entry to a point of M passes the flag first
    C2  every normal exit after a point of M passes the flag after the last of them
    C3  nothing else touches `_p_changed`

`study` finds M (by `aliases`) over the graph (by `flow`) and proves or refutes C1 to C3; `repair`
puts the flag first, again before each normal exit that follows a change, and as the last line where
the function falls through.  Whoever calls `repair` studies its result again: nothing here trusts
its own repair.  A change of another object is that object's business: it is refused unless sent.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field, fields
from heapq import heappop, heappush

from batos.guardian import bits, flow, trees
from batos.guardian.aliases import Budget, Env, Reader, Summaries, TooLarge, receiver_name
from batos.guardian.shapes import Shapes, captured
from batos.guardian.verdict import Finding, Summary

FLAG = "_p_changed"
ONLY_FORM = f"{FLAG} is only ever set by the line `self.{FLAG} = True`, and never read"
BUDGET = 100_000  # expressions read for one method; an ordinary one takes some hundreds
ENTERED = "what {} this part of the object does is not known"
ROUNDS = 50  # environments only grow, so the fixpoint is near; this bound is never met in practice


# Where fixpoints begin: of a method that is not studied yet nothing is assumed.
NOTHING_YET = Summary(False, True, answers=0, answers_arguments=False, fills=False)


def nothing_known(selector: str) -> Summary | None:
    """The summaries of an object nothing is known of: every send to itself counts as a change."""
    return None


def is_flag(node: ast.AST | None, receiver: str | None) -> bool:
    """Is this the covenant line, in exactly its form: `self._p_changed = True`?"""
    return (
        node.__class__ is ast.Assign
        and len(node.targets) == 1
        and node.targets[0].__class__ is ast.Attribute
        and node.targets[0].attr == FLAG
        and isinstance(node.targets[0].value, ast.Name)
        and node.targets[0].value.id == receiver
        and receiver is not None
        and isinstance(node.value, ast.Constant)
        and node.value.value is True
    )


@dataclass(slots=True)
class Study:
    """What was found in one function.

    changes     (line, why) of every reachable point of M
    findings    refusals and warnings
    unflagged   changes some path reaches before any flag (C1)
    exits       what needs a flag before it: `ast.Return`s, and `finally` bodies (their `ast.Try`)
    open_end    is the end of the body reached with a change not flagged since?
    forgetful   does any way out that is not an exception leave a change not flagged since (C2)?
    """

    function: ast.FunctionDef
    receiver: str | None
    changes: list[tuple[int, str]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    unflagged: list[int] = field(default_factory=list)
    exits: list[ast.AST] = field(default_factory=list)
    open_end: bool = False
    forgetful: bool = False
    changing: set[ast.AST] = field(default_factory=set)
    answers: int = 0
    own: Summary = NOTHING_YET  # what is assumed of a send of its own selector
    fills: bool = False  # may state be put into what it is handed?

    @property
    def refused(self) -> bool:
        return any(not finding.warning for finding in self.findings)

    @property
    def holds(self) -> bool:
        """C1 and C2."""
        return not self.unflagged and not self.forgetful


def study(function: ast.FunctionDef, summaries: Summaries = nothing_known) -> Study:
    """Analyse one method.  Never raises for a bad one: what may not stand is in `findings`."""
    found = Study(function, receiver_name(function))
    _rules(function, found)
    if any(finding.rule in ("async", "generator") for finding in found.findings):
        return found  # no ordinary flow to follow
    try:
        _settle(found, summaries, Shapes(function, found.receiver), Budget(BUDGET))
    except TooLarge:
        found.findings.append(
            Finding("too-large", function.lineno, "too many paths to judge; split the method")
        )
        return found
    if not found.changes and _has_reachable_flag(found):
        found.findings.append(
            Finding(
                "needless-flag",
                function.lineno,
                "the flag is set but nothing changes: a needless write",
                True,
            )
        )
    found.findings = sorted(set(found.findings), key=lambda finding: (finding.line or 0, finding.rule))
    return found


def summarise(function: ast.FunctionDef, summaries: Summaries = nothing_known) -> Summary:
    """What callers of this method may assume."""
    found = study(function, summaries)
    try:
        handed = _handed(found, summaries, found.own, Shapes(function, found.receiver), Budget(BUDGET))
    except TooLarge:
        return Summary(True, False, True, True, True)
    return Summary(
        bool(found.changes) or found.refused,  # what may not stand was not followed
        found.holds and not found.refused,
        bool(handed.changes),
        bits.assumed(found.changes),
        bits.assumed(handed.changes),
        found.answers & _ANSWERED,
        bool(handed.answers & bits.STATE),
        found.fills,
    )


_ANSWERED = bits.STATE | bits.OWN | bits.FOREIGN | bits.HOLDS_FOREIGN


def _settle(found: Study, summaries: Summaries, shapes: Shapes, budget: Budget) -> None:
    """Fill in the study of a method; one that sends its own selector is studied until that is settled."""
    env: Env = {argument.arg: 0 for argument in _arguments(found.function.args)}
    if found.receiver is not None:
        env[found.receiver] = bits.SELF
    recurs = any(_is_own_send(node, found) for node in trees.every(found.function, ast.Attribute))
    for _ in range(ROUNDS):
        fresh = Study(found.function, found.receiver, own=found.own)
        _Analysis(fresh, summaries, shapes, budget).run(dict(env))
        own = found.own
        if recurs:
            handed = _handed(found, summaries, own, shapes, budget)
            unsure = bits.assumed(handed.changes)
            answers = (fresh.answers & _ANSWERED, bool(handed.answers & bits.STATE), fresh.fills)
            own = Summary(False, True, bool(handed.changes), False, unsure, *answers)
        if own == found.own:
            break
        found.own = own
    fresh.findings += found.findings
    for each in fields(Study):
        if each.name not in ("function", "receiver", "own"):
            setattr(found, each.name, getattr(fresh, each.name))


def _is_own_send(node: ast.Attribute, found: Study) -> bool:
    return (
        node.attr == found.function.name
        and isinstance(node.value, ast.Name)
        and node.value.id == found.receiver
    )


def _handed(found: Study, summaries: Summaries, own: Summary, shapes: Shapes, budget: Budget) -> Study:
    """What the method may do to what it is handed: studied as if its arguments alone were the state."""
    as_state = Study(found.function, found.receiver, own=own)
    env: Env = {argument.arg: bits.PART for argument in _arguments(found.function.args)}
    if found.receiver is not None:
        env[found.receiver] = 0
    _Analysis(as_state, summaries, shapes, budget).run(env)
    return as_state


def _arguments(arguments: ast.arguments) -> list[ast.arg]:
    starred = [each for each in (arguments.vararg, arguments.kwarg) if each is not None]
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *starred]


def _has_reachable_flag(found: Study) -> bool:
    return any(is_flag(node, found.receiver) for node in trees.every(found.function, ast.Assign))


# -- rules that need no flow ----------------------------------------------------------------------


def _rules(function: ast.FunctionDef, found: Study) -> None:
    """C3, and what makes a method impossible to judge whatever its paths."""

    def refuse(rule: str, node: ast.AST, message: str) -> None:
        found.findings.append(Finding(rule, getattr(node, "lineno", None), message))

    if isinstance(function, ast.AsyncFunctionDef):
        refuse("async", function, "a method runs in one turn and cannot wait; write `def` without async")
    for decorator in function.decorator_list:
        if not (isinstance(decorator, ast.Name) and decorator.id == "staticmethod"):
            refuse(
                "decorator",
                decorator,
                "only @staticmethod may decorate a method; others change what is judged",
            )
    # `try: while True: self.popitem() ... except KeyError` ends, by the exception.
    caught = {
        inner
        for node in trees.every(function, ast.Try)
        if node.handlers
        for statement in node.body
        for inner in trees.walk(statement)
    }
    flags = {
        node.targets[0] for node in trees.every(function, ast.Assign) if is_flag(node, found.receiver)
    }
    for node in trees.every(function, *_RULED):
        if isinstance(node, (ast.Yield, ast.YieldFrom)):
            refuse("generator", node, "a method answers once: collect the values in a list and return it")
        elif (
            isinstance(node, (ast.Await, ast.AsyncFor, ast.AsyncWith, ast.AsyncFunctionDef))
            and node is not function
        ):
            refuse(
                "async", node, "a method runs in one turn and cannot wait; write it without async and await"
            )
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            refuse("global", node, "state belongs in slots of an object, not in names around the method")
        elif isinstance(node, ast.Attribute) and node.attr == FLAG and node not in flags:
            refuse("covenant-line", node, ONLY_FORM)
        elif isinstance(node, (ast.Try, ast.TryStar)):
            for leaving in _leaves(node.finalbody):
                refuse(
                    "finally-exit",
                    leaving,
                    "return, break and continue in `finally` would swallow an exception",
                )
        elif (
            isinstance(node, ast.While)
            and node not in caught
            and flow.always_true(node.test)
            and not _leaves([node], node)
        ):
            refuse("endless-loop", node, "this loop has no way out: no break, return or raise is in it")
    if found.receiver is not None:
        for node in _rebinds(function, found.receiver):
            refuse(
                "rebinds-self",
                node,
                f"{found.receiver!r} is the receiver and stays the receiver; use another name",
            )


_RULED = (
    ast.Yield, ast.YieldFrom, ast.Await, ast.AsyncFor, ast.AsyncWith, ast.AsyncFunctionDef, ast.Global, ast.Nonlocal,
    ast.Attribute, ast.Try, ast.TryStar, ast.While,
)  # fmt: skip


def _leaves(body: list[ast.stmt], loop: ast.While | None = None) -> list[ast.stmt]:
    """Statements in `body` that leave it (with `loop`: that leave this loop, by a raise too)."""
    leaving: list[ast.stmt] = []

    def walk(statements: list[ast.stmt], depth: int) -> None:
        for each in statements:
            if isinstance(each, ast.Return) or (loop is not None and isinstance(each, ast.Raise)):
                leaving.append(each)
            elif isinstance(each, ast.Break) and depth == (1 if loop is not None else 0):
                leaving.append(each)
            elif isinstance(each, ast.Continue) and loop is None and depth == 0:
                leaving.append(each)
            elif not isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                looping = isinstance(each, (ast.For, ast.While, ast.AsyncFor))
                for name in ("body", "orelse", "finalbody"):
                    walk(getattr(each, name, []), depth + (looping and name == "body"))
                for inner in (*getattr(each, "handlers", []), *getattr(each, "cases", [])):
                    walk(inner.body, depth)

    walk(body, 0)
    return leaving


def _rebinds(function: ast.FunctionDef, receiver: str) -> list[ast.AST]:
    """Every place that gives the receiver's name to something else."""
    found: list[ast.AST] = []
    for node in trees.every(function, ast.Name, ast.arg, ast.alias, *_NAMING):
        kind = node.__class__
        if kind is ast.Name:
            if node.id == receiver and not isinstance(node.ctx, ast.Load):
                found.append(node)
        elif kind is ast.arg:
            if node.arg == receiver:
                found.append(node)
        elif kind in _NAMING and receiver in (getattr(node, "name", None), getattr(node, "rest", None)):
            found.append(node)
        elif kind is ast.alias and (node.asname or node.name) == receiver:
            found.append(node)
    own = next(each for each in found if isinstance(each, ast.arg))  # the receiver's own parameter
    return [each for each in found if each is not own and each is not function]


_NAMING = (ast.MatchAs, ast.MatchStar, ast.MatchMapping, ast.ExceptHandler, ast.FunctionDef, ast.ClassDef)


# -- flow -----------------------------------------------------------------------------------------


class _Analysis:
    """Runs the alias reader over the graph of one function until nothing is added any more."""

    def __init__(
        self,
        found: Study,
        summaries: Summaries,
        shapes: Shapes,
        budget: Budget,
        outer: _Analysis | None = None,
    ):
        self.function = found.function
        self.selector: str = outer.selector if outer else found.function.name
        self.found = found
        self.summaries = summaries
        self.shapes = shapes
        self.graph = flow.Graph(found.function.body)
        # The union of all environments: what a nested function sees, whenever it is called.
        self.everywhere: Env = dict(outer.everywhere) if outer else {}
        self.findings: list[Finding] = []
        self.changing: dict[flow.Node, list[tuple[ast.AST, str]]] = {}
        self.answers = 0
        self.makes_functions = False
        self.budget = budget

    def run(self, entry: Env) -> None:
        before: dict[flow.Node, Env] = {}
        for _ in range(ROUNDS):
            grown = dict(self.everywhere)
            before = self.spread(entry)
            if not self.makes_functions or self.everywhere == grown:
                break
        # Only now is known what each name may be; on the way less was known, and more counted as unknown.
        self.findings, self.changing = [], {}
        for node, env in before.items():
            self.step(node, env)
        self.found.findings += self.findings
        self.found.answers |= self.answers
        given = _arguments(self.function.args)
        self.found.fills = any(
            self.everywhere.get(each.arg, 0) & bits.STATE for each in given if each.arg != self.found.receiver
        )
        for node, changes in self.changing.items():
            self.found.changing.add(node.tree)
            self.found.changes += [(getattr(where, "lineno", 0), why) for where, why in changes]
        self.found.changes = sorted(set(self.found.changes))
        self.prove(before)

    def spread(self, entry: Env) -> dict[flow.Node, Env]:
        """Environments before each reachable node, at their least fixpoint."""
        before: dict[flow.Node, Env] = {self.graph.entry: entry}
        waiting = [self.graph.entry.number]  # a heap: in the order of the text, what meets is met once
        _join(self.everywhere, entry)
        while waiting:
            node = self.graph.nodes[heappop(waiting)]
            known = before[node]
            after = self.step(node, known)
            if after != known:
                _join(self.everywhere, after)
                half_way = dict(known)
                _join(half_way, after)
            else:
                half_way = after
            for targets, env in ((node.after, after), (node.on_error, half_way)):
                for target in targets:
                    if target not in before:
                        before[target] = dict(env)
                        heappush(waiting, target.number)
                    elif before[target] != env and _join(before[target], env):
                        if target.number not in waiting:
                            heappush(waiting, target.number)
        return before

    def step(self, node: flow.Node, env: Env) -> Env:
        """The environment after a node; its changes are noted."""
        tree = node.tree
        if tree is None or is_flag(tree, self.found.receiver):
            return env
        reader = self.reader(dict(env))
        if node.kind == "statement":
            reader.statement(tree)
        elif node.kind == "test":
            reader.bits(tree.subject if isinstance(tree, ast.Match) else tree.test)
        elif node.kind == "iterate":
            reader.bind(tree.target, reader.iterate(tree.iter))
        elif node.kind == "enter":
            for item in tree.items:
                entered = reader.bits(item.context_expr)
                if entered & bits.STATE:
                    reader.change(item.context_expr, ENTERED.format("entering") + bits.COUNTED)
                if item.optional_vars is not None:
                    reader.bind(item.optional_vars, entered)
        elif node.kind == "leave":
            for item in tree.items:
                if reader.bits(item.context_expr) & bits.STATE:
                    reader.change(item.context_expr, ENTERED.format("leaving") + bits.COUNTED)
        elif node.kind == "case":
            self.bind_pattern(reader, tree)
        elif node.kind == "handler" and tree.name:
            reader.env[tree.name] = 0
        if reader.changes:
            self.changing.setdefault(node, []).extend(reader.changes)
        self.answers |= reader.answers
        return reader.env

    def reader(self, env: Env) -> Reader:
        self.budget.spend()
        reader = Reader(
            self.found.receiver, self.selector, self.found.own, self.summaries, self.shapes,
            self.findings.append, self.nested, self.budget,
        )  # fmt: skip
        reader.env = env
        return reader

    def bind_pattern(self, reader: Reader, case: ast.match_case) -> None:
        """Names a pattern binds are the subject, parts of it, or new containers of its parts."""
        subject = reader.bits(self.graph.subjects[case])
        parts = bits.element(subject)
        parts |= bits.element(parts) | bits.element(bits.element(parts))
        for node in trees.walk(case.pattern):
            if isinstance(node, ast.MatchAs) and node.name is not None:
                reader.env[node.name] = subject | parts
            elif isinstance(node, ast.MatchStar) and node.name is not None:
                reader.env[node.name] = bits.OWN | bits.held(parts)
            elif isinstance(node, ast.MatchMapping) and node.rest is not None:
                reader.env[node.rest] = bits.OWN | bits.held(parts)
        reader.bits(case.guard)

    def nested(self, node: ast.FunctionDef | ast.Lambda, env: Env, defaults: Env) -> int:
        """The bits of a function made inside: what calling it does, now or later.

        What it may put into containers it sees is put there in `env`, because it may be called at any time.
        """
        self.makes_functions = True
        seen = dict(self.everywhere)
        _join(seen, env)
        arguments = {argument.arg for argument in _arguments(node.args)}
        own = arguments | _bound_in(node)
        outside = {each: value for each, value in seen.items() if each not in arguments}
        name = getattr(node, "name", None)
        recurs = name is not None and any(getattr(each, "id", None) == name for each in trees.walk(node))
        made, before = bits.UNKEEPABLE, None
        while made != before:
            before = made
            if name is not None:
                outside[name] = made
            made |= self.made(node, env, {**outside, **defaults}, own)
            if not recurs:
                break
        return made

    def made(self, node: ast.FunctionDef | ast.Lambda, env: Env, seen: Env, own: set[str]) -> int:
        """What one call of the function may do, alone and to what it is handed; `own` are its own names."""
        out, certain = bits.UNKEEPABLE, False
        for handed, effect in ((0, bits.CHANGES), (bits.PART, bits.CHANGES_ARGUMENT)):
            inside = {name: value for name, value in seen.items() if name not in own}
            for argument in _arguments(node.args):
                inside[argument.arg] = handed | seen.get(argument.arg, 0)
            changes, answers, after = self.effects(node, inside)
            if changes:
                out |= effect
                certain |= not changes & bits.ASSUMED
            if answers & bits.STATE:
                out |= bits.ANSWERS_STATE
            if answers & bits.CHANGES:
                out |= bits.ANSWERS_CHANGER
            for name, value in after.items():
                if name not in own and name in env:
                    env[name] |= value
        return out if certain else out | bits.ASSUMED

    def effects(self, node: ast.FunctionDef | ast.Lambda, env: Env) -> tuple[int, int, Env]:
        """(bits of the changes calling it makes, bits of its answers, what is known of all names in it)."""
        if isinstance(node, ast.Lambda):
            reader = self.reader(env)
            answers = reader.bits(node.body)
            again = self.reader(reader.env)  # what one call puts into a container the next may find there
            answers |= again.bits(node.body)
            return bits.changing(again.changes), answers, again.env
        inner = Study(node, self.found.receiver, own=self.found.own)
        analysis = _Analysis(inner, self.summaries, self.shapes, self.budget, self)
        analysis.run(env)
        self.findings += [finding for finding in inner.findings if finding.rule != "escape"]
        return bits.changing(inner.changes), inner.answers, analysis.everywhere

    # -- proof ---------------------------------------------------------------------------------

    def prove(self, reachable: dict[flow.Node, Env]) -> None:
        """C1 and C2 by a forward pass: was the flag surely set before, may a change be unflagged since?"""
        state: dict[flow.Node, tuple[bool, bool]] = {self.graph.entry: (False, False)}
        waiting = [self.graph.entry]

        def reach(target: flow.Node, flagged: bool, dirty: bool) -> None:
            old = state.get(target)
            new = (flagged, dirty) if old is None else (old[0] and flagged, old[1] or dirty)
            if new != old:
                state[target] = new
                waiting.append(target)

        while waiting:
            node = waiting.pop()
            flagged, dirty = state[node]
            if is_flag(node.tree, self.found.receiver):
                for target in node.after:
                    reach(target, True, False)
                for target in node.on_error:  # the end of fuel may come before the flag is set
                    reach(target, flagged, dirty)
                continue
            after = dirty or node in self.changing
            for target in (*node.after, *node.on_error):
                reach(target, flagged, after)
        found = self.found
        found.forgetful = state.get(self.graph.exit, (True, False))[1]
        for node in self.changing:
            if not state[node][0]:
                found.unflagged.append(getattr(node.tree, "lineno", 0))
        if found.forgetful:
            for node, (_, dirty) in state.items():
                if (
                    node.kind == "statement"
                    and isinstance(node.tree, ast.Return)
                    and (dirty or node in self.changing)
                ):
                    found.exits.append(node.tree)
            for tree in trees.every(self.function, ast.Try, ast.TryStar):
                if tree.finalbody and self.changes_within(tree.finalbody):
                    found.exits.append(tree)
        found.open_end = any(
            state[node][1] or node in self.changing
            for node in self.graph.falls_through
            if node in state and not is_flag(node.tree, found.receiver)
        )
        for node in self.graph.left_by_return & self.changing.keys() if found.forgetful else ():
            message = (
                "leaving this `with` by `return` may change the object, and no flag can follow; "
                "give the answer a name in the block, and return it after the block"
            )
            found.findings.append(Finding("with-exit", node.tree.lineno, message))

    def changes_within(self, body: list[ast.stmt]) -> bool:
        """Is there a change in this `finally` body with no flag as its last line?"""
        inside = {inner for statement in body for inner in trees.walk(statement)}
        return not is_flag(body[-1], self.found.receiver) and any(
            node.tree in inside for node in self.changing
        )


def _bound_in(node: ast.FunctionDef | ast.Lambda) -> set[str]:
    """Names that a function made inside has to itself, parameters apart."""
    bound: set[str] = set()
    waiting: list[ast.AST] = list(node.body) if isinstance(node.body, list) else [node.body]
    while waiting:
        each = waiting.pop()
        if isinstance(each, ast.comprehension):
            waiting += [each.iter, *each.ifs]  # its targets are its own
            continue
        if isinstance(each, ast.Name) and not isinstance(each.ctx, ast.Load):
            bound.add(each.id)
        elif isinstance(each, (ast.FunctionDef, ast.ExceptHandler)) and each.name:
            bound.add(each.name)
        elif isinstance(each, ast.match_case):
            bound |= captured(each.pattern)
        if not isinstance(each, (ast.FunctionDef, ast.Lambda)):
            waiting.extend(ast.iter_child_nodes(each))
    return bound


def _join(into: Env, env: Env) -> bool:
    """Add `env` to `into`; did anything grow?"""
    grown = False
    for name, more in env.items():
        before = into.get(name, 0)
        if name not in into or before | more != before:
            into[name] = before | more
            grown = True
    return grown
