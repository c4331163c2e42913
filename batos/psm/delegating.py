"""DELEGATING: the voices draft.  Entry: plans.  Exits: drafted; gave_up where nobody wrote a method.

One mixed batch: BRICK at several temperatures over the plans by their votes, and the base alone as
an unlike voice, because drafts of one voice share their errors.  Where the receiver has a method that
reads like the missed selector, the greedy voice speaks alone first: if its draft does what that method
does, no council is needed.
"""

from __future__ import annotations

from typing import Any

from batos.mind import dialect
from batos.mind.engine import Limits
from batos.mind.grammar import method_grammar
from batos.objects.method import digest, primitive
from batos.psm.kin import kin
from batos.psm.states import tools

SOURCE = '''def _process_synthesis_(self):
    """The voices draft the method, all in one batch."""
    return self.draft_()
'''
META_PROMPT = dialect.METHOD_META
TEMPERATURES = [0.0, 0.4, 0.7, 1.0]
TOKENS = 240


def build_prompt(linked: dialect.LinkedBrief, plan: dict[str, Any], meta_prompt: str) -> str:
    """The prompt for one draft of a method."""
    return dialect.method_prompt(linked, plan, meta_prompt)


def parse(text: str, linked: dialect.LinkedBrief, plan: dict[str, Any]) -> str:
    """A draft as Python source; `ValueError` with the reason where the text is none."""
    return dialect.parse_method(text, linked, plan)


@primitive
def draft_(self):
    """Draft with this state's persona and meta-prompt; reports `drafted` or `gave_up`."""
    at = tools()
    mission = at.mission
    expert = self.persona.expert
    temperatures = [float(each) for each in self.temperatures]
    voices = [(expert, temperature) for temperature in temperatures] + [(None, 0.0)]
    if mission.kin is None:
        miss = mission.miss
        mission.kin = kin(at.receiver, miss.selector, len(miss.args), list(miss.kw), at.likeness)
    alone = bool(mission.kin) and not mission.drafts
    if mission.kin:
        voices = voices[:1] if alone else voices[1:] if not mission.rounds else voices
    plans = [each["plan"] for each in mission.plans for _ in range(each["votes"])]
    # The greedy voice and the base follow the best plan; the others go round the plans by their votes.
    chosen = [
        mission.plan if temperature == 0.0 else plans[i % len(plans)]
        for i, (_, temperature) in enumerate(voices)
    ]
    prompts = [build_prompt(mission.linked, plan, self.meta_prompt) for plan in chosen]
    answers = at.generate(
        prompts,
        [name for name, _ in voices],
        method_grammar(mission.linked),
        Limits(
            max_tokens=TOKENS,
            temperature=[
                temperature + 0.2 * mission.rounds if temperature else 0.0 for _, temperature in voices
            ],
            seed=100 * (mission.rounds + 1),
            deadline=mission.deadline,
        ),
    )
    mission.rounds += not alone  # the council has not spoken yet
    for (name, temperature), plan, prompt, answer in zip(voices, chosen, prompts, answers, strict=True):
        draft = {
            "voice": f"{name or 'base'}@{temperature:g}",
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
