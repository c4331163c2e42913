"""The policy: the only place in batos that compiles and executes text.

A text becomes a method if it is one function within bounds of size and nesting, and the language of
methods (`transformer`) finds nothing to refuse in it.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Callable
from typing import Any

from batos.errors import Refused
from batos.guardian import covenant, facades, trees
from batos.guardian.names import GLOBALS
from batos.guardian.remedies import elsewhere, remedy
from batos.guardian.transformer import Method, import_finding
from batos.guardian.verdict import Finding

MAX_SOURCE = 32_768  # characters; a method longer than this is a program
MAX_NODES = 6_000
MAX_NESTING = 60  # of the syntax tree; deeper only confuses analysis and stack


def seed(number: int) -> None:
    """Seed what `random` answers: a rehearsal must be the same twice."""
    facades.generator.seed(number)


def normalised(source: str) -> str:
    """The text as it is judged: line ends of one kind, no common indentation, no empty lines around."""
    if not isinstance(source, str):
        return ""
    text = source.replace("\r\n", "\n").replace("\r", "\n").strip("\n")
    if text[:1] in (" ", "\t"):
        text = textwrap.dedent(text)
    return text.rstrip() + "\n" if text.strip() else ""


def examined(
    function: ast.FunctionDef, source: str
) -> tuple[list[Finding], Callable[[], Callable[..., Any]]]:
    """(findings of the policy, what compiles it) of a method that was `parsed` from this text.

    It may be compiled where no finding refuses it.
    """
    transformer = Method(function)
    visited = transformer.visit(ast.parse(source).body[0])  # a tree of its own: visiting rewrites
    return transformer.findings, lambda: _compiled(visited, transformer)


def read(source: str) -> tuple[ast.FunctionDef | None, list[Finding]]:
    """(the method's tree, findings of the policy) of a normalised text; the tree is None if it has no shape."""
    function, finding = parsed(source)
    return function, [finding] if function is None else examined(function, source)[0]


def parameters(function: ast.FunctionDef) -> tuple[str, ...]:
    """Parameter names without the receiver, starred as written."""
    given = function.args
    plain = [each.arg for each in (*given.posonlyargs, *given.args)]
    if covenant.receiver_name(function) is not None:
        plain = plain[1:]
    starred = [f"*{given.vararg.arg}"] if given.vararg else []
    named = [each.arg for each in given.kwonlyargs]
    return (*plain, *starred, *named, *([f"**{given.kwarg.arg}"] if given.kwarg else []))


def compile_method(source: str) -> Callable[..., Any]:
    """The function `f(self, *args, **kw)` of a method's source.  One that resends has `held_by`, which makes
    it for the object that holds it: the resend begins there.

    Raises `Refused` with line and rule for what the policy does not admit.  Every call compiles anew;
    `batos.objects.method` keeps what was compiled.
    """
    text = normalised(source)
    function, shapeless = parsed(text)
    findings, make = ([shapeless], None) if function is None else examined(function, text)
    for finding in findings:
        if not finding.warning:
            hint = f"{remedy(finding.rule)}; then `define` it again"
            raise Refused(str(finding), line=finding.line, rule=finding.rule, hint=hint)
    return make()


def _compiled(function: ast.FunctionDef, transformer: Method) -> Callable[..., Any]:
    """The function of a tree that was visited."""
    if transformer.static:  # callable with a receiver like any other method, which it does not see
        function.args.posonlyargs.insert(0, ast.arg("_receiver_"))
        function.args.posonlyargs += function.args.args
        function.args.args = []
    if not transformer.resends:
        return _made(function, function.name)
    made_for = [function, ast.Return(ast.Name(function.name, ast.Load()))]
    maker = function_of("_held_by_", "_holder_", made_for)
    held_by = _made(maker, function.name)
    made = held_by(None)
    made.held_by = held_by
    return made


def function_of(name: str, parameter: str, body: list[ast.stmt]) -> ast.FunctionDef:
    made = ast.parse(f"def {name}({parameter}): pass").body[0]
    made.body = body
    return made


def _made(function: ast.FunctionDef, called: str) -> Callable[..., Any]:
    module = trees.placed(ast.Module([function], type_ignores=[]))
    made: dict[str, Any] = {}
    exec(compile(module, f"<method {called}>", "exec", dont_inherit=True), GLOBALS, made)
    return made[function.name]


def parsed(source: str) -> tuple[ast.FunctionDef | None, Finding | None]:
    """The one function definition of a normalised text, or the finding why there is none.

    Identifiers are NFKC-normalised by the parser, so a look-alike of `self` is `self` here.
    """
    if len(source) > MAX_SOURCE:
        return None, Finding("too-large", None, f"a method may have {MAX_SOURCE:,} characters; split it")
    try:
        module = ast.parse(source)
    except SyntaxError as exc:
        line = (exc.text or "").strip()
        said = ": ".join(filter(None, (exc.msg, line)))
        return None, Finding("syntax", exc.lineno or 1, "; ".join(filter(None, (said, elsewhere(line)))))
    except ValueError as exc:
        return None, Finding("syntax", 1, str(exc))
    except (RecursionError, MemoryError):
        return None, Finding("too-large", None, "this is nested too deeply to be read; split it")
    for statement in module.body:
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            return None, import_finding(statement)
        if isinstance(statement, ast.AsyncFunctionDef):
            return None, Finding(
                "async", statement.lineno, "a method runs in one turn and cannot wait; write `def`"
            )
    if len(module.body) != 1 or not isinstance(module.body[0], ast.FunctionDef):
        other = next((each for each in module.body if not isinstance(each, ast.FunctionDef)), None)
        if other is None and len(module.body) > 1:
            other = module.body[1]
        said = "a method is one `def selector(self, ...)` and nothing around it"
        if isinstance(other, ast.ClassDef):
            said += ": no class; define each of its methods by itself"
        elif isinstance(other, ast.FunctionDef):
            said += f": define {other.name!r} by itself"
        return None, Finding("shape", getattr(other, "lineno", 1), said)
    function = module.body[0]
    level, nodes, depth = [function], 0, 0
    while level:
        nodes += len(level)
        if depth > MAX_NESTING or nodes > MAX_NODES:
            line = min((each.lineno for each in level if hasattr(each, "lineno")), default=None)
            return None, Finding("too-large", line, "too much in one method; split it")
        level = [below for node in level for below in trees.below(node)]
        depth += 1
    return function, None
