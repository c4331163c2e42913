"""Reflexes: questions that need no mind, answered exactly or not at all.

`answer` reads a whole question by grammars of its own: arithmetic, percentages, algebra, units,
dates, simple logic.  A question that is not read from its first word to its last is none of theirs;
what would be computed is bounded before it is.  SymPy and pint are loaded when the first question
needs them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any

from batos.psm.reflexes import algebra, arithmetic, dates, logic, units
from batos.psm.reflexes.formula import Tree, parse

MAX_TEXT = 2000
_ASKING = re.compile(
    r"(?:please |hey,? |so,? |ok,? |tell me,? |can you tell me,? |could you tell me,? |calculate|compute|evaluate|"
    r"work out|what do (?:you|i|we) get (?:if|when) (?:you|i|we)|what is|what's|whats|what are|"
    r"how much is|how much are|how many is|what does|give me|and )[:,]? ?"
)
_TRAIL = re.compile(r"(?: please| equal(?: to)?| come to| make| =|,? thanks)$")


@dataclass(frozen=True, slots=True)
class Reflex:
    """One exact answer.

    kind    arithmetic, percentage, algebra, units, dates or logic
    text    the answer as a sentence's end
    value   the same as plain data; exact numbers as integers or as text p/q
    today   does it hold only today?
    """

    kind: str
    text: str
    value: Any
    today: bool = False


def answer(question: str, today: Callable[[], date] = date.today) -> Reflex | None:
    """The exact answer to `question`, or None where no grammar reads all of it or it has none within bounds.

    today  the date, or the moment: only that tells the time of day
    """
    if len(question) > MAX_TEXT:
        return None
    whole = " ".join(question.strip().lower().replace("’", "'").split())
    text = whole.rstrip("?. ").removesuffix("=").rstrip()
    if not text or not (text[-1].isalnum() or text[-1] in ")!%|²³"):
        return None
    for kind, reflex in _KINDS:
        try:
            found = reflex(whole if reflex is logic.syllogism else text, today)
        except (arithmetic.Beyond, arithmetic.Irrational):
            continue
        if found is not None and found[0]:
            return Reflex(kind, found[0], _plain(found[1]), kind == "dates" and dates.needs_today(text))
    return None


def _arithmetic(text: str, today: Callable[[], date]) -> tuple[str, Any] | None:
    bare = _TRAIL.sub("", _asked(text))
    if _A_DATE.fullmatch(bare):
        return None  # 5/12/2024 divides nothing
    tree = _ordered(bare) or parse(_TIMES.sub(" * ", bare), unknowns=False)
    if tree is None or isinstance(tree, Fraction) or tree[0] == "neg" and isinstance(tree[1], Fraction):
        return None  # a number alone asks nothing
    try:
        number = arithmetic.value(tree)
    except arithmetic.Irrational:
        expression = arithmetic.symbolic(tree)
        if not expression.is_real or not expression.is_finite:
            return None
        return f"{str(expression).replace('**', '^')} (about {arithmetic.approximately(expression)})", str(
            expression
        )
    return arithmetic.told(number), number


_A_DATE = re.compile(r"\d{1,2}([/-])\d{1,2}\1(?:\d{2}|\d{4})|\d{4}([/-])\d{1,2}\2\d{1,2}")
_TIMES = re.compile(r"(?<=[\d)]) x (?=[\d(-])")  # "3 x 4", but not "0x10"
_SPOKEN_FRACTIONS = {
    "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "eighth": 8, "tenth": 10, "hundredth": 100,
}  # fmt: skip
_GROUP = "(?: people| persons| friends| of us)?"
_ORDERS: list[tuple[re.Pattern[str], Callable[[Tree, Tree], Tree]]] = [
    (re.compile(r"add (?P<a>.+) (?:to|and|with) (?P<b>.+)"), lambda a, b: ("+", b, a)),
    (re.compile(r"subtract (?P<a>.+) from (?P<b>.+)"), lambda a, b: ("-", b, a)),
    (re.compile(r"take (?P<a>.+?) (?:away )?from (?P<b>.+)"), lambda a, b: ("-", b, a)),
    (re.compile(r"(?P<a>.+) more than (?P<b>.+)"), lambda a, b: ("+", b, a)),
    (re.compile(r"(?P<a>.+) (?:less|fewer) than (?P<b>.+)"), lambda a, b: ("-", b, a)),
    (re.compile(r"(?P<a>.+) less (?P<b>.+)"), lambda a, b: ("-", a, b)),
    (re.compile(r"(?:the )?quotient of (?P<a>.+) and (?P<b>.+)"), lambda a, b: ("/", a, b)),
    (re.compile(r"multiply (?P<a>.+) (?:by|with|and) (?P<b>.+)"), lambda a, b: ("*", a, b)),
    (re.compile(r"divide (?P<a>.+) by (?P<b>.+)"), lambda a, b: ("/", a, b)),
    (
        re.compile(rf"(?:split|share|divide) (?P<a>.+) (?:between|among|amongst) (?P<b>.+?){_GROUP}"),
        lambda a, b: ("/", a, b),
    ),
    (
        re.compile(r"(?:the )?remainder (?:of|when) (?P<a>.+?) (?:is )?(?:divided by|over) (?P<b>.+)"),
        lambda a, b: ("mod", a, b),
    ),
]  # fmt: skip
_SHARE = re.compile(rf"(?:a|one) (?P<share>{'|'.join(_SPOKEN_FRACTIONS)}) of (?P<a>.+)")


def _ordered(text: str) -> Tree | None:
    """The tree of "subtract 8 from 20" or "a third of 99", where both are plain numbers: how far each reaches in
    "divide 100 by 5 plus 5" nobody can say."""
    if found := _SHARE.fullmatch(text):
        a = parse(found["a"], unknowns=False)
        return ("/", a, Fraction(_SPOKEN_FRACTIONS[found["share"]])) if _is_number(a) else None
    for pattern, made in _ORDERS:
        if found := pattern.fullmatch(text):
            a, b = (parse(found[name], unknowns=False) for name in "ab")
            if _is_number(a) and _is_number(b):
                return made(a, b)
    return None


def _is_number(tree: Tree | None) -> bool:
    return isinstance(tree, Fraction) or isinstance(tree, tuple) and tree[0] == "neg" and isinstance(tree[1], Fraction)


_PER = r"(?:%| percent)"
_WHAT = r"(?:what is |how much is )?"
# Of a percentage or a part `a` and a whole `b`: the number, and the sign that follows it.
_PERCENT = [
    (re.compile(r"what percent(?:age)?(?: of)? (?P<b>.+?) is (?P<a>.+)"), lambda a, b: (a / b * 100, "%")),
    (re.compile(r"(?P<a>.+?) is what percent(?:age)? of (?P<b>.+)"), lambda a, b: (a / b * 100, "%")),
    (
        re.compile(r"what (?:is the )?percent(?:age)? (?:is )?(?P<a>.+?) (?:is )?of (?P<b>.+)"),
        lambda a, b: (a / b * 100, "%"),
    ),
    (
        re.compile(
            rf"{_WHAT}(?:the )?percent(?:age)? (?:change|increase|decrease|difference) from (?P<b>.+?) to (?P<a>.+)"
        ),
        lambda a, b: ((a - b) / b * 100, "%"),
    ),
    (
        re.compile(
            rf"{_WHAT}(?P<b>.+?) (?:increased|raised) by (?P<a>.+?){_PER}|increase (?P<b2>.+?) by (?P<a2>.+?){_PER}"
        ),
        lambda a, b: (b * (100 + a) / 100, ""),
    ),
    (
        re.compile(
            rf"{_WHAT}(?P<b>.+?) (?:decreased|reduced) by (?P<a>.+?){_PER}"
            rf"|(?:decrease|reduce) (?P<b2>.+?) by (?P<a2>.+?){_PER}"
        ),
        lambda a, b: (b * (100 - a) / 100, ""),
    ),
    (re.compile(rf"{_WHAT}(?P<a>.+?){_PER} off(?: of)? (?P<b>.+)"), lambda a, b: (b * (100 - a) / 100, "")),
    (
        re.compile(rf"{_WHAT}(?:an? )?(?P<a>.+?){_PER} (?:tip|tax|vat|fee|commission) (?:on|of) (?P<b>.+)"),
        lambda a, b: (b * a / 100, ""),
    ),
]


def _percentage(text: str, today: Callable[[], date]) -> tuple[str, Any] | None:
    for pattern, computed in _PERCENT:
        found = pattern.fullmatch(text)
        if not found:
            continue
        groups = found.groupdict()
        trees = [parse(groups.get(name) or groups.get(name + "2") or "", unknowns=False) for name in "ab"]
        if any(tree is None for tree in trees):
            continue
        a, b = (arithmetic.value(tree) for tree in trees)
        if not b:
            return None
        number, sign = computed(a, b)
        return arithmetic.told(number) + sign, number
    return None


def _algebra(text: str, today: Callable[[], date]) -> tuple[str, Any] | None:
    if "=" in text:
        return algebra.solve(text)
    return algebra.rewrite(text)


_CHOOSE = re.compile(r"(?P<n>\d{1,3}) choose (?P<k>\d{1,3})")


def _choose(text: str, today: Callable[[], date]) -> tuple[str, Any] | None:
    import math

    found = _CHOOSE.fullmatch(_asked(text))
    if not found or int(found["k"]) > int(found["n"]):
        return None
    number = Fraction(math.comb(int(found["n"]), int(found["k"])))
    return arithmetic.told(number), number


def _asked(text: str) -> str:
    """The question without the words that only ask."""
    while found := _ASKING.match(text):
        text = text[found.end() :]
    return text


def _plain(value: Any) -> Any:
    if isinstance(value, Fraction):
        return value.numerator if value.denominator == 1 else f"{value.numerator}/{value.denominator}"
    return value


_KINDS: list[tuple[str, Callable[[str, Callable[[], date]], tuple[str, Any] | None]]] = [
    ("percentage", _percentage),
    ("arithmetic", _arithmetic),
    ("arithmetic", _choose),
    ("dates", dates.answer),
    ("units", lambda text, today: units.answer(text)),
    ("logic", lambda text, today: logic.answer(text)),
    ("logic", lambda text, today: logic.syllogism(text)),
    ("algebra", _algebra),
]
