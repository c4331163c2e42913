"""May-alias analysis: which expressions may be, hold or change state reachable from the receiver.

An abstract value is a set of bits.  `Reader` evaluates one expression or statement in an environment
(local name -> bits) and reports what may change (`changes`) and what may never stand (`refusals`).
It knows nothing of control flow; `covenant` walks the graph and joins environments.  Whoever teaches
the guardian a new built-in or container method adds it to the tables here.
"""

from __future__ import annotations

import ast
import datetime
import decimal
import fractions
from collections.abc import Callable, Iterable

from batos.guardian.verdict import Finding, Summary

SELF = 1  # the receiver
PART = 2  # state reachable from it, perhaps mutable
HOLDS = 4  # a value of the method's own whose elements may be state
FOREIGN = 8  # a slot of another object
CHANGES = 16  # calling or consuming it changes state
CHANGES_ARGUMENT = 32  # calling it changes what it is handed
UNKEEPABLE = 64  # a function: never to rest in a slot
MODULE = 128  # a module facade or something of it
OWN = 256  # a container the method made itself
ANSWERS_STATE = 512  # calling it may answer state
HOLDS_FOREIGN = 1024  # a value of the method's own whose elements may be another object's
LAZY = 2048  # a generator or iterator: not to rest in a slot, but what it yields may
ASSUMED = 4096  # of a CHANGES: only because it calls what is not known

STATE = SELF | PART | HOLDS
CALLABLE = CHANGES | CHANGES_ARGUMENT | UNKEEPABLE | ANSWERS_STATE | ASSUMED
COUNTED = ": counted as a change"  # how the reason ends where a change is assumed

MUTATORS = frozenset(
    "append extend insert remove pop clear sort reverse update popitem setdefault add discard "
    "difference_update intersection_update symmetric_difference_update appendleft extendleft popleft "
    "rotate subtract move_to_end".split()
)
_IMMUTABLE = (
    str, bytes, int, float, complex, tuple, frozenset, datetime.datetime, datetime.date, datetime.time,
    datetime.timedelta, decimal.Decimal, fractions.Fraction,
)  # fmt: skip
PURE_METHODS = frozenset(
    name for kind in (*_IMMUTABLE, list, dict, set) for name in dir(kind) if not name.startswith("_")
) - MUTATORS | {"most_common", "elements", "total"}
CONSUMING = frozenset(
    "extend extendleft update difference_update intersection_update symmetric_difference_update".split()
)
ELEMENT_METHODS = frozenset({"get", "pop", "popitem", "setdefault", "popleft"})
SHELL_METHODS = frozenset(
    "copy items values keys union intersection difference symmetric_difference most_common elements".split()
)
SCALAR_BUILTINS = frozenset(
    "len int float str bool repr abs round any all isinstance ord chr hash bin hex oct divmod pow callable "
    "format complex bytes range slice hasattr".split()
)
SHELL_BUILTINS = frozenset("list dict set tuple frozenset sorted".split())
LAZY_BUILTINS = frozenset("map filter zip enumerate reversed iter".split())
ELEMENT_BUILTINS = frozenset("min max next sum getattr".split())
CONTAINER_TYPES = frozenset("list dict set tuple frozenset str bytes int float".split())
MODULES = frozenset(
    "math statistics datetime decimal fractions re itertools collections random json textwrap string heapq "
    "bisect functools copy".split()
)
MODULE_CHANGERS = frozenset(
    "shuffle heappush heappop heapify heapreplace heappushpop insort insort_left insort_right".split()
)
LAZY_MODULE_FUNCTIONS = frozenset(
    "chain accumulate groupby starmap takewhile dropwhile filterfalse islice zip_longest cycle".split()
)

# What every object understands (the traits): reading, and changing with its own flag.
READING_SENDS = frozenset("slots selectors parents describe get responds_to source versions clone".split())
FLAGGING_SENDS = frozenset("put forget define revert become adopt disown".split())

# A value that is certainly a container: adding it to a name in place changes what the name holds.
CONTAINERS = (ast.List, ast.Tuple, ast.Set, ast.Dict, ast.ListComp, ast.SetComp, ast.DictComp)

Env = dict[str, int]
Summaries = Callable[[str], Summary | None]


def element(bits: int) -> int:
    """What iterating or indexing a value with these bits may give."""
    out = bits & (FOREIGN | CALLABLE | MODULE)
    if bits & (SELF | PART):
        out |= PART
    if bits & HOLDS:
        out |= PART | HOLDS
    if bits & HOLDS_FOREIGN:
        out |= FOREIGN | HOLDS_FOREIGN
    return out


