"""The language of methods as a transformer: what it refuses, and how it rewrites what it admits.

A subclass of RestrictedPython's: what has no `visit_` here or there is refused.  Where we are more
generous the rewriting is what makes it sound: augmented assignment becomes load, guarded operation,
store, each operand evaluated once; annotations are dropped unread; `match` is admitted without
attribute patterns (`matching`); the covenant line in exactly its form; what C would compare or hash is
weighed first (`weighing`).

`x.name(...)` becomes a send; loops, comprehensions and inner functions look at their fuel; a value that
may come to rest in a slot is made persistent where it is bound, so that a local name and the slot are
the same container ever after (`resting`).  A guard is left out where the text alone shows that it can
have nothing to say (`inference`), and asked after the likeliest kind of value otherwise.
"""

from __future__ import annotations

import ast
import difflib
from typing import Any

from RestrictedPython.transformer import INSPECT_ATTRIBUTES, RestrictingNodeTransformer

from batos.guardian import covenant, facades, growth, guards
from batos.guardian.inference import NUMBER, SMALL, TEXT, sort_of, sorts_of
from batos.guardian.matching import Matching
from batos.guardian.names import BUILTINS, HOOKS, INSTEAD
from batos.guardian.resting import bound_names, plain_locals, resting_names, stored
from batos.guardian.verdict import Finding
from batos.guardian.weighing import Weighing, is_light


def import_finding(node: ast.AST) -> Finding:
    return Finding(
        "import", node.lineno,
        "import is not part of the language of methods; these modules stand ready by name: "
        + ", ".join(facades.MODULES),
    )  # fmt: skip


def _name(name: str) -> ast.Name:
    return ast.Name(name, ast.Load())


def _call(hook: str, *args: ast.expr) -> ast.Call:
    return ast.Call(_name(hook), list(args), [])


def _tank_is_low() -> ast.expr:
    return ast.Attribute(_name("_tank_"), "low", ast.Load())


def _looked() -> ast.expr:
    """One tick as an expression, which is never true."""
    return ast.BoolOp(ast.And(), [_tank_is_low(), _call("_look_")])


def _is_exactly(value: ast.expr, kind: str) -> ast.expr:
    return ast.Compare(_call("_type_", value), [ast.Is()], [_name(kind)])


# Methods that need no guard on a value of exactly this kind, by the kind that is likely to be asked.
_KIND_THAT_HAS = {
    **dict.fromkeys(guards.unbounded(str), "_str_"),
    **dict.fromkeys("get items keys values".split(), "_dict_"),
    **dict.fromkeys("append pop".split(), "_list_"),
    "add": "_set_",
}
_CONSUMERS = frozenset("list dict set tuple frozenset sorted sum min max any all".split())
_GROWING = {
    ast.Add: "_add_",
    ast.Mult: "_mul_",
    ast.Div: "_div_",
    ast.Pow: "_pow_",
    ast.LShift: "_shl_",
    ast.Mod: "_mod_",
}
_GROWING_IN_PLACE = {**_GROWING, ast.Add: "_iadd_", ast.Mult: "_imul_"}
# Operators of sets, which hash what they are given.
_HASHING = {ast.BitAnd: "_and_", ast.BitOr: "_or_", ast.BitXor: "_xor_", ast.Sub: "_sub_"}
_GUARDED = {**_GROWING, **_HASHING}
_GUARDED_IN_PLACE = {
    **_GROWING_IN_PLACE, ast.BitAnd: "_iand_", ast.BitOr: "_ior_", ast.BitXor: "_ixor_", ast.Sub: "_isub_",
}  # fmt: skip


