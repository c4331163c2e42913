"""Reflexes: exact or silent.  Every generated question has its answer computed apart from the code under test."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from batos.psm.reflexes import answer
from batos.psm.reflexes.formula import spoken_number

TODAY = date(2026, 11, 21)


def ask(question):
    return answer(question, lambda: TODAY)


ASKED = [
    ("What is 17 * 23?", 391),
    ("what's two hundred minus one", 199),
    ("2^100", 2**100),
    ("1/3 + 1/6", "1/2"),
    ("0.1 + 0.2", "3/10"),
    ("-2^2", -4),
    ("2^3^2", 512),
    ("the square root of 144", 12),
    ("cbrt(-27)", -3),
    ("sqrt(2)", "sqrt(2)"),
    ("gcd of 12, 18 and 30", 6),
    ("the average of 3, 4, and 8", 5),
    ("52 choose 5", 2598960),
    ("what is 15% of 80?", 12),
    ("how much is 20% off 50?", 40),
    ("12 is what percent of 80?", 15),
    ("percentage change from 80 to 92", 15),
    ("increase 80 by 15 percent", 92),
    ("solve 2x + 3 = 11", {"x": ["4"]}),
    ("what is x if x^2 - 5x + 6 = 0", {"x": ["2", "3"]}),
    ("x + y = 10 and x - y = 2", {"x": ["6"], "y": ["4"]}),
    ("x^2 + 1 = 0", {"x": []}),
    ("solve (x^2 - 1)/(x - 1) = 2", {"x": []}),
    ("factor x^2 - 1", "(x - 1)*(x + 1)"),
    ("derivative of x^3 + 2x", "3*x^2 + 2"),
    ("convert 5 miles to km", "25146/3125"),
    ("how many feet are in a mile?", 5280),
    ("what is 212 fahrenheit in celsius?", 100),
    ("60 mph in m/s", "16764/625"),
    ("how many days between 2024-02-01 and 2024-03-01", 29),
    ("what day of the week was 20 July 1969?", "Sunday"),
    ("what date is 30 days after 21 November 2026?", "2026-12-21"),
    ("how many days until December 25, 2026?", 34),
    ("is 1900 a leap year?", False),
    ("is 561 prime?", False),
    ("which is larger, 3/7 or 0.4?", "3/7"),
    ("is 0.9 greater than 0.11?", True),
    ("255 in hex", "ff"),
    ("round 2.675 to 1 decimal", "27/10"),
    ("All cats are animals. Tom is a cat. Is Tom an animal?", True),
    ("No fish are birds. All sharks are fish. Nemo is a shark. Is Nemo a bird?", False),
    ("All cats are animals. Tom is an animal. Is Tom a cat?", None),
]


@pytest.mark.parametrize(("question", "value"), ASKED)
def test_a_question_within_a_grammar_is_answered_exactly(question, value):
    told = ask(question)
    assert told is not None
    assert told.value == value


SILENT = [
    "", "2", "-2", "n = 0", "u = 1 - u", "hello", "what is the meaning of life?", "80 + 15%", "1/2x", "10/0", "0^0", "9^9^9", "2 2", "12,34", "1.2.3",
    "what is the square root of 16 plus 9", "half of 30 plus 5", "15% of 80 + 20", "how many days in a year", "-7 mod 3",
    "3 months in days", "5 gallons in liters", "how many bytes in a megabyte", "what day is 3/4/2026",
    "how many days between 2026-03-01 and 2026-01-01", "30 February 2026 plus 1 day", "10 dollars in euros",
    "-300 celsius in kelvin", "sqrt(-1)", "__import__('os').system('true')", "x.__class__", "solve x^9 = 1",
    "what is 2 + 2 and what is the capital of France", "round 2.5 to no decimals", "1000!", "e^2 = x", "is it 5",
    "solve sin(x) = 1", "(" * 500, "1+" * 5000 + "1", "9" * 500, "5 km in kg", "some cats are dogs. Tom is a cat. Is Tom a dog?",
    "all cats are dogs. no cats are dogs. Tom is a cat. Is Tom a dog?", "10 f in m", "1st of foo 2026 plus 1 day",
    "2**(10**9)", "((x+1)^12)^12 = 0", "expand (x+y+z)^12*(x+y+z)^12", "what is 5!!!!", "1e99^99", "-" * 1900 + "1",
]  # fmt: skip


@pytest.mark.parametrize("question", SILENT)
def test_what_is_outside_the_grammars_or_the_bounds_gets_no_answer_and_takes_no_time(question):
    began = time.process_time()
    assert ask(question) is None
    assert time.process_time() - began < 2.0  # SymPy and pint may be loaded by it


def expression(rng, depth):
    """A random formula as text, and its exact value by Python's own fractions; None where undefined."""
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


