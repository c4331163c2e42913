"""Exact questions as a stranger would put them: drawn from SymPy, pint and datetime, not from the reflexes' grammar.

Each question begins as an object of the library that knows its answer (an expression tree, a quantity, a date) and
is then put into words of many fashions: number words, other signs, orders ("subtract 8 from 20"), brackets nobody
needs, units by their symbols and by their names, dates in several dresses.  A reflex may abstain; what it answers has
to be what the library says.  Half of `doubtful` are texts that mean two things, or nothing: there every answer is
a false alarm.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, timedelta
from fractions import Fraction
from functools import cache
from typing import Any

from scripts.questions import Question

TODAY = date(2026, 11, 21)
SMALL = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
TENS = "zero ten twenty thirty forty fifty sixty seventy eighty ninety".split()
CLOTHES = [
    "{}", "{}?", "what is {}?", "What's {} ?", "how much is {}", "Can you tell me, {}?", "hey, {}", "so what is {}", "compute {} please",
    "{} =", "{} = ?", "WHAT IS {}", "  what   is {} ??", "I wonder what {} is", "{} equals what?", "quickly: {}", "give me {}",
]  # fmt: skip
SIGNS = {"+": ["+", " + ", " plus ", " and "], "-": ["-", " - ", " − ", " minus ", " less "],
         "*": ["*", " * ", " × ", " times ", " x ", "·", " multiplied by "], "/": ["/", " / ", " ÷ ", " divided by ", " over ", " : "]}  # fmt: skip
PAIRS = [
    ("meter", "foot"), ("mile", "kilometer"), ("inch", "centimeter"), ("yard", "meter"), ("kilogram", "pound"), ("ounce", "gram"),
    ("hour", "minute"), ("day", "hour"), ("week", "day"), ("liter", "milliliter"), ("acre", "hectare"), ("kelvin", "kelvin"),
    ("mile/hour", "kilometer/hour"), ("meter/second", "kilometer/hour"), ("joule", "kilowatt_hour"), ("nautical_mile", "mile"),
    ("meter**2", "foot**2"), ("meter**3", "liter"), ("millimeter", "inch"), ("second", "millisecond"),
]  # fmt: skip
DRESSES = {
    "meter": ["m", "meters", "metres"], "foot": ["ft", "feet"], "mile": ["mi", "miles"], "kilometer": ["km", "kilometers", "kilometres", "KM"],
    "inch": ["in", "inches", '"'], "centimeter": ["cm", "centimetres"], "yard": ["yd", "yards"], "kilogram": ["kg", "kilograms", "kilos"],
    "pound": ["lb", "lbs", "pounds"], "ounce": ["oz", "ounces"], "gram": ["g", "grams"], "hour": ["h", "hours", "hrs"],
    "minute": ["min", "minutes", "mins"], "day": ["days", "d"], "week": ["weeks"], "liter": ["l", "liters", "litres"],
    "milliliter": ["ml", "millilitres"], "acre": ["acres"], "hectare": ["ha", "hectares"], "kelvin": ["K", "kelvin"],
    "mile/hour": ["mph", "miles per hour"], "kilometer/hour": ["km/h", "kph", "kilometers per hour"],
    "meter/second": ["m/s", "meters per second"], "joule": ["J", "joules"], "kilowatt_hour": ["kWh", "kilowatt hours"],
    "nautical_mile": ["nautical miles", "nmi"], "meter**2": ["m2", "square meters", "m^2"], "foot**2": ["square feet", "sq ft", "ft2"],
    "meter**3": ["m3", "cubic metres"], "millimeter": ["mm"], "second": ["s", "seconds", "sec"], "millisecond": ["ms", "milliseconds"],
}  # fmt: skip


def spoken(n: int) -> str:
    """A number below a million in words."""
    if n < 20:
        return SMALL[n]
    if n < 100:
        return TENS[n // 10] + (f"-{SMALL[n % 10]}" if n % 10 else "")
    if n < 1000:
        return f"{SMALL[n // 100]} hundred" + (f" and {spoken(n % 100)}" if n % 100 else "")
    return f"{spoken(n // 1000)} thousand" + (f" {spoken(n % 1000)}" if n % 1000 else "")


def _leaf(rng: random.Random) -> tuple[str, Any]:
    import sympy

    n = rng.choice([rng.randrange(20), rng.randrange(1000), rng.randrange(100_000)])
    kind = rng.random()
    if kind < 0.15:
        return spoken(n), sympy.Integer(n)
    if kind < 0.25:
        return f"{n:,}", sympy.Integer(n)
    if kind < 0.35:
        return f"{n}.{rng.randrange(10)}5", None
    if kind < 0.4:
        return f"-{n}", sympy.Integer(-n)
    return str(n), sympy.Integer(n)


def arithmetic(rng: random.Random) -> Question:
    """An expression SymPy builds, its infix form with whatever brackets and signs."""
    import sympy

    def made(depth: int) -> tuple[str, Any]:
        if depth == 0 or rng.random() < 0.25:
            text, value = _leaf(rng)
            return text, sympy.Rational(text) if value is None else value
        what = rng.random()
        if what < 0.08:
            text, value = made(0)
            return f"({text}) squared", value**2
        if what < 0.14:
            n = rng.randrange(2, 30)
            return f"sqrt({n * n})", sympy.Integer(n)
        if what < 0.2:
            n, k = rng.randrange(1, 10), rng.randrange(0, 5)
            return f"{n}{rng.choice(['^', '**'])}{k}", sympy.Integer(n) ** k
        sign = rng.choice("+-*/")
        (a, x), (b, y) = made(depth - 1), made(depth - 1)
        text = f"({a}){rng.choice(SIGNS[sign])}({b})"
        return text, {"+": x + y, "-": x - y, "*": x * y, "/": x / y if y != 0 else sympy.nan}[sign]

    text, value = made(rng.randrange(1, 4))
    while (
        value is None
        or not value.is_finite
        or "(" not in text
        and value.is_Number
        and not set(text) & set("+*/^")
    ):
        text, value = made(rng.randrange(1, 4))
    return Question("arithmetic", rng.choice(CLOTHES).format(text), Fraction(int(value.p), int(value.q)))


def order(rng: random.Random) -> Question:
    """Something to be done with two numbers, in the words of a schoolbook; what percent is, too."""
    a, b = rng.randrange(1, 5000), rng.randrange(1, 500)
    x, y = (rng.choice([str, spoken])(n) for n in (a, b))
    text, value = rng.choice(
        [
            (f"add {x} to {y}", Fraction(a + b)), (f"subtract {x} from {y}", Fraction(b - a)), (f"{x} less {y}", Fraction(a - b)),
            (f"multiply {x} by {y}", Fraction(a * b)), (f"divide {x} by {y}", Fraction(a, b)), (f"take {y} away from {x}", Fraction(a - b)),
            (f"the sum of {x} and {y}", Fraction(a + b)), (f"the product of {x} and {y}", Fraction(a * b)),
            (f"the quotient of {x} and {y}", Fraction(a, b)), (f"{y} percent of {x}", Fraction(a * b, 100)), (f"{b}% of {a}", Fraction(a * b, 100)),
            (f"half of {x}", Fraction(a, 2)), (f"twice {x}", Fraction(2 * a)), (f"a third of {x}", Fraction(a, 3)), (f"{x} squared", Fraction(a * a)),
            (f"the average of {x}, {y} and 7", Fraction(a + b + 7, 3)), (f"{a} mod {b}", Fraction(a % b)), (f"{b} more than {a}", Fraction(a + b)),
            (f"the difference between {max(a, b)} and {min(a, b)}", Fraction(abs(a - b))), (f"how many times does {b} go into {a * b}", Fraction(a)),
            (f"the remainder when {a} is divided by {b}", Fraction(a % b)), (f"increase {a} by {b}%", Fraction(a * (100 + b), 100)),
        ]
    )  # fmt: skip
    return Question("order", rng.choice(CLOTHES).format(text), value)


def equation(rng: random.Random) -> Question:
    """A polynomial or a system that SymPy expands, and its own solution."""
    import sympy

    name = rng.choice("xyzabnt")
    unknown = sympy.Symbol(name)
    if rng.random() < 0.3:
        other = rng.choice([each for each in "pqrsuvw"])
        a, b = rng.randrange(-20, 21), rng.randrange(-20, 21)
        k, m = rng.randrange(1, 6), rng.randrange(1, 6)
        first, second = f"{name} + {k}{other} = {a + k * b}", f"{name} - {m}{other} = {a - m * b}"
        text = rng.choice(
            [
                "solve {} and {}",
                "{}, {}",
                "solve {}, {}",
                "if {} and {}, what is " + name,
                "solve the system {}; {}",
            ]
        )
        value = {name: [str(a)]} | ({} if "what is" in text else {other: [str(b)]})
        return Question("system", text.format(first, second), value)
    roots = sorted({rng.randrange(-12, 13) for _ in range(rng.randrange(1, 3))})
    scale = rng.randrange(1, 5)
    left = sympy.expand(scale * sympy.prod(unknown - root for root in roots))
    shift = rng.randrange(-9, 10)
    written = str(left + shift).replace("**", rng.choice(["^", "**"]))
    if rng.random() < 0.5:
        written = written.replace("*" + name, name)
    text = rng.choice(
        ["solve {} = {}", "solve for {n}: {} = {}", "what is {n} if {} = {}?", "find {n} such that {} = {}", "{} = {}, solve for {n}",
         "if {} = {} then what is {n}?", "for which {n} is {} = {}?", "{} equals {}, what is {n}?"]
    ).format(written, shift, n=name)  # fmt: skip
    return Question("equation", text, {name: [str(root) for root in roots]})


@cache
def _registry() -> Any:
    import pint

    return pint.UnitRegistry(non_int_type=Fraction, cache_folder=None)


def quantity(rng: random.Random) -> Question:
    """A quantity of pint's, in the words of its units."""
    registry = _registry()
    source, target = rng.choice(PAIRS)
    if rng.random() < 0.5:
        source, target = target, source
    amount = Fraction(rng.randrange(1, 5000), rng.choice([1, 1, 1, 2, 4, 10]))
    shown = f"{float(amount):g}" if rng.random() < 0.9 or amount.denominator > 1 else spoken(int(amount))
    value = registry.Quantity(amount, registry.Unit(source)).to(target).magnitude
    a, b = rng.choice(DRESSES[source]), rng.choice(DRESSES[target])
    text = rng.choice(
        ["{n} {a} in {b}", "convert {n} {a} to {b}", "how many {b} are {n} {a}?", "what is {n}{a} in {b}", "{n} {a} to {b}",
         "how many {b} in {n} {a}", "express {n} {a} in {b}", "{n} {a} = ? {b}", "how much is {n} {a} in {b}?", "turn {n} {a} into {b}"]
    ).format(n=shown, a=a, b=b)  # fmt: skip
    return Question("quantity", text, Fraction(value))