class Method(Weighing, Matching, RestrictingNodeTransformer):
    """Checks and rewrites the tree of one method; what it objects to is in `findings`."""

    def __init__(self, function: ast.FunctionDef):
        super().__init__()
        self.findings: list[Finding] = []
        self.bound = bound_names(function)
        self.receiver = covenant.receiver_name(function)
        self.resting = resting_names(function)
        self.plain = plain_locals(function, self.resting)
        self.sorts = sorts_of(function)
        self.consumed: set[ast.AST] = set()
        self.depth = 0
        self.resends = False
        self.static = any(isinstance(each, ast.Name) for each in function.decorator_list)

    # -- objections ------------------------------------------------------------------------------

    def refuse(self, rule: str, node: ast.AST, message: str) -> None:
        self.findings.append(Finding(rule, getattr(node, "lineno", None), message))

    def error(self, node: ast.AST, info: str) -> None:
        self.refuse("policy", node, info[:1].lower() + info[1:])

    def not_allowed(self, node: ast.AST) -> ast.AST | None:
        rule, message = {
            ast.Import: ("import", ""),
            ast.ImportFrom: ("import", ""),
            ast.ClassDef: ("class", "methods make no classes; make a new object with `self.clone()`"),
            ast.AsyncFunctionDef: ("async", "a method runs in one turn and cannot wait; write `def`"),
            ast.Await: ("async", "a method runs in one turn and cannot wait"),
            ast.AsyncFor: ("async", "a method runs in one turn and cannot wait; write `for`"),
            ast.AsyncWith: ("async", "a method runs in one turn and cannot wait"),
            ast.Global: ("global", "state belongs in slots of an object, not in names around the method"),
            ast.Nonlocal: ("global", "change a list or a slot instead of a name of the enclosing function"),
            ast.Yield: ("generator", "a method answers once: collect the values in a list and return it"),
            ast.YieldFrom: ("generator", "a method answers once: collect the values in a list and return it"),
        }.get(type(node), ("policy", f"{type(node).__name__} is not part of the language of methods"))
        if rule == "import":
            self.findings.append(import_finding(node))
            self.bound |= {(each.asname or each.name).partition(".")[0] for each in node.names}  # said once
        else:
            self.refuse(rule, node, message)
        # What is refused is never compiled; a part of an expression must stay for what is built around it.
        return ast.copy_location(ast.Constant(None), node) if isinstance(node, ast.expr) else None

    visit_Import = visit_ImportFrom = visit_ClassDef = visit_Global = visit_Yield = visit_YieldFrom = (
        not_allowed
    )
    visit_TemplateStr = visit_Interpolation = not_allowed

    def check_name(self, node: ast.AST, name: str | None, allow_magic_methods: bool = False) -> None:
        if name is None or name == "_":
            return
        if name.startswith("__"):
            self.refuse("dunder", node, f"{name!r}: names with two underscores belong to the interpreter")
        elif name.startswith("_"):
            self.refuse("private-name", node, f"{name!r}: names that start with '_' belong to batos")

    def check_attribute(self, node: ast.AST, name: str) -> None:
        if name == covenant.FLAG:
            self.refuse("covenant-line", node, covenant.ONLY_FORM)
            return
        self.check_name(node, name if name != "_" else "__")
        if name in INSPECT_ATTRIBUTES:
            self.refuse("frame", node, f"{name!r} leads into the interpreter")

    # -- names and attributes --------------------------------------------------------------------

    def visit_Name(self, node: ast.Name) -> ast.AST:
        self.check_name(node, node.id)
        if isinstance(node.ctx, ast.Load) and node.id not in self.bound and node.id != "_":
            if node.id not in BUILTINS and node.id not in facades.MODULES and not node.id.startswith("_"):
                self.refuse("unknown-name", node, self.unknown(node.id))
        return node

    def unknown(self, name: str) -> str:
        remedy = INSTEAD.get(name)
        if remedy is None:
            home = next((module for module, handed in facades.MODULES.items() if hasattr(handed, name)), None)
            near = difflib.get_close_matches(name, self.bound, n=1)
            near = near or difflib.get_close_matches(name, [*BUILTINS, *facades.MODULES], n=1, cutoff=0.8)
            if name == "self":
                remedy = "a method's first parameter is the object that it is sent to: write it there, `def name(self):`"
            elif home is not None:
                remedy = f"write {home}.{name}"
            elif near:
                remedy = f"did you mean {near[0]!r}?"
            elif self.receiver is not None:
                remedy = f"write {self.receiver}.{name} if it is a slot, or take it as an argument"
            else:
                remedy = "take it as an argument"
        return f"there is no name {name!r} in a method; {remedy}"

    def is_receiver(self, node: ast.AST) -> bool:
        return isinstance(node, ast.Name) and node.id == self.receiver

    def facade_of(self, node: ast.AST) -> Any:
        """The module that an expression names: `math`, or `collections.abc` in another one."""
        if isinstance(node, ast.Name) and node.id not in self.bound:
            return facades.MODULES.get(node.id)
        if isinstance(node, ast.Attribute):
            inner = getattr(self.facade_of(node.value), node.attr, None)
            return inner if isinstance(inner, guards.Facade) else None
        return None

    def check_facade(self, node: ast.Attribute, handed: Any) -> None:
        if not hasattr(handed, node.attr) and not node.attr.startswith("_"):
            names = [name for name in dir(handed) if not name.startswith("_")]
            near = difflib.get_close_matches(node.attr, names, n=1)
            inside = next((each for each in names if hasattr(getattr(handed, each), node.attr)), None)
            whole = ast.unparse(node.value)
            if handed is facades.DATETIME and node.attr in ("now", "utcnow", "today"):
                self.refuse("power", node, guards.CLOCK)
                return
            remedy = f"; did you mean {near[0]!r}?" if near else ""
            if inside is not None:
                remedy = f"; did you mean {whole}.{inside}.{node.attr}?"
            self.refuse("unknown-name", node, f"methods have no {ast.unparse(node)}{remedy}")

    def check_clock(self, node: ast.Attribute) -> None:
        kind = node.value
        if node.attr in ("now", "utcnow", "today") and isinstance(kind, ast.Attribute):
            if self.facade_of(kind.value) is facades.DATETIME:
                self.refuse("power", node, guards.CLOCK)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.check_attribute(node, node.attr)
        self.check_clock(node)
        handed = self.facade_of(node.value)
        if handed is not None and isinstance(node.ctx, ast.Load):
            self.check_facade(node, handed)
            return node
        plain = self.is_receiver(node.value)  # the receiver is an object: its own rules hold
        node.value = self.visit(node.value)
        if isinstance(node.ctx, ast.Load):
            if plain:
                return node
            guarded = _call("_getattr_", node.value, ast.Constant(node.attr))
            if isinstance(node.value, ast.Name):
                guarded = ast.IfExp(_is_exactly(node.value, "_object_"), node, guarded)
            return self.placed(guarded, node)
        if not plain:
            node.value = self.placed(_call("_write_", node.value), node)
        return node

    def placed(self, new: ast.AST, old: ast.AST) -> Any:
        """The new node in the old one's line; what is below it gets its line when all is done."""
        return ast.copy_location(new, old)

    # -- calls -----------------------------------------------------------------------------------

    def at_once(self, node: ast.expr) -> None:
        """This iterator is consumed where it stands: nothing can be built on it, so it needs no `Lazy`."""
        if isinstance(node, ast.GeneratorExp):
            self.consumed.add(node)
        elif (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id not in self.bound
        ):
            if f"_now_{node.func.id}_" in HOOKS:
                self.consumed.add(node)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> ast.AST:
        kept = node not in self.consumed
        node = self.node_contents_visit(node)
        return self.placed(_call("_lazy_", node), node) if kept else node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        func = node.func
        if node in self.consumed:
            node = self.node_contents_visit(node)
            node.func = self.placed(_name(f"_now_{func.id}_"), node)
            return node
        if isinstance(func, ast.Name) and func.id in _CONSUMERS and func.id not in self.bound:
            for each in node.args:
                self.at_once(each)
        elif isinstance(func, ast.Attribute) and func.attr in ("join", "extend", "update"):
            for each in node.args:
                self.at_once(each)
        if not isinstance(func, ast.Attribute) or self.facade_of(func.value) is not None:
            node = self.node_contents_visit(node)
            if isinstance(func, ast.Name) and func.id not in self.bound and f"_make_{func.id}_" in HOOKS:
                node.func = self.placed(_name(f"_make_{func.id}_"), node)  # without the class's own detour
            elif isinstance(func, ast.Name) and func.id in ("min", "max") and func.id not in self.bound:
                starred = any(isinstance(each, ast.Starred) for each in node.args)
                if len(node.args) in (1, 2) and not node.keywords and not starred:
                    node.func = self.placed(_name(f"_{func.id}_{len(node.args)}_"), node)
            return node
        self.check_attribute(func, func.attr)
        self.check_clock(func)
        args = [self.visit(each) for each in node.args]
        keywords = [self.visit(each) for each in node.keywords]
        unguarded = self.plain_call(node, args)
        if unguarded is not None:
            node.args, node.keywords = unguarded, keywords
            return node
        if self.is_receiver(func.value) and func.attr == "resend":
            self.resends = True
            given = [_name("_holder_"), _name(self.receiver), *args]
            return self.placed(ast.Call(_name("_resend_"), given, keywords), node)
        value = self.visit(func.value)
        counted = len(args) < 3 and not keywords and not any(isinstance(each, ast.Starred) for each in args)
        hook = f"_send_{len(args)}_" if counted else "_send_n_"
        sent: ast.expr = ast.Call(_name(hook), [value, ast.Constant(func.attr), *args], keywords)
        kind = _KIND_THAT_HAS.get(func.attr)
        if counted and kind and all(isinstance(each, (ast.Name, ast.Constant)) for each in (value, *args)):
            direct = ast.Call(ast.Attribute(value, func.attr, ast.Load()), args, [])
            test = _is_exactly(value, kind)
            if func.attr in ("get", "add") and args and not self.light(node.args[0]):
                test = ast.BoolOp(ast.And(), [test, is_light(args[0])])
            sent = ast.IfExp(test, direct, sent)
        return self.placed(sent, node)

    def visit_keyword(self, node: ast.keyword) -> ast.AST:
        self.check_name(node, node.arg)
        return self.node_contents_visit(node)

    # -- operators -------------------------------------------------------------------------------

    def grows(self, op: ast.operator, left: ast.expr, right: ast.expr) -> bool:
        """May the operation make something much larger than its operands, or hash them?"""
        if type(op) in _HASHING:
            return not (self.light(left) or self.light(right))
        if type(op) not in _GROWING:
            return False
        sorts = [sort_of(each, self.sorts, self.bound) for each in (left, right)]
        numbers = [sort in (SMALL, NUMBER) for sort in sorts]
        if isinstance(op, ast.Add):
            return not any(numbers)  # a number is added to numbers only
        if isinstance(op, ast.Mod):
            return not numbers[0]
        if isinstance(op, ast.Div):
            return sorts[1] != SMALL and not any(
                isinstance(each, ast.Constant) and isinstance(each.value, float) for each in (left, right)
            )
        floats = any(
            isinstance(each, ast.Constant) and isinstance(each.value, float) for each in (left, right)
        )
        if isinstance(op, ast.Mult):
            return not floats and sorts != [SMALL, SMALL]
        small = isinstance(right, ast.Constant) and right.value in (2, 3) and sorts[0] == SMALL
        return not (isinstance(op, ast.Pow) and (floats or small))

    def check_operator(self, node: ast.BinOp | ast.AugAssign) -> None:
        if isinstance(node.op, ast.MatMult):
            self.refuse("policy", node, "`@` is not part of the language of methods: no value here has it")
            node.op = ast.Mult()  # never compiled

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.check_operator(node)
        growing = self.grows(node.op, node.left, node.right)
        node = self.node_contents_visit(node)
        return self.placed(_call(_GUARDED[type(node.op)], node.left, node.right), node) if growing else node

    def visit_AugAssign(self, node: ast.AugAssign) -> Any:
        self.check_operator(node)
        growing = self.grows(node.op, node.target, node.value)
        node.target.ctx = ast.Store()
        self.visit(node.op)
        value = self.visit(node.value)
        before: list[ast.stmt] = []

        def once(expression: ast.expr) -> ast.expr:
            """The expression, evaluated here and used twice."""
            if isinstance(expression, (ast.Name, ast.Constant)):
                return expression
            name = self.gen_tmp_name()
            before.append(ast.Assign([ast.Name(name, ast.Store())], expression))
            return _name(name)

        target = node.target
        if isinstance(target, ast.Name):
            self.visit(target)
            load, store = _name(target.id), target
        elif isinstance(target, ast.Attribute):
            self.check_attribute(target, target.attr)
            if self.is_receiver(target.value):
                load, store = ast.Attribute(target.value, target.attr, ast.Load()), target
            else:
                base = once(self.visit(target.value))
                load = _call("_getattr_", base, ast.Constant(target.attr))
                store = ast.Attribute(_call("_write_", base), target.attr, ast.Store())
        else:
            base = once(self.visit(target.value))
            key = target.slice
            if isinstance(key, ast.Slice):
                parts = [
                    self.visit(part) if part is not None else ast.Constant(None)
                    for part in (key.lower, key.upper, key.step)
                ]
                key = once(_call("_slice_", *parts))
                base = _call("_grow_", base)
            else:
                key = once(self.key(key, self.visit(key)))
            load = ast.Subscript(base, key, ast.Load())
            store = ast.Subscript(base, key, ast.Store())
        if growing and isinstance(node.op, ast.Add) and self.sorts.get(getattr(target, "id", "")) == TEXT:
            # Python lengthens such a text where it stands; it is measured after, so at most once it is doubled.
            length = ast.Compare(_call("_len_", load), [ast.Gt()], [ast.Constant(growth.MAX_TEXT)])
            after = ast.If(length, [ast.Expr(_call("_sized_", load))], [])
            return [
                self.placed(each, node) for each in (*before, ast.AugAssign(store, node.op, value), after)
            ]
        if growing:
            statement: ast.stmt = ast.Assign([store], _call(_GUARDED_IN_PLACE[type(node.op)], load, value))
        elif isinstance(target, ast.Name):
            statement = ast.AugAssign(store, node.op, value)
        else:
            # Python would load, operate in place and store the same target; written out, each part once.
            name = self.gen_tmp_name()
            before.append(ast.Assign([ast.Name(name, ast.Store())], load))
            before.append(ast.AugAssign(ast.Name(name, ast.Store()), node.op, value))
            statement = ast.Assign([store], _name(name))
        return [self.placed(each, node) for each in (*before, statement)]

    # -- texts and displays ----------------------------------------------------------------------

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        fields = sum(isinstance(each, ast.FormattedValue) for each in node.values)
        if fields > growth.MAX_FIELDS:
            self.refuse("too-large", node, f"a text may have {growth.MAX_FIELDS} fields")
        node = self.node_contents_visit(node)
        return self.placed(_call("_sized_", node), node) if fields > 1 else node

    def visit_FormattedValue(self, node: ast.FormattedValue) -> ast.AST:
        value = self.visit(node.value)
        if node.format_spec is None:
            node.value = self.placed(_call("_shown_", value), node)
            return node
        spec = node.format_spec
        spec.values = [self.visit(each) for each in spec.values]
        conversion = ast.Constant("" if node.conversion < 0 else chr(node.conversion))
        shown = self.placed(_call("_format_", value, conversion, spec), node)
        return ast.copy_location(ast.FormattedValue(shown, -1, None), node)

    def display(self, node: Any) -> ast.AST:
        starred = sum(isinstance(each, ast.Starred) for each in node.elts)
        loaded = isinstance(getattr(node, "ctx", ast.Load()), ast.Load)
        written = node.elts
        node = self.node_contents_visit(node)
        if isinstance(node, ast.Set):
            node.elts = self.members(written, node.elts)
        return self.placed(_call("_sized_", node), node) if starred > 1 and loaded else node

    visit_List = visit_Tuple = visit_Set = display

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        self.check_function_argument_names(node)
        node = self.node_contents_visit(node)
        node.body = self.placed(ast.BoolOp(ast.Or(), [_looked(), node.body]), node.body)
        return node

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        if node.is_async:
            self.refuse("async", node.iter, "a method runs in one turn and cannot wait")
        node = self.node_contents_visit(node)
        node.ifs.insert(0, self.placed(ast.UnaryOp(ast.Not(), _looked()), node.iter))
        return node

    # -- statements ------------------------------------------------------------------------------

    def statement_list(self, statements: list[ast.stmt]) -> list[ast.stmt]:
        made: list[ast.stmt] = []
        for each in statements:
            visited = self.visit(each)
            made += visited if isinstance(visited, list) else [visited] if visited is not None else []
        return made

    def tick(self, where: ast.AST) -> ast.stmt:
        return self.placed(ast.If(_tank_is_low(), [ast.Expr(_call("_look_"))], []), where)

    def keeping(self, names: set[str], where: ast.AST) -> list[ast.stmt]:
        """Statements that bind resting names again to what can rest."""
        return [
            self.placed(ast.Assign([ast.Name(name, ast.Store())], _call("_kind_", _name(name))), where)
            for name in sorted(names & self.resting)
        ]

    def targets(self, target: ast.AST) -> set[str]:
        return {each.id for each in ast.walk(target) if stored(each)}

    def visit_Assign(self, node: ast.Assign) -> Any:
        if covenant.is_flag(node, self.receiver):
            return node
        names = {name for target in node.targets for name in self.targets(target)}
        plain = all(isinstance(target, ast.Name) for target in node.targets)
        stores = any(isinstance(target, (ast.Attribute, ast.Subscript)) for target in node.targets)
        whole = (plain and names & self.resting) or (stores and len(node.targets) > 1)
        node.targets = [self.visit(target) for target in node.targets]
        node.value = self.visit(node.value)
        if whole:
            node.value = self.placed(_call("_kind_", node.value), node.value)
            return node
        return [node, *self.keeping(names, node)]

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        if isinstance(node.target, ast.Attribute):
            self.check_attribute(node.target, node.target.attr)  # the covenant line has no annotation
        if node.value is None:
            return ast.copy_location(ast.Pass(), node)
        return self.visit(ast.copy_location(ast.Assign([node.target], node.value), node))

    def visit_NamedExpr(self, node: ast.NamedExpr) -> ast.AST:
        resting = node.target.id in self.resting
        node = self.node_contents_visit(node)
        if resting:
            node.value = self.placed(_call("_kind_", node.value), node.value)
        return node

    def visit_For(self, node: ast.For) -> ast.AST:
        names = self.targets(node.target)
        node.target = self.visit(node.target)
        self.at_once(node.iter)
        node.iter = self.visit(node.iter)
        node.body = [self.tick(node), *self.keeping(names, node), *self.statement_list(node.body)]
        node.orelse = self.statement_list(node.orelse)
        return node

    def visit_While(self, node: ast.While) -> ast.AST:
        node.test = self.visit(node.test)
        node.body = [self.tick(node), *self.statement_list(node.body)]
        node.orelse = self.statement_list(node.orelse)
        return node

    def visit_With(self, node: ast.With) -> ast.AST:
        return self.node_contents_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        node = self.node_contents_visit(node)
        if node.exc is not None:  # whoever tells of it shows what it was made of
            node.exc = self.placed(_call("_shown_", node.exc), node.exc)
        return node

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        self.check_name(node, node.name)
        if node.type is None:
            node.type = self.placed(_name("Exception"), node)  # the end of fuel is not the method's to catch
        else:
            named = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            known = all(isinstance(each, ast.Name) and each.id not in self.bound for each in named)
            node.type = self.visit(node.type)
            if not known:
                node.type = self.placed(_call("_caught_", node.type), node.type)
        node.body = self.statement_list(node.body)
        return node

    def visit_TryStar(self, node: ast.AST) -> None:
        self.refuse("policy", node, "`except*` is not part of the language of methods; write `except`")

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        inner = self.depth > 0
        allowed = not inner and node.name.startswith("_") and not node.name.startswith("__")
        if not allowed:  # `_process_synthesis_` and its like may be defined, though never sent
            self.check_name(node, node.name)
        self.check_function_argument_names(node)
        if getattr(node, "type_params", None):
            self.refuse("policy", node, "type parameters are not part of the language of methods")
        self.depth += 1
        node.returns = None
        for argument in ast.walk(node.args):
            if isinstance(argument, ast.arg):
                argument.annotation = None
        decorators = [
            each
            for each in node.decorator_list
            if not (isinstance(each, ast.Name) and each.id == "staticmethod")
        ]
        for decorator in decorators:
            self.refuse("decorator", decorator, "only @staticmethod may decorate a method")
        node.decorator_list = []
        made = self.fresh_defaults(node) if not inner else []
        node.args = self.visit(node.args)
        names = {argument.arg for argument in ast.walk(node.args) if isinstance(argument, ast.arg)}
        body = self.statement_list(node.body)
        self.depth -= 1
        # The fuel of a method's own entry is spent by the send that called it.
        ticks = [self.tick(node)] if inner else []
        node.body = [*ticks, *made, *self.keeping(names - {self.receiver}, node), *body]
        return node

    def fresh_defaults(self, node: ast.FunctionDef) -> list[ast.stmt]:
        """Defaults that are not constants are made at each call: a shared one would be hidden state."""
        made: list[ast.stmt] = []
        positional = [*node.args.posonlyargs, *node.args.args]
        pairs = [
            (node.args.defaults, index, positional[len(positional) - len(node.args.defaults) + index])
            for index in range(len(node.args.defaults))
        ]
        pairs += [
            (node.args.kw_defaults, index, argument) for index, argument in enumerate(node.args.kwonlyargs)
        ]
        for defaults, index, argument in pairs:
            default = defaults[index]
            if default is None or isinstance(default, ast.Constant):
                continue
            value = self.visit(default)
            defaults[index] = self.placed(_name("_missing_"), default)
            test = ast.Compare(_name(argument.arg), [ast.Is()], [_name("_missing_")])
            made.append(
                self.placed(
                    ast.If(test, [ast.Assign([ast.Name(argument.arg, ast.Store())], value)], []), default
                )
            )
        return made

    def visit_arguments(self, node: ast.arguments) -> ast.AST:
        node.defaults = [self.default(each) for each in node.defaults]
        node.kw_defaults = [each and self.default(each) for each in node.kw_defaults]
        return node

    def default(self, node: ast.expr) -> ast.expr:
        return node if isinstance(node, ast.Name) and node.id == "_missing_" else self.visit(node)
