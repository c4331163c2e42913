"""Which local names may be, or hold, the same containers: one pass over a method, order and branches aside.

Each name is a place, and a place has at most one other place for all its elements: what is assigned or put
in is unified with where it goes (Steensgaard's points-to analysis, in nearly linear time).  So depth is
kept: after `groups.setdefault(key, []).append(row)` the elements of the elements of `groups` are rows.
All state of the receiver is one place, whose elements are itself.  `aliases` asks here when a value is put
somewhere: which names must learn of it?  What the analysis does not know is collapsed into one place.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

from batos.guardian import trees
from batos.guardian import vocabulary as words

STATE = 0
DEPTH = 4  # how many levels of elements are told apart

Place = int | None  # None: nothing that could be or hold a container


class Shapes:
    """The places of one function, the functions inside it included.

    `of` has the place of each expression that has one; `names_of` says which names a place lies below.
    """

    def __init__(self, function: ast.FunctionDef, receiver: str | None):
        self.parent = [STATE]
        self.inner: dict[int, int] = {STATE: STATE}
        self.names: dict[str, int] = {}
        self.of: dict[ast.AST, int] = {}
        self.receiver = receiver
        self.bound = {
            name
            for node in trees.walk(function)
            for name in (getattr(node, "id", None), getattr(node, "arg", None), getattr(node, "name", None))
            if name is not None and not isinstance(getattr(node, "ctx", None), ast.Load)
        }
        self.above: dict[int, list[tuple[str, int]]] | None = None  # made when first asked
        self.functions: list[str] = []
        self.arguments(function.args)
        self.block(function.body)

    # -- what is asked -------------------------------------------------------------------------------

    def names_of(self, place: Place) -> list[tuple[str, int]]:
        """(name, depth) of the names whose value may be this place at that depth: 0 it may be it, 1 its elements
        may be, and so on."""
        if place is None:
            return []
        if self.above is None:
            self.above = {}
            for name, own in self.names.items():
                at: int | None = self.find(own)
                for depth in range(DEPTH):
                    if at is not None:
                        self.above.setdefault(at, []).append((name, depth))
                        at = self.inner.get(at)
                        at = None if at is None else self.find(at)
        return self.above.get(self.find(place), [])

    # -- places --------------------------------------------------------------------------------------

    def new(self, elements: Place = None) -> int:
        made = len(self.parent)
        self.parent.append(made)
        if elements is not None:
            self.inner[made] = elements
        return made

    def find(self, place: int) -> int:
        while self.parent[place] != place:
            self.parent[place] = self.parent[self.parent[place]]
            place = self.parent[place]
        return place

    def element(self, place: Place) -> Place:
        if place is None:
            return None
        place = self.find(place)
        if place not in self.inner:
            self.inner[place] = self.new()
        return self.inner[place]

    def unify(self, one: Place, other: Place) -> Place:
        if one is None or other is None:
            return other if one is None else one
        waiting = [(one, other)]
        while waiting:
            into, gone = (self.find(each) for each in waiting.pop())
            if into == gone:
                continue
            if gone == self.find(STATE):
                into, gone = gone, into
            self.parent[gone] = into
            theirs = self.inner.pop(gone, None)
            if theirs is not None and into in self.inner:
                waiting.append((self.inner[into], theirs))
            elif theirs is not None:
                self.inner[into] = theirs
        return self.find(one)

    def all_one(self, places: Iterable[Place]) -> Place:
        """All of these may be each other, and each other's elements."""
        out: Place = None
        for each in places:
            out = self.unify(out, each)
        if out is not None:
            self.unify(out, self.element(out))
        return out

    def put(self, container: Place, value: Place) -> None:
        if container is not None and value is not None:
            self.unify(self.element(container), value)

    def shell(self, *containers: Place) -> int:
        """A new container of the elements of these."""
        made = self.new()
        for each in containers:
            if each is not None:
                self.put(made, self.element(each))
        return made

    def name(self, name: str) -> int:
        if name == self.receiver:
            return STATE
        if name not in self.names:
            self.names[name] = self.new()
        return self.names[name]

    # -- statements ----------------------------------------------------------------------------------

    def arguments(self, given: ast.arguments) -> None:
        for each in (*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg):
            if each is not None:
                self.name(each.arg)
        for names, values in (
            ([*given.posonlyargs, *given.args], given.defaults),
            (given.kwonlyargs, given.kw_defaults),
        ):
            for each, default in zip(reversed(names), reversed(values), strict=False):
                if default is not None:
                    self.unify(self.name(each.arg), self.value(default))

    def block(self, body: list[ast.stmt]) -> None:
        for statement in body:
            self.statement(statement)

    def statement(self, node: ast.stmt) -> None:
        if isinstance(node, ast.Assign):
            value = self.value(node.value)
            for target in node.targets:
                self.bind(target, value, node.value)
        elif isinstance(node, ast.AnnAssign):
            if node.value is not None:
                self.bind(node.target, self.value(node.value), node.value)
        elif isinstance(node, ast.AugAssign):
            value = self.value(node.value)
            target = self.value(
                node.target
            )  # `x += y` takes in the elements; on a number it does nothing here
            if target is not None and value is not None:
                self.put(target, self.element(value))
        elif isinstance(node, ast.For):
            self.bind(node.target, self.element(self.value(node.iter)))
        elif isinstance(node, ast.With):
            for item in node.items:
                entered = self.all_one([self.value(item.context_expr)])
                if item.optional_vars is not None:
                    self.bind(item.optional_vars, entered)
        elif isinstance(node, ast.Match):
            subject = self.value(node.subject)
            for case in node.cases:
                names = [self.name(each) for each in captured(case.pattern)]
                if names:
                    self.all_one([subject, *names])
                self.value(case.guard)
                self.block(case.body)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            self.arguments(node.args)
            self.functions.append(node.name)
            self.block(node.body)
            self.functions.pop()
            given = [self.name(each.arg) for each in trees.walk(node.args) if isinstance(each, ast.arg)]
            self.all_one([self.name(node.name), *given])
        elif isinstance(node, ast.Return):
            value = self.value(node.value)
            if self.functions and value is not None:
                self.all_one([self.name(self.functions[-1]), value])
        elif isinstance(node, ast.Delete):
            for target in node.targets:
                self.value(target)
        else:
            for child in trees.below(node):
                if isinstance(child, ast.expr):
                    self.value(child)
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Match)):
            for field in ("body", "orelse", "finalbody"):
                self.block(getattr(node, field, []))
            for handler in getattr(node, "handlers", []):
                self.block(handler.body)

    def bind(self, target: ast.expr, value: Place, expression: ast.expr | None = None) -> None:
        if isinstance(target, ast.Name):
            if target.id != self.receiver:
                self.unify(self.name(target.id), value)
        elif isinstance(target, ast.Starred):
            self.put(
                self.new() if not isinstance(target.value, ast.Name) else self.name(target.value.id), value
            )
        elif isinstance(target, (ast.Tuple, ast.List)):
            parts: list[ast.expr | None] = [None] * len(target.elts)
            if isinstance(expression, (ast.Tuple, ast.List)) and len(expression.elts) == len(target.elts):
                if not any(isinstance(each, ast.Starred) for each in (*target.elts, *expression.elts)):
                    parts = list(expression.elts)
            for each, part in zip(target.elts, parts, strict=True):
                if part is not None:
                    self.bind(each, self.of.get(part), part)
                else:
                    self.bind(each, self.element(value))
        elif isinstance(target, ast.Attribute):
            self.value(target.value)
            self.unify(STATE, value)  # a slot of the receiver, or of another object, which is as good as lost
        elif isinstance(target, ast.Subscript):
            base = self.value(target.value)
            self.value(target.slice)
            if value is not None:
                self.put(base, self.element(value) if isinstance(target.slice, ast.Slice) else value)

    # -- expressions ---------------------------------------------------------------------------------

    def value(self, node: ast.expr | None) -> Place:
        if node is None:
            return None
        handler = _HANDLERS.get(type(node))
        if handler is not None:
            place = handler(self, node)
        else:
            place = None  # a number or a text, but its parts may bind and put
            for child in trees.below(node):
                if isinstance(child, ast.expr):
                    self.value(child)
                elif isinstance(child, ast.keyword):
                    self.value(child.value)
        if place is not None:
            self.of[node] = place
        return place

    def a_name(self, node: ast.Name) -> Place:
        return self.name(node.id) if node.id in self.bound or node.id == self.receiver else None

    def attribute(self, node: ast.Attribute) -> Place:
        base = self.value(node.value)
        if base is None or self.find(base) == self.find(STATE):
            return base
        return self.all_one([base])  # `put = box.append`: calling it reaches the box

    def subscript(self, node: ast.Subscript) -> Place:
        base = self.value(node.value)
        self.value(node.slice)
        if base is None:
            return None
        return self.shell(base) if isinstance(node.slice, ast.Slice) else self.element(base)

    def display(self, node: ast.List | ast.Tuple | ast.Set) -> Place:
        made = self.new()
        for each in node.elts:
            if isinstance(each, ast.Starred):
                self.put(made, self.element(self.value(each.value)))
            else:
                self.put(made, self.value(each))
        return made

    def a_dict(self, node: ast.Dict) -> Place:
        made = self.new()
        for key, each in zip(node.keys, node.values, strict=True):
            self.put(made, self.value(each) if key is not None else self.element(self.value(each)))
            self.value(key)  # what can be a key cannot be changed
        return made

    def comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> Place:
        for generator in node.generators:
            self.bind(generator.target, self.element(self.value(generator.iter)))
            for test in generator.ifs:
                self.value(test)
        made = self.new()
        if isinstance(node, ast.DictComp):
            self.value(node.key)
        self.put(made, self.value(node.value if isinstance(node, ast.DictComp) else node.elt))
        return made

    def conditional(self, node: ast.IfExp) -> Place:
        self.value(node.test)
        return self.unify(self.value(node.body), self.value(node.orelse))

    def boolean(self, node: ast.BoolOp) -> Place:
        out: Place = None
        for each in node.values:
            out = self.unify(out, self.value(each))
        return out

    def walrus(self, node: ast.NamedExpr) -> Place:
        value = self.value(node.value)
        self.bind(node.target, value)
        return value

    def operation(self, node: ast.BinOp) -> Place:
        left, right = self.value(node.left), self.value(node.right)
        if isinstance(node.op, (ast.Add, ast.Sub, ast.Mult, ast.BitOr, ast.BitAnd, ast.BitXor)):
            return self.shell(left, right)
        return None

    def a_lambda(self, node: ast.Lambda) -> Place:
        self.arguments(node.args)
        inside = {each.id for each in trees.walk(node.body) if isinstance(each, ast.Name)} & self.bound
        given = {each.arg for each in trees.walk(node.args) if isinstance(each, ast.arg)}
        names = [self.name(each) for each in inside | given if each != self.receiver]
        return self.all_one([self.new(), self.value(node.body), *names])

    def starred(self, node: ast.Starred) -> Place:
        return self.element(self.value(node.value))

    # -- calls ---------------------------------------------------------------------------------------

    def call(self, node: ast.Call) -> Place:
        func = node.func
        args = [self.value(each) for each in node.args]
        named = [self.value(each.value) for each in node.keywords]
        if isinstance(func, ast.Name) and func.id not in self.bound:
            return self.builtin(func.id, args, named)
        if not isinstance(func, ast.Attribute):
            return self.all_one([self.value(func), *args, *named])
        if isinstance(func.value, ast.Name) and func.value.id not in self.bound:
            home = func.value.id
            if home in words.MODULES:
                return self.module(home, func.attr, args, named)
            if home in words.CONTAINER_TYPES:
                return self.method(func.attr, args[0] if args else None, args[1:], named)
        base = self.value(func.value)
        if isinstance(func.value, ast.Name) and func.value.id == self.receiver:
            return self.all_one([STATE, *args, *named])
        return self.method(func.attr, base, args, named)

    def builtin(self, name: str, args: list[Place], named: list[Place]) -> Place:
        first = args[0] if args else None
        if name in words.SCALAR_BUILTINS:
            return None
        if name == "dict":
            return self.mapping(first, named)
        if name in words.SHELL_BUILTINS or name in ("reversed", "iter"):
            return self.shell(first)
        if name == "filter":
            return self.shell(*args[1:])
        if name in ("zip", "enumerate"):
            return self.new(self.shell(*args))
        if name in ("min", "max", "next"):
            out = self.element(first) if len(args) == 1 or name == "next" else None
            for each in (*(args[1:] if name == "next" else args if len(args) > 1 else ()), *named):
                out = self.unify(out, each)
            return out
        if name == "setattr":
            return self.unify(STATE, args[2] if len(args) > 2 else None)
        return self.all_one([*args, *named])

    def mapping(self, first: Place, named: list[Place]) -> int:
        """A new dict of what a mapping, or a list of pairs, holds."""
        made = self.shell(first)
        self.put(made, self.element(self.element(first)))
        for each in named:
            self.put(made, each)
        return made

    def module(self, home: str, name: str, args: list[Place], named: list[Place]) -> Place:
        first = args[0] if args else None
        if home in words.SCALAR_MODULES or name in words.FRESH:
            return None
        if name in words.MODULE_CHANGERS:
            for each in args[1:]:
                self.put(first, each)
            return self.element(first)
        if name in words.MODULE_ELEMENTS:
            return self.element(first)
        if home == "copy" or name == "deque":
            return self.shell(first)
        if name == "OrderedDict":
            return self.mapping(first, named)
        if name == "defaultdict":  # what its factory makes is an element
            made = self.mapping(args[1] if len(args) > 1 else None, named)
            self.put(made, first)
            return made
        return self.all_one([*args, *named])

    def method(self, name: str, base: Place, args: list[Place], named: list[Place]) -> Place:
        if base is None:
            return self.all_one([*args, *named])
        if name in words.TAKING_ELEMENTS or name in ("union", "symmetric_difference"):
            for each in args:
                self.put(base, self.element(each))
            for each in named:
                self.put(base, each)
            return self.shell(base)
        if name in words.ELEMENT_METHODS:
            for each in (*args[1:], *named):
                self.put(base, each)
            return self.new(self.element(base)) if name == "popitem" else self.element(base)
        if name in words.MUTATORS:
            for each in args:
                self.put(base, each)
            return None
        if name in words.SHELL_METHODS:
            return self.shell(base)
        if name in words.PAIRS_METHODS:
            return self.new(self.shell(base))
        if name in words.PURE_METHODS:
            return None
        return self.all_one([base, *args, *named])


_HANDLERS = {
    ast.Name: Shapes.a_name,
    ast.Attribute: Shapes.attribute,
    ast.Subscript: Shapes.subscript,
    ast.List: Shapes.display,
    ast.Tuple: Shapes.display,
    ast.Set: Shapes.display,
    ast.Dict: Shapes.a_dict,
    ast.ListComp: Shapes.comprehension,
    ast.SetComp: Shapes.comprehension,
    ast.GeneratorExp: Shapes.comprehension,
    ast.DictComp: Shapes.comprehension,
    ast.IfExp: Shapes.conditional,
    ast.BoolOp: Shapes.boolean,
    ast.NamedExpr: Shapes.walrus,
    ast.BinOp: Shapes.operation,
    ast.Lambda: Shapes.a_lambda,
    ast.Starred: Shapes.starred,
    ast.Call: Shapes.call,
}


def captured(pattern: ast.pattern) -> set[str]:
    """The names a pattern binds."""
    found: set[str] = set()
    for each in trees.walk(pattern):
        found |= {getattr(each, "name", None), getattr(each, "rest", None)} - {None}
    return found
