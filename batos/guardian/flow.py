"""The control-flow graph of one function, exception edges included.

A node is a simple statement or the header of a compound one.  `finally` bodies stand in the graph once
for every way into them (falling through, an exception, each `return`, `break` or `continue`), as the
interpreter runs them.  A node keeps its edges in two kinds, because an exception leaves a statement
half-way: its change may have happened, what it would have bound is not.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from batos.guardian.aliases import TooLarge

MAX_NODES = 20_000  # copies of `finally` bodies multiply; beyond this a method is too large to judge


@dataclass(slots=True, eq=False)
class Node:
    """kind: "statement", "test", "iterate", "enter", "leave", "case", "handler", "join", "exit", "raise"."""

    kind: str
    tree: ast.AST | None
    number: int
    after: list[Node] = field(default_factory=list)
    on_error: list[Node] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Frame:
    """What encloses the statement being built: a loop, handlers, or something to run on the way out."""

    kind: str  # "loop", "handlers", "finally"
    outer: Frame | None
    body: list[ast.stmt] = field(default_factory=list)
    tree: ast.AST | None = None  # the `with` statement a "finally" frame stands for
    breaks: list[Node] = field(default_factory=list)
    head: Node | None = None
    dispatch: Node | None = None
    error_entry: Node | None = None
    swallowed: list[Node] = field(default_factory=list)


class Graph:
    """`entry`, `exit` (returned), `raised` (left by an exception), and all nodes in order of building.

    falls_through   the nodes from which the end of the body is reached without a `return`
    left_by_return  where a `return` leaves a `with`
    subjects        what each `case` is matched against
    """

    def __init__(self, body: list[ast.stmt]):
        self.nodes: list[Node] = []
        self.left_by_return: set[Node] = set()
        self.subjects: dict[ast.match_case, ast.expr] = {}
        self.entry = self.node("join", None)
        self.exit = self.node("exit", None)
        self.raised = self.node("raise", None)
        self.falls_through = self.block(body, [self.entry], None)
        self.link(self.falls_through, self.exit)

    def node(
        self, kind: str, tree: ast.AST | None, before: list[Node] = (), frame: Frame | None = None
    ) -> Node:
        if len(self.nodes) >= MAX_NODES:
            raise TooLarge
        made = Node(kind, tree, len(self.nodes))
        self.nodes.append(made)
        self.link(before, made)
        if kind in ("statement", "test", "iterate", "enter", "leave", "case"):
            made.on_error.append(self.error_target(frame))
        return made

    def link(self, before: list[Node], after: Node) -> None:
        for each in before:
            if after not in each.after:
                each.after.append(after)

    def error_target(self, frame: Frame | None) -> Node:
        """Where an exception raised under `frame` goes."""
        while frame is not None:
            if frame.kind == "handlers":
                return frame.dispatch
            if frame.kind == "finally":
                if frame.error_entry is None:
                    frame.error_entry = self.node("join", None)
                    ends = self.unwind_one(frame, [frame.error_entry])
                    self.link(ends, self.error_target(frame.outer))
                    if frame.tree is not None:
                        frame.swallowed = ends  # a context manager may swallow
                return frame.error_entry
            frame = frame.outer
        return self.raised

    def unwind_one(self, frame: Frame, before: list[Node]) -> list[Node]:
        if frame.tree is not None:
            return [self.node("leave", frame.tree, before, frame.outer)]
        return self.block(frame.body, before, frame.outer)

    def unwind(self, frame: Frame | None, until: Frame | None, before: list[Node]) -> list[Node]:
        """Run what must run on the way out from `frame` to `until`."""
        while frame is not until and frame is not None:
            if frame.kind == "finally":
                before = self.unwind_one(frame, before)
            frame = frame.outer
        return before

    def block(self, body: list[ast.stmt], before: list[Node], frame: Frame | None) -> list[Node]:
        for statement in body:
            # Statements after a return are built too, without a way in: they are dead and count as absent.
            build = getattr(self, "build_" + type(statement).__name__, None)
            before = (
                build(statement, before, frame)
                if build
                else [self.node("statement", statement, before, frame)]
            )
        return before

    def build_Return(self, statement, before, frame):
        made = len(self.nodes)
        ends = self.unwind(frame, None, [self.node("statement", statement, before, frame)])
        self.left_by_return |= {node for node in self.nodes[made:] if node.kind == "leave"}
        self.link(ends, self.exit)
        return []

    def build_Raise(self, statement, before, frame):
        self.node("statement", statement, before, frame)
        return []

    def loop_of(self, frame: Frame | None) -> Frame | None:
        while frame is not None and frame.kind != "loop":
            frame = frame.outer
        return frame

    def build_Break(self, statement, before, frame):
        loop = self.loop_of(frame)
        if loop is not None:  # the compiler refuses a stray one, after this
            loop.breaks += self.unwind(frame, loop, [self.node("join", statement, before)])
        return []

    def build_Continue(self, statement, before, frame):
        loop = self.loop_of(frame)
        if loop is not None:
            self.link(self.unwind(frame, loop, [self.node("join", statement, before)]), loop.head)
        return []

    def build_If(self, statement, before, frame):
        test = self.node("test", statement, before, frame)
        return self.block(statement.body, [test], frame) + self.block(statement.orelse, [test], frame)

    def build_While(self, statement, before, frame):
        head = self.node("test", statement, before, frame)
        return self.loop(statement, head, frame, ends=not always_true(statement.test))

    def build_For(self, statement, before, frame):
        return self.loop(statement, self.node("iterate", statement, before, frame), frame, ends=True)

    build_AsyncFor = build_For

    def loop(self, statement, head, frame, ends):
        inside = Frame("loop", frame, head=head)
        self.link(self.block(statement.body, [head], inside), head)
        return self.block(statement.orelse, [head] if ends else [], frame) + inside.breaks

    def build_With(self, statement, before, frame):
        enter = self.node("enter", statement, before, frame)
        inside = Frame("finally", frame, tree=statement)
        ends = self.block(statement.body, [enter], inside)
        return [self.node("leave", statement, ends, frame)] + inside.swallowed

    build_AsyncWith = build_With

    def build_Try(self, statement, before, frame):
        inner = Frame("finally", frame, body=statement.finalbody) if statement.finalbody else frame
        within = inner
        if statement.handlers:
            dispatch = self.node("join", None)
            within = Frame("handlers", inner, dispatch=dispatch)
        ends = self.block(statement.body, before, within)
        ends = self.block(statement.orelse, ends, inner)
        if statement.handlers:
            for handler in statement.handlers:
                caught = self.node("handler", handler, [dispatch])
                ends = ends + self.block(handler.body, [caught], inner)
            # Even `except Exception` lets the end of fuel pass.
            self.link([dispatch], self.error_target(inner))
        return self.block(statement.finalbody, ends, frame)

    build_TryStar = build_Try

    def build_Match(self, statement, before, frame):
        waiting, ends = [self.node("test", statement, before, frame)], []
        for case in statement.cases:
            self.subjects[case] = statement.subject
            tried = self.node("case", case, waiting, frame)
            ends += self.block(case.body, [tried], frame)
            sure = (
                case.guard is None and isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is None
            )
            waiting = [] if sure else [tried]
        return ends + waiting


def always_true(test: ast.expr) -> bool:
    """Is the test of a loop true for ever, as far as its text says?"""
    return isinstance(test, ast.Constant) and bool(test.value)
