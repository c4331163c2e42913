"""DELEGATING: the voices draft.  Entry: plans.  Exits: drafted; gave_up where nobody wrote a method.

One mixed batch: BRICK at several temperatures over the plans by their votes, every persona in `others`,
and the base alone, as unlike voices, because drafts of one voice share their errors.  Where the receiver has
a method that reads like the missed selector, the greedy voice speaks alone first: if its draft does what that
method does, no council is needed.  What the fractal memory knows is looked up first (`psm.retrieving`).

A later round has twice as many voices, none of them greedy again unless it is asked something else: a mind
that reads is told where the drafts so far differ and what was objected to.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from batos.mind import dialect, personas
from batos.mind.engine import Limits
from batos.mind.grammar import method_grammar
from batos.objects.method import digest, primitive
from batos.psm import weaving
from batos.psm.kin import kin
from batos.psm.retrieving import question_of, told
from batos.psm.states import tools

SOURCE = '''def _process_synthesis_(self):
    """The voices draft the method, all in one batch."""
    return self.draft_()
'''
META_PROMPT = dialect.METHOD_META
TEMPERATURES = [0.0, 0.4, 0.7, 1.0]
TOKENS = 240
GREW = 2  # times as many voices in every later round


class Voice(NamedTuple):
    """Who drafts: a persona or the base (`expert` None), told `meta`, at a temperature."""

    name: str
    expert: str | None
    meta: str
    temperature: float


def voices_of(state: Any) -> list[Voice]:
    """The voices of a state: its persona, the others and the base, as the live objects say."""
    found = []
    for persona, usual in [(state.persona, state.temperatures), *((each, [0.0]) for each in state.others)]:
        meta = personas.meta_prompt(persona, state)
        for temperature in personas.temperatures(persona, usual):
            found.append(Voice(persona.name, persona.expert, meta, temperature))
    return [*found, Voice("base", None, state.meta_prompt, 0.0)]


def lessons(mission: Any) -> str:
    """What a round has taught, as a line of a prompt; empty before the first."""
    if not mission.rounds:
        return ""
    told = [f" The drafts so far were not good enough: {mission.why}."]
    for each in mission.counters:
        slots = each["slots"] if each["slots"] is not None else "as they are"
        asked = json.dumps({"slots": slots, "args": each["args"], "kw": each["kw"]}, ensure_ascii=False)
        told.append(f" With {asked} one {' and another one '.join(each['answers'])}.")
    return "".join(told)


def build_prompt(linked: dialect.LinkedBrief, plan: dict[str, Any], meta_prompt: str, known: str = "") -> str:
    """The prompt for one draft of a method; `known` is what was retrieved for it."""
    return dialect.method_prompt(linked, plan, meta_prompt + known)


def parse(text: str, linked: dialect.LinkedBrief, plan: dict[str, Any]) -> str:
    """A draft as Python source; `ValueError` with the reason where the text is none."""
    return dialect.parse_method(text, linked, plan)


@primitive
def draft_(self):
    """Draft with this state's persona and meta-prompt; reports `drafted` or `gave_up`."""
    at = tools()
    mission = at.mission
    if mission.question is not None:
        return weaving.delegate(self, at)
    voices = voices_of(self)
    if mission.kin is None:
        miss = mission.miss
        facet = mission.brief["facet"] is not None  # two facets that behave alike are two all the same
        mission.kin = (
            [] if facet else kin(at.receiver, miss.selector, len(miss.args), list(miss.kw), at.likeness)
        )
    alone = bool(mission.kin) and not mission.drafts
    if mission.kin and not mission.rounds:
        voices = voices[:1] if alone else voices[1:]
    if mission.rounds:
        other = at.reads or bool(mission.brief.get("counter_examples"))  # is anything else asked than before?
        voices = ([each for each in voices if each.temperature or other] or voices) * GREW**mission.rounds
    plans = [each["plan"] for each in mission.plans for _ in range(each["votes"])]
    # The greedy voice and the base follow the best plan; the others go round the plans by their votes.
    chosen = [
        mission.plan if voice.temperature == 0.0 else plans[i % len(plans)] for i, voice in enumerate(voices)
    ]
    if mission.passages is None:
        mission.passages = at.retrieve(question_of(mission.brief))
    known = told(mission.passages) + lessons(mission) if at.reads else ""
    prompts = [
        build_prompt(mission.linked, plan, voice.meta, known)
        for voice, plan in zip(voices, chosen, strict=True)
    ]
    answers = at.generate(
        prompts,
        [voice.expert for voice in voices],
        method_grammar(mission.linked),
        Limits(
            max_tokens=TOKENS,
            temperature=[
                voice.temperature + 0.2 * mission.rounds if voice.temperature else 0.0 for voice in voices
            ],
            seed=100 * (mission.rounds + 1),
            deadline=mission.deadline,
        ),
    )
    mission.rounds += not alone  # the council has not spoken yet
    for voice, plan, prompt, answer in zip(voices, chosen, prompts, answers, strict=True):
        draft = {
            "voice": f"{voice.name}@{voice.temperature:g}",
            "expert": voice.expert,
            "round": mission.rounds,
            "plan": plan,
            "prompt": prompt,
            "prompt_digest": digest(prompt),
            "text": answer.text,
            "logprob": answer.logprob,
            "source": None,
            "why_not": None,
        }
        try:
            if answer.finish != "stop":
                raise ValueError(f"it was cut off ({answer.finish})")
            draft["source"] = parse(answer.text, mission.linked, plan)
        except ValueError as exc:
            draft["why_not"] = str(exc)
        mission.drafts.append(draft)
    if not alone and not any(draft["source"] for draft in mission.drafts):
        mission.why = f"no draft was a method: {mission.drafts[-1]['why_not']}"
        return "gave_up"
    self._tmp_synthesis_data["drafts"] = [draft["source"] for draft in mission.drafts]
    return "drafted"
