"""May-alias analysis: which expressions may be, hold or change state reachable from the receiver.

An abstract value is a set of bits.  `Reader` evaluates one expression or statement in an environment
(local name -> bits) and reports what may change (`changes`) and what may never stand (`refusals`).
It knows nothing of control flow; `covenant` walks the graph and joins environments.  What a built-in, a
container's method or a module may do stands in `vocabulary`; which names share a container, in `shapes`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable

from batos.guardian import trees
from batos.guardian import vocabulary as words
from batos.guardian.bits import (
    ASSUMED,
    CHANGES,
    CHANGES_ARGUMENT,
    COUNTED,
    FOREIGN,
    HOLDS,
    HOLDS_2,
    HOLDS_3,
    LAZY,
    MODULE,
    OWN,
    PART,
    PENDING,
    SELF,
    UNKEEPABLE,
    assumed,
    element,
    held,
    shell,
    told,
)
from batos.guardian.calls import Calls
from batos.guardian.shapes import STATE as STATE_PLACE
from batos.guardian.shapes import Place, Shapes
from batos.guardian.verdict import Finding, Summary

# A value that is certainly a container: adding it to a name in place changes what the name holds.
CONTAINERS = (ast.List, ast.Tuple, ast.Set, ast.Dict, ast.ListComp, ast.SetComp, ast.DictComp)

Env = dict[str, int]
Summaries = Callable[[str], Summary | None]


class TooLarge(Exception):
    """There is more to follow than a verdict may take."""


def receiver_name(function: ast.FunctionDef) -> str | None:
    """The first parameter, whatever it is called; None for a staticmethod or a function of none."""
    if any(isinstance(each, ast.Name) and each.id == "staticmethod" for each in function.decorator_list):
        return None
    parameters = (*function.args.posonlyargs, *function.args.args)
    return parameters[0].arg if parameters else None


class Budget:
    """How many expressions may be read for one verdict: functions within functions multiply."""

    __slots__ = ("left",)

    def __init__(self, left: int):
        self.left = left

    def spend(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise TooLarge


class Reader(Calls):
    """Evaluates expressions of one function.

    receiver   the name of the first parameter, None for a staticmethod
    selector   the method's own name, and `own` what is known of it, for recursion
    shapes     which names share containers
    nested     `(function made inside, environment, bits of its defaults) -> bits`
    """

    def __init__(
        self,
        receiver: str | None,
        selector: str,
        own: Summary,
        summaries: Summaries,
        shapes: Shapes,
        refuse: Callable[[Finding], None],
        nested: Callable[[ast.AST, Env, Env], int],
        budget: Budget,
    ):
        self.receiver = receiver
        self.selector = selector
        self.own = own
        self.summaries = summaries
        self.shapes = shapes
        self.refuse_finding = refuse
        self.nested = nested
        self.env: Env = {}
        self.changes: list[tuple[ast.AST, str]] = []
        self.answers = 0  # bits of everything the function returns
        self.budget = budget
        self.seen: dict[ast.AST, int] = {}  # bits of arguments and elements, so that nothing is read twice

    # -- reports -------------------------------------------------------------------------------

    def change(self, node: ast.AST, why: str) -> None:
        self.changes.append((node, why))

    def refuse(self, rule: str, node: ast.AST, message: str) -> None:
        self.refuse_finding(Finding(rule, getattr(node, "lineno", None), message))

    def foreign(self, node: ast.AST) -> None:
        self.refuse(
            "foreign-slot", node,
            "this changes another object's state in place, and that object would not know; "
            "send it a message instead, for example `other.put('name', value)`",
        )  # fmt: skip

    def unkeepable(self, node: ast.AST, bits: int) -> None:
        if bits & CHANGES or (bits & PENDING and bits & LAZY):
            self.refuse(
                "escape", node,
                "a function that changes this object must not outlive the call; call it here, do not keep it",
            )  # fmt: skip
        elif bits & (UNKEEPABLE | LAZY):
            self.refuse(
                "unkeepable", node,
                "a function or generator cannot be kept in an object (it could never be loaded again); "
                "keep data, and define behaviour as a method",
            )  # fmt: skip

    # -- what goes where -------------------------------------------------------------------------

    def goes_into(self, container: Place, bits: int) -> None:
        """A value of these bits is put into this container: it and what holds it learn of it."""
        new = [held(bits)]  # by depth
        if not new[0]:
            return
        for name, depth in self.shapes.names_of(container):
            if name in self.env:
                while len(new) <= depth:
                    new.append(held(new[-1]))
                self.env[name] |= new[depth]

    def comes_to_rest(self, *values: ast.AST) -> None:
        """Values are put into the state: from here on the names of them, and of their elements, are state.

        `shapes` unified with the state whatever is put there anywhere; this says that it may be there now.
        """
        if all(self.shapes.of.get(each) is None for each in values):
            return  # numbers and texts
        for name, depth in self.shapes.names_of(STATE_PLACE):
            if name in self.env:
                self.env[name] |= (PART, HOLDS, HOLDS_2, HOLDS_3)[depth]

    def mixes(self, node: ast.Call) -> None:
        """What is called may put anything it reaches into anything it is handed."""
        for each in trees.walk(node):
            bits = self.env.get(each.id) if isinstance(each, ast.Name) and each.id != self.receiver else None
            if bits is not None and (bits & OWN or not bits & UNKEEPABLE):
                self.env[each.id] = bits | HOLDS
                self.goes_into(self.shapes.of.get(each), PART)

    # -- statements ----------------------------------------------------------------------------

    def bind(self, target: ast.expr, bits: int, value: ast.expr | None = None) -> None:
        """Assign a value of these bits to a target; `value` is its text, where it has one."""
        if isinstance(target, ast.Name):
            self.env[target.id] = bits
        elif isinstance(target, ast.Starred):
            self.bind(target.value, OWN | held(bits))
        elif isinstance(target, (ast.Tuple, ast.List)):
            same = isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == len(target.elts)
            if same and not any(isinstance(each, ast.Starred) for each in (*target.elts, *value.elts)):
                for each, part in zip(target.elts, value.elts, strict=True):
                    self.bind(each, self.again(part), part)
                return
            if bits & PENDING:
                self.change(target, "consuming this changes the object" + told(bits))
            for each in target.elts:
                self.bind(each, element(bits))
        elif isinstance(target, ast.Attribute):
            self.store_attribute(target, bits, value or target)
        elif isinstance(target, ast.Subscript):
            base = self.bits(target.value)
            self.bits(target.slice)
            if isinstance(target.slice, ast.Slice):
                self.takes_in(target, bits)
                bits = element(bits)
            why = "an element of the object's state is assigned"
            self.store_into(target, target.value, base, bits, why, *([] if value is None else [value]))

    def takes_in(self, node: ast.AST, bits: int) -> None:
        """The elements of a value are taken: an iterator is consumed."""
        if bits & PENDING:
            self.change(node, "consuming this changes the object" + told(bits))

    def store_attribute(self, target: ast.Attribute, bits: int, value: ast.expr) -> None:
        base = self.bits(target.value)
        if base & SELF:
            self.unkeepable(target, bits)
            self.change(target, f"slot {target.attr!r} is assigned")
            self.comes_to_rest(value)
        else:
            self.foreign(target)

    def store_into(
        self, node: ast.AST, container: ast.expr, base: int, bits: int, why: str, *values: ast.expr
    ) -> None:
        """Values, of these bits together, go into `container`, whose bits are `base`."""
        if base & FOREIGN:
            self.foreign(node)
        if base & (SELF | PART):
            self.unkeepable(node, bits)
            self.change(node, why)
            self.comes_to_rest(*values)
        self.goes_into(self.shapes.of.get(container), bits)

    def statement(self, node: ast.stmt) -> None:
        """Evaluate one simple statement."""
        handler = _STATEMENTS.get(type(node))
        if handler is not None:
            handler(self, node)

    def assignment(self, node: ast.Assign) -> None:
        target = node.targets[0]
        if (
            len(node.targets) == 1
            and isinstance(target, ast.Attribute)
            and isinstance(node.value, ast.Attribute)
            and target.attr == node.value.attr
            and self.is_receiver(target.value)
            and self.is_receiver(node.value.value)
        ):
            words_ = f"slot {target.attr!r} is set to what it is: a needless write"
            self.refuse_finding(Finding("no-change", node.lineno, words_, True))
            return
        bits = self.bits(node.value)
        # `b = self.g[k] = []`: what is bound before it comes to rest must learn of it.
        for each in sorted(node.targets, key=lambda each: not isinstance(each, ast.Name)):
            self.bind(each, bits, node.value)

    def annotated(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.bind(node.target, self.bits(node.value), node.value)

    def deletion(self, node: ast.Delete) -> None:
        for target in node.targets:
            if isinstance(target, ast.Name):
                self.env.pop(target.id, None)
            else:
                self.bind(target, 0)

    def answer(self, node: ast.Return) -> None:
        if node.value is not None:
            bits = self.bits(node.value)
            if bits & CHANGES or (bits & PENDING and bits & LAZY):
                self.unkeepable(node, bits)
            self.answers |= bits

    def definition(self, node: ast.FunctionDef) -> None:
        self.env[node.name] = self.made_inside(node)

    def made_inside(self, node: ast.FunctionDef | ast.Lambda) -> int:
        """The bits of a function made here, its defaults read where they stand."""
        given = node.args
        positional = [*given.posonlyargs, *given.args]
        given_to = [*zip(reversed(positional), reversed(given.defaults), strict=False)]
        given_to += zip(given.kwonlyargs, given.kw_defaults, strict=True)
        return self.nested(
            node, self.env, {argument.arg: self.bits(default) for argument, default in given_to}
        )

    def parts(self, node: ast.stmt) -> None:
        for child in trees.below(node):
            self.bits(child)

    def augmented(self, node: ast.AugAssign) -> None:
        value = self.bits(node.value)
        self.takes_in(node, value)
        value &= ~(LAZY | PENDING)  # `l += (x for x in xs)` takes the elements
        target = node.target
        if isinstance(target, ast.Attribute):
            self.store_attribute(target, value, node.value)
            return
        if isinstance(target, ast.Name):
            before = self.env.get(target.id, 0)
        else:
            base = self.bits(target.value)
            self.bits(target.slice)
            before = element(base)
            why = "an element of the object's state is changed"
            self.store_into(node, target.value, base, held(element(value)), why, node.value)
        in_place = isinstance(node.op, (ast.Add, ast.Sub, ast.Mult, ast.BitOr, ast.BitAnd, ast.BitXor))
        if not in_place or (numeric(node.value) and not isinstance(node.op, ast.Mult)):
            before = 0  # a container takes no number: this is arithmetic
        certain = isinstance(node.value, CONTAINERS) or bool(value & OWN)
        # `l = self.l; l += [1]` changes the list in place.
        if before & FOREIGN and certain:
            self.foreign(node)
        if before & PART:
            why = "this may be a container of the object's, changed in place"
            self.change(node, why if certain else why + COUNTED)
            if certain:
                self.comes_to_rest(node.value)
        if isinstance(target, ast.Name):
            self.env[target.id] = before
            self.goes_into(self.shapes.of.get(target), element(value))
            self.env[target.id] |= held(element(value)) if in_place else 0
        else:
            self.goes_into(self.shapes.of.get(target), element(value))

    def iterate(self, node: ast.expr) -> int:
        """Bits of the elements of an iterated expression; consuming a lazy change is a change."""
        bits = self.bits(node)
        self.takes_in(node, bits)
        return element(bits)

    def is_receiver(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and node.id == self.receiver

    # -- expressions ---------------------------------------------------------------------------

    def again(self, node: ast.AST) -> int:
        """Bits of an argument or element that was read already."""
        return self.seen[node] if node in self.seen else self.bits(node)

    def bits(self, node: ast.AST | None) -> int:
        if node is None:
            return 0
        self.budget.spend()
        handler = _EXPRESSIONS.get(type(node))
        if handler is not None:
            return handler(self, node)
        for child in trees.below(node):  # what has no handler has parts: an f-string, a slice
            self.bits(child)
        return 0

    def constant(self, node: ast.Constant) -> int:
        return 0

    def name(self, node: ast.Name) -> int:
        if node.id in self.env:
            return self.env[node.id]
        if node.id in words.BUILTINS_BY_CALL:
            self.refuse(
                "computed-name",
                node,
                f"{node.id} is called where it stands, so that the slot's name can be read",
            )
        return MODULE if node.id in words.MODULES else 0

    def attribute(self, node: ast.Attribute) -> int:
        base = self.bits(node.value)
        if base & MODULE:
            return MODULE | (CHANGES_ARGUMENT | UNKEEPABLE if node.attr in words.MODULE_CHANGERS else 0)
        if self.is_unbound(node):
            return UNKEEPABLE | (CHANGES_ARGUMENT if node.attr in words.MUTATORS else 0)
        if base & SELF:
            return PART
        if self.is_receiver(node.value):  # its state is not what is asked for
            return 0
        if node.attr in words.MUTATORS:
            if base & FOREIGN:
                self.foreign(node)
            if base & PART:
                return CHANGES | UNKEEPABLE
            self.goes_into(self.shapes.of.get(node.value), PART)  # whoever calls it may put anything there
            return UNKEEPABLE if base & OWN else CHANGES_ARGUMENT | FOREIGN
        if base & OWN:
            return UNKEEPABLE if node.attr in words.PURE_METHODS else 0
        return FOREIGN

    def is_unbound(self, node: ast.Attribute) -> bool:
        """Is this a method of a built-in kind, taken from the kind: `list.append`?"""
        home = node.value
        return isinstance(home, ast.Name) and home.id in words.CONTAINER_TYPES and home.id not in self.env

    def subscript(self, node: ast.Subscript) -> int:
        base = self.bits(node.value)
        self.bits(node.slice)
        if base & CHANGES and base & LAZY:  # a `defaultdict` runs what it was made with
            self.change(node, "reading this may run a function that changes the object" + told(base))
        return shell(base) if isinstance(node.slice, ast.Slice) else element(base)

    def starred(self, node: ast.Starred) -> int:
        return self.iterate(node.value)

    def walrus(self, node: ast.NamedExpr) -> int:
        bits = self.bits(node.value)
        self.bind(node.target, bits)
        return bits

    def conditional(self, node: ast.IfExp) -> int:
        self.bits(node.test)
        return self.bits(node.body) | self.bits(node.orelse)

    def boolean(self, node: ast.BoolOp) -> int:
        out = 0
        for each in node.values:
            out |= self.bits(each)
        return out

    def comparison(self, node: ast.Compare) -> int:
        self.bits(node.left)
        for op, right in zip(node.ops, node.comparators, strict=True):
            bits = self.bits(right)
            if isinstance(op, (ast.In, ast.NotIn)):
                self.takes_in(node, bits)
        return 0

    def operation(self, node: ast.BinOp) -> int:
        both = self.bits(node.left) | self.bits(node.right)
        if not isinstance(node.op, (ast.Add, ast.Sub, ast.Mult, ast.BitOr, ast.BitAnd, ast.BitXor)):
            return 0
        if (numeric(node.left) or numeric(node.right)) and not isinstance(node.op, ast.Mult):
            return 0  # a container takes no number: this is arithmetic
        return shell(both) & ~(OWN | LAZY) | (both & OWN)

    def display(self, node: ast.List | ast.Tuple | ast.Set) -> int:
        out = OWN
        for each in node.elts:
            self.seen[each] = bits = self.bits(each)
            out |= held(bits)
        return out

    def a_dict(self, node: ast.Dict) -> int:
        out = OWN
        for key, value in zip(node.keys, node.values, strict=True):
            bits = self.bits(value)
            out |= held(element(bits) if key is None else bits)
            self.bits(key)  # what can be a key cannot be changed
        return out

    def comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> int:
        outer = dict(self.env)
        before = len(self.changes)
        own = {
            name.id for g in node.generators for name in trees.walk(g.target) if isinstance(name, ast.Name)
        }
        out = 0
        for _ in range(4):  # what one turn puts into a container the next may find there
            known = dict(self.env)
            del self.changes[before:]
            for generator in node.generators:
                self.bind(generator.target, self.iterate(generator.iter))
                for test in generator.ifs:
                    self.bits(test)
            if isinstance(node, ast.DictComp):
                self.bits(node.key)  # what can be a key cannot be changed
            out |= self.bits(node.value if isinstance(node, ast.DictComp) else node.elt)
            for name, bits in known.items():
                self.env[name] = self.env.get(name, 0) | bits
            if all(known.get(name) == bits for name, bits in self.env.items() if name not in own):
                break
        # A walrus inside binds outside; its other names are its own.
        self.env = {**{name: bits for name, bits in self.env.items() if name not in own},
                    **{name: bits for name, bits in outer.items() if name in own}}  # fmt: skip
        result = held(out) | OWN
        if isinstance(node, ast.GeneratorExp):
            result |= LAZY
            if len(self.changes) > before:
                result |= PENDING | (ASSUMED if assumed(self.changes[before:]) else 0)
        return result

    def a_lambda(self, node: ast.Lambda) -> int:
        return self.made_inside(node)


_STATEMENTS = {
    ast.Assign: Reader.assignment, ast.AnnAssign: Reader.annotated, ast.AugAssign: Reader.augmented,
    ast.Delete: Reader.deletion, ast.Return: Reader.answer, ast.Expr: Reader.parts, ast.Assert: Reader.parts,
    ast.Raise: Reader.parts, ast.FunctionDef: Reader.definition, ast.AsyncFunctionDef: Reader.definition,
}  # fmt: skip
_EXPRESSIONS = {
    ast.Name: Reader.name, ast.Constant: Reader.constant, ast.Attribute: Reader.attribute,
    ast.Subscript: Reader.subscript, ast.Starred: Reader.starred, ast.NamedExpr: Reader.walrus,
    ast.IfExp: Reader.conditional, ast.BoolOp: Reader.boolean, ast.Compare: Reader.comparison,
    ast.BinOp: Reader.operation, ast.List: Reader.display, ast.Tuple: Reader.display, ast.Set: Reader.display,
    ast.Dict: Reader.a_dict, ast.ListComp: Reader.comprehension, ast.SetComp: Reader.comprehension,
    ast.DictComp: Reader.comprehension, ast.GeneratorExp: Reader.comprehension, ast.Lambda: Reader.a_lambda,
    ast.Call: Reader.call,
}  # fmt: skip


def numeric(node: ast.expr) -> bool:
    """Is the value certainly a number, whatever the names in it are?"""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, (int, float, complex))
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, (ast.USub, ast.UAdd, ast.Invert)) or numeric(node.operand)
    if isinstance(node, ast.BinOp):
        if isinstance(node.op, (ast.Div, ast.FloorDiv, ast.Pow, ast.LShift, ast.RShift)):
            return True
        if isinstance(node.op, (ast.Add, ast.Sub)):
            return numeric(node.left) or numeric(node.right)
        return numeric(node.left) and numeric(node.right)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id in ("len", "int", "float", "abs", "round", "ord", "hash", "bool")
    return False
