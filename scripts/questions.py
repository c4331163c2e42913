"""Questions with known answers, made by seeds: for the gauntlet, and in small numbers for the suite.

Each answer is computed here, by Python's own fractions and calendar or from the way the question was
made, never by the code that is tested.  `VERSION` changes with the sets: figures of two versions are not
to be compared.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

VERSION = 1


@dataclass(frozen=True)
class Question:
    """One question; `answer` is what must come out, None where nothing may."""

    kind: str
    text: str
    answer: Any


# -- reflexes ----------------------------------------------------------------------------------------------

ASKED = ["{}", "what is {}?", "calculate {}", "How much is {} ?", "Please compute {}", "what's {}"]
METRES = {
    "mm": "0.001", "cm": "0.01", "km": "1000", "inches": "0.0254", "feet": "0.3048", "miles": "1609.344", "yards": "0.9144",
}  # fmt: skip
SECONDS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400, "weeks": 604800}


def expression(rng: random.Random, depth: int) -> tuple[str, Fraction | None]:
    """A formula as text, and its exact value; None where it divides by zero."""
    if depth == 0 or rng.random() < 0.2:
        number = rng.choice([rng.randrange(100), rng.randrange(10000), Decimal(rng.randrange(10000)) / 100])
        return str(number), Fraction(number)
    operator = rng.choice("+-*/")
    left, a = expression(rng, depth - 1)
    right, b = expression(rng, depth - 1)
    text = f"({left}) {operator} ({right})" if rng.random() < 0.5 else f"({left}){operator}({right})"
    if a is None or b is None or (operator == "/" and not b):
        return text, None
    return text, {"+": a + b, "-": a - b, "*": a * b, "/": a / b if b else None}[operator]


def arithmetic(rng: random.Random) -> Question:
    """A formula in a question's clothes."""
    text, value = expression(rng, rng.randrange(1, 5))
    while "(" not in text or value is None:
        text, value = expression(rng, rng.randrange(1, 5))
    return Question("arithmetic", rng.choice(ASKED).format(text), value)


def percentage(rng: random.Random) -> Question:
    """A question about a percentage."""
    p, x = rng.randrange(1, 100), rng.randrange(1, 5000)
    return Question(
        "percentage",
        *rng.choice(
            [
                (f"what is {p}% of {x}?", Fraction(p * x, 100)),
                (f"{p} percent of {x}", Fraction(p * x, 100)),
                (f"how much is {p}% off {x}?", Fraction((100 - p) * x, 100)),
                (f"increase {x} by {p}%", Fraction((100 + p) * x, 100)),
                (f"{p} is what percent of {x}?", Fraction(100 * p, x)),
                (f"what is the percentage change from {x} to {x + p}?", Fraction(100 * p, x)),
            ]
        ),
    )


def calendar(rng: random.Random) -> Question:
    """A question about dates."""
    first = date(1900, 1, 1) + timedelta(rng.randrange(60000))
    n = rng.randrange(5000)
    second = first + timedelta(n)
    words = f"{second.day} {second:%B} {second.year}"
    return Question(
        "dates",
        *rng.choice(
            [
                (f"how many days between {first} and {words}?", n),
                (f"what date is {n} days before {words}?", first.isoformat()),
                (f"what date is {n} days after {first}?", second.isoformat()),
                (f"what day of the week is {first:%B} {first.day}, {first.year}?", f"{first:%A}"),
            ]
        ),
    )


def equation(rng: random.Random) -> Question:
    """A linear or quadratic equation with whole roots."""
    if rng.random() < 0.5:
        a, b, x = rng.randrange(1, 50), rng.randrange(-50, 50), rng.randrange(-50, 50)
        return Question(
            "algebra", f"solve {a}x {'+' if b >= 0 else '-'} {abs(b)} = {a * x + b}", {"x": [str(x)]}
        )
    roots = sorted({rng.randrange(-9, 10), rng.randrange(-9, 10)})
    p, q = -(roots[0] + roots[-1]), roots[0] * roots[-1]
    return Question(
        "algebra", f"what is x if x^2 + ({p})x + ({q}) = 0?", {"x": [str(each) for each in roots]}
    )


def conversion(rng: random.Random) -> Question:
    """A length, a time or a temperature in another unit."""
    amount = Decimal(rng.randrange(1, 10**6)) / 100
    if rng.random() < 0.2:
        return Question("units", f"what is {amount} celsius in fahrenheit?", Fraction(amount) * 9 / 5 + 32)
    table: dict[str, Any] = rng.choice([METRES, SECONDS])
    source, target = rng.sample(sorted(table), 2)
    answer = Fraction(amount) * Fraction(table[source]) / Fraction(table[target])
    text = rng.choice(
        [f"convert {amount} {source} to {target}", f"how many {target} are in {amount} {source}?"]
    )
    return Question("units", text, answer)


def logic(rng: random.Random) -> Question:
    """A comparison, a property of a number, or a chain of `all` and `no`."""
    a, b = rng.randrange(2, 2000), rng.randrange(2, 60)
    nouns = rng.sample(["cat", "animal", "pet", "robot", "tool", "bird", "poet", "singer"], 4)
    chain = f"All {nouns[0]}s are {nouns[1]}s. All {nouns[1]}s are {nouns[2]}s. Tom is a {nouns[0]}."
    return Question(
        "logic",
        *rng.choice(
            [
                (f"is {a} divisible by {b}?", a % b == 0),
                (f"is {a} prime?", all(a % n for n in range(2, int(a**0.5) + 1))),
                (f"is {a}/{b} greater than {b}/7?", Fraction(a, b) > Fraction(b, 7)),
                (f"which is larger, {a}/7 or {b}?" if Fraction(a, 7) != b else f"is {b} even?",
                 max(Fraction(a, 7), Fraction(b)) if Fraction(a, 7) != b else b % 2 == 0),
                (f"{chain} Is Tom a {nouns[2]}?", True),
                (f"{chain} No {nouns[2]}s are {nouns[3]}s. Is Tom a {nouns[3]}?", False),
            ]
        ),
    )  # fmt: skip


