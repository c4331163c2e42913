"""Formulas: text to a tree of plain data, by a grammar of our own.

Nothing here is ever handed to an evaluator of text (`eval`, SymPy's `parse_expr`), so a formula is
bounded before anything is computed: at most `MAX_TOKENS` tokens, `MAX_DIGITS` digits a number and
`MAX_DEPTH` levels.  `parse` answers None for whatever is not a formula from its first letter to its
last; to guess is not its business.

A tree is a `Fraction` (a number), a `str` (an unknown), or a tuple: an operator and its operands.
Operators: ``+ - * / ^ mod neg sqrt cbrt abs ! percent`` and ``gcd lcm min max mean choose root``.

>>> parse("2x^2 + 15% of 80")
('+', ('*', Fraction(2, 1), ('^', 'x', Fraction(2, 1))), ('*', ('percent', Fraction(15, 1)), Fraction(80, 1)))
"""

from __future__ import annotations

import re
from fractions import Fraction

Tree = Fraction | str | tuple

MAX_TOKENS = 200
MAX_DIGITS = 100
MAX_DEPTH = 40
MAX_TEXT = 2000

NUMBERS = {
    word: number
    for number, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
        "sixteen seventeen eighteen nineteen twenty".split()
    )
} | {"thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}

# What a person writes for an operator; longer phrases first.
PHRASES = [
    ("to the power of", "^"), ("raised to the power", "^"), ("raised to", "^"), ("multiplied by", "*"),
    ("divided by", "/"), ("modulo", "mod"), ("plus", "+"), ("minus", "-"), ("times", "*"), ("over", "/"),
    ("percent of", "% of"), ("per cent of", "% of"), ("per cent", "%"), ("percent", "%"),
    ("factorial", "!"),
]  # fmt: skip
POSTFIX = {"squared": 2, "cubed": 3}
# prefix phrase -> operator; each takes the operand that follows ("square root of 2", "sqrt(2)")
PREFIX = [
    ("the square root of", "sqrt"), ("square root of", "sqrt"), ("the cube root of", "cbrt"),
    ("cube root of", "cbrt"), ("the absolute value of", "abs"), ("absolute value of", "abs"),
    ("the factorial of", "factorial"), ("factorial of", "factorial"), ("the square of", "square"),
    ("square of", "square"), ("the cube of", "cube"), ("cube of", "cube"), ("half of", "half"),
    ("twice", "twice"), ("double", "twice"), ("sqrt", "sqrt"), ("cbrt", "cbrt"), ("abs", "abs"),
    ("√", "sqrt"),
]  # fmt: skip
# a function of several: "gcd(12, 18)", "the greatest common divisor of 12 and 18"
SEVERAL = [
    ("greatest common divisor", "gcd"), ("highest common factor", "gcd"), ("gcd", "gcd"), ("hcf", "gcd"),
    ("least common multiple", "lcm"), ("lowest common multiple", "lcm"), ("lcm", "lcm"),
    ("arithmetic mean", "mean"), ("average", "mean"), ("mean", "mean"), ("sum", "sum"), ("product", "product"),
    ("smallest", "min"), ("minimum", "min"), ("lowest", "min"), ("min", "min"),
    ("largest", "max"), ("biggest", "max"), ("maximum", "max"), ("greatest", "max"), ("highest", "max"),
    ("max", "max"),
]  # fmt: skip

_NUMBER = re.compile(r"(?:\d{1,3}(?:,\d{3})+(?!\d|,\d)|\d+)(?:\.\d+)?(?:[eE][+-]?\d{1,2}(?![\w.]))?|\.\d+")
_NAME = re.compile(r"[a-z]+")
_SIGNS = {"×": "*", "·": "*", "⋅": "*", "∗": "*", "÷": "/", "−": "-", "–": "-", "²": "^2", "³": "^3"}


class NoFormula(ValueError):
    """The text is no formula; the reason is for tests and for the curious."""


def parse(text: str, unknowns: bool = True) -> Tree | None:
    """The tree of `text`, or None where it is no formula as a whole.

    unknowns  may single letters stand for unknowns (``2x`` is then ``2*x``)?
    """
    try:
        return _Parser(text, unknowns).whole()
    except NoFormula:
        return None


def unknowns_of(tree: Tree) -> set[str]:
    """The unknowns in a tree."""
    if isinstance(tree, str):
        return {tree}
    if isinstance(tree, tuple):
        return set().union(*(unknowns_of(each) for each in tree[1:]))
    return set()


def spoken_number(words: list[str]) -> int | None:
    """The integer that number words say ("two hundred and five"), below a trillion, else None."""
    total, part, last = 0, 0, None
    if not words or words[0] == "and":
        return None
    for word in words:
        if word == "and":
            if last not in ("hundred", "thousand", "million", "billion"):
                return None
        elif word in NUMBERS:
            number = NUMBERS[word]
            tens_before = last in NUMBERS and NUMBERS[last] >= 20 and 0 < number < 10
            if last in NUMBERS and not tens_before:
                return None
            part += number
        elif word == "hundred":
            if not 0 < part < 10:
                return None
            part *= 100
        elif word in SCALES:
            if not 0 < part < 1000 or (total and total % (SCALES[word] * 1000)):
                return None
            total, part = total + part * SCALES[word], 0
        else:
            return None
        last = word
    return None if last == "and" else total + part


class _Parser:
    """Recursive descent with the usual precedence: sums, products, signs, powers (to the right), postfix."""

    def __init__(self, text: str, unknowns: bool):
        self.unknowns = unknowns
        self.at = 0
        self.depth = 0
        self.tokens = _tokens(text)

    def whole(self) -> Tree:
        tree = self.sum()
        if self.at < len(self.tokens):
            raise NoFormula(f"left over: {self.tokens[self.at :]}")
        return tree

    def peek(self) -> str | Fraction | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def take(self, *wanted: str) -> str | None:
        token = self.peek()
        if isinstance(token, str) and token in wanted:
            self.at += 1
            return token
        return None

    def need(self, wanted: str) -> None:
        if not self.take(wanted):
            raise NoFormula(f"{wanted} expected")

    def sum(self) -> Tree:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise NoFormula("nested too deeply")
        tree = self.product()
        while operator := self.take("+", "-"):
            right = self.product()
            if _is_percent(right):
                # Calculators and mathematicians disagree about 80 + 15%; we do not choose.
                raise NoFormula("a percentage added to a number can be meant in two ways")
            tree = (operator, tree, right)
        self.depth -= 1
        return tree

    def product(self) -> Tree:
        tree = self.signed()
        while True:
            if operator := self.take("*", "/", "mod"):
                tree = (operator, tree, self.signed())
            elif self.take("of"):
                if not _is_percent(tree) and not (isinstance(tree, tuple) and tree[0] == "/"):
                    raise NoFormula("of what?")
                tree = ("*", tree, self.signed())
                self._end_of_phrase()
            elif self._juxtaposed(tree):
                tree = ("*", tree, self.power())
            else:
                return tree

    def _juxtaposed(self, tree: Tree) -> bool:
        """Is ``2x``, ``2(x + 1)`` or ``(x + 1)(x - 1)`` meant?  Not ``1/2x``: that is read in two ways."""
        token = self.peek()
        if token is None or not self.unknowns:
            return False
        if not (token == "(" or (isinstance(token, str) and len(token) == 1 and token.isalpha())):
            return False
        if isinstance(tree, tuple) and tree[0] == "/":
            raise NoFormula("1/2x can be meant in two ways")
        return True

    def signed(self) -> Tree:
        if self.take("-"):
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise NoFormula("nested too deeply")
            tree = ("neg", self.signed())
            self.depth -= 1
            return tree
        if self.take("+"):
            return self.signed()
        return self.power()

    def power(self) -> Tree:
        base = self.postfix()
        if self.take("^"):
            return ("^", base, self.signed())
        return base

    def postfix(self) -> Tree:
        tree = self.atom()
        while operator := self.take("!", "%", *POSTFIX):
            if operator == "%":
                tree = ("percent", tree)
            elif operator == "!":
                tree = ("!", tree)
            else:
                tree = ("^", tree, Fraction(POSTFIX[operator]))
        return tree

    def atom(self) -> Tree:
        token = self.peek()
        if isinstance(token, Fraction):
            self.at += 1
            return token
        if self.take("("):
            tree = self.sum()
            self.need(")")
            return tree
        if self.take("|"):
            tree = self.sum()
            self.need("|")
            return ("abs", tree)
        if isinstance(token, str) and token.startswith("fn:"):
            self.at += 1
            return self._applied(token[3:])
        if isinstance(token, str) and token.startswith("fns:"):
            self.at += 1
            return self._several(token[4:])
        if self.unknowns and isinstance(token, str) and len(token) == 1 and token.isalpha():
            self.at += 1
            return token
        raise NoFormula(f"a number was expected, not {token!r}")

    def _applied(self, name: str) -> Tree:
        operand = self.power()
        if self.tokens[self.at - 1] != ")":
            self._end_of_phrase()
        if name == "factorial":
            return ("!", operand)
        if name in ("square", "cube"):
            return ("^", operand, Fraction(2 if name == "square" else 3))
        if name == "half":
            return ("/", operand, Fraction(2))
        if name == "twice":
            return ("*", Fraction(2), operand)
        return (name, operand)

    def _several(self, name: str) -> Tree:
        bracket = self.take("(")
        if not bracket:
            self.need("of")
        operand = self.sum if bracket else self.signed
        operands = [operand()]
        while self.take(",", "and") or (self.tokens[self.at - 1 : self.at] == [","] and self.take("and")):
            if self.tokens[self.at - 1] == ",":
                self.take("and")
            operands.append(operand())
        if bracket:
            self.need(")")
        if len(operands) < 2:
            raise NoFormula(f"{name} of several numbers")
        if name in ("sum", "product"):
            tree, operator = operands[0], "+" if name == "sum" else "*"
            for each in operands[1:]:
                tree = (operator, tree, each)
            return tree
        return (name, *operands)

    def _end_of_phrase(self) -> None:
        """What follows "the square root of 16" may or may not be part of it: "... plus 9" is read in two ways."""
        if self.peek() in ("+", "-", "*", "/", "^", "mod", "of"):
            raise NoFormula("how far does `of` reach?")


def _is_percent(tree: Tree) -> bool:
    return isinstance(tree, tuple) and tree[0] == "percent"


def _tokens(text: str) -> list[str | Fraction]:
    if len(text) > MAX_TEXT:
        raise NoFormula("too long")
    text = text.strip()
    for sign, plain in _SIGNS.items():
        text = text.replace(sign, plain)
    text = text.replace("**", "^")
    found: list[str | Fraction] = []
    at = 0
    while at < len(text):
        if len(found) > MAX_TOKENS:
            raise NoFormula("too many parts")
        if text[at].isspace():
            at += 1
            continue
        at = _word(text, at, found) or _sign_or_number(text, at, found)
    return found


def _sign_or_number(text: str, at: int, found: list) -> int:
    number = _NUMBER.match(text, at)
    if number:
        word = number.group()
        if len(word) > MAX_DIGITS:
            raise NoFormula("too many digits")
        after = text[number.end() : number.end() + 1]
        if after in (".", "_") and text[number.end() + 1 : number.end() + 2].isdigit():
            raise NoFormula("a number with two points")
        found.append(Fraction(word.replace(",", "")))
        return number.end()
    if text[at] in "+-*/^()!%,|√":
        found.append("fn:sqrt" if text[at] == "√" else text[at])
        return at + 1
    if text[at].isalpha() and (at + 1 == len(text) or not text[at + 1].isalpha()):
        found.append(text[at])
        return at + 1
    raise NoFormula(f"{text[at]!r} means nothing here")


def _word(text: str, at: int, found: list) -> int | None:
    """A phrase, a function or a number in words; None where there is none."""
    low = text.lower()
    if not low[at].isalpha():
        return None
    for phrase, sign in PHRASES:
        if _stands(low, at, phrase):
            found.extend(sign.split())
            return at + len(phrase)
    for phrase in ("of", "and", "mod", *POSTFIX):
        if _stands(low, at, phrase):
            found.append(phrase)
            return at + len(phrase)
    for phrase, name in PREFIX:
        if _stands(low, at, phrase):
            found.append("fn:" + name)
            return at + len(phrase)
    start = at + 4 if low.startswith("the ", at) else at
    for phrase, name in SEVERAL:
        if _stands(low, start, phrase):
            found.append("fns:" + name)
            return start + len(phrase)
    return _spoken(low, at, found)


def _stands(low: str, at: int, phrase: str) -> bool:
    end = at + len(phrase)
    return low.startswith(phrase, at) and not low[end : end + 1].isalpha()


def _spoken(low: str, at: int, found: list) -> int | None:
    words: list[str] = []
    ends: list[int] = []
    end = at
    while (word := _NAME.match(low, end)) and (word.group() in NUMBERS or word.group() in SCALES or (
        words and word.group() == "and"
    )):  # fmt: skip
        words.append(word.group())
        ends.append(word.end())
        end = word.end()
        while low[end : end + 1] in (" ", "-") and low[end : end + 1]:
            if low[end] == "-" and not low[end + 1 : end + 2].isalpha():
                break
            end += 1
    while words:
        number = spoken_number(words)
        if number is not None:
            found.append(Fraction(number))
            return ends[-1]
        words.pop()
        ends.pop()
    return None
