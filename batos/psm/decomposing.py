"""DECOMPOSING: BRICK plans.  Entry: a brief.  Exits: planned; gave_up where most plans say it cannot be done,
or where the mind is not sure of its best one.

Several plans are made in one batch, the first greedily; equal plans are one plan with more votes.
The plan is what the drafts are written from, and what their behaviour is held against.
"""

from __future__ import annotations

import math
from typing import Any

from batos.mind import dialect, personas
from batos.mind.engine import Limits
from batos.mind.grammar import plan_grammar
from batos.objects.method import primitive
from batos.psm import weaving
from batos.psm.states import tools

SOURCE = '''def _process_synthesis_(self):
    """BRICK plans the method, several times over."""
    return self.plan_()
'''
META_PROMPT = dialect.PLAN_META
TEMPERATURES = [0.0, 0.5, 0.8]
TOKENS = 120
EXAMPLES = 200  # tokens more, where a plan may propose some
LOOKING = 0.2  # seconds for a method of the receiver that is asked what it answers
REPAIRS = 1  # of plans of which none can be read
# Log-probability of the greedy plan below which the mind is guessing.  Chosen for precision on 700 messages within
# reach and 70 beyond it, apart from those that are reported (`gauntlet missions --seed 104272 --sure -9`): it stops
# 10 of 14 wrong methods, 4 of 5 answers to what is beyond reach, and costs 23 of 661 right methods.
SURE = -0.3


def build_prompt(linked: dialect.LinkedBrief, meta_prompt: str) -> str:
    """The prompt for one plan."""
    return dialect.plan_prompt(linked, meta_prompt)


def parse(text: str, linked: dialect.LinkedBrief) -> dict[str, Any]:
    """A plan as data; `ValueError` with the reason where the text is none."""
    return dialect.parse_plan(text, linked)


def answers_of(at: Any) -> dict[str, Any]:
    """What the receiver's methods without arguments answer now, those that only read: a new method may want one.
    They are asked in the walled child, on the mission's snapshot."""
    mission = at.mission
    names = [name for name, params in mission.brief["selectors"].items() if not params]
    if not names:
        return {}
    selector = mission.miss.selector
    trial = {
        "circle": mission.circle,
        "selector": selector,
        "drafts": [f"def {selector}(self):\n    return self.{name}()\n" for name in names],
        "calls": [{"slots": None, "args": [], "kw": {}}],
        "seconds": LOOKING,
    }
    outcomes = at.rehearse(trial, mission.deadline)
    return {
        name: row[0]["result"] for name, row in zip(names, outcomes, strict=True)
        if "result" in row[0] and not row[0]["changes"]
    }  # fmt: skip


def collected(drafts: list[Any], linked: dialect.LinkedBrief, reasons: list[str]) -> list[dict[str, Any]]:
    """The different plans of some drafts with their votes, in the order they came; why others are none, and why
    it cannot be done, goes to `reasons`."""
    plans: list[dict[str, Any]] = []
    for draft in drafts:
        try:
            plan = parse(draft.text, linked)
        except ValueError as exc:
            reasons.append(str(exc))
            continue
        known = next((each for each in plans if each["plan"] == plan), None)
        if known is None:
            plans.append({"plan": plan, "votes": 1, "logprob": draft.logprob})
        else:
            known["votes"] += 1
        if not plan["can"]:
            reasons.append(plan["why"])
    return plans


@primitive
def plan_(self):
    """Plan with this state's persona and meta-prompt; reports `planned` or `gave_up`."""
    at = tools()
    mission = at.mission
    if mission.question is not None:
        return weaving.decompose(self, at)
    mission.brief["answers"] = answers_of(at)
    try:
        mission.linked = linked = dialect.link(mission.brief)
    except ValueError as exc:
        mission.why = str(exc)
        return "gave_up"
    temperatures = personas.temperatures(self.persona, self.temperatures)
    meta = personas.meta_prompt(self.persona, self)
    plans: list[dict[str, Any]] = []
    reasons: list[str] = []
    for repair in range(REPAIRS + 1):
        if plans:
            break
        # What was wrong helps a mind that reads; the other one is given another draw.
        told = f"{meta} The last plan could not stand: {reasons[-1]}." if repair and at.reads else meta
        drafts = at.generate(
            [build_prompt(linked, told)] * len(temperatures),
            self.persona.expert,
            plan_grammar(linked, proposes=at.reads),
            Limits(
                max_tokens=TOKENS + at.reads * EXAMPLES,
                temperature=temperatures,
                seed=repair,
                deadline=mission.deadline,
            ),
        )
        plans = collected(drafts, linked, reasons)
        for example in (each for draft in drafts for each in dialect.proposed_examples(draft.text, linked)):
            if example not in mission.proposed and len(mission.proposed) < dialect.PROPOSED:
                mission.proposed.append(example)
    mission.proposals = plans
    mission.plans = sorted((each for each in plans if each["plan"]["can"]), key=lambda each: -each["votes"])
    self._tmp_synthesis_data["plan"] = plans
    refusals = sum(each["votes"] for each in plans if not each["plan"]["can"])
    if not mission.plans or refusals * 2 > len(drafts):
        mission.why = f"the mind says it cannot: {reasons[0]}" if reasons else "the mind made no plan"
        return "gave_up"
    # Examples say more than the plan's own likelihood; and another mind, which says the same in many ways, is
    # surer than each of its sentences is likely.
    if drafts[0].logprob < self.sure and not mission.examples and not at.reads:
        guess = math.exp(drafts[0].logprob)
        mission.why = (
            f"the mind is not sure what is meant: it gives its best plan a probability of {guess:.0%}"
        )
        return "gave_up"
    mission.plan = mission.plans[0]["plan"]
    return "planned"