MAKERS = [arithmetic, arithmetic, percentage, calendar, equation, conversion, logic]


def exact(count: int, seed: int = VERSION) -> Iterator[Question]:
    """`count` questions that reflexes should answer."""
    rng = random.Random(f"exact {seed}")
    for n in range(count):
        yield MAKERS[n % len(MAKERS)](rng)


def agrees(question: Question, value: Any) -> bool:
    """Is `value` (a reflex's plain value) the question's answer?"""
    if isinstance(question.answer, Fraction):
        try:
            return not isinstance(value, bool) and Fraction(value) == question.answer
        except (TypeError, ValueError):
            return False
    return value == question.answer and type(value) is type(question.answer)


NEARLY = [
    "{a} + {b}%", "1/{a}x", "{a} {b}", "what is {a} plus", "{a} months in days", "{a} gallons in liters",
    "the square root of {a} plus {b}", "half of {a} minus {b}", "what day is {m}/{d}/2026?", "how many days in {a} years",
    "{a} dollars in euros", "is {a} a lucky number?", "what rhymes with {a}?", "solve {a}x^9 + {b}x = 1",
    "what is {a} + {b} and who wrote Faust?", "{a},{d} + 1", "{a}.{b}.{d}", "-{a} mod {b}", "{a} km in kg",
    "how old is {a}?", "what is the {a}th prime?", "{a} in roman numerals", "room {a}", "call me at {a}-{b}-{d}!",
    "version {a}.{b} or later", "some cats are dogs. Tom is a cat. Is Tom a dog?", "x{a} = y", "{a}/0", "0^0 + {a}",
    "what happened in {y}?", "page {a} of {b}", "{a} for {b}", "sin({a})", "log({a})", "roll {d}d{m}", "{a} or {b}?",
]  # fmt: skip


def nearly(count: int, seed: int = VERSION) -> Iterator[Question]:
    """`count` texts that look like reflexes' and are not: an answer to one is a false alarm."""
    rng = random.Random(f"nearly {seed}")
    for n in range(count):
        numbers = {"a": rng.randrange(13, 999), "b": rng.randrange(13, 99), "m": rng.randrange(1, 13),
                   "d": rng.randrange(1, 13), "y": rng.randrange(1500, 2020)}  # fmt: skip
        yield Question("none", NEARLY[n % len(NEARLY)].format(**numbers), None)


# -- facts that are told, and asked for later ----------------------------------------------------------------

FIRST = "Ada Bela Cleo Dario Edda Fynn Greta Hugo Iris Jonas Kira Levin Mila Nils Olga Pavel".split()
THINGS = [
    ("{who}'s dog is called {name}.", "What is {who}'s dog called?", ["Rex", "Bello", "Luna", "Biscuit", "Pepper"]),
    ("{who} works as a {name}.", "What does {who} work as?", ["baker", "pilot", "surgeon", "gardener", "glazier"]),
    ("{who} was born in {name}.", "Where was {who} born?", ["Lisbon", "Oslo", "Quito", "Kyoto", "Tunis"]),
    ("{who} is allergic to {name}.", "What is {who} allergic to?", ["peanuts", "pollen", "latex", "shrimp", "wool"]),
    ("{who} plays the {name} in the orchestra.", "Which instrument does {who} play?", ["cello", "oboe", "harp", "tuba", "viola"]),
    ("{who} keeps the spare key under the {name}.", "Where does {who} keep the spare key?", ["doormat", "flowerpot", "bench", "bricks", "statue"]),
]  # fmt: skip


def told(count: int, seed: int = VERSION) -> list[tuple[str, str, str]]:
    """`count` facts: what is told, what is asked later, and the word that must be in the answer."""
    rng = random.Random(f"told {seed}")
    pairs = [(who, thing) for who in FIRST for thing in THINGS]
    rng.shuffle(pairs)
    facts = []
    for who, (statement, question, names) in pairs[:count]:
        name = rng.choice(names)
        facts.append((statement.format(who=who, name=name), question.format(who=who), name))
    return facts


UNKNOWN = [
    "Who won the chess olympiad of 1974?", "What is the boiling point of tungsten?", "Which king built the harbour of Tyre?",
    "When does the last ferry to Hydra leave?", "What colour is the flag of Vanuatu?", "How do I solder a SMD capacitor?",
    "Who discovered penicillin?", "What is the plot of Hamlet?", "Where can I buy saffron in Basel?",
    "How long do tortoises sleep?", "Which verb ends a German subordinate clause?", "What did the senate decide on Tuesday?",
    "Who painted the ceiling of the town hall?", "Why do cats purr?", "What is the capital of Burkina Faso?",
    "How is cheddar made?", "What is the fastest train in Spain?", "Which moon of Saturn has lakes?",
    "What does the Treaty of Utrecht say?", "How tall was Goliath?",
]  # fmt: skip
