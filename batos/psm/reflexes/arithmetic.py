"""Arithmetic: the exact value of a tree without unknowns.

Rational numbers are computed with `fractions.Fraction`; what is irrational is told by SymPy, built
node by node from the tree, exactly and with fifteen digits.  Every operation is bounded before it is
computed, so the dearest formula that is accepted takes milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from batos.psm.reflexes.formula import Tree

MAX_BITS = 4000  # of a numerator or denominator: about 1,200 digits
MAX_FACTORIAL = 400
DIGITS = 15  # of an approximation


class Irrational(ArithmeticError):
    """The value is no fraction; `symbolic` may still tell it."""


class Beyond(ArithmeticError):
    """Too large, or not defined; the sentence says which."""


def value(tree: Tree) -> Fraction:
    """The exact value.  Raises `Irrational`, or `Beyond` where it is undefined or too large."""
    if isinstance(tree, Fraction):
        return _bounded(tree)
    if isinstance(tree, str):
        raise Beyond(f"{tree} is unknown")
    operator, *parts = tree
    return _bounded(_OPERATORS[operator](*(value(each) for each in parts)))


def _bounded(number: Fraction) -> Fraction:
    if max(number.numerator.bit_length(), number.denominator.bit_length()) > MAX_BITS:
        raise Beyond("the number is too long")
    return number


def _divided(a: Fraction, b: Fraction) -> Fraction:
    if not b:
        raise Beyond("a division by zero has no value")
    return a / b


def _modulo(a: Fraction, b: Fraction) -> Fraction:
    if not b:
        raise Beyond("a remainder of a division by zero has no value")
    if a < 0 or b < 0 or a.denominator != 1 or b.denominator != 1:
        raise Beyond("remainders of negative or broken numbers are defined in several ways")
    return a % b


def _power(a: Fraction, b: Fraction) -> Fraction:
    if b.denominator != 1:
        root = _root(a, b.denominator)
        return _power(root, Fraction(b.numerator))
    if not a and b <= 0:
        raise Beyond("zero to the power of zero or less has no agreed value")
    bits = max(a.numerator.bit_length(), a.denominator.bit_length())
    if bits > 1 and abs(b) * bits > MAX_BITS + bits:
        raise Beyond("the power is too long")
    if abs(b) > 10**6:
        raise Beyond("the exponent is too large")
    return a ** int(b)


def _root(a: Fraction, n: int) -> Fraction:
    """The real n-th root where it is a fraction."""
    if a < 0:
        raise Beyond("an even root of a negative number is not real") if n % 2 == 0 else Irrational()
    if n > 64:
        raise Beyond("the root is too deep")
    top, bottom = _integer_root(a.numerator, n), _integer_root(a.denominator, n)
    if top**n != a.numerator or bottom**n != a.denominator:
        raise Irrational()
    return Fraction(top, bottom)


def _integer_root(a: int, n: int) -> int:
    """floor(a ** (1/n)) by Newton's method on integers."""
    if a < 2:
        return a
    guess = 1 << -(-a.bit_length() // n)
    while True:
        better = ((n - 1) * guess + a // guess ** (n - 1)) // n
        if better >= guess:
            return guess
        guess = better


def _factorial(a: Fraction) -> Fraction:
    if a.denominator != 1 or not 0 <= a <= MAX_FACTORIAL:
        raise Beyond(f"factorials are told for whole numbers from 0 to {MAX_FACTORIAL}")
    return Fraction(math.factorial(int(a)))


def _whole(function: Callable[..., int]) -> Callable[..., Fraction]:
    def applied(*numbers: Fraction) -> Fraction:
        if any(each.denominator != 1 or each <= 0 for each in numbers):
            raise Beyond("this is defined for positive whole numbers")
        return Fraction(function(*(int(each) for each in numbers)))

    return applied


def _cube_root(a: Fraction) -> Fraction:
    return -_root(-a, 3) if a < 0 else _root(a, 3)


_OPERATORS: dict[str, Callable[..., Fraction]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _divided,
    "mod": _modulo,
    "^": _power,
    "neg": lambda a: -a,
    "percent": lambda a: a / 100,
    "abs": abs,
    "!": _factorial,
    "sqrt": lambda a: _root(a, 2),
    "cbrt": _cube_root,
    "gcd": _whole(math.gcd),
    "lcm": _whole(math.lcm),
    "min": min,
    "max": max,
    "mean": lambda *numbers: sum(numbers, Fraction(0)) / len(numbers),
}


def told(number: Fraction) -> str:
    """A fraction as people write it: exactly as a decimal where that ends, else as p/q with its approximation."""
    if number.denominator == 1:
        return str(number.numerator)
    places = _places(number.denominator)
    if places is not None and places <= 30:
        return _decimal(number, places)
    return f"{number.numerator}/{number.denominator} (about {rounded(number)})"


def rounded(number: Fraction) -> str:
    """The fraction with fifteen significant digits."""
    return f"{number.numerator / number.denominator:.{DIGITS}g}"


def _places(denominator: int) -> int | None:
    """How many decimals a fraction with this denominator has, None where they never end."""
    twos = (denominator & -denominator).bit_length() - 1
    rest, fives = denominator >> twos, 0
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    return max(twos, fives) if rest == 1 else None


def _decimal(number: Fraction, places: int) -> str:
    scaled = abs(number.numerator) * 10**places // number.denominator
    digits = str(scaled).rjust(places + 1, "0")
    text = f"{digits[:-places]}.{digits[-places:]}" if places else digits
    return ("-" if number < 0 else "") + text


def symbolic(tree: Tree) -> Any:
    """The tree as a SymPy expression, nothing evaluated that `value` would not bound.

    Raises `Beyond` for an operator that has no place in algebra.
    """
    import sympy

    if isinstance(tree, Fraction):
        _bounded(tree)
        return sympy.Rational(tree.numerator, tree.denominator)
    if isinstance(tree, str):
        # `e` and `i` have a meaning of their own to most who write them; the letter is left to neither.
        if tree in "ei":
            raise Beyond(f"{tree} can be an unknown or a constant")
        return sympy.Symbol(tree, real=True)
    operator, *parts = tree
    if operator == "^":
        return _symbolic_power(*(symbolic(each) for each in parts))
    if operator not in _SYMBOLIC:
        raise Beyond(f"{operator} is not told with unknowns or roots")
    return _SYMBOLIC[operator](sympy, *(symbolic(each) for each in parts))


MAX_DEGREE = 12


def _symbolic_power(base: Any, exponent: Any) -> Any:
    import sympy

    if not exponent.is_Rational or abs(exponent.p) > MAX_DEGREE or exponent.q > MAX_DEGREE:
        if base.is_number and exponent.is_Integer and abs(exponent) <= 1000:
            return _rational(_power(_fraction(base), _fraction(exponent)), sympy)
        raise Beyond("such a power is not told")
    if base.is_zero and not exponent.is_positive:
        raise Beyond("zero to the power of zero or less has no agreed value")
    if base.is_negative and exponent.q % 2 == 0:
        raise Beyond("an even root of a negative number is not real")
    return base**exponent


def _fraction(number: Any) -> Fraction:
    if not number.is_Rational:
        raise Beyond("such a power is not told")
    return Fraction(int(number.p), int(number.q))


def _rational(number: Fraction, sympy: Any) -> Any:
    return sympy.Rational(number.numerator, number.denominator)


def _symbolic_root(sympy: Any, a: Any, n: int) -> Any:
    if a.is_negative and n == 2:
        raise Beyond("an even root of a negative number is not real")
    return sympy.real_root(a, n) if a.is_number else sympy.root(a, n)


def _symbolic_quotient(sympy: Any, a: Any, b: Any) -> Any:
    if sympy.expand(b) == 0:
        raise Beyond("a division by zero has no value")
    return a / b


_SYMBOLIC: dict[str, Callable[..., Any]] = {
    "+": lambda _, a, b: a + b,
    "-": lambda _, a, b: a - b,
    "*": lambda _, a, b: a * b,
    "/": _symbolic_quotient,
    "neg": lambda _, a: -a,
    "percent": lambda sympy, a: a / 100,
    "abs": lambda sympy, a: sympy.Abs(a),
    "sqrt": lambda sympy, a: _symbolic_root(sympy, a, 2),
    "cbrt": lambda sympy, a: _symbolic_root(sympy, a, 3),
}


def approximately(expression: Any) -> str:
    """A SymPy number with fifteen significant digits."""
    return f"{float(expression.evalf(DIGITS + 5)):.{DIGITS}g}"