def test_a_thousand_made_up_questions_come_out_as_another_computation_says():
    rng = random.Random(20261121)
    asked = 0
    for _ in range(400):
        text, expected = expression(rng, rng.randrange(1, 5))
        told = ask(rng.choice(["{}", "what is {}?", "calculate {}", "How much is {} ?"]).format(text))
        if told is None:
            assert expected is None or "(" not in text
            continue
        assert Fraction(told.value) == expected, text
        asked += 1
    for _ in range(300):
        first = date(1900, 1, 1) + timedelta(rng.randrange(60000))
        n = rng.randrange(5000)
        second = first + timedelta(n)
        words = f"{second.day} {second:%B} {second.year}"
        assert ask(f"how many days between {first} and {words}?").value == n
        assert ask(f"what date is {n} days before {words}?").value == first.isoformat()
        assert ask(f"what day of the week is {first:%B} {first.day}, {first.year}?").value == f"{first:%A}"
        asked += 3
    for _ in range(100):
        a, b, x = rng.randrange(1, 50), rng.randrange(-50, 50), rng.randrange(-50, 50)
        right = a * x + b
        told = ask(f"solve {a}x {'+' if b >= 0 else '-'} {abs(b)} = {right}")
        assert told.value == {"x": [str(x)]}
        roots = sorted({rng.randrange(-9, 10), rng.randrange(-9, 10)})
        p, q = -(roots[0] + roots[-1]), roots[0] * roots[-1]
        told = ask(f"x^2 + {p}x + {q} = 0" if p >= 0 <= q else f"x^2 + ({p})x + ({q}) = 0")
        assert told.value == {"x": [str(each) for each in roots]}
        asked += 2
    metres = {"mm": "0.001", "cm": "0.01", "km": "1000", "inches": "0.0254", "feet": "0.3048", "miles": "1609.344",
              "yards": "0.9144"}  # fmt: skip
    for _ in range(150):
        source, target = rng.sample(sorted(metres), 2)
        amount = Decimal(rng.randrange(1, 10**6)) / 100
        expected = Fraction(amount) * Fraction(metres[source]) / Fraction(metres[target])
        assert Fraction(ask(f"convert {amount} {source} to {target}").value) == expected
        asked += 1
    assert asked > 1000


def test_no_reflex_fires_on_the_prose_and_the_code_that_every_python_ships():
    import ast
    import inspect
    import statistics
    import textwrap

    fired = []
    for module in (ast, inspect, statistics, textwrap, subprocess):
        for line in inspect.getsource(module).splitlines():
            for piece in (line.strip(), line.strip(" #:;,.()")):
                found = ask(piece) if len(piece) > 3 else None
                # A formula that stands alone in a docstring is one; everything else is a false alarm.
                if found and not parse(piece.rstrip(" ?.=").lower()) and "==" not in piece:
                    fired.append((piece, found))
    assert fired == []


def test_numbers_in_words_are_read_as_they_are_said():
    ones = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()  # noqa: E501
    tens = "_ _ twenty thirty forty fifty sixty seventy eighty ninety".split()

    def said(n):
        if n < 20:
            return ones[n]
        if n < 100:
            return tens[n // 10] + (f" {ones[n % 10]}" if n % 10 else "")
        if n < 1000:
            return f"{ones[n // 100]} hundred" + (f" and {said(n % 100)}" if n % 100 else "")
        return f"{said(n // 1000)} thousand" + (f" {said(n % 1000)}" if n % 1000 else "")

    rng = random.Random(7)
    for n in [*range(1000), *(rng.randrange(10**6) for _ in range(500))]:
        assert spoken_number(said(n).split()) == n
    assert spoken_number("ten and five".split()) is None
    assert spoken_number("twenty ten".split()) is None


def test_what_holds_only_today_says_so():
    assert ask("how many days until 25 December 2026?").today
    assert not ask("how many days between 2026-01-01 and 2026-02-01?").today


def test_arithmetic_loads_neither_the_computer_algebra_nor_the_units():
    code = (
        "import sys; from batos.psm.reflexes import answer; assert answer('what is 17 * 23?').value == 391; "
        "assert answer('how is the weather?') is None; "
        "print(sorted({'sympy', 'pint', 'torch'} & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
