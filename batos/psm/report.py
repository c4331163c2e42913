"""A mission told to a person: what was asked, what each voice proposed, why this one was installed, how to take
it back.  Pure functions over the mission as plain data (`Mission.told`, or the record an image keeps of it).
"""

from __future__ import annotations

import json
import textwrap
import time
from collections import Counter
from typing import Any

from batos.psm.machine import COMPLETE, DECOMPOSING, DELEGATING, SYNTHESIZING

WIDTH = 100
CUT = 100  # characters of a passage


def proposals(told: dict[str, Any]) -> list[dict[str, Any]]:
    """Each different draft once, those with the most voices first: who proposed it, what it did when it was
    tried on the message, what was objected to."""
    found: dict[str, dict[str, Any]] = {}
    for draft in told.get("drafts") or ():
        source = draft.get("source")
        key = source or f"no method: {draft.get('why_not')}"
        one = found.setdefault(
            key,
            {"source": source, "voices": [], "votes": draft.get("votes"), "did": draft.get("did"),
             "objections": draft.get("objections") or [], "why_not": draft.get("why_not")},
        )  # fmt: skip
        one["voices"].append(draft["voice"])
    return sorted(found.values(), key=lambda each: (-(each["votes"] or 0), -len(each["voices"])))


def report(told: dict[str, Any]) -> str:
    """The mission in words.

    told  what `kernel mission ID` answers, of a mission that runs or ended, in this awakening or before
    """
    lines = [*_asked(told), *_planned(told), *_looked_up(told), *_drafted(told), *_ended(told), *_cost(told)]
    return "\n".join(lines)


def came_to(mission: Any, state: str) -> dict[str, str]:
    """``{"told": a sentence}`` for whoever listens while a mission leaves a state; empty where there is nothing
    to tell."""
    words = None
    if state == DECOMPOSING and mission.plan:
        words = mission.plan.get("do") or mission.plan.get("strategy")
    elif state == DELEGATING:
        partials = mission.question.partials if mission.question is not None else mission.drafts
        words = f"{len(partials)} answers" if mission.question is not None else f"{len(partials)} drafts"
    elif state == SYNTHESIZING:
        words = mission.why
    return {"told": words} if words else {}


def _asked(told: dict[str, Any]) -> list[str]:
    since = told.get("since")
    when = (
        f", {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(since))}"
        if isinstance(since, (int, float))
        else ""
    )
    brief, words = told.get("brief") or {}, told.get("words")
    if words:
        said = f"asked: {words['question']}"
    else:
        given = [json.dumps(each, ensure_ascii=False) for each in brief.get("args") or ()]
        given += [
            f"{name}={json.dumps(value, ensure_ascii=False)}"
            for name, value in (brief.get("kw") or {}).items()
        ]
        arguments = f"({', '.join(given)})" if brief else ""
        who = told.get("sender", "somebody")
        said = f"{who} sent {told['send']}{arguments} to {told['to']}, which did not understand it"
    lines = [f"mission {told['id']}{when}: {told.get('state', 'queued')}", said]
    if brief.get("intent"):
        lines.append(f"intent: {brief['intent']}")
    lines += [f"example: {_example(each)}" for each in brief.get("examples") or ()]
    lines += [
        f"proposed example: {_example(each)}, " + ("which stands" if each["stands"] else "which most drafts contradict")
        for each in told.get("proposed") or () if "stands" in each
    ]  # fmt: skip
    if told.get("parent"):
        lines.append(f"for mission {told['parent']}, which needed it first")
    if told.get("children"):
        lines.append(f"it needed first: {', '.join(f'mission {each}' for each in told['children'])}")
    return lines


def _example(example: dict[str, Any]) -> str:
    said = [json.dumps(each, ensure_ascii=False) for each in example.get("args") or ()]
    came = example.get("error") or json.dumps(example.get("result"), ensure_ascii=False)
    return f"({', '.join(said)}) -> {came}"


def _planned(told: dict[str, Any]) -> list[str]:
    plan = told.get("plan") or {}
    if "facets" in plan:
        asked = [f"    {each['facet']}: {each['query']}" for each in plan["facets"]]
        return ["", f"BRICK's plan: {plan['strategy']}", *(asked or ["    (simple: nobody else is asked)"])]
    if not plan.get("do"):
        return []
    kind = {"read": "reads", "change": "changes", "ask": "asks whether"}.get(plan["kind"], plan["kind"])
    touched = ", ".join(plan["slots"]) or "no slot"
    line = f"BRICK's plan: it {kind}; {plan['do']} ({touched}); answers {plan['answer']}"
    if plan.get("unless"):
        line += f", unless {plan['unless']}"
    all_plans = told.get("plans") or ()
    agreeing = sum(each["votes"] for each in all_plans if each["plan"] == plan)
    total = sum(each["votes"] for each in all_plans)
    if total:
        line += f"; {agreeing} of {total} plans"
    return ["", *_wrapped(line)]


