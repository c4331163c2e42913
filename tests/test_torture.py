"""The short run of `scripts/torture`, and the tortures themselves under test: each must see what it looks for."""

from __future__ import annotations

import random

import pytest

from scripts.faults import checker
from scripts.faults.checker import Transaction, check


def history(*told) -> list[Transaction]:
    """Transactions from (sent, answered, steps, outcome="answered")."""
    return [
        Transaction(number, list(steps), sent, answered, *rest)
        for number, (sent, answered, steps, *rest) in enumerate(told, 1)
    ]


LAST = (90, 91)  # a read when all is over
BROKEN = {
    "a lost update of a register": (
        history(
            (0, 9, [("swap", "r", 1, None)]),
            (1, 8, [("swap", "r", 2, None)]),
        ),
        "lost update",
    ),
    "a lost update of a list: both read it empty, both appended": (
        history(
            (0, 9, [("read", "x", []), ("append", "x", 1)]),
            (1, 8, [("read", "x", []), ("append", "x", 2)]),
            (*LAST, [("read", "x", [1, 2])]),
        ),
        "G-single",
    ),
    "an append that was acknowledged and is gone": (
        history((0, 1, [("append", "x", 1)]), (2, 3, [("append", "x", 2)]), (*LAST, [("read", "x", [2])])),
        "lost append",
    ),
    "write skew: each read what the other wrote": (
        history(
            (0, 9, [("read", "x", []), ("append", "y", 1)]),
            (1, 8, [("read", "y", []), ("append", "x", 2)]),
            (*LAST, [("read", "x", [2]), ("read", "y", [1])]),
        ),
        "G2",
    ),
    "write skew of registers": (
        history(
            (0, 9, [("look", "a", None), ("swap", "b", 1, None)]),
            (1, 8, [("look", "b", None), ("swap", "a", 2, None)]),
        ),
        "G2",
    ),
    "a dirty read of what was refused": (
        history((0, 9, [("append", "x", 1)], "refused"), (1, 8, [("read", "x", [1])])),
        "G1a",
    ),
    "a read of the middle of a transaction": (
        history(
            (0, 9, [("append", "x", 1), ("append", "x", 2)]),
            (1, 8, [("read", "x", [1])]),
            (*LAST, [("read", "x", [1, 2])]),
        ),
        "G1b",
    ),
    "read skew: half of somebody's transaction": (
        history(
            (0, 9, [("append", "x", 1), ("append", "y", 2)]),
            (1, 8, [("read", "x", [1]), ("read", "y", [])]),
            (*LAST, [("read", "y", [2])]),
        ),
        "G-single",
    ),
    "writes in different orders in two places": (
        history(
            (0, 9, [("append", "x", 1), ("append", "y", 1)]),
            (1, 8, [("append", "x", 2), ("append", "y", 2)]),
            (*LAST, [("read", "x", [1, 2]), ("read", "y", [2, 1])]),
        ),
        "G0",
    ),
    "two that each saw the other": (
        history(
            (0, 9, [("append", "x", 1), ("read", "y", [2])]),
            (1, 8, [("append", "y", 2), ("read", "x", [1])]),
        ),
        "G1c",
    ),
    "a stale read: answered before it was sent, and not seen": (
        history((0, 1, [("append", "x", 1)]), (2, 3, [("read", "x", [])]), (*LAST, [("read", "x", [1])])),
        "G-single-realtime",
    ),
    "a stale look at a register": (
        history((0, 1, [("swap", "r", 1, None)]), (2, 3, [("look", "r", None)])),
        "G-single-realtime",
    ),
    "reads that contradict one another": (
        history(
            (0, 9, [("append", "x", 1)]), (0, 9, [("append", "x", 2)]),
            (1, 8, [("read", "x", [1, 2])]), (1, 8, [("read", "x", [2])]),
        ),
        "incompatible order",
    ),
    "something applied twice": (
        history((0, 1, [("append", "x", 1)]), (2, 3, [("read", "x", [1, 1])])),
        "duplicate",
    ),
    "something nobody wrote": (history((2, 3, [("read", "x", [7])])), "garbage"),
    "a transaction that does not see itself": (
        history((0, 1, [("append", "x", 1), ("read", "x", [])]), (*LAST, [("read", "x", [1])])),
        "internal",
    ),
    "half of an unanswered transaction": (
        history(
            (0, float("inf"), [("append", "x", 1), ("append", "y", 1)], "unanswered"),
            (*LAST, [("read", "x", [1])]),
            (92, 93, [("read", "y", [])]),
        ),
        "lost append",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("told", "name"), BROKEN.values(), ids=BROKEN)
def test_the_checker_rejects_and_names(told, name):
    verdict = check(told)
    assert name in verdict.names, verdict.anomalies
    assert not verdict.order


def test_the_checker_accepts_what_one_after_another_explains():
    verdict = check(
        history(
            (0, 9, [("append", "x", 1), ("swap", "r", 1, None)]),
            (1, 8, [("read", "x", [1]), ("append", "x", 2), ("swap", "r", 2, 1)]),
            (0, float("inf"), [("append", "x", 3), ("append", "y", 3)], "unanswered"),
            (0, float("inf"), [("append", "x", 4)], "unanswered"),
            (5, 6, [("append", "x", 5)], "refused"),
            (*LAST, [("read", "x", [1, 2, 3]), ("read", "y", [3]), ("look", "r", 2)]),
        )
    )
    assert verdict.anomalies == []
    assert [each.number for each in verdict.order] == [1, 2, 3, 6]


@pytest.mark.parametrize("seed", range(30))
def test_the_checker_agrees_with_a_store_that_is_serial_and_with_one_that_is_not(seed):
    """Random histories: a true serial store is always accepted; one that sometimes reads an old state never survives
    long.  Overlap in time is made up around the moment at which each transaction ran."""
    rng = random.Random(seed)
    honest = made_up(rng, stale=0.0)
    assert check(honest).anomalies == []
    assert check(made_up(rng, stale=0.2)).anomalies


def made_up(rng: random.Random, stale: float) -> list[Transaction]:
    lists: dict[str, list[int]] = {key: [] for key in "xyz"}
    registers: dict[str, int | None] = dict.fromkeys("rs")
    old = ({key: [] for key in "xyz"}, dict(registers))
    told = []
    for number in range(1, 120):
        if rng.random() < 0.1:
            old = ({key: list(value) for key, value in lists.items()}, dict(registers))
        seen_lists, seen_registers = old if rng.random() < stale else (lists, registers)
        steps = []
        for at in range(rng.randrange(1, 4)):
            key, register, value = rng.choice("xyz"), rng.choice("rs"), number * 10 + at
            what = rng.choice(["append", "read", "swap", "look"])
            if what == "append":
                lists[key].append(value)
                steps.append((what, key, value))
            elif what == "read":
                steps.append((what, key, list(seen_lists[key])))
            elif what == "swap":
                steps.append((what, register, value, seen_registers[register]))
                registers[register] = value
            else:
                steps.append((what, register, seen_registers[register]))
        told.append(Transaction(number, steps, number - 5 * rng.random(), number + 5 * rng.random()))
    told.append(Transaction(200, [("read", key, value) for key, value in lists.items()], 200, 201))
    rng.shuffle(told)
    return told


def test_the_checker_refuses_to_judge_values_that_are_not_unique():
    with pytest.raises(ValueError, match="twice"):
        check(history((0, 1, [("append", "x", 1)]), (2, 3, [("append", "x", 1)])))
    assert checker.check([]).anomalies == []
