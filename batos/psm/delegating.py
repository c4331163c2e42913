"""DELEGATING: the voices draft.  Entry: plans.  Exits: drafted; gave_up where nobody wrote a method.

One mixed batch: BRICK at several temperatures over the plans by their votes, every persona in `others`,
and the base alone, as unlike voices, because drafts of one voice share their errors.  Where the receiver has
a method that reads like the missed selector, the greedy voice speaks alone first: if its draft does what that
method does, no council is needed.  What the fractal memory knows is looked up first (`psm.retrieving`).

A later round has twice as many voices, bolder, none of them greedy again unless it is asked something else.  A mind
that reads is told where the drafts so far differ and what was objected to, and the personas speak to it by their
facets as well, each another wording of what is asked.
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
BOLDER = 0.2  # is every temperature but 0 in a later round


class Voice(NamedTuple):
    """Who drafts: a persona, one of its facets or the base (`expert` None), told `meta`, at a temperature."""

    name: str
    expert: str | None
    meta: str
    temperature: float


def voices_of(state: Any, rounds: int = 0, reads: bool = False) -> list[Voice]:
    """The voices of a state, as the live objects say: its persona, the others and the base.

    rounds  there have been; after each all speak twice as often, and bolder
    reads   every further time a persona speaks by another one of its facets; a mind that does not read sentences
            writes nonsense when it is told one
    """
    found = []
    for again in range(GREW**rounds):
        for persona, usual in [
            (state.persona, state.temperatures),
            *((each, [0.0]) for each in state.others),
        ]:
            name, meta = persona.name, personas.meta_prompt(persona, state)
            facets = list(personas.facets_of([persona]).items()) if again and reads else []
            if facets:
                selector, (_, intent) = facets[(again - 1) % len(facets)]
                name, meta = f"{name} {selector.removesuffix(personas.FACET)}", f"{meta}. {intent}"
            found += [
                Voice(name, persona.expert, meta, each) for each in personas.temperatures(persona, usual)
            ]
        bold = float(state.temperatures[again % len(state.temperatures)]) if again else 0.0
        found.append(Voice("base", None, state.meta_prompt, bold))
    return [
        each._replace(temperature=each.temperature + BOLDER * rounds * (each.temperature > 0))
        for each in found
    ]


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
    voices = voices_of(self, mission.rounds, at.reads)
    if mission.kin is None:
        miss = mission.miss
        facet = mission.brief["facet"] is not None  # two facets that behave alike are two all the same
        mission.kin = (
            [] if facet else kin(at.receiver, miss.selector, len(miss.args), list(miss.kw), at.likeness)
        )
    alone = bool(mission.kin) and not mission.drafts
    if mission.kin and not mission.rounds:
        voices = voices[:1] if alone else voices[1:]
    plans = [each["plan"] for each in mission.plans for _ in range(each["votes"])]
    # The greedy voice and the base follow the best plan; the others go round the plans by their votes.
    chosen = [
        mission.plan if voice.temperature == 0.0 else plans[i % len(plans)] for i, voice in enumerate(voices)
    ]
    if mission.passages is None:
        mission.passages = at.retrieve(question_of(mission.brief))
    known = told(mission.passages) + lessons(mission) if at.reads else ""
    # Who is greedy and asked the same again says the same again, and would only have two votes.
    asked = {(each["expert"], each["prompt"]) for each in mission.drafts if each["temperature"] == 0.0}
    asking = []
    for voice, plan in zip(voices, chosen, strict=True):
        prompt = build_prompt(mission.linked, plan, voice.meta, known)
        if voice.temperature or (voice.expert, prompt) not in asked:
            asking.append((voice, plan, prompt))
        if not voice.temperature:
            asked.add((voice.expert, prompt))
    answers = at.generate(
        [prompt for *_, prompt in asking],
        [voice.expert for voice, *_ in asking],
        method_grammar(mission.linked),
        Limits(
            max_tokens=TOKENS,
            temperature=[voice.temperature for voice, *_ in asking],
            seed=100 * (mission.rounds + 1),
            deadline=mission.deadline,
        ),
    ) if asking else []  # fmt: skip
    mission.rounds += not alone  # the council has not spoken yet
    for (voice, plan, prompt), answer in zip(asking, answers, strict=True):
        draft = {
            "voice": f"{voice.name}@{voice.temperature:g}",
            "expert": voice.expert,
            "temperature": voice.temperature,
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
