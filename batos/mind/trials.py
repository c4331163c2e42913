"""Trials: made-up states and arguments of the kinds a brief shows, for comparing drafts by what they do.

Edges are frequent on purpose (empty, zero, negative, a missing key, ties, equal to what is there), because
drafts that agree on ordinary values differ there. The trials of one seed are the same everywhere.
"""

from __future__ import annotations

import copy
import datetime
import random
from collections.abc import Mapping, Sequence, Set

from batos.mind.dialect import LinkedBrief, kind_of

WORDS = (
    "apple",
    "pear",
    "ada",
    "Bob",
    "river",
    "stone",
    "blue",
    "Kiwi",
    "noon",
    "a",
    "level up",
    "small red fox",
    "x1",
    "salt",
    "mint",
    "Oslo",
    "anna",
)
_FIRST_DAY = datetime.date(2019, 1, 1)


def random_scalar(kind: str, rng: random.Random):
    """One value of a kind without elements."""
    if kind == "int":
        return rng.choice((0, 1, 2, 3, 4, 5, 6, 7, 10, 12, 15, 20, 30, 50, 100, -1, -4, 9, 16, 8))
    if kind == "float":
        return rng.choice((0.0, 0.5, 1.5, 2.25, 2.5, 3.75, 4.0, 10.5, 19.99, 100.0, -1.5, -0.25))
    if kind == "bool":
        return rng.random() < 0.5
    if kind == "date":
        return (_FIRST_DAY + datetime.timedelta(days=rng.randrange(3000))).isoformat()
    if kind == "none":
        return None
    return rng.choice(WORDS) if rng.random() < 0.93 else ""


def random_value(kind: str, rng: random.Random, like=None):
    """A value of a kind as `kind_of` names it; `like` is a value whose inner shape (record keys) is kept."""
    word, _, inner = kind.partition(" ")
    if word in ("list", "set", "dict"):
        if not inner:
            return {"list": list, "set": set, "dict": dict}[word]()
        size = rng.choice((0, 1, 1, 2, 2, 3, 3, 4, 5))
        models = list(like.values() if isinstance(like, Mapping) else like or [])
        keys = [key for key in (like if isinstance(like, Mapping) else ())]
        values = [_inner_value(inner, rng, rng.choice(models) if models else None) for _ in range(size)]
        if word == "list":
            if values and rng.random() < 0.3:
                values.append(copy.deepcopy(values[0]))  # a tie
            return values
        if word == "set":
            return set(values)
        if inner in ("mixed", "record") and isinstance(like, Mapping):
            return {key: _inner_value(kind_of(value), rng, value) for key, value in like.items()}
        pool = list(dict.fromkeys([*keys, *(value for value in WORDS if " " not in value)]))
        names = rng.sample(pool[:8], min(size, len(pool[:8])))
        return {name: value for name, value in zip(names, values, strict=False)}
    if kind == "object" or kind == "none":
        return like
    return random_scalar(kind, rng)


def _inner_value(kind, rng, like):
    if kind == "object":
        return like
    if kind in ("record", "dict") and isinstance(like, Mapping):
        return {key: random_value(kind_of(value), rng, value) for key, value in like.items()}
    if kind == "list":
        return random_value(kind_of(like) if like else "list int", rng, like)
    if kind == "mixed":
        return copy.deepcopy(like) if like is not None else random_scalar("int", rng)
    if " " in kind:
        return random_value(kind, rng, like)
    return random_scalar(kind, rng)


def _near(kind, state, rng):
    """Values of a kind that stand in the state: elements, keys, parts of texts, the number itself."""
    out = []
    for value in state.values():
        if kind_of(value) == kind:
            out.append(value)
        if isinstance(value, Mapping):
            out += [key for key in value if kind_of(key) == kind]
            out += [each for each in value.values() if kind_of(each) == kind]
        elif isinstance(value, Set) or (isinstance(value, Sequence) and not isinstance(value, str)):
            out += [each for each in value if kind_of(each) == kind]
            if kind in ("int", "text"):
                out += [
                    inner
                    for each in value
                    if isinstance(each, Mapping)
                    for inner in each.values()
                    if kind_of(inner) == kind
                ]
            if kind == "int":
                out += [0, len(value) - 1, len(value)]
        elif kind == "text" and isinstance(value, str) and value:
            start = rng.randrange(len(value))
            out += [value[start : start + rng.randint(1, 3)], value[0], value[-1]]
    return out


def generate_trials(linked: LinkedBrief, n: int, rng: random.Random) -> list[dict]:
    """n states with arguments, `{"slots", "args", "kw"}`; the first is the message as it was sent."""
    trials = [
        {
            "slots": copy.deepcopy(dict(linked.state)),
            "args": list(copy.deepcopy(linked.args)),
            "kw": copy.deepcopy(dict(linked.kw)),
        }
    ]
    while len(trials) < n:
        state = {
            name: copy.deepcopy(value) if rng.random() < 0.15 else random_value(kind_of(value), rng, value)
            for name, value in linked.state.items()
        }

        def argument(value, state=state):
            kind = kind_of(value)
            near = _near(kind, state, rng) if rng.random() < 0.6 else []
            if near:
                return copy.deepcopy(rng.choice(sorted(near, key=repr)))
            return random_value(kind, rng, value)

        trials.append(
            {
                "slots": state,
                "args": [argument(value) for value in linked.args],
                "kw": {name: argument(value) for name, value in linked.kw.items()},
            }
        )
    return trials
