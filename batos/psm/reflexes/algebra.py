"""Algebra: equations, systems of them, and the rewriting of expressions, by SymPy.

The trees come from `formula`, bounded in degree before SymPy sees them.  Each solution is put back
into the equation it came from and checked exactly; what cannot be checked is not told.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

from batos.psm.reflexes.arithmetic import MAX_DEGREE, Beyond, approximately, symbolic
from batos.psm.reflexes.formula import Tree, parse, unknowns_of

SOLVED_DEGREE = 4  # of an equation: beyond it there are no formulas for the roots
MAX_UNKNOWNS = 4

_SOLVE = re.compile(
    r"(?:solve|find|what is|what are|calculate|determine)"
    # A word has to part unknowns and equations: "solve x + y = 10 and x - y = 4" asks for both.
    r"(?: for)? (?P<unknowns>[a-z](?:(?:, | and )[a-z])*)(?: if| when| where| such that| so that| given| in|:|,):? "
    r"(?P<equations>.+=.+)"
)
_SOLVE_FOR = re.compile(
    r"(?:solve |solve: |solve the equation |solve the equations |if )?(?P<equations>.+=.+?)"
    r"(?:,? (?:for|what is|find|then what is|solve for) (?P<unknowns>[a-z](?:(?:, | and )[a-z])*))?"
)
_REWRITE = re.compile(r"(?P<what>factor|factorise|factorize|expand|simplify)(?: out)?:? (?P<formula>.+)")
_DERIVATIVE = re.compile(
    r"(?:(?:what is |find )?(?:the )?derivative of|differentiate) (?P<formula>.+?)"
    r"(?: (?:with respect to|by|for) (?P<unknown>[a-z]))?"
)


def degree(tree: Tree) -> int:
    """An upper bound of the degree in all unknowns together.  Raises `Beyond` past `MAX_DEGREE`."""
    found = _degree(tree)
    if found > MAX_DEGREE:
        raise Beyond("the degree is too high")
    return found


def _degree(tree: Tree) -> int:
    if isinstance(tree, Fraction):
        return 0
    if isinstance(tree, str):
        return 1
    operator, *parts = tree
    if operator == "^":
        base = _degree(parts[0])
        exponent = parts[1]
        if isinstance(exponent, tuple) and exponent[0] == "neg":
            exponent = exponent[1]
        if not isinstance(exponent, Fraction):
            if base or unknowns_of(exponent):
                raise Beyond("such a power is not told")
            return 0
        return base * -(-exponent.numerator // exponent.denominator)
    if operator in ("*", "/"):
        return sum(_degree(each) for each in parts)
    return max(_degree(each) for each in parts)


def solve(text: str) -> tuple[str, Any] | None:
    """Solve an equation, or linear equations, in `text` (lower case); the answer and its plain value, or None.

    The value is a dict from unknown to a list of roots as text, or a text that says there is none.
    """
    found = _SOLVE.fullmatch(text) or _SOLVE_FOR.fullmatch(text)
    if not found or re.search(r"[<>!]=|==", text):
        return None
    parts = re.split(r"(?:,| and |;) ?(?=[^=]*=)", found["equations"])
    equations = []
    for part in parts:
        sides = part.split("=")
        if len(sides) != 2:
            return None
        left, right = (parse(side) for side in sides)
        if left is None or right is None:
            return None
        equations.append((left, right))
    names = sorted(set().union(*(unknowns_of(side) for pair in equations for side in pair)))
    wanted = re.findall(r"[a-z]", found["unknowns"].replace(" and ", ",")) if found["unknowns"] else names
    if not names or len(names) > MAX_UNKNOWNS or not set(wanted) <= set(names):
        return None
    asked = found["unknowns"] or text.startswith("solve")
    if not asked and any(isinstance(left, str) for left, _ in equations):
        return None  # "n = 0" says something and asks nothing
    if len(equations) == 1 and len(names) == 1:
        return _one(equations[0], names[0])
    if len(equations) == len(names) and all(degree(side) <= 1 for pair in equations for side in pair):
        return _linear(equations, names, wanted)
    if len(equations) == 1 and len(wanted) == 1:
        return _isolated(equations[0], wanted[0])
    return None


def _one(equation: tuple[Tree, Tree], name: str) -> tuple[str, Any] | None:
    import sympy

    if max(degree(side) for side in equation) > SOLVED_DEGREE:
        raise Beyond("the degree is too high")
    left, right = (symbolic(side) for side in equation)
    unknown = sympy.Symbol(name, real=True)
    numerator, denominator = sympy.fraction(sympy.together(left - right))
    if not numerator.is_polynomial(unknown) or not denominator.is_polynomial(unknown):
        return None
    polynomial = sympy.Poly(numerator, unknown)
    if polynomial.is_zero:
        # 0 = 0, except where a denominator is zero
        every = "every number" if denominator.is_number else None
        return (f"every {name} solves it", {name: every}) if every else None
    if polynomial.degree() > SOLVED_DEGREE:
        raise Beyond("the degree is too high")
    roots = []
    for root in sorted(sympy.roots(polynomial), key=sympy.default_sort_key) if polynomial.degree() else []:
        if root.is_real is None:
            return (
                None  # a cubic's three real roots written with complex ones: exact, but no help to a reader
            )
        if not root.is_real or denominator.subs(unknown, root) == 0:
            continue
        if sympy.simplify((left - right).subs(unknown, root)) != 0:
            return None
        roots.append(root)
    found = sum(sympy.roots(polynomial).values()) if polynomial.degree() else 0
    if found != polynomial.degree():
        return None  # some roots have no formula
    if not roots:
        return f"no real {name} solves it", {name: []}
    roots.sort(key=float)
    return f"{name} = {' or '.join(_told(root) for root in roots)}", {name: [str(root) for root in roots]}


def _linear(equations: list, names: list[str], wanted: list[str]) -> tuple[str, Any] | None:
    import sympy

    symbols = [sympy.Symbol(name, real=True) for name in names]
    rows = [symbolic(left) - symbolic(right) for left, right in equations]
    if not all(sympy.Poly(row, *symbols).total_degree() <= 1 for row in rows if not row.is_number):
        return None
    solutions = list(sympy.linsolve(rows, *symbols))
    if not solutions:
        return "no numbers solve them", {name: [] for name in wanted}
    (solution,) = solutions
    if any(each.free_symbols for each in solution):
        return "infinitely many numbers solve them", dict.fromkeys(wanted, "infinitely many")
    values = dict(zip(symbols, solution, strict=True))
    if any(sympy.simplify(row.subs(values)) != 0 for row in rows):
        return None
    told = {name: values[sympy.Symbol(name, real=True)] for name in wanted}
    return (
        ", ".join(f"{name} = {_told(each)}" for name, each in told.items()),
        {name: [str(each)] for name, each in told.items()},
    )


def _isolated(equation: tuple[Tree, Tree], name: str) -> tuple[str, Any] | None:
    """One unknown by the others, where it stands linearly: ``y`` in ``2x + 3y = 6``."""
    import sympy

    if max(degree(side) for side in equation) > SOLVED_DEGREE:
        raise Beyond("the degree is too high")
    unknown = sympy.Symbol(name, real=True)
    row = symbolic(equation[0]) - symbolic(equation[1])
    if not row.is_polynomial(*row.free_symbols) or sympy.Poly(row, unknown).degree() != 1:
        return None
    slope, constant = sympy.Poly(row, unknown).all_coeffs()
    if not slope.is_number:
        return None  # a division by what may be zero
    told = sympy.expand(-constant / slope)
    return f"{name} = {_told(told)}", {name: [str(told)]}


def rewrite(text: str) -> tuple[str, Any] | None:
    """Factor, expand, simplify or differentiate a polynomial in `text`; the answer twice, or None."""
    if found := _REWRITE.fullmatch(text):
        before = _polynomial(found["formula"])
        if before is None or before.is_number:
            return None
        import sympy

        after = sympy.factor(before) if found["what"].startswith("factor") else sympy.expand(before)
        if sympy.expand(after - before) != 0:
            return None
    elif found := _DERIVATIVE.fullmatch(text):
        before = _polynomial(found["formula"])
        names = sorted(map(str, before.free_symbols)) if before is not None else []
        unknown = found["unknown"] or (names[0] if len(names) == 1 else None)
        if before is None or unknown is None:
            return None
        import sympy

        after = sympy.expand(sympy.diff(before, sympy.Symbol(unknown, real=True)))
    else:
        return None
    return _told(after), _told(after)


def _polynomial(text: str) -> Any:
    """The polynomial that `text` writes, for SymPy, or None."""
    tree = parse(text)
    if tree is None:
        return None
    degree(tree)
    found = symbolic(tree)
    return found if found.is_polynomial(*found.free_symbols) else None


def _told(expression: Any) -> str:
    """As a person writes it: ``x^2``, and an irrational number with its approximation."""
    text = str(expression).replace("**", "^")
    if expression.is_number and not expression.is_Rational:
        return f"{text} (about {approximately(expression)})"
    return text
