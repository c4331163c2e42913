"""The personas: BRICK, ROBIN, BABS and ALFRED as live objects, each a voice of the Composite Mind.

A persona is one LoRA expert, a codex and facets; everything is a slot, so it is read and edited by
messages, taken back like any change, and what the next mission thinks with.  A new persona is a clone; it
takes part once it stands among the `others` of a state.

    meta_prompts  {name of a state: what it is told there}, in place of the state's own
    sampling      {"temperatures": [...]}: of its drafts, in place of the state's own
    facets        {selector: intent}, the selector ending in `_facet_`

A facet begins as its intent, one sentence.  The first message to it is a miss; the mission writes a method
that puts the question to the persona's own mind in the light of that sentence (`infer_`), and from then on
it is a method like any other, with versions, to be edited or reverted.

`infer_` is the one slow word a method may say: the turn is left, the mind is asked outside it, and the
message runs again with the answer at hand, as it does after a mission.  So a turn never waits, and nothing
is kept of the runs that were left.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from batos.errors import Refused, WrongArguments
from batos.objects import UvmObject
from batos.objects.genesis import add_primitives, child
from batos.objects.lookup import LeftTurn
from batos.objects.method import primitive

FACET = "_facet_"
INFER = "infer_"

PERSONAS = {
    "brick_prototype_obj": {
        "name": "BRICK",
        "title": "the Deconstruction Engine",
        "question": "what is it, and how is it done",
        "codex": "Take the problem apart, say plainly what it is made of, and build the smallest thing that does it.",
        "facets": {
            "tamland_facet_": "Say what is literally there and infer nothing.",
            "lego_batman_facet_": "Treat it as a mission and build the gadget for it.",
            "guide_facet_": "Add the obscure fact that can be checked.",
        },
        "expert": "BRICK",
    },
    "robin_prototype_obj": {
        "name": "ROBIN",
        "title": "the Embodied Heart",
        "question": "why does it matter",
        "codex": "Bring the voices together in one sentence a friend would say, and leave nothing true out.",
        "facets": {
            "sage_facet_": "Accept what is before looking for what to do.",
            "simple_heart_facet_": "Say it gently and plainly.",
            "joyful_spark_facet_": "Be glad about it, sincerely.",
        },
        "expert": "ROBIN",
    },
    "babs_prototype_obj": {
        "name": "BABS",
        "title": "the Grounding Agent",
        "question": "what is known, and where does it stand",
        "codex": "Find the passage, name its source, and say when there is none.",
        "facets": {
            "tech_bat_facet_": "Analyse what was found, precisely.",
            "iceman_facet_": "Make one plan and follow it.",
            "hitchhiker_facet_": "Bring back the useful thing nobody asked for.",
        },
        "expert": "BABS",  # no adapter of that name is shipped: the base speaks for her until one is staged
    },
    "alfred_prototype_obj": {
        "name": "ALFRED",
        "title": "the System Steward",
        "question": "is it sound, lean and necessary",
        "codex": "Look for what is wrong before it is used, say it in one line, and keep the house in order.",
        "facets": {
            "pragmatist_facet_": "Name the simplest direct fix.",
            "disruptor_facet_": "Ask the naive question about each assumption.",
            "butler_facet_": "Check once more, drily.",
        },
        "expert": "ALFRED",
    },
}


def birth(root: Any) -> None:
    """Make the personas an image lacks."""
    for name, slots in PERSONAS.items():
        add_primitives(child(root, name, meta_prompts={}, sampling={}, **slots), INFER)


def meta_prompt(persona: UvmObject, state: UvmObject) -> str:
    """What a persona is told in a state."""
    return (_own(persona, "meta_prompts") or {}).get(state.name) or state.meta_prompt


def temperatures(persona: UvmObject, usual: Any) -> list[float]:
    """How boldly a persona drafts."""
    return [float(each) for each in (_own(persona, "sampling") or {}).get("temperatures") or usual]


def _own(persona: UvmObject, slot: str) -> Any:
    """A slot that a persona of an older image, or somebody's own, may lack."""
    return persona._slots.get(slot)


# -- a persona's own mind ------------------------------------------------------------------------------


class Thought(LeftTurn):
    """A turn was left because a method asks the mind: `messages` for the expert, the answer goes under `key`."""

    def __init__(self, key: str, messages: list[dict[str, str]], expert: str | None):
        super().__init__("a method asks the mind")
        self.key = key
        self.messages = messages
        self.expert = expert


_heard: ContextVar[dict[str, str] | None] = ContextVar("heard", default=None)


@contextlib.contextmanager
def hearing(answers: dict[str, str]) -> Iterator[None]:
    """Run methods that may ask the mind; what it has answered so far is at hand."""
    token = _heard.set(answers)
    try:
        yield
    finally:
        _heard.reset(token)


def said_by(persona: UvmObject, query: str, system_prompt: str | None) -> list[dict[str, str]]:
    """The messages for a persona's mind: its codex and what it is told, then the question."""
    rules = " ".join(each for each in (persona._slots.get("codex"), system_prompt) if each)
    return [{"role": "system", "content": rules}, {"role": "user", "content": query}]


@primitive
def infer_(self, query, system_prompt=None):
    """What this persona's mind answers, told its codex and the system prompt; never waited for in a turn."""
    if not isinstance(query, str) or not query.strip():
        raise WrongArguments("infer_ takes a question as text, and a system prompt if you like")
    answers = _heard.get()
    if answers is None:
        raise Refused("the mind is asked by a message of its own, not by this one", rule="slow")
    expert = self._slots.get("expert")
    messages = said_by(self, query, system_prompt)
    key = json.dumps([expert, messages])
    if key not in answers:
        raise Thought(key, messages, expert)
    return answers[key]


def facet_intent(persona: UvmObject, selector: str) -> str | None:
    """The sentence a facet begins as, None where `selector` names none of this object's."""
    if not selector.endswith(FACET) or persona._method(INFER) is None:
        return None
    facets = _own(persona, "facets")
    intent = facets.get(selector) if hasattr(facets, "get") else None
    return intent if isinstance(intent, str) else None


def facets_of(personas: list[UvmObject]) -> dict[str, tuple[UvmObject, str]]:
    """Every facet of some personas: selector -> (persona, its intent); of two alike the first."""
    found: dict[str, tuple[UvmObject, str]] = {}
    for persona in personas:
        for selector in _own(persona, "facets") or ():
            intent = facet_intent(persona, selector)
            if intent is not None:
                found.setdefault(selector, (persona, intent))
    return found
