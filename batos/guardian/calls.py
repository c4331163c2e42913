"""What a call may do to the receiver's state: the part of the alias analysis that looks at who is called.

Built-ins, methods of containers, modules' functions, functions made inside, other methods of the object by
their summaries, and what is unknown, which counts as changing all it is handed.
"""

from __future__ import annotations

import ast

from batos.guardian import vocabulary as words
from batos.guardian.bits import (
    ANSWERS_CHANGER,
    ANSWERS_STATE,
    ASSUMED,
    CALLABLE,
    CHANGES,
    CHANGES_ARGUMENT,
    COUNTED,
    FOREIGN,
    HOLDS,
    HOLDS_FOREIGN,
    HOLDS_OWN,
    LAZY,
    MODULE,
    OWN,
    PART,
    PENDING,
    SELF,
    STATE,
    UNKEEPABLE,
    element,
    held,
    pairs,
    shell,
    told,
)
from batos.guardian.verdict import Summary


class Calls:
    """The calls of `aliases.Reader`, which has the environment and the reports."""

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
            answers = ANSWERS_STATE if summary.answers & STATE or summary.answers_arguments else 0
            handed = CHANGES_ARGUMENT if summary.arguments else 0
            if not summary.flags and summary.mutates:
                return CHANGES | answers | (ASSUMED if summary.assumed else 0)
            return answers | handed
        return CHANGES | ASSUMED | ANSWERS_STATE if bits & PART else 0

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
            scalar = isinstance(first, ast.Name) and first.id in words.SCALAR_BUILTINS
            known = function & UNKEEPABLE or scalar
            answers = rest & STATE and not known or function & ANSWERS_STATE
            holding = shell(rest) if name == "filter" else HOLDS if answers else 0
            return self.lazily(function, rest) | holding & ~CALLABLE
        if name == "super":  # the policy refuses it; whoever asks without the policy must not hear "harmless"
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
            if name == "sum" and len(handed(node)) == 1:
                return 0  # of numbers: containers need a start
            return out & ~PENDING
        if name in words.EXCEPTIONS or name in words.MODULES:
            self.consume(node, args)
            return held(args) if args & STATE else 0
        return self.call_value(node, 0, args)

    def call_value(self, node: ast.Call, func: int, args: int) -> int:
        if func & CHANGES or (func & CHANGES_ARGUMENT and args & STATE):
            self.change(node, "the function called here changes the object" + told(func))
            self.comes_to_rest(node)
            self.mixes(node)
        elif func & UNKEEPABLE and not func & PART:  # with PART: a method of what came to rest since
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
            unknown = 0 if self.is_pure_builtin(called) else CHANGES_ARGUMENT | ASSUMED
            return callback & CALLABLE | UNKEEPABLE | ANSWERS_STATE | unknown
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
            return Summary(False, False, answers=answers, answers_arguments=False, fills=False)
        if selector in words.FLAGGING_SENDS:
            return Summary(True, True, answers=answers)
        return None

    def own_send(self, node: ast.Call, selector: str, args: int, judged: bool) -> int:
        """`self.selector(...)`; `judged`: the receiver's state is asked for, not only the arguments."""
        summary = None if selector == "resend" else self.summary(selector)
        if summary is None:
            parents = selector == "resend"
            why = "a parent's method is run" if parents else f"what {selector!r} does is not known"
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
        if summary is None or summary.fills or (summary.arguments and args & STATE):
            self.mixes(node)
        if summary is None or summary.mutates or selector == self.selector:
            self.comes_to_rest(*handed(node))
        if summary is None:
            return PART if judged or args & STATE else 0
        answers = summary.answers if judged else summary.answers & ~STATE
        return answers | (PART if summary.answers_arguments and args & STATE else 0)

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
