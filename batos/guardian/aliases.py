"""May-alias analysis: which expressions may be, hold or change state reachable from the receiver.

An abstract value is a set of bits.  `Reader` evaluates one expression or statement in an environment
(local name -> bits) and reports what may change (`changes`) and what may never stand (`refusals`).
It knows nothing of control flow; `covenant` walks the graph and joins environments.  What a built-in, a
container's method or a module may do stands in `vocabulary`; which names share a container, in `shapes`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable

from batos.guardian import trees
from batos.guardian import vocabulary as words
from batos.guardian.shapes import STATE as STATE_PLACE
from batos.guardian.shapes import Place, Shapes
from batos.guardian.verdict import Finding, Summary

SELF = 1  # the receiver
PART = 2  # state reachable from it, perhaps mutable
HOLDS = 4  # a value of the method's own whose elements may be state
HOLDS_2 = 8  # the same, of the elements of its elements
HOLDS_3 = 16  # the same, further down
FOREIGN = 32  # a slot of another object
HOLDS_FOREIGN = 64  # a value of the method's own whose elements may be another object's
OWN = 128  # a container the method made itself
MODULE = 256  # a module facade or something of it
CHANGES = 512  # calling it changes state
CHANGES_ARGUMENT = 1024  # calling it changes what it is handed
ANSWERS_STATE = 2048  # calling it may answer state
ANSWERS_CHANGER = 4096  # calling it may answer something that changes state when it is called
UNKEEPABLE = 8192  # a function: never to rest in a slot
LAZY = 16384  # a generator or iterator: not to rest in a slot, but what it yields may
PENDING = 32768  # an iterator that changes state when it is consumed
HOLDS_OWN = 131072  # a container whose elements may be containers the method made itself
ASSUMED = 65536  # of a CHANGES or PENDING: only because it calls what is not known

HOLDING = HOLDS | HOLDS_2 | HOLDS_3
STATE = SELF | PART | HOLDING
CALLABLE = CHANGES | CHANGES_ARGUMENT | UNKEEPABLE | ANSWERS_STATE | ANSWERS_CHANGER | ASSUMED
COUNTED = ": counted as a change"  # how the reason ends where a change is assumed

# A value that is certainly a container: adding it to a name in place changes what the name holds.
CONTAINERS = (ast.List, ast.Tuple, ast.Set, ast.Dict, ast.ListComp, ast.SetComp, ast.DictComp)

Env = dict[str, int]
Summaries = Callable[[str], Summary | None]


def element(bits: int) -> int:
    """What iterating or indexing a value with these bits may give."""
    out = bits & (FOREIGN | CALLABLE | MODULE | PENDING)
    if bits & (SELF | PART):
        out |= PART
    if bits & HOLDS:
        out |= PART
    if bits & HOLDS_2:
        out |= HOLDS | OWN
    if bits & HOLDS_3:
        out |= HOLDS_2 | HOLDS_3 | OWN
    if bits & HOLDS_FOREIGN:
        out |= FOREIGN | HOLDS_FOREIGN
    if bits & HOLDS_OWN:
        out |= OWN | HOLDS_OWN
    return out


def held(bits: int) -> int:
    """What a container of such a value is."""
    out = bits & (CALLABLE | LAZY | PENDING)
    if bits & (SELF | PART):
        out |= HOLDS
    if bits & HOLDS:
        out |= HOLDS_2
    if bits & (HOLDS_2 | HOLDS_3):
        out |= HOLDS_3
    if bits & (FOREIGN | HOLDS_FOREIGN):
        out |= HOLDS_FOREIGN
    if bits & (OWN | HOLDS_OWN):
        out |= HOLDS_OWN
    return out


def shell(bits: int) -> int:
    """A new container of the elements of such a value."""
    return OWN | held(element(bits)) | (bits & CALLABLE)


def pairs(bits: int) -> int:
    """A new container of tuples of the elements of such a value."""
    return OWN | held(shell(bits))


class TooLarge(Exception):
    """There is more to follow than a verdict may take."""


def assumed(changes: Iterable[tuple[object, str]]) -> bool:
    """Are these changes (place, why) all assumed, because what is called is not known?"""
    return all(why.endswith(COUNTED) for _, why in changes)


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


class Reader:
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
        """A value of these bits is put into this container: names of it, and of what holds it, learn of it."""
        new = held(bits)
        if not new:
            return
        for name, before in self.env.items():
            if name != self.receiver:
                for depth in self.shapes.depths(name, container):
                    deep = new
                    for _ in range(depth):
                        deep = held(deep)
                    before |= deep
                self.env[name] = before

    def comes_to_rest(self, *values: ast.AST) -> None:
        """Values are put into the state: from here on the names of them, and of their elements, are state.

        `shapes` unified with the state whatever is put there anywhere; this says that it may be there now.
        """
        if all(self.shapes.of.get(each) is None for each in values):
            return  # numbers and texts
        for name, before in self.env.items():
            if name != self.receiver:
                for depth in self.shapes.depths(name, STATE_PLACE):
                    before |= (PART, HOLDS, HOLDS_2, HOLDS_3)[min(depth, 3)]
                self.env[name] = before

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
        pairs = [*zip(reversed(positional), reversed(given.defaults), strict=False)]
        pairs += zip(given.kwonlyargs, given.kw_defaults, strict=True)
        return self.nested(node, self.env, {argument.arg: self.bits(default) for argument, default in pairs})

    def parts(self, node: ast.stmt) -> None:
        for child in ast.iter_child_nodes(node):
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
        for child in ast.iter_child_nodes(node):  # what has no handler has parts: an f-string, a slice
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
            return CHANGES_ARGUMENT | (UNKEEPABLE if base & OWN else FOREIGN)
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
        own = {name.id for g in node.generators for name in trees.walk(g.target) if isinstance(name, ast.Name)}
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

    # -- calls ---------------------------------------------------------------------------------

    def call(self, node: ast.Call) -> int:
        func = node.func
        if isinstance(func, ast.Attribute):
            base = self.bits(func.value)
            args = self.arguments(node)
            if base & MODULE:
                return self.module_call(node, func, args)
            if self.is_unbound(func):
                return self.unbound_call(node, func.attr, args)
            if base & SELF or self.is_receiver(func.value):
                return self.own_send(node, func.attr, args, bool(base & SELF))
            return self.method_call(node, func, base, args)
        if isinstance(func, ast.Name) and func.id not in self.env:
            return self.builtin_call(node, func.id, self.arguments(node))
        bits = self.bits(func)
        return self.call_value(node, bits, self.arguments(node))

    def arguments(self, node: ast.Call) -> int:
        """The union of the bits of all arguments."""
        out = 0
        for each in node.args:
            self.seen[each] = bits = self.bits(each)
            out |= bits
        for keyword in node.keywords:
            bits = self.bits(keyword.value)
            self.seen[keyword.value] = bits = bits if keyword.arg is not None else element(bits)
            out |= bits
            if keyword.arg in words.CALLBACK_KEYWORDS:
                out |= self.as_callable(keyword.value, bits)
        return out

    def as_callable(self, node: ast.expr, bits: int) -> int:
        """What being called does for a value in a callable's place: `self.rank` there is a send."""
        if isinstance(node, ast.Attribute) and self.is_receiver(node.value):
            summary = self.summary(node.attr)
            if summary is None:
                return CHANGES | ASSUMED | ANSWERS_STATE
            answers = ANSWERS_STATE if summary.answers & STATE else 0
            handed = CHANGES_ARGUMENT if summary.arguments else 0
            if not summary.flags and summary.mutates:
                return CHANGES | answers | (ASSUMED if summary.assumed else 0)
            return answers | handed
        return CHANGES | ASSUMED | ANSWERS_STATE if bits & PART and not bits & UNKEEPABLE else 0

    def consume(self, node: ast.Call, args: int) -> None:
        """A call runs the callables and generators it is handed."""
        if args & (CHANGES | PENDING) or (args & CHANGES_ARGUMENT and args & STATE):
            self.change(node, "a function that changes the object is handed on to be run" + told(args))
        if args & (CHANGES | CHANGES_ARGUMENT | PENDING):
            self.mixes(node)
            if args & (CHANGES | PENDING):
                self.comes_to_rest(node)

    def lazily(self, function: int, args: int) -> int:
        """Bits of an iterator that calls a function on the elements of arguments."""
        out = OWN | LAZY
        if function & CHANGES or args & PENDING or (function & CHANGES_ARGUMENT and args & STATE):
            out |= PENDING | (function | args) & ASSUMED
        if function & ANSWERS_CHANGER:
            out |= CHANGES
        return out

    def builtin_call(self, node: ast.Call, name: str, args: int) -> int:
        if name in ("setattr", "delattr"):
            return self.setattr_call(node)
        if name in ("map", "filter") and node.args:
            first = node.args[0]
            function = self.again(first) | self.as_callable(first, self.again(first))
            rest = 0
            for each in node.args[1:]:
                rest |= self.again(each)
            self.consume(node, args | function)
            known = function & UNKEEPABLE or (
                isinstance(first, ast.Name) and first.id in words.SCALAR_BUILTINS
            )
            answers = rest & STATE and not known or function & ANSWERS_STATE
            holding = shell(rest) if name == "filter" else HOLDS if answers else 0
            return self.lazily(function, rest) | holding & ~CALLABLE
        if name == "super":  # refused by the policy; whoever asks without it shall not be told that nothing changes
            return PART
        if name in words.SCALAR_BUILTINS:
            self.consume(node, args)
            return 0
        if name in words.SHELL_BUILTINS:
            self.consume(node, args)
            if name == "dict":
                out = OWN
                for each in node.args:
                    out |= shell(self.again(each)) | held(element(element(self.again(each))))
                for keyword in node.keywords:
                    out |= held(self.again(keyword.value))
                return out & ~(LAZY | PENDING)
            return shell(self.again(node.args[0])) & ~(LAZY | PENDING) if node.args else OWN
        if name in words.LAZY_BUILTINS:
            self.consume(node, args & ~PENDING)
            out = pairs(args) if name in ("zip", "enumerate") else shell(args)
            return out | LAZY | args & (PENDING | ASSUMED)
        if name == "getattr":
            base = self.again(node.args[0]) if node.args else 0
            return element(args & STATE) | (0 if base & (STATE | OWN) else FOREIGN)
        if name in words.ELEMENT_BUILTINS:
            self.consume(node, args)
            out = 0
            for each in node.args:
                bits = self.again(each)
                out |= element(bits) | (bits & (STATE | FOREIGN | HOLDS_FOREIGN) if len(node.args) > 1 else 0)
            for keyword in node.keywords:
                if keyword.arg == "default":
                    out |= self.again(keyword.value)
            if name == "sum":
                return (
                    out & (STATE | FOREIGN | HOLDS_FOREIGN) if len(node.args) + len(node.keywords) > 1 else 0
                )
            return out & ~PENDING
        if name[:1].isupper() or name in words.MODULES:  # an exception's name, a class of a module
            self.consume(node, args)
            return held(args) if args & STATE else 0
        return self.call_value(node, 0, args)

    def call_value(self, node: ast.Call, func: int, args: int) -> int:
        if func & CHANGES or (func & CHANGES_ARGUMENT and args & STATE):
            self.change(node, "the function called here changes the object" + told(func))
            self.comes_to_rest(node)
            self.mixes(node)
        elif func & UNKEEPABLE:
            self.consume(node, args)  # a function of this method whose body is known
            if func & CHANGES_ARGUMENT:
                self.mixes(node)
        elif func & (SELF | PART) or args & (STATE | CHANGES | PENDING):
            why = "what is called here is unknown and is handed state of the object"
            self.change(node, why + COUNTED)
            self.comes_to_rest(node)
            self.mixes(node)
        out = CHANGES | UNKEEPABLE if func & ANSWERS_CHANGER else 0
        if func & (ANSWERS_STATE | PART) or (args & STATE and not func & UNKEEPABLE):
            out |= PART
            out |= args & (FOREIGN | HOLDS_FOREIGN)
        return out

    def setattr_call(self, node: ast.Call) -> int:
        if not node.args:
            return 0
        base = self.again(node.args[0])
        named = node.args[1] if len(node.args) > 1 else None
        if not (isinstance(named, ast.Constant) and isinstance(named.value, str)):
            self.refuse(
                "computed-name", node,
                "the name of a slot must stand in the text, so that the guardian can read it; "
                "assign `self.name`, or send `self.put(name, value)`",
            )  # fmt: skip
        elif named.value.startswith("_"):
            self.refuse("private-name", node, f"{named.value!r}: names that start with '_' belong to batos")
        if base & SELF:
            if len(node.args) > 2:
                self.unkeepable(node, self.again(node.args[2]))
                self.comes_to_rest(node.args[2])
            self.change(node, "a slot is assigned by setattr")
        else:
            self.foreign(node)
        return 0

    def module_call(self, node: ast.Call, func: ast.Attribute, args: int) -> int:
        name = func.attr
        home = func.value.id if isinstance(func.value, ast.Name) else ""
        first = self.again(node.args[0]) if node.args else args
        if name in words.MODULE_CHANGERS:
            put = 0
            for each in node.args[1:]:
                put |= self.again(each)
            why = f"{name} changes the list it is handed, which may be state of the object"
            if node.args:
                self.store_into(node, node.args[0], first, put, why, *node.args[1:])
            return element(first) | (put & STATE)
        callback = values = 0
        at = words.CALLBACK_AT.get(name, -1)
        for number, each in enumerate(node.args):
            if number == at:
                callback = self.again(each) | self.as_callable(each, self.again(each))
            else:
                values |= self.again(each)
        for keyword in node.keywords:
            bits = self.again(keyword.value)
            if keyword.arg in words.CALLBACK_KEYWORDS:
                callback |= bits | self.as_callable(keyword.value, bits)
            else:
                values |= bits
        args |= callback
        if name in words.KEEPS_CALLBACK:  # not run yet
            if callback & CHANGES_ARGUMENT:
                self.mixes(node)
                callback |= CHANGES if values & STATE else 0
            if name == "defaultdict":  # reading it may run what it was made with, and give what that answers
                out = OWN | HOLDS_OWN | shell(values) | held(element(element(values)))
                out |= callback & (CHANGES | ASSUMED)
                return out | (LAZY if callback & CHANGES else 0) | (HOLDS if callback & ANSWERS_STATE else 0)
            called = node.args[0] if node.args else None
            if callback & UNKEEPABLE or (isinstance(called, ast.Name) and called.id in words.SCALAR_BUILTINS):
                return callback & CALLABLE | UNKEEPABLE
            known = self.is_pure_builtin(called)
            return callback & CALLABLE | UNKEEPABLE | ANSWERS_STATE | (0 if known else CHANGES_ARGUMENT | ASSUMED)
        self.consume(node, args if name not in words.LAZY_MODULE_FUNCTIONS else args & ~PENDING)
        if home in words.SCALAR_MODULES or name in words.FRESH:
            return OWN
        if name in words.MODULE_ELEMENTS:
            return element(first)
        if name in words.MODULE_SHELLS:
            out = shell(values)
        elif home in ("random", "bisect", "statistics"):
            return 0
        else:
            out = OWN | values & CALLABLE
            out |= HOLDS | PART if values & STATE or callback & ANSWERS_STATE else 0
        if callback & ANSWERS_CHANGER:
            out |= CHANGES | UNKEEPABLE
        if name in words.LAZY_MODULE_FUNCTIONS:
            out |= self.lazily(callback, values)
        return out

    def is_pure_builtin(self, node: ast.AST | None) -> bool:
        return (
            isinstance(node, ast.Name)
            and node.id not in self.env
            and node.id in words.SHELL_BUILTINS | words.ELEMENT_BUILTINS | words.LAZY_BUILTINS
        )

    def unbound_call(self, node: ast.Call, name: str, args: int) -> int:
        """`list.append(self.l, x)`: the method of a kind, the first argument being whom it is for."""
        first = self.again(node.args[0]) if node.args else 0
        if name not in words.MUTATORS:
            self.consume(node, args)
            return self.pure_result(name, first, handed(node)[1:])
        put = 0
        for each in put_in(name, handed(node)[1:]):
            put |= self.again(each)
        why = f"{name} changes its first argument, which may be state of the object"
        return self.mutation(node, name, node.args[0] if node.args else node, first, put, why)

    def mutation(self, node: ast.Call, name: str, container: ast.expr, base: int, put: int, why: str) -> int:
        """A container's own method changes it; `put` is what it is handed."""
        out = element(base)
        if name in words.TAKING_ELEMENTS:
            self.consume(node, put)
            put = element(put) | element(element(put)) if name == "update" else element(put)
        elif name == "sort":
            self.consume(node, put)
            put = 0
        elif name in words.ELEMENT_METHODS:
            out |= put & ~LAZY  # the default
            put = put if name == "setdefault" else 0
        self.store_into(node, container, base, put, why, *handed(node))
        return out

    def pure_result(self, name: str, base: int, given: list[ast.expr]) -> int:
        """Bits of the answer of a container's own method that changes nothing."""
        args = 0
        for each in put_in(name, given):
            args |= self.again(each)
        if name in words.ELEMENT_METHODS:
            return element(base) | args & (STATE | OWN | FOREIGN | HOLDS_FOREIGN | CALLABLE)
        if name in words.SHELL_METHODS:
            return shell(base | args) & ~(LAZY | PENDING)
        if name in words.PAIRS_METHODS:
            return pairs(base) & ~(LAZY | PENDING)
        return 0

    def summary(self, selector: str) -> Summary | None:
        if selector == self.selector:
            return self.own  # recursion: towards the least fixpoint
        known = self.summaries(selector)
        if known is not None:
            return known
        answers = PART if selector in words.ANSWERING_SLOTS else 0
        if selector in words.READING_SENDS:
            return Summary(False, False, answers=answers)
        if selector in words.FLAGGING_SENDS:
            return Summary(True, True, answers=answers)
        return None

    def own_send(self, node: ast.Call, selector: str, args: int, judged: bool) -> int:
        """`self.selector(...)`; `judged`: the receiver's state is what is asked for, not only the arguments."""
        summary = None if selector == "resend" else self.summary(selector)
        if summary is None:
            why = (
                "a parent's method is run" if selector == "resend" else f"what {selector!r} does is not known"
            )
            if judged or args & STATE:
                self.change(node, why + COUNTED)
        elif judged and summary.mutates and not summary.flags:
            why = f"{selector!r} changes the object and does not flag it"
            self.change(node, why + (COUNTED if summary.assumed else ""))
        elif args & STATE and summary.arguments:
            why = f"{selector!r} changes what it is handed"
            self.change(node, why + (COUNTED if summary.arguments_assumed else ""))
        else:
            self.consume(node, args)
        if summary is None or summary.arguments:
            self.mixes(node)
        if summary is None or summary.mutates:
            self.comes_to_rest(*handed(node))
        if summary is None:
            return PART if judged or args & STATE else 0
        answers = summary.answers if judged else summary.answers & ~STATE
        return answers | (PART if summary.answers & STATE and args & STATE else 0)

    def method_call(self, node: ast.Call, func: ast.Attribute, base: int, args: int) -> int:
        name = func.attr
        known = base & (STATE | OWN | FOREIGN)
        if name in words.MUTATORS:
            put = 0  # what comes to rest in the container
            for each in put_in(name, handed(node)):
                put |= self.again(each)
            for keyword in node.keywords:
                if keyword.arg in words.CALLBACK_KEYWORDS:
                    put |= self.as_callable(keyword.value, self.again(keyword.value))
            out = self.mutation(
                node, name, func.value, base, put, f"{name} changes state of the object in place"
            )
            if known or not args & STATE:
                return out
        if name in words.PURE_METHODS and (known or not args & (STATE | CHANGES | PENDING)):
            self.consume(node, args)
            return self.pure_result(name, base, handed(node))
        if base & (SELF | PART):
            self.change(node, f"what {name!r} does to this part of the object is not known" + COUNTED)
            self.comes_to_rest(node)
            self.mixes(node)
            return PART
        if base & CALLABLE:
            return self.call_value(node, base, args)
        if args & (STATE | CHANGES) and name not in words.PURE_METHODS:
            self.change(node, f"{name!r} is handed state of the object" + COUNTED)
            if name in words.MUTATORS:
                return out
            self.mixes(node)
            return PART
        self.consume(node, args)
        return self.pure_result(name, base, handed(node))


def put_in(name: str, given: list[ast.expr]) -> list[ast.expr]:
    """Of the arguments of a container's method those that may be put in or come out: a key is not."""
    return given[1:] if name in words.ELEMENT_METHODS else given


def handed(node: ast.Call) -> list[ast.expr]:
    """The expressions of all arguments of a call."""
    return [*node.args, *(keyword.value for keyword in node.keywords)]


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


def changing(changes: list[tuple[ast.AST, str]]) -> int:
    """The bits of something that does these changes when it is called."""
    return (CHANGES | ASSUMED if assumed(changes) else CHANGES) if changes else 0


def told(bits: int) -> str:
    """The end of a reason, from the bits of what is called: is the change only assumed?"""
    return COUNTED if bits & ASSUMED else ""


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
