"""Reflexes: exact or silent.  Every generated question has its answer computed apart from the code under test."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from datetime import date, datetime

import pytest

from batos.psm.reflexes import answer, units
from batos.psm.reflexes.formula import parse, spoken_number
from scripts.questions import agrees, exact, nearly
from scripts.strangers import spoken

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
    ("5'11\" in cm", "9017/50"),
    ("how many minutes are in 2 hours and 30 minutes?", 150),
    ("3 lb 4 oz in oz", 52),
    ("how many days until Christmas?", 34),
    ("how many days since 3 May?", 202),
    ("how many days until 29 February?", 465),
    ("how old is someone born on 22 November 1990?", 35),
    ("what is the date in 3 weeks?", "2026-12-12"),
    ("what day was it 21 days ago?", "2026-10-31"),
    ("split 120 between 8 people", 15),
    ("how much is a 15% tip on 84?", "63/5"),
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
    "2**(10**9)", "5'14\" in cm", "2 hours 90 minutes in seconds", "5 feet 3 kg in cm", "20 c 5 f in kelvin",
    "how many days until easter", "what time is it?", "how old is someone born on 3 May 2030?",
    "split 5 + 5 between 2 + 3", "((x+1)^12)^12 = 0", "expand (x+y+z)^12*(x+y+z)^12", "what is 5!!!!", "1e99^99",
    "-" * 1900 + "1",
]  # fmt: skip


@pytest.mark.parametrize("question", SILENT)
def test_what_is_outside_the_grammars_or_the_bounds_gets_no_answer_and_takes_no_time(question):
    began = time.process_time()
    assert ask(question) is None
    assert time.process_time() - began < 2.0  # SymPy and pint may be loaded by it


def test_a_thousand_made_up_questions_come_out_as_another_computation_says():
    asked = list(exact(1050))
    wrong = [
        (each, ask(each.text))
        for each in asked
        if (told := ask(each.text)) is None or not agrees(each, told.value)
    ]
    assert wrong == []


def test_what_only_looks_like_a_question_of_theirs_gets_no_answer():
    assert [(each.text, found) for each in nearly(200) if (found := ask(each.text))] == []


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
    rng = random.Random(7)
    for n in [*range(1000), *(rng.randrange(10**6) for _ in range(500))]:
        assert spoken_number(spoken(n).replace("-", " ").split()) == n
    assert spoken_number("ten and five".split()) is None
    assert spoken_number("twenty ten".split()) is None


def test_a_question_of_conversion_is_known_as_one_also_where_it_is_left_alone_and_however_long_a_text_is():
    assert all(units.asks(each) for each in ("2 cups in ml", "10 dollars in euros", "5 miles in km?"))
    began = time.process_time()
    assert not any(units.asks(each) for each in ("milk in tea", "2 tickets to paris", "9" * 20_000))
    assert time.process_time() - began < 1.0


def test_what_holds_only_today_says_so():
    assert ask("how many days until 25 December 2026?").today
    assert ask("what day is in 3 weeks?").today
    assert not ask("how many days between 2026-01-01 and 2026-02-01?").today
    assert not ask("how many days are in February 2024?").today


def test_the_time_of_day_is_told_by_a_moment_alone():
    assert answer("what time is it?", lambda: datetime(2026, 11, 21, 9, 5)).value == "09:05"
    assert answer("how many days until Christmas?", lambda: datetime(2026, 11, 21, 9, 5)).value == 34
    assert answer("what time is it?", lambda: TODAY) is None


def test_arithmetic_loads_neither_the_computer_algebra_nor_the_units():
    code = (
        "import sys; from batos.psm.reflexes import answer; assert answer('what is 17 * 23?').value == 391; "
        "assert answer('how is the weather?') is None; "
        "print(sorted({'sympy', 'pint', 'torch'} & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
