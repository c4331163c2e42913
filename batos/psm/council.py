"""Behavioural consensus: drafts are judged by what they do, never by how they read.

Every draft has run in rehearsal on the actual message and on generated states and arguments.  Those
that did the same everywhere form a cluster; the conventions, a person's examples and ALFRED's audit
may object to a cluster; the largest clear majority without an objection wins, and without one there
is no winner: it is better to refuse than to install what is wrong.  Pure functions over plain data.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from batos.objects.method import digest

MAJORITY = 0.5
ALFRED = "ALFRED says: "
COUNTERS = 4  # trials that are told to the next round
# What always commands at the beginning of a selector: the verbs of the contract and their like.  Where one of
# `NAMES` follows it names a value: `double_of_x`, `add_up_x`.
COMMANDS = frozenset(
    "add append cap clear decrease delete deposit discard divide double erase extend halve increase insert "
    "move multiply pop prepend push put remove rename replace reset reverse set subtract swap toggle transfer "
    "update withdraw".split()
)
NAMES = ("of", "up")
QUESTIONS = frozenset({"is", "are", "has", "does", "can"})


@dataclass(slots=True)
class Cluster:
    """Drafts that behave alike.  `outcomes` has one entry per trial, the actual message first."""

    outcomes: list[dict[str, Any]]
    drafts: list[int] = field(default_factory=list)
    votes: int = 0
    objections: list[str] = field(default_factory=list)


def behaviour(outcome: dict[str, Any]) -> str:
    """What one trial came to, as text to compare: the result, or the kind of error, and the changes."""
    if "unknown" in outcome:
        return "unknown"
    kind = ["error", outcome["error"]] if "error" in outcome else ["result", outcome.get("result")]
    return json.dumps([kind, outcome.get("changes") or {}], sort_keys=True, default=repr)


def shown(found: list[Cluster]) -> set[str]:
    """Digests of the behaviours that were found: what a round has taught."""
    return {digest(" ".join(map(behaviour, cluster.outcomes))) for cluster in found}


def counter_examples(
    found: list[Cluster], calls: list[dict[str, Any]], known: list[dict[str, Any]], most: int = COUNTERS
) -> list[dict[str, Any]]:
    """At most so many trials in which the behaviours differ, those that tell the most of them apart first.

    Each is ``{"slots", "args", "kw", "answers"}``: `answers` is what the behaviours came to, in words, the
    one with the most votes first.  Those of `known` are not chosen again.
    """
    rows = [[behaviour(each) for each in cluster.outcomes] for cluster in found]
    taken = [(each["slots"], each["args"], each["kw"]) for each in known]
    chosen: list[dict[str, Any]] = []
    apart: set[tuple[int, int]] = set()  # pairs of behaviours that a chosen trial tells apart
    while len(chosen) < most:
        best, told = None, set()
        for index, call in enumerate(calls):
            if (call["slots"], call["args"], call["kw"]) in taken:
                continue
            pairs = {
                (a, b)
                for a in range(len(rows))
                for b in range(a)
                if "unknown" not in (rows[a][index], rows[b][index]) and rows[a][index] != rows[b][index]
            }
            if len(pairs - apart) > len(told):
                best, told = index, pairs - apart
        if best is None:
            break
        apart |= told
        call = calls[best]
        taken.append((call["slots"], call["args"], call["kw"]))
        answers = list(dict.fromkeys(in_words(cluster.outcomes[best]) for cluster in found))
        chosen.append({name: call[name] for name in ("slots", "args", "kw")} | {"answers": answers})
    return chosen


def wrong_outcomes(
    found: list[Cluster], calls: list[dict[str, Any]], expected: dict[int, Any], most: int = COUNTERS
) -> list[dict[str, Any]]:
    """What certainly must not come out: outcomes, on the message itself and on a person's examples, of behaviours
    that an example or a convention speaks against.  ALFRED's word is not certain enough for that.

    Each is ``{"args", "kw", "result" or "error", "slots"?, "changes"?}``.
    """
    told: list[dict[str, Any]] = []
    for cluster in found:
        if not any(not each.startswith(ALFRED) for each in cluster.objections):
            continue
        for index in (0, *expected):
            outcome, call = cluster.outcomes[index], calls[index]
            known = {"args": call["args"], "kw": call["kw"]} | {
                name: outcome[name]
                for name in ("result", "error", "changes")
                if outcome.get(name) not in (None, {})
            }
            if call["slots"] is not None:
                known["slots"] = call["slots"]
            if ("result" in outcome or "error" in outcome) and known not in told:
                told.append({"result": None} | known if "error" not in known else known)
    return told[:most]


def in_words(outcome: dict[str, Any]) -> str:
    """What one trial came to, for a reader."""
    if "unknown" in outcome:
        return f"nothing can be said: {outcome['unknown']}"
    told = (
        f"raises {outcome['error']}" if "error" in outcome else f"answers {json.dumps(outcome.get('result'))}"
    )
    changes = outcome.get("changes") or {}
    return told + "".join(f", {name} becomes {json.dumps(value)}" for name, value in changes.items())


def never_touched(source: str, slots: Collection[str], keys: Collection[str] = ()) -> list[str]:
    """The slots, arguments and keys (of records, or slots of another object) that a method was told of in its
    selector and message, and never looks at."""
    tree = ast.parse(source)
    names = {each.attr for each in ast.walk(tree) if isinstance(each, ast.Attribute)}
    names |= {each.id for each in ast.walk(tree) if isinstance(each, ast.Name)}
    arguments = (
        [each.arg for each in tree.body[0].args.args[1:]] if isinstance(tree.body[0], ast.FunctionDef) else []
    )
    texts = {each.value for each in ast.walk(tree) if isinstance(each, ast.Constant)}
    untouched = [each for each in (*slots, *arguments) if each not in names]
    return untouched + [each for each in keys if each not in texts | names]


def unlike_its_name(said: str, kind: str | None) -> list[str]:
    """What a plan's kind has against a selector, its slots as handles (`LinkedBrief.said`).

    >>> unlike_its_name("double_§0", "read"), unlike_its_name("double_of_§0", "read")
    (["'double' commands, and the method only reads"], [])
    """
    first, _, rest = said.partition("_")
    if first in COMMANDS and not rest.startswith(NAMES) and kind != "change":
        return [f"{first!r} commands, and the method only reads"]
    return [f"{first!r} asks, and the method does not"] if first in QUESTIONS and kind != "ask" else []


def clusters(outcomes: list[list[dict[str, Any]]], votes: list[int]) -> list[Cluster]:
    """Group drafts by behaviour, largest cluster first; a draft whose first trial is unknown votes for nothing.

    outcomes[d][t] is what draft d did in trial t, votes[d] how many voices wrote it.  An unknown later trial
    agrees with anything.
    """
    found: list[Cluster] = []
    keys: list[list[str]] = []
    for index, row in enumerate(outcomes):
        told = [behaviour(each) for each in row]
        if not told or told[0] == "unknown":
            continue
        for cluster, key in zip(found, keys, strict=True):
            if all(a == b or "unknown" in (a, b) for a, b in zip(told, key, strict=True)):
                cluster.drafts.append(index)
                cluster.votes += votes[index]
                break
        else:
            found.append(Cluster(row, [index], votes[index]))
            keys.append(told)
    return sorted(found, key=lambda cluster: -cluster.votes)


def stands(found: list[Cluster], index: int, example: dict[str, Any]) -> bool:
    """Does a proposed example stand?  One that most drafts contradict is dropped: whoever proposed it was wrong."""
    agreeing = sum(each.votes for each in found if _comes_out(each, index, example))
    return agreeing * 2 >= sum(each.votes for each in found)


def _comes_out(cluster: Cluster, index: int, example: dict[str, Any]) -> bool:
    return cluster.outcomes[index].get("result", ...) == example["result"]


def object_to(
    cluster: Cluster,
    plan: dict[str, Any],
    states: list[dict[str, Any]],
    expected: dict[int, dict[str, Any]],
    audit: dict[str, Any] | None = None,
    untouched: Collection[str] = (),
    said: str = "",
    standing: Mapping[int, dict[str, Any]] = MappingProxyType({}),
) -> None:
    """Write down what speaks against a cluster: conventions of the contract, a person's examples, the audit.

    states    the slots each trial began with, in the form of `plain.encode`
    expected  trial index -> `{"result": ...}` that a person said must come out
    audit     ALFRED's `{"sound": bool or None, "finding"}`; a person's examples that come out outweigh it
    untouched names of the message that the method never looks at (`never_touched`)
    said      the selector, its slots as handles; a person's examples outweigh what it says
    standing  trial index -> a proposed example that stands
    """
    cluster.objections += [
        f"the message names {each!r}, and the method never looks at it" for each in untouched
    ]
    kind = plan.get("kind")
    cluster.objections += unlike_its_name(said, kind) if not expected else []
    for index, outcome in enumerate(cluster.outcomes):
        if "unknown" in outcome:
            continue
        changes = outcome.get("changes")
        if "error" in outcome and changes:
            cluster.objections.append("it raises after it has changed something")
        if kind in ("read", "ask") and changes:
            cluster.objections.append("a reader that changes something")
        if kind == "ask" and "result" in outcome and not isinstance(outcome["result"], bool):
            cluster.objections.append("a question that answers no truth value")
        if "error" in outcome and outcome["error"] not in ("ValueError", "KeyError"):
            cluster.objections.append(f"it raises {outcome['error']}")
        if index in expected and not _comes_out(cluster, index, expected[index]):
            cluster.objections.append(f"the example {expected[index]} comes out as {outcome}")
        if index in standing and not _comes_out(cluster, index, standing[index]):
            cluster.objections.append(f"the proposed example {standing[index]} comes out as {outcome}")
    answered = [pair for pair in zip(cluster.outcomes, states, strict=True) if "result" in pair[0]]
    idle = not any(outcome.get("changes") for outcome, _ in answered)
    if (
        kind == "change"
        and idle
        and not all(_as_it_was(outcome["result"], state) for outcome, state in answered)
    ):
        cluster.objections.append("a changer that changes nothing")
    if audit and audit["sound"] is False and not expected:
        cluster.objections.append(f"{ALFRED}{audit['finding']}")
    cluster.objections = list(dict.fromkeys(cluster.objections))


def _as_it_was(result: Any, state: dict[str, Any]) -> bool:
    """Is this what a changer answers that had nothing to change: a slot's value as it is, or its size?"""
    sizes = [len(value.get("$set", value) if isinstance(value, dict) else value)
             for value in state.values() if isinstance(value, (list, dict))]  # fmt: skip
    return result in sizes or any(result == value for value in state.values())


def winner(found: list[Cluster]) -> tuple[Cluster | None, str]:
    """The cluster to install and why, or None and why not."""
    standing = [cluster for cluster in found if not cluster.objections]
    if not standing:
        reasons = sorted({reason for cluster in found for reason in cluster.objections})
        return None, "; ".join(reasons[:3]) or "no draft ran"
    total = sum(cluster.votes for cluster in found)
    best = max(standing, key=lambda cluster: cluster.votes)
    share = best.votes / total if total else 0.0
    if share <= MAJORITY:
        return None, f"no majority: the largest of {len(found)} behaviours had {share:.0%} of the votes"
    return best, f"{best.votes} of {total} drafts behave alike"