def held(bits: int) -> int:
    """What a container of such a value is."""
    out = bits & (CALLABLE | LAZY)
    if bits & STATE:
        out |= HOLDS
    if bits & (FOREIGN | HOLDS_FOREIGN):
        out |= HOLDS_FOREIGN
    return out


class TooLarge(Exception):
    """There is more to follow than a verdict may take."""


def assumed(changes: Iterable[tuple[object, str]]) -> bool:
    """Are these changes (place, why) all assumed, because what is called is not known?"""
    return all(why.endswith(COUNTED) for _, why in changes)


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
    selector   the method's own name, for recursion
    nested     `(function made inside, environment) -> bits`
    """

    def __init__(
        self,
        receiver: str | None,
        selector: str,
        summaries: Summaries,
        refuse: Callable[[Finding], None],
        nested: Callable[[ast.AST, Env], int],
        budget: Budget,
    ):
        self.receiver = receiver
        self.selector = selector
        self.summaries = summaries
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
        if bits & CHANGES:
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

    # -- statements ----------------------------------------------------------------------------

    def bind(self, target: ast.expr, bits: int, value: ast.expr | None = None) -> None:
        """Assign a value of these bits to a target."""
        if isinstance(target, ast.Name):
            self.env[target.id] = bits
        elif isinstance(target, ast.Starred):
            self.bind(target.value, held(bits) | OWN)
        elif isinstance(target, (ast.Tuple, ast.List)):
            same = isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == len(target.elts)
            if same and not any(isinstance(each, ast.Starred) for each in (*target.elts, *value.elts)):
                pairs = [
                    (each, self.again(part), part) for each, part in zip(target.elts, value.elts, strict=True)
                ]
            else:
                pairs = [(each, element(bits), None) for each in target.elts]
            for each, part_bits, part in pairs:
                self.bind(each, part_bits, part)
        elif isinstance(target, ast.Attribute):
            self.store_attribute(target, bits)
        elif isinstance(target, ast.Subscript):
            base = self.bits(target.value)
            self.bits(target.slice)
            if isinstance(target.slice, ast.Slice):
                bits &= ~LAZY  # its elements are put there
            self.store_into(target, target.value, base, bits, "an element of the object's state is assigned")

    def store_attribute(self, target: ast.Attribute, bits: int) -> None:
        base = self.bits(target.value)
        if base & SELF:
            self.unkeepable(target, bits)
            self.change(target, f"slot {target.attr!r} is assigned")
        else:
            self.foreign(target)

    def store_into(self, node: ast.AST, container: ast.expr, base: int, bits: int, why: str) -> None:
        """A value of `bits` goes into `container`, whose bits are `base`."""
        if base & FOREIGN:
            self.foreign(node)
        if base & (SELF | PART):
            self.unkeepable(node, bits)
            self.change(node, why)
        root = container
        while isinstance(root, (ast.Subscript, ast.Attribute)):
            root = root.value
        if isinstance(root, ast.NamedExpr):
            root = root.target
        if isinstance(root, ast.Name) and not base & SELF:
            self.env[root.id] = self.env.get(root.id, 0) | held(bits)

    def statement(self, node: ast.stmt) -> None:
        """Evaluate one simple statement."""
        if isinstance(node, ast.Assign):
            target = node.targets[0]
            if (
                len(node.targets) == 1
                and isinstance(target, ast.Attribute)
                and isinstance(node.value, ast.Attribute)
                and target.attr == node.value.attr
                and self.is_receiver(target.value)
                and self.is_receiver(node.value.value)
            ):
                self.refuse_finding(
                    Finding(
                        "no-change",
                        node.lineno,
                        f"slot {target.attr!r} is set to what it is: a needless write",
                        True,
                    )
                )
                return
            bits = self.bits(node.value)
            for each in node.targets:
                self.bind(each, bits, node.value)
        elif isinstance(node, ast.AnnAssign):
            if node.value is not None:
                self.bind(node.target, self.bits(node.value), node.value)
        elif isinstance(node, ast.AugAssign):
            self.augmented(node)
        elif isinstance(node, ast.Delete):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    self.env.pop(target.id, None)
                else:
                    self.bind(target, 0)
        elif isinstance(node, ast.Return):
            if node.value is not None:
                bits = self.bits(node.value)
                if bits & CHANGES:
                    self.unkeepable(node, bits)
                self.answers |= bits
        elif isinstance(node, ast.Expr):
            self.bits(node.value)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for default in (*node.args.defaults, *node.args.kw_defaults):
                if default is not None:
                    self.bits(default)
            self.env[node.name] = self.nested(node, self.env)
        elif isinstance(node, (ast.Assert, ast.Raise)):
            for child in ast.iter_child_nodes(node):
                self.bits(child)

    def augmented(self, node: ast.AugAssign) -> None:
        value = self.bits(node.value) & ~LAZY  # `l += (x for x in xs)` takes the elements
        target = node.target
        if isinstance(target, ast.Name):
            before = self.env.get(target.id, 0)
            if not isinstance(node.op, (ast.Add, ast.Sub, ast.Mult, ast.BitOr, ast.BitAnd, ast.BitXor)):
                self.env[target.id] = 0
            elif numeric(node.value) and not isinstance(node.op, ast.Mult):
                self.env[target.id] = 0  # a list takes no number: this is arithmetic
            else:
                # `l = self.l; l += [1]` changes the list in place.
                if before & FOREIGN and isinstance(node.value, CONTAINERS):
                    self.foreign(node)
                if before & PART:
                    self.change(node, f"{target.id!r} may be state of the object, and is changed in place")
                self.env[target.id] = before | held(value) | (value & HOLDS)
        elif isinstance(target, ast.Attribute):
            self.store_attribute(target, value)
        else:
            base = self.bits(target.value)
            self.bits(target.slice)
            self.store_into(node, target.value, base, value, "an element of the object's state is changed")

    def iterate(self, node: ast.expr) -> int:
        """Bits of the elements of an iterated expression; consuming a lazy change is a change."""
        bits = self.bits(node)
        if bits & CHANGES:
            self.change(node, "consuming this changes the object" + told(bits))
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
        handler = getattr(self, "on_" + type(node).__name__, None)
        if handler is not None:
            return handler(node)
        out = 0  # what has no handler has parts: an f-string, a comparison, a slice
        for child in ast.iter_child_nodes(node):
            self.bits(child)
        return out

    def on_Name(self, node: ast.Name) -> int:
        if node.id in self.env:
            return self.env[node.id]
        if node.id in MODULES:
            return MODULE
        return 0

    def on_Attribute(self, node: ast.Attribute) -> int:
        base = self.bits(node.value)
        if base & MODULE:
            return MODULE | (CHANGES_ARGUMENT | UNKEEPABLE if node.attr in MODULE_CHANGERS else 0)
        if (
            isinstance(node.value, ast.Name)
            and node.value.id in CONTAINER_TYPES
            and node.value.id not in self.env
        ):
            return UNKEEPABLE | (CHANGES_ARGUMENT if node.attr in MUTATORS else 0)
        if base & SELF:
            return PART
        if node.attr in MUTATORS:
            if base & FOREIGN:
                self.foreign(node)
            if base & PART:
                return CHANGES | UNKEEPABLE
            return CHANGES_ARGUMENT | (UNKEEPABLE if base & OWN else FOREIGN)
        if base & OWN:
            return UNKEEPABLE if node.attr in PURE_METHODS else 0
        return FOREIGN

    def on_Subscript(self, node: ast.Subscript) -> int:
        base = self.bits(node.value)
        self.bits(node.slice)
        return held(base) | OWN if isinstance(node.slice, ast.Slice) else element(base)

    def on_Starred(self, node: ast.Starred) -> int:
        return self.iterate(node.value)

    def on_NamedExpr(self, node: ast.NamedExpr) -> int:
        bits = self.bits(node.value)
        self.bind(node.target, bits)
        return bits

    def on_IfExp(self, node: ast.IfExp) -> int:
        self.bits(node.test)
        return self.bits(node.body) | self.bits(node.orelse)

    def on_BoolOp(self, node: ast.BoolOp) -> int:
        out = 0
        for each in node.values:
            out |= self.bits(each)
        return out

    def on_BinOp(self, node: ast.BinOp) -> int:
        both = self.bits(node.left) | self.bits(node.right)
        if not isinstance(node.op, (ast.Add, ast.Sub, ast.Mult, ast.BitOr, ast.BitAnd, ast.BitXor)):
            return 0
        if numeric(node.left) or numeric(node.right):
            return 0
        return held(both & STATE) | (both & HOLDS)

    def display(self, node: ast.List | ast.Tuple | ast.Set) -> int:
        out = OWN
        for each in node.elts:
            self.seen[each] = bits = self.bits(each)
            out |= held(bits)
        return out

    on_List = on_Tuple = on_Set = display

    def on_Dict(self, node: ast.Dict) -> int:
        out = OWN
        for each in (*node.keys, *node.values):
            out |= held(self.bits(each))
        return out

    def comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> int:
        outer = dict(self.env)
        before = len(self.changes)
        for generator in node.generators:
            self.bind(generator.target, self.iterate(generator.iter))
            for test in generator.ifs:
                self.bits(test)
        if isinstance(node, ast.DictComp):
            out = self.bits(node.key) | self.bits(node.value)
        else:
            out = self.bits(node.elt)
        # A walrus inside binds outside; its other names are its own.
        own = {name.id for g in node.generators for name in ast.walk(g.target) if isinstance(name, ast.Name)}
        self.env = {**outer, **{name: bits for name, bits in self.env.items() if name not in own}}
        result = held(out) | OWN
        if isinstance(node, ast.GeneratorExp):
            result |= LAZY | changing(self.changes[before:])
        return result

    on_ListComp = on_SetComp = on_DictComp = on_GeneratorExp = comprehension

    def on_Lambda(self, node: ast.Lambda) -> int:
        return self.nested(node, self.env)

    # -- calls ---------------------------------------------------------------------------------

    def on_Call(self, node: ast.Call) -> int:
        func = node.func
        if isinstance(func, ast.Attribute):
            base = self.bits(func.value)
            unbound = (
                isinstance(func.value, ast.Name)
                and func.value.id in CONTAINER_TYPES
                and func.value.id not in self.env
            )
            args = self.arguments(node)
            if base & MODULE:
                return self.module_call(node, func.attr, args)
            if unbound:
                return self.unbound_call(node, func.attr, args)
            if base & SELF:
                return self.own_send(node, func.attr, args)
            return self.method_call(node, func, base, args)
        if isinstance(func, ast.Name) and func.id not in self.env:
            return self.builtin_call(node, func.id, self.arguments(node))
        bits = self.bits(func)
        return self.call_value(node, bits, self.arguments(node))

    def arguments(self, node: ast.Call) -> int:
        """The union of the bits of all arguments."""
        out = 0
        for each in (*node.args, *(keyword.value for keyword in node.keywords)):
            self.seen[each] = bits = self.bits(each)
            out |= bits
        for each in node.keywords:
            bits = self.seen[each.value]
            if each.arg == "key":
                out |= self.as_callable(each.value, bits)
        return out

    def as_callable(self, node: ast.expr, bits: int) -> int:
        """What being called does for a value in a callable's place: `self.rank` there is a send."""
        if isinstance(node, ast.Attribute) and self.is_receiver(node.value):
            summary = self.summary(node.attr)
            if summary is not None and (summary.flags or not summary.mutates):
                return 0
            return CHANGES if summary is not None and not summary.assumed else CHANGES | ASSUMED
        return CHANGES | ASSUMED if bits & PART and not bits & UNKEEPABLE else 0

    def consume(self, node: ast.AST, args: int) -> None:
        """A call runs the callables and generators it is handed."""
        if args & CHANGES or (args & CHANGES_ARGUMENT and args & STATE):
            self.change(node, "a function that changes the object is handed on to be run" + told(args))

    def lazily(self, args: int) -> int:
        lazy = args & CHANGES or (args & CHANGES_ARGUMENT and args & STATE)
        return LAZY | (CHANGES | args & ASSUMED if lazy else 0)

    def builtin_call(self, node: ast.Call, name: str, args: int) -> int:
        if name in ("setattr", "delattr"):
            return self.setattr_call(node)
        if name in ("map", "filter") and node.args:
            args |= self.as_callable(node.args[0], self.again(node.args[0]))
        if name in SCALAR_BUILTINS:
            self.consume(node, args)
            return 0
        if name in SHELL_BUILTINS:
            self.consume(node, args)
            return OWN | (HOLDS if args & STATE else 0)
        if name in LAZY_BUILTINS:
            self.consume(node, args)
            return OWN | (HOLDS if args & STATE else 0) | self.lazily(args)
        if name in ELEMENT_BUILTINS:
            self.consume(node, args)
            return element(args & (STATE | FOREIGN))
        if name[:1].isupper() or name in MODULES:  # an exception's name, a class of a module
            self.consume(node, args)
            return HOLDS if args & STATE else 0
        return self.call_value(node, 0, args)

    def call_value(self, node: ast.AST, func: int, args: int) -> int:
        if func & CHANGES or (func & CHANGES_ARGUMENT and args & STATE):
            self.change(node, "the function called here changes the object" + told(func))
        elif func & UNKEEPABLE:
            self.consume(node, args)  # a function of this method whose body is known
        elif func & (SELF | PART) or args & STATE or args & CHANGES:
            self.change(
                node, "what is called here is unknown and is handed state of the object" + COUNTED
            )
        return PART if func & (ANSWERS_STATE | PART) or args & STATE else 0

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
            self.change(node, "a slot is assigned by setattr")
        else:
            self.foreign(node)
        return 0

    def module_call(self, node: ast.Call, name: str, args: int) -> int:
        if name in MODULE_CHANGERS:
            first = self.again(node.args[0]) if node.args else args
            if first & FOREIGN:
                self.foreign(node)
            if first & (SELF | PART):
                self.change(node, f"{name} changes the list it is handed, which may be state of the object")
            return element(first & STATE)
        if name in ("reduce", "starmap", "takewhile", "dropwhile", "filterfalse", "accumulate") and node.args:
            args |= self.as_callable(node.args[0], self.again(node.args[0]))
        self.consume(node, args)
        out = OWN | (HOLDS | PART if args & STATE else 0)
        return out | self.lazily(args) if name in LAZY_MODULE_FUNCTIONS else out

    def unbound_call(self, node: ast.Call, name: str, args: int) -> int:
        first = self.again(node.args[0]) if node.args else 0
        if name in MUTATORS:
            if first & FOREIGN:
                self.foreign(node)
            if first & (SELF | PART):
                self.unkeepable(node, args & CALLABLE)
                self.change(node, f"{name} changes its first argument, which may be state of the object")
            return element(first)
        self.consume(node, args)
        return self.pure_result(name, first)

    def pure_result(self, name: str, base: int) -> int:
        if name in ELEMENT_METHODS:
            return element(base)
        if name in SHELL_METHODS:
            return OWN | (HOLDS if base & STATE else 0)
        return 0

    def summary(self, selector: str) -> Summary | None:
        if selector == self.selector:
            return Summary(
                False, True
            )  # recursion: the least fixpoint; what it changes is seen where it stands
        if selector in READING_SENDS:
            return Summary(False, False)
        if selector in FLAGGING_SENDS:
            return Summary(True, True)
        return self.summaries(selector)

    def own_send(self, node: ast.Call, selector: str, args: int) -> int:
        """`self.selector(...)`"""
        if selector == "resend":
            self.change(node, "a parent's method is run" + COUNTED)
            return PART
        summary = self.summary(selector)
        if summary is None:
            self.change(node, f"what {selector!r} does is not known" + COUNTED)
        elif summary.mutates and not summary.flags:
            why = f"{selector!r} changes the object and does not flag it"
            self.change(node, why + (COUNTED if summary.assumed else ""))
        elif args & STATE and summary.arguments:
            self.change(node, f"{selector!r} changes what it is handed")
        else:
            self.consume(node, args)
        return PART

    def method_call(self, node: ast.Call, func: ast.Attribute, base: int, args: int) -> int:
        name = func.attr
        if name in MUTATORS and not (args & STATE and not base & (STATE | OWN | FOREIGN)):
            put = 0  # what comes to rest in the container
            for each in (
                *node.args,
                *(keyword.value for keyword in node.keywords if keyword.arg not in ("key", "reverse")),
            ):
                put |= self.again(each)
            if name in CONSUMING or name == "sort":
                self.consume(node, args)
                put = element(put) | held(put) & ~LAZY if name in CONSUMING else 0
            self.store_into(node, func.value, base, put, f"{name} changes state of the object in place")
            return element(base) | (args & STATE if name == "setdefault" else 0)
        if name in PURE_METHODS and base & (STATE | OWN):
            self.consume(node, args)
            return self.pure_result(name, base) | (args & STATE if name == "get" else 0)
        if base & (SELF | PART):
            self.change(
                node, f"what {name!r} does to this part of the object is not known" + COUNTED
            )
            return PART
        if base & CALLABLE:
            return self.call_value(node, base, args)
        if args & (STATE | CHANGES) and name not in PURE_METHODS:
            self.change(node, f"{name!r} is handed state of the object" + COUNTED)
            return PART
        self.consume(node, args)
        return self.pure_result(name, base)


def changing(changes: list[tuple[ast.AST, str]]) -> int:
    """The bits of something that does these changes when it is called or consumed."""
    return (CHANGES | ASSUMED if assumed(changes) else CHANGES) if changes else 0


def told(bits: int) -> str:
    """The end of a reason, from the bits of what is called: is the change only assumed?"""
    return COUNTED if bits & ASSUMED and not bits & CHANGES_ARGUMENT else ""


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
