"""Behavioural consensus: drafts are judged by what they do, never by how they read.

Every draft has run in rehearsal on the actual message and on generated states and arguments.  Those
that did the same everywhere form a cluster; the conventions, a person's examples and ALFRED's audit
may object to a cluster; the largest clear majority without an objection wins, and without one there
is no winner: it is better to refuse than to install what is wrong.  Pure functions over plain data.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

MAJORITY = 0.5


@dataclass(slots=True)
class Cluster:
    """Drafts that behave alike.  `outcomes` has one entry per trial, the actual message first."""

    outcomes: list[dict[str, Any]]
    drafts: list[int] = field(default_factory=list)
    votes: float = 0.0
    objections: list[str] = field(default_factory=list)


def behaviour(outcome: dict[str, Any]) -> str:
    """What one trial came to, as text to compare: the result, or the kind of error, and the changes."""
    if "unknown" in outcome:
        return "unknown"
    kind = ["error", outcome["error"]] if "error" in outcome else ["result", outcome.get("result")]
    return json.dumps([kind, outcome.get("changes") or {}], sort_keys=True, default=repr)


def clusters(outcomes: list[list[dict[str, Any]]], votes: list[float]) -> list[Cluster]:
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


def object_to(
    cluster: Cluster,
    plan: dict[str, Any],
    states: list[dict[str, Any]],
    expected: dict[int, dict[str, Any]],
    audit: dict[str, Any] | None = None,
) -> None:
    """Write down what speaks against a cluster: conventions of the contract, a person's examples, the audit.

    states    the slots each trial began with, in the form of `plain.encode`
    expected  trial index -> `{"result": ...}` that a person said must come out
    audit     ALFRED's `{"sound": bool or None, "finding"}`; a person's examples that come out outweigh it
    """
    kind = plan.get("kind")
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
        if index in expected and outcome.get("result", ...) != expected[index]["result"]:
            cluster.objections.append(f"the example {expected[index]} comes out as {outcome}")
    answered = [pair for pair in zip(cluster.outcomes, states, strict=True) if "result" in pair[0]]
    idle = not any(outcome.get("changes") for outcome, _ in answered)
    if (
        kind == "change"
        and idle
        and not all(_as_it_was(outcome["result"], state) for outcome, state in answered)
    ):
        cluster.objections.append("a changer that changes nothing")
    if audit and audit["sound"] is False and not expected:
        cluster.objections.append(f"ALFRED says: {audit['finding']}")
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
    return best, f"{best.votes:g} of {total:g} drafts behave alike"
