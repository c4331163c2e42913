"""Simple logic: comparisons, properties of whole numbers, and syllogisms of `all` and `no`.

A syllogism is read only from sentences of four forms ("all A are B", "no A are B", "x is a A", "x is
not a A") and a question of one of them; what does not follow is told as not following, never guessed.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import Any

from batos.psm.reflexes.arithmetic import told, value
from batos.psm.reflexes.formula import parse

MAX_PRIME = 10**12  # trial division by a wheel stays under ten milliseconds
MAX_SENTENCES = 40

_COMPARED = re.compile(
    r"is (?P<a>.+?) (?P<how>(?:greater|more|larger|bigger|higher) than|(?:less|smaller|lower|fewer) than|equal to|"
    r"the same as|at least|at most|<=|>=|<|>|==|=) (?P<b>.+)"
)
_WHICH = re.compile(
    r"(?:which|what) (?:number )?is (?P<how>larger|bigger|greater|more|higher|smaller|less|lower)(?:,|:)? (?P<a>.+?),? or (?P<b>.+)"
)
_DIVISIBLE = re.compile(r"is (?P<a>.+?) (?:evenly )?divisible by (?P<b>.+)")
_PROPERTY = re.compile(r"is (?P<a>.+?) (?:an? )?(?P<what>prime|even|odd|perfect square|square)(?: number)?")
_FACTORS = re.compile(
    r"(?:what are |find |give )?(?:the )?prime factors of (?P<a>.+)|prime factorization of (?P<a2>.+)"
)
_BASE = re.compile(
    r"(?:convert |what is |write )?(?P<a>[\d,]+) (?:to|in|as|into) (?P<base>binary|hexadecimal|hex|octal)"
)
_FROM_BASE = re.compile(
    r"(?:convert |what is )?(?P<base>binary|hexadecimal|hex|octal) (?P<a>[0-9a-f]{1,60}) (?:to|in|as|into) decimal"
)
_ROUND = re.compile(r"round (?P<a>.+?) to (?P<n>\d{1,2}|one|two|three|four|no|zero|the nearest (?:whole number|integer))"
                    r"(?: decimal places?| decimals?| places?)?")  # fmt: skip
_BASES = {"binary": 2, "octal": 8, "hex": 16, "hexadecimal": 16}
_FORMATS = {2: "b", 8: "o", 16: "x"}


def answer(text: str) -> tuple[str, Any] | None:
    """The answer to a question of logic about numbers in `text` (lower case, no question mark), or None."""
    for pattern, decided in _QUESTIONS:
        found = pattern.fullmatch(text)
        if found:
            told_ = decided(found)
            if told_ is not None:
                return told_
    return None


def _number(text: str) -> Fraction | None:
    tree = parse(text, unknowns=False)
    return None if tree is None else value(tree)


def _natural(text: str) -> int | None:
    number = _number(text)
    return int(number) if number is not None and number.denominator == 1 else None


def _yes(truth: bool) -> tuple[str, bool]:
    return ("yes" if truth else "no"), truth


def _compared(found: re.Match) -> tuple[str, Any] | None:
    a, b = _number(found["a"]), _number(found["b"])
    if a is None or b is None:
        return None
    how = found["how"]
    if how in ("equal to", "the same as", "=", "=="):
        return _yes(a == b)
    if how in ("at least", ">="):
        return _yes(a >= b)
    if how in ("at most", "<="):
        return _yes(a <= b)
    return (
        _yes(a > b)
        if how == ">" or how.split()[0] in ("greater", "more", "larger", "bigger", "higher")
        else _yes(a < b)
    )


def _which(found: re.Match) -> tuple[str, Any] | None:
    a, b = _number(found["a"]), _number(found["b"])
    if a is None or b is None:
        return None
    if a == b:
        return "neither, they are equal", None
    larger = found["how"] in ("larger", "bigger", "greater", "more", "higher")
    best = max(a, b) if larger else min(a, b)
    return told(best), best


def _divisible(found: re.Match) -> tuple[str, Any] | None:
    a, b = _natural(found["a"]), _natural(found["b"])
    return _yes(a % b == 0) if a is not None and b else None


def _property(found: re.Match) -> tuple[str, Any] | None:
    a = _natural(found["a"])
    if a is None:
        return None
    what = found["what"]
    if what == "even" or what == "odd":
        return _yes(a % 2 == (what == "odd"))
    if what == "prime":
        return _yes(a > 1 and factors(a) == [a]) if a <= MAX_PRIME else None
    return _yes(a >= 0 and math.isqrt(a) ** 2 == a)


def factors(n: int) -> list[int]:
    """The prime factors of 1 < n <= MAX_PRIME, smallest first, by trial division."""
    found = []
    for p in (2, 3):
        while n % p == 0:
            found.append(p)
            n //= p
    p = 5
    while p * p <= n:
        for each in (p, p + 2):
            while n % each == 0:
                found.append(each)
                n //= each
        p += 6
    return [*found, n] if n > 1 else found


def _factors(found: re.Match) -> tuple[str, Any] | None:
    a = _natural(found["a"] or found["a2"])
    if a is None or not 1 < a <= MAX_PRIME:
        return None
    primes = factors(a)
    return " * ".join(map(str, primes)), primes


def _base(found: re.Match) -> tuple[str, Any] | None:
    a = _natural(found["a"])
    if a is None:
        return None
    text = format(a, _FORMATS[_BASES[found["base"]]])
    return text, text


def _from_base(found: re.Match) -> tuple[str, Any] | None:
    try:
        number = int(found["a"], _BASES[found["base"]])
    except ValueError:
        return None
    return str(number), number


def _round(found: re.Match) -> tuple[str, Any] | None:
    a = _number(found["a"])
    words = {"one": 1, "two": 2, "three": 3, "four": 4, "no": 0, "zero": 0}
    n = words.get(found["n"], 0 if found["n"].startswith("the") else None)
    n = int(found["n"]) if n is None else n
    if a is None:
        return None
    scaled = abs(a) * 10**n
    if scaled.denominator != 1 and scaled % 1 == Fraction(1, 2):
        return None  # halves are rounded up by some and to even by others
    rounded = Fraction(int(scaled + Fraction(1, 2)), 10**n) * (-1 if a < 0 else 1)
    digits = str(abs(rounded.numerator) * 10**n // rounded.denominator).rjust(n + 1, "0")
    text = f"{digits[:-n]}.{digits[-n:]}" if n else digits
    return ("-" if rounded < 0 else "") + text, rounded


_QUESTIONS = [
    (_WHICH, _which), (_DIVISIBLE, _divisible), (_PROPERTY, _property), (_COMPARED, _compared), (_FACTORS, _factors),
    (_BASE, _base), (_FROM_BASE, _from_base), (_ROUND, _round),
]  # fmt: skip


# -- syllogisms ------------------------------------------------------------------------------------

_WORD = r"[a-z][a-z-]*"
_ALL = re.compile(rf"(?:if )?(?:all|every) (?P<a>{_WORD}) (?:are|is) (?P<not>not )?(?:an? )?(?P<b>{_WORD})")
_NO = re.compile(rf"(?:if )?no (?P<a>{_WORD}) (?:are|is) (?:an? )?(?P<b>{_WORD})")
_IS = re.compile(rf"(?:if )?(?P<x>{_WORD}) is (?P<not>not )?(?:an? )(?P<a>{_WORD})")
_ASKED = re.compile(rf"(?:then |so |therefore |and )?is (?P<x>{_WORD}) (?:an? )?(?P<a>{_WORD})")
_ASKED_ALL = re.compile(rf"(?:then |so |therefore |and )?are all (?P<a>{_WORD}) (?P<b>{_WORD})")


def syllogism(text: str) -> tuple[str, Any] | None:
    """What follows from the sentences before the question in `text` (lower case), or None where it is none."""
    sentences = [
        each.strip() for each in re.split(r"[.;?!]|, (?=(?:and |then |so |is |are |no |all |every ))", text)
    ]
    sentences = [each.removeprefix("and ") for each in sentences if each]
    if not 2 <= len(sentences) <= MAX_SENTENCES:
        return None
    above: dict[str, set[str]] = {}
    apart: set[frozenset[str]] = set()
    members: dict[str, set[str]] = {}
    outside: dict[str, set[str]] = {}
    for sentence in sentences[:-1]:
        if (found := _ALL.fullmatch(sentence)) or (found := _NO.fullmatch(sentence)):
            a, b = _one(found["a"]), _one(found["b"])
            if found.re is _ALL and not found["not"]:
                above.setdefault(a, set()).add(b)
            elif found.re is _NO:
                apart.add(frozenset((a, b)))
            else:
                return None  # "all are not" is read in two ways
        elif (found := _IS.fullmatch(sentence)) and found["x"] not in ("it", "this", "that", "he", "she"):
            (outside if found["not"] else members).setdefault(found["x"], set()).add(_one(found["a"]))
        else:
            return None
    last = sentences[-1]
    if found := _ASKED_ALL.fullmatch(last):
        start, goal = {_one(found["a"])}, _one(found["b"])
        denied: set[str] = set()
    elif found := _ASKED.fullmatch(last):
        start, goal = members.get(found["x"], set()), _one(found["a"])
        denied = outside.get(found["x"], set())
        if not start and not denied:
            return None
    else:
        return None
    known = _closure(start, above)
    if (
        any(frozenset(pair) in apart for pair in ((a, b) for a in known for b in known if a != b))
        or denied & known
    ):
        return None  # the sentences contradict each other: anything would follow
    if goal in known:
        return _yes(True)
    beyond = _closure({goal}, above)
    if any(frozenset((a, b)) in apart for a in known for b in beyond if a != b) or denied & beyond:
        return _yes(False)
    return "that does not follow from what was said", None


def _closure(start: set[str], above: dict[str, set[str]]) -> set[str]:
    found, waiting = set(start), list(start)
    while waiting:
        for each in above.get(waiting.pop(), ()):
            if each not in found:
                found.add(each)
                waiting.append(each)
    return found


def _one(noun: str) -> str:
    """A noun without its plural ending, well enough to meet itself again."""
    for ending, single in (
        ("ies", "y"),
        ("men", "man"),
        ("sses", "ss"),
        ("xes", "x"),
        ("ches", "ch"),
        ("shes", "sh"),
    ):
        if noun.endswith(ending):
            return noun[: -len(ending)] + single
    return noun[:-1] if noun.endswith("s") and not noun.endswith("ss") else noun