def _day(rng: random.Random, day: date) -> str:
    end = {1: "st", 2: "nd", 3: "rd"}.get(day.day % 10 if day.day // 10 != 1 else 0, "th")
    return rng.choice(
        [day.isoformat(), f"{day:%B} {day.day}, {day.year}", f"{day.day} {day:%b} {day.year}", f"the {day.day}{end} of {day:%B} {day.year}",
         f"{day:%b} {day.day}{end} {day.year}", f"{day:%A}, {day:%B} {day.day}, {day.year}", f"{day.year}/{day.month:02}/{day.day:02}"]
    )  # fmt: skip


def calendar(rng: random.Random) -> Question:
    """What datetime knows of two days."""
    first = date(1900, 1, 1) + timedelta(rng.randrange(70_000))
    n = rng.randrange(1, 4000)
    second = first + timedelta(n)
    a, b = _day(rng, first), _day(rng, second)
    text, value = rng.choice(
        [
            (f"what weekday was {a}", f"{first:%A}"), (f"which day of the week is {a}?", f"{first:%A}"), (f"on what day did {a} fall", f"{first:%A}"),
            (f"how many days from {a} to {b}", n), (f"days between {a} and {b}", n), (f"how many days are there between {a} and {b}?", n),
            (f"what date is {n} days after {a}", second.isoformat()), (f"{n} days after {a}", second.isoformat()),
            (f"what is the date {n} days before {b}?", first.isoformat()), (f"{a} plus {n} days", second.isoformat()),
            (f"is {first.year} a leap year", (date(first.year, 12, 31) - date(first.year, 1, 1)).days == 365),
            (f"how many days are in {first:%B} {first.year}", ((first.replace(day=28) + timedelta(4)).replace(day=1) - first.replace(day=1)).days),
            (f"{n} weeks after {a}", (first + timedelta(7 * n)).isoformat()), (f"what day was it {n} days before {b}?", first.isoformat()),
        ]
    )  # fmt: skip
    return Question("calendar", text, value)


def number(rng: random.Random) -> Question:
    """What SymPy knows of whole numbers."""
    import sympy

    a, b = rng.randrange(1, 3000), rng.randrange(1, 300)
    text, value = rng.choice(
        [
            (f"is {a} a prime number?", bool(sympy.isprime(a))), (f"is {a} prime", bool(sympy.isprime(a))), (f"is {spoken(a)} even?", a % 2 == 0),
            (f"is {a} odd", a % 2 == 1), (f"does {b} divide {a}?", a % b == 0), (f"is {a} divisible by {b}", a % b == 0),
            (f"is {a} bigger than {b}?", a > b), (f"is {a} * 2 > {b} * 3?", a * 2 > b * 3), (f"gcd({a}, {b})", Fraction(int(sympy.gcd(a, b)))),
            (f"the greatest common divisor of {a} and {b}", Fraction(int(sympy.gcd(a, b)))), (f"lcm of {a} and {b}", Fraction(int(sympy.lcm(a, b)))),
            (f"{b % 20}!", Fraction(int(sympy.factorial(b % 20)))), (f"is {a} a multiple of {b}?", a % b == 0),
            (f"{10 + b % 20} choose {b % 10}", Fraction(int(sympy.binomial(10 + b % 20, b % 10)))),
        ]
    )  # fmt: skip
    return Question("number", text, value)


DOUBTFUL = [
    "{a} / {b}({a} + 1)", "{a} + {b}%", "{b}% of {a} + {b}", "half of {a} plus {b}", "the square root of {a} plus {b}", "{m}/{d}/2024", "{d}-{m}-2024", "{m}/{d}/2025 + 3 days",
    "{a} gallons in litres", "{a} tons in pounds", "{a} cups in ml", "{a} months after 2024-01-31", "a month after January 31, 2024", "{a} miles in seconds",
    "what is {a} in {b}?", "divide {a} by {b} plus 1", "add {a} and {b} to {d}", "twice {a} plus {b}", "{a} and {b}", "how many days in a year?",
    "what weekday was 2023-02-29", "{a}:{b} + 1:30", "log {a}", "sin {a}", "1/{a}x + 2 = 0", "solve {a}x > {b}", "{a} to {b}",
    "increase {a} by {b}", "{a}% off", "{a} hundred dollars in euros", "{a} calories in joules", "{a} x {b} x", "next friday plus {d} days",
    "if {a} workers need {b} days, how long do {d} workers need?", "{a} point {b}", "-{a} mod {b}", "{a},{d} - 1", "0^0 + {a}", "{a}/0",
    "solve x + y = {a}", "solve x^2 = y and y = {b} and z", "what is the {a}th prime", "is {a} big?", "all cats are {a}. is Tom a cat?",
    "some cats are dogs. all dogs are pets. Tom is a cat. is Tom a pet?", "no cats are dogs. Tom is no dog. is Tom a cat?", "{a} squared plus", "times {a}",
]  # fmt: skip


def doubtful(count: int, seed: int) -> Iterator[Question]:
    """Texts that mean two things or none."""
    rng = random.Random(f"doubtful {seed}")
    for n in range(count):
        numbers = {
            "a": rng.randrange(13, 999),
            "b": rng.randrange(13, 99),
            "m": rng.randrange(1, 13),
            "d": rng.randrange(1, 13),
        }
        yield Question(
            "none", rng.choice(CLOTHES[:5]).format(DOUBTFUL[n % len(DOUBTFUL)].format(**numbers)), None
        )


MAKERS = [arithmetic, arithmetic, order, order, equation, quantity, quantity, calendar, number]


def strangers(count: int, seed: int) -> Iterator[Question]:
    """`count` exact questions in a stranger's words."""
    rng = random.Random(f"strangers {seed}")
    for n in range(count):
        yield MAKERS[n % len(MAKERS)](rng)