def _looked_up(told: dict[str, Any]) -> list[str]:
    found = told.get("passages") or ()
    if not found:
        return []
    lines = ["", "looked up"]
    for each in found:
        text = " ".join(str(each.get("text") or "").split())
        lines.append(
            f"    {each['source']}:{each['start']}-{each['end']} ({each['score']:.2f}) {text[:CUT]}".rstrip()
        )
    return lines


def _drafted(told: dict[str, Any]) -> list[str]:
    words = told.get("words")
    if words:
        return _woven(words)
    lines: list[str] = []
    chosen = (told.get("method") or {}).get("source")
    for number, each in enumerate(told.get("proposals") or proposals(told), 1):
        voices = ", ".join(
            f"{voice} {n} times" if n > 1 else voice for voice, n in Counter(each["voices"]).items()
        )
        lines += ["", f"proposal {number}, by {voices}"]
        if each["source"]:
            lines.append(textwrap.indent(each["source"].strip("\n"), "    "))
        if each["did"]:
            lines += _wrapped(f"tried on the message it {each['did']}; {each['votes']} drafts behave like it")
        for objection in [*each["objections"], *([each["why_not"]] if each["why_not"] else [])]:
            lines += _wrapped(f"against it: {objection}")
    if chosen and told.get("state") == COMPLETE:
        lines += ["", "installed, as the guardian let it in", textwrap.indent(chosen.strip("\n"), "    ")]
    return lines


def _woven(words: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    used = (words.get("woven") or {}).get("used") or ()
    for each in words["partials"]:
        note = ", used" if each["label"] in used else ""
        lines += ["", f"{each['label']}. {each['facet']} of {each['persona']}{note}"]
        lines += _wrapped(each["answer"] or f"did not answer: {each['why_not']}")
    if words.get("woven"):
        lines += ["", "ROBIN's answer", *_wrapped(words["woven"]["answer"])]
        for each in words["woven"]["contradictions"]:
            lines += _wrapped(f"{' and '.join(each['between'])} contradict each other: {each['about']}")
    for each in words.get("marks") or ():
        told = ", ".join(f"{name} {mark}" for name, mark in each.items() if name != "why")
        lines += _wrapped(f"marks: {told}" + (f"; {each['why']}" if each["why"] else ""))
    return lines


def _ended(told: dict[str, Any]) -> list[str]:
    method, lines = told.get("method") or {}, [""]
    why = told.get("why") or "it is not decided yet"
    likes = int((told.get("confidence") or 0) * 100)
    sure = (
        f" (of a hundred whose plan was as likely, {likes} were right when it was measured)" if likes else ""
    )
    lines += _wrapped(f"why: {why}{sure}")
    if method.get("rehearsal", {}).get("trials"):
        lines.append(
            f"    tried {method['rehearsal']['trials']} times in the walled child, "
            "on the message and on states made up"
        )
    if method.get("audit"):
        lines += _wrapped(f"ALFRED: {method['audit']}")
    if method.get("retold"):
        lines += _wrapped(f"ROBIN: {method['retold']}")
    if method and told.get("state") == COMPLETE:
        lines += [
            "",
            f"take it back:   python -m batos undo {told['id']}",
            f"ask for more:   python -m batos replay {told['id']}, python -m batos --json mission {told['id']}",
        ]
    return lines


def _cost(told: dict[str, Any]) -> list[str]:
    states = [
        f"{each['state']} {each['seconds']:.2f} s"
        for each in told.get("states") or ()
        if each["seconds"] >= 0.005
    ]
    if told.get("seconds") is None:
        return []
    line = f"{told['seconds']:.2f} s"
    cost = told.get("cost") or {}
    if cost.get("tokens"):
        line += f", {cost['tokens']} tokens"
    if cost.get("usd"):
        line += f", ${cost['usd']:.4f}"
    rounds = told.get("rounds") or 0
    if rounds > 1:
        line += f", {rounds} rounds"
    return ["", *_wrapped(f"took {line}" + (f": {', '.join(states)}" if states else ""))]


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(str(text), WIDTH, initial_indent="    ", subsequent_indent="    ") or [""]
